"""Is a slide's mask of use: its size, what it marks, whether that is tissue, and which way round it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.auditing.finding import INVERT, Finding
from tilewise.auditing.mask_shape import describe_shape
from tilewise.auditing.polarity import Polarity, fit_of, polarity_of
from tilewise.cohort import Slide, mask_digest, not_binary, read_mask, read_scaled_mask
from tilewise.errors import MaskError, MaskSizeError, SlideError
from tilewise.slides import read_image
from tilewise.units import Size

Mask = npt.NDArray[np.bool_]

# A mask of nearly everything says nothing about where to look, unless there is tissue nearly everywhere.
_FULL, _FULL_OF_TISSUE = 0.98, 0.5
# Rough masks run over the edge of tissue and across holes in it; a mask of another slide hits tissue by chance.
_OFF_TISSUE, _MOSTLY_OFF_TISSUE = 0.10, 0.35
# A picture of the slide itself shows its tissue in its colours: this share of it to within so many of 255 levels.
_SAME_LEVELS, _SAME_TISSUE = 20, 0.3
# Where this many masks are the wrong way round, this share of all, and so many times as many as the right one, so are
# those that do not tell: one program wrote them all.
_FEWEST_INVERTED, _LEAST_INVERTED, _TIMES_RIGHT = 2, 0.1, 3
_SURELY_INVERTED = (
    "the mask marks {marked:.0%} of the slide, most of it glass, and {on_tissue:.0%} of what it leaves out is tissue: "
    "it is the wrong way round (white background?), and is used inverted"
)
_INVERTED_LIKE_OTHERS = (
    "the slide does not tell which way round its mask is, but {num} of {all} masks of the cohort are the wrong way "
    "round, so it is used inverted as they are"
)


@dataclass(frozen=True)
class MaskFacts:
    """Measures of a mask.

    Attributes:
        fault: why it cannot be used as it is, in a sentence; empty where it can.
        kind: of the fault: `size`, `unreadable` or `picture`; empty where there is none.
        scaled: it was drawn at another scale, and everything below is about the mask scaled to the slide.
        notes: how the file was read.
        digest: of its pixels; None where it is of no use.
        share: of the slide that it marks; None where it is of no use.
        on_tissue: share of what it marks that is tissue or next to it; 1 where it marks nothing.
        polarity: whether it marks tissue, or all of the glass but a part of the tissue; `unknown` where the slide does
            not tell.
        turned_share: of the slide that it marks when it is read the other way round.
        turned_on_tissue: as `on_tissue`, of that.
        shape: see `describe_shape`, of the mask the right way round; empty where it marks nothing or is of no use.
    """

    fault: str
    kind: Literal["", "size", "unreadable", "picture"]
    scaled: bool
    notes: tuple[str, ...]
    digest: str | None
    share: float | None
    on_tissue: float
    polarity: Polarity = "unknown"
    turned_share: float = 0.0
    turned_on_tissue: float = 1.0
    shape: tuple[float, ...] = ()

    @property
    def is_off_tissue(self) -> bool:
        """Whether so little of it is tissue that it will not be used."""
        return self.on_tissue < _OFF_TISSUE and self.polarity != "inverted"


def measure_mask(
    slide: Slide, size: Size, tissue: Mask, rgb: npt.NDArray[np.uint8]
) -> tuple[Mask | None, MaskFacts | None]:
    """Read a slide's mask and measure it.

    Args:
        slide: maybe without mask.
        size: of the slide, level 0.
        tissue: bool (H, W) of the slide.
        rgb: the slide, uint8 (H, W, 3).

    Returns:
        The mask the way round that fits the tissue, None where it is of no use; and what it tells as it is, None where
        there is none.
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
            return None, _of_no_use(fault, "size")
    except MaskError as error:
        return None, _of_no_use(str(error), "unreadable")
    if not_binary(notes) and _is_picture_of_slide(slide, rgb, tissue):
        return None, _of_no_use(
            f"mask {slide.mask_path} is a picture of the slide itself, maybe with something drawn on it; export what "
            "is drawn alone, as foreground on black",
            "picture",
        )
    facts = MaskFacts(
        fault=fault,
        kind="size" if kind else "",
        scaled=bool(kind),
        notes=notes,
        digest=mask_digest(mask),
        share=float(mask.mean()),
        on_tissue=1.0,
    )
    return _with_polarity(slide, size, tissue, mask, facts) if mask.any() else (mask, facts)


def _of_no_use(fault: str, kind: Literal["size", "unreadable", "picture"]) -> MaskFacts:
    return MaskFacts(fault, kind, False, (), None, None, 1.0)


def _with_polarity(slide: Slide, size: Size, tissue: Mask, mask: Mask, facts: MaskFacts) -> tuple[Mask, MaskFacts]:
    fit = fit_of(mask, tissue)
    # Of plain black and white the other way round is the rest; of labels and colours it is read from the file anew.
    inverted = read_scaled_mask(slide, size, inverted=True)[0] if not_binary(facts.notes) else ~mask
    inverted_fit = fit_of(inverted, tissue)
    polarity = polarity_of(fit, inverted_fit, float(tissue.mean()))
    mask = inverted if polarity == "inverted" else mask
    facts = replace(
        facts,
        on_tissue=fit.on_tissue,
        polarity=polarity,
        turned_share=inverted_fit.share,
        turned_on_tissue=inverted_fit.on_tissue,
        shape=tuple(describe_shape(mask).tolist()) if mask.any() else (),
    )
    return mask, facts


def _is_picture_of_slide(slide: Slide, rgb: npt.NDArray[np.uint8], tissue: Mask) -> bool:
    """Whether the mask's file shows the slide's own tissue, in colours or in grey."""
    if slide.mask_path is None or not tissue.any():
        return False
    try:
        picture = read_image(slide.mask_path)
    except SlideError:
        return False
    height, width = tissue.shape
    scale = min(1.0, 512 / max(height, width))
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    own, other = (cv2.resize(one, small, interpolation=cv2.INTER_AREA).astype(np.int16) for one in (rgb, picture))
    small_tissue = cv2.resize(tissue.astype(np.uint8), small, interpolation=cv2.INTER_NEAREST) > 0
    if not np.ptp(other, axis=2).any():
        weights = np.array([0.299, 0.587, 0.114])
        own = np.repeat((own @ weights).astype(np.int16)[:, :, None], 3, axis=2)
    same = np.abs(own - other).max(axis=2) <= _SAME_LEVELS
    return bool(small_tissue.any()) and float(same[small_tissue].mean()) >= _SAME_TISSUE


def mask_findings(
    slides: Mapping[str, Slide], facts: Mapping[str, MaskFacts | None], tissue_shares: Mapping[str, float]
) -> Iterator[Finding]:
    """Masks that are missing or of no use; the tile stage's fallback looks at tissue instead.

    Args:
        slides: by id.
        facts: of the slides that could be read.
        tissue_shares: share of each of these slides that is tissue.
    """
    inverted = _inverted(facts)
    without_any = all(slide.mask_path is None for slide in slides.values())
    for name, fact in facts.items():
        if slides[name].mask_path is None or fact is None:
            if without_any:
                continue  # nobody drew any: that is no slide's fault
            yield Finding(name, "mask-missing", "", "fix-mask", 1.0, "no mask; tiles come from the fallback")
            continue
        if fact.kind == "picture":
            yield Finding(name, "mask-is-slide", "", "fix-mask", 1.0, f"{fact.fault}; tiles come from the fallback")
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
        if name in inverted:
            yield Finding(name, "mask-inverted", "", "fix-mask", *inverted[name], INVERT)
        else:
            yield from _content(name, fact, tissue_shares[name])


def _inverted(facts: Mapping[str, MaskFacts | None]) -> dict[str, tuple[float, str]]:
    """Masks that are the wrong way round: how sure that is, and why."""
    usable = {name: fact for name, fact in facts.items() if fact is not None and fact.share is not None}
    sure = {
        name: (0.95, _SURELY_INVERTED.format(marked=fact.share, on_tissue=fact.turned_on_tissue))
        for name, fact in usable.items()
        if fact.polarity == "inverted"
    }
    num_right = sum(fact.polarity == "right" for fact in usable.values())
    if len(sure) < max(_FEWEST_INVERTED, _LEAST_INVERTED * len(usable), _TIMES_RIGHT * num_right):
        return sure
    why = _INVERTED_LIKE_OTHERS.format(num=len(sure), all=len(usable))
    others = {
        name: (0.7, why)
        for name, fact in usable.items()
        if fact.polarity == "unknown" and fact.share and fact.turned_share
    }
    return sure | others


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
