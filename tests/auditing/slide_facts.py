"""Facts of slides that nobody drew, for checks that need no pixels."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from tilewise.auditing.checks import find_all
from tilewise.auditing.config import AuditConfig
from tilewise.auditing.damage import DamageFacts
from tilewise.auditing.evidence import CohortEvidence
from tilewise.auditing.facts import SlideFacts
from tilewise.auditing.histology import measure_histology
from tilewise.auditing.ink import InkFacts
from tilewise.auditing.masks import MaskFacts
from tilewise.auditing.quality import measure_quality
from tilewise.cohort import Slide
from tilewise.units import Size

_GLASS = np.full((64, 64, 3), 238, np.uint8)
_NONE = np.zeros((64, 64), bool)
_HISTOLOGY = measure_histology(_GLASS, _NONE)
# Of blank glass, but said to be full of tissue: no check of quality has anything to say.
_QUALITY = replace(measure_quality(_GLASS, _NONE), tissue_share=0.4)


def slide(name, label="A", group=None, *, mask=True):
    return Slide(name, Path(name), Path("mask_" + name) if mask else None, label, group)


def cohort(*slides):
    return {item.slide_id: item for item in slides}


def fact(pixels="p", mask="m", share=0.3, ink=None):
    """Facts of a slide with these digests of its pixels and of its mask; `mask=None` for a slide without."""
    masked = None if mask is None else MaskFacts("", "", False, (), mask, share, 1.0)
    return SlideFacts(
        size=Size(64, 64),
        mpp=None,
        file_digest="f" + pixels,
        pixel_digest=pixels,
        notes=(),
        tissue_share=0.4,
        mask_file_digest="mf" if mask else None,
        mask=masked,
        ink=ink or InkFacts(),
        histology=_HISTOLOGY,
        quality=_QUALITY,
        damage=DamageFacts(0.0, 0.0),
    )


def findings_of(slides, facts, pairs=(), **options):
    """Findings of all checks; `options` are the audit's."""
    return find_all(CohortEvidence(slides, facts, tuple(pairs), AuditConfig(**options)))
