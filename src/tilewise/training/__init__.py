"""Training of heads on features. torch is imported when training starts, not when this package is."""

from tilewise.training.config import TrainingConfig

__all__ = ["TrainingConfig"]
