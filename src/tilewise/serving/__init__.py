"""Finished runs over HTTP: the page on which people review slides, and predictions for programs."""
