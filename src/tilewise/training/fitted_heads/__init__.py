"""Heads that are fitted at once to one vector per slide: linear discriminant analysis and logistic regression."""
