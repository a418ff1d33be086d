"""Slides, masks and labels as a folder or a table holds them."""

from tilewise.cohort.cohort import Cohort
from tilewise.cohort.foreground import not_binary
from tilewise.cohort.label_tables import LabelTables
from tilewise.cohort.mask import mask_digest, read_mask, read_scaled_mask
from tilewise.cohort.slide import Purpose, Slide

__all__ = ["Cohort", "LabelTables", "Purpose", "Slide", "mask_digest", "not_binary", "read_mask", "read_scaled_mask"]
