"""Training of networks on pixels. torch is imported when training starts, not when this package is."""

from tilewise.training.networks.config import EngineConfig

__all__ = ["EngineConfig"]
