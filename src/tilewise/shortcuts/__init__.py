"""What tells the label without a look at the tissue."""
