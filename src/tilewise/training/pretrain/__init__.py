"""An encoder learns from tiles without labels first. torch is imported when it starts, not when this package is."""

from tilewise.training_config.pretrain import PretrainConfig

__all__ = ["PretrainConfig"]
