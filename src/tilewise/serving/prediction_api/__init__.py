"""Predictions of a run's classifier over HTTP; it loads the files of a run and never training."""
