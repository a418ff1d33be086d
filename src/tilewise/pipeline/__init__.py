"""The only room that knows the order of the stages: once for training, once for new slides."""
