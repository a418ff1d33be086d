"""One slide of a cohort as it was found, and what a cohort is for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Purpose = Literal["train", "predict"]


@dataclass(frozen=True)
class Slide:
    """One slide as the cohort's table and folders name it; no pixel was looked at.

    Attributes:
        slide_id: the table's own spelling (`img_0000.png`); a submission repeats it as it is. A slide without a row has
            its path below the folder of slides.
        path: of the image file.
        mask_path: of the mask's image file; None where there is none.
        label: of the table, in one spelling (`cohort.identifiers`); None for an unlabelled slide.
        group: what must never be split between parts (a patient, say); None where the table does not say.
        split: the part the table puts the slide in; None where it does not say.
        extra: the row's further columns by name.
    """

    slide_id: str
    path: Path
    mask_path: Path | None = None
    label: str | None = None
    group: str | None = None
    split: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def declared_mpp(self) -> float | None:
        """Microns per pixel of level 0 as the table's column `mpp` declares them; None where it does not.

        Raises:
            ValueError: the cell holds no number above 0.
        """
        cell = next((value for name, value in self.extra.items() if name.casefold() == "mpp"), None)
        if cell is None or str(cell).strip().casefold() in {"", "nan", "none", "<na>"}:
            return None
        mpp = float(cell)
        if not 0.0 < mpp < math.inf:
            raise ValueError(f"{cell} is no number of microns above 0")
        return mpp
