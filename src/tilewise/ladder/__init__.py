"""A ladder of ways to train: each fold climbs as far as its own inner folds say that it gains."""

from tilewise.ladder.config import LadderConfig, RungConfig

__all__ = ["LadderConfig", "RungConfig"]
