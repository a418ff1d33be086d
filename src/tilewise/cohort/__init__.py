"""Slides, masks and labels as a folder or a table holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tilewise.cohort.slide import Cohort, Purpose, Slide

if TYPE_CHECKING:
    from tilewise.cohort.foreground import not_binary
    from tilewise.cohort.mask import mask_digest, read_mask, read_scaled_mask

__all__ = ["Cohort", "Purpose", "Slide", "mask_digest", "not_binary", "read_mask", "read_scaled_mask"]


def __getattr__(name: str) -> object:
    # Reading pixels needs decoders, naming slides does not.
    if name == "not_binary":
        from tilewise.cohort.foreground import not_binary

        return not_binary
    if name in {"mask_digest", "read_mask", "read_scaled_mask"}:
        from tilewise.cohort import mask

        return getattr(mask, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
