"""Several models to one: weights of a run's folds, and combiners of several runs; all fitted on `validation` alone."""
