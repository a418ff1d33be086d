"""Training of heads on features and of networks on pixels. torch is imported when training starts, not before."""

from tilewise.training_config.training import TrainingConfig

__all__ = ["TrainingConfig"]
