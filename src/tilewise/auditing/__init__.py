"""Find what is wrong with a cohort before anything learns from it."""
