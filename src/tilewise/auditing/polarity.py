"""Which way round a mask is: does it mark tissue, or all of the glass but a part of the tissue?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Polarity = Literal["right", "inverted", "unknown"]

_WORKING_SIDE = 512
# Tissue is looked for at a coarse scale: what lies this near to it counts as on it.
_REACH_SHARE = 0.01
# With less glass than this nobody can tell whether a mask avoids it.
_LEAST_GLASS = 0.02
# A mask the wrong way round marks nearly all of the glass, and what it leaves out hardly any.
_MOST_OF_GLASS, _LITTLE_OF_GLASS = 0.8, 0.2
# So much of the one has to lie off the tissue, and this many times as much as of the other.
_OFF_TISSUE, _TIMES_FARTHER_OFF = 0.2, 2.0
# Holes and specks that a mask leaves out are no region: less than this share of the slide, or of its tissue.
_SMALLEST, _SMALLEST_OF_TISSUE = 0.001, 0.01


@dataclass(frozen=True)
class MaskFit:
    """How a mask lies on a slide.

    Attributes:
        on_tissue: share of what it marks that is tissue or next to it; 1 where it marks nothing.
        of_glass: share of the glass away from tissue that it marks; None where there is hardly any glass.
        share: of the slide that it marks.
    """

    on_tissue: float
    of_glass: float | None
    share: float

    def is_far_better_than(self, other: MaskFit, tissue_share: float) -> bool:
        """Whether this one marks tissue and leaves out the glass, and the other one the reverse.

        Args:
            other: of the same slide, read the other way round.
            tissue_share: share of the slide that is tissue.
        """
        if self.of_glass is None or other.of_glass is None:
            return False
        if self.share < max(_SMALLEST, _SMALLEST_OF_TISSUE * tissue_share):
            return False
        off, other_off = 1.0 - self.on_tissue, 1.0 - other.on_tissue
        avoids_glass = self.of_glass <= _LITTLE_OF_GLASS and other.of_glass >= _MOST_OF_GLASS
        return avoids_glass and other_off >= _OFF_TISSUE and other_off >= _TIMES_FARTHER_OFF * off


def fit_of(mask: Mask, tissue: Mask) -> MaskFit:
    """Measure how a mask lies on tissue and glass, on a reduced picture.

    Args:
        mask: bool (H, W).
        tissue: bool (H, W) of the same slide.
    """
    height, width = mask.shape
    scale = min(1.0, _WORKING_SIDE / max(height, width))
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    marked = cv2.resize(mask.view(np.uint8) * np.uint8(255), small, interpolation=cv2.INTER_AREA).astype(np.float32)
    reach = max(1, round(_REACH_SHARE * max(small)))
    near = cv2.dilate(
        cv2.resize(tissue.astype(np.uint8), small, interpolation=cv2.INTER_NEAREST),
        cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)),
    )
    # A mask of a pixel or two may be lost at this scale; nothing is said against it then.
    on_tissue = float((marked * near).sum() / marked.sum()) if marked.any() else 1.0
    glass = near == 0
    of_glass = float(marked[glass].mean() / 255.0) if glass.mean() >= _LEAST_GLASS else None
    return MaskFit(on_tissue, of_glass, float(mask.mean()))


def polarity_of(fit: MaskFit, inverted: MaskFit, tissue_share: float) -> Polarity:
    """Tell which way round a mask is.

    Args:
        fit: of the mask as it was read.
        inverted: of the same mask read the other way round.
        tissue_share: share of the slide that is tissue.
    """
    if inverted.is_far_better_than(fit, tissue_share):
        return "inverted"
    return "right" if fit.is_far_better_than(inverted, tissue_share) else "unknown"
