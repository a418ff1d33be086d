"""Slides without a label that teach all the same, by the class that a first model is sure of."""

from tilewise.training_config.pseudo import PseudoConfig

__all__ = ["PseudoConfig"]
