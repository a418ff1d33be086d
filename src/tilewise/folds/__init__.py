"""Folds: which slides a model learns from, which stop its training, and which it is tested on. Made before training."""

from tilewise.folds.config import FoldsConfig
from tilewise.folds.make import check_num_folds, derived_seed, make_folds
from tilewise.folds.parts import PART_NAMES, Fold, FoldItem, Folds, PartName

__all__ = [
    "PART_NAMES",
    "Fold",
    "FoldItem",
    "Folds",
    "FoldsConfig",
    "PartName",
    "check_num_folds",
    "derived_seed",
    "make_folds",
]
