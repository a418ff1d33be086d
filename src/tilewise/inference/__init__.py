"""From a classifier and slides to predictions."""
