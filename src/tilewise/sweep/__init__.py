"""Variants of one recipe on the same folds, and the table that compares them."""
