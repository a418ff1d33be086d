"""Is a slide's mask of use: its size, what it marks, and whether that is tissue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.audit.finding import Finding
from tilewise.cohort import Slide, mask_digest, not_binary, read_mask, read_scaled_mask
from tilewise.errors import MaskError, MaskSizeError
from tilewise.units import Size

Mask = npt.NDArray[np.bool_]

# A mask of nearly everything says nothing about where to look, unless there is tissue nearly everywhere.
_FULL, _FULL_OF_TISSUE = 0.98, 0.5
# Rough masks run over the edge of tissue and across holes in it; a mask of another slide hits tissue by chance.
_OFF_TISSUE, _MOSTLY_OFF_TISSUE = 0.10, 0.35
# Tissue is looked for at a coarse scale: what lies this near to it counts as on it.
_REACH_SHARE = 0.01


@dataclass(frozen=True)
class MaskFacts:
    """What a mask tells.

    Attributes:
        fault: why it cannot be used as it is, in a sentence; empty where it can.
        kind: of the fault: `size` or `unreadable`; empty where there is none.
        scaled: it was drawn at another scale, and everything below is about the mask scaled to the slide.
        notes: what was taken for what.
        digest: of its pixels; None where it is of no use.
        share: of the slide that it marks; None where it is of no use.
        on_tissue: share of what it marks that is tissue or next to it; 1 where it marks nothing.
    """

    fault: str
    kind: Literal["", "size", "unreadable"]
    scaled: bool
    notes: tuple[str, ...]
    digest: str | None
    share: float | None
    on_tissue: float

    @property
    def is_off_tissue(self) -> bool:
        """Whether so little of it is tissue that it will not be used."""
        return self.on_tissue < _OFF_TISSUE


def measure_mask(slide: Slide, size: Size, tissue: Mask) -> tuple[Mask | None, MaskFacts | None]:
    """Read a slide's mask and measure it.

    Args:
        slide: maybe without mask.
        size: of the slide, level 0.
        tissue: bool (H, W) of the slide.

    Returns:
        The mask, None where it is of no use; and what it tells, None where there is none.
    """
    if slide.mask_path is None:
        return None, None
    fault, kind = "", ""
    try:
        mask, notes = read_mask(slide, size)
    except MaskSizeError as error:
        fault, kind = str(error), "size"
        try:
            mask, notes = read_scaled_mask(slide, size)
        except MaskError:
            return None, MaskFacts(fault, "size", False, (), None, None, 1.0)
    except MaskError as error:
        return None, MaskFacts(str(error), "unreadable", False, (), None, None, 1.0)
    share = float(mask.mean())
    return mask, MaskFacts(
        fault=fault,
        kind="size" if kind else "",
        scaled=bool(kind),
        notes=notes,
        digest=mask_digest(mask),
        share=share,
        on_tissue=_on_tissue(mask, tissue) if share else 1.0,
    )


def mask_findings(
    slides: Mapping[str, Slide], facts: Mapping[str, MaskFacts | None], tissue_shares: Mapping[str, float]
) -> Iterator[Finding]:
    """Masks that are missing or of no use; the tile stage's fallback looks at tissue instead.

    Args:
        slides: by id.
        facts: of the slides that were looked at.
        tissue_shares: share of each of these slides that is tissue.
    """
    without_any = all(slide.mask_path is None for slide in slides.values())
    for name, fact in facts.items():
        if slides[name].mask_path is None or fact is None:
            if without_any:
                continue  # nobody drew any: that is no slide's fault
            yield Finding(name, "mask-missing", "", "fix-mask", 1.0, "no mask; tiles come from the fallback")
            continue
        if fact.kind == "unreadable":
            yield Finding(name, "mask-unreadable", "", "fix-mask", 1.0, fact.fault)
            continue
        if fact.kind == "size":
            action = "it is scaled to the slide" if fact.scaled else "tiles come from the fallback"
            yield Finding(name, "mask-size", "", "fix-mask", 1.0, f"{fact.fault}; {action}")
        odd = not_binary(fact.notes)
        if odd:
            yield Finding(name, "mask-not-binary", "", "keep", 1.0, "; ".join(odd))
        yield from _content(name, fact, tissue_shares[name])


def _content(name: str, fact: MaskFacts, tissue_share: float) -> Iterator[Finding]:
    if fact.share is None:
        return
    if fact.share == 0.0:
        yield Finding(name, "mask-empty", "", "fix-mask", 1.0, "the mask marks no pixel; tiles come from the fallback")
    elif fact.share >= _FULL:
        useless = tissue_share < _FULL_OF_TISSUE
        evidence = f"the mask marks {fact.share:.0%} of the slide, and {tissue_share:.0%} of it is tissue"
        yield Finding(name, "mask-full", "", "fix-mask" if useless else "keep", 0.95, evidence)
    elif fact.on_tissue < _MOSTLY_OFF_TISSUE:
        off = fact.is_off_tissue
        evidence = f"only {fact.on_tissue:.0%} of what the mask marks is tissue; it may belong to another slide"
        yield Finding(name, "mask-outside-tissue", "", "fix-mask" if off else "keep", 0.95 if off else 0.6, evidence)


def _on_tissue(mask: Mask, tissue: Mask) -> float:
    """Share of the mask on tissue or next to it, measured on a reduced picture."""
    height, width = mask.shape
    scale = min(1.0, 512 / max(height, width))
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    marked = cv2.resize(mask.view(np.uint8) * np.uint8(255), small, interpolation=cv2.INTER_AREA).astype(np.float32)
    reach = max(1, round(_REACH_SHARE * max(small)))
    near = cv2.dilate(
        cv2.resize(tissue.astype(np.uint8), small, interpolation=cv2.INTER_NEAREST),
        cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)),
    )
    # A mask of a pixel or two may be lost at this scale; nothing is said against it then.
    return float((marked * near).sum() / marked.sum()) if marked.any() else 1.0
