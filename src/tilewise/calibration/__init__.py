"""From scores to probabilities and prediction sets: fitted on out-of-fold predictions, carried by the classifier."""
