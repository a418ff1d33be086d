"""Draw a faulty slide: its files, and what is true of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from tilewise.slides.png import encode_png
from tilewise.synthetic.faults.blobs import BLOB_COLOURS, BLOB_FAMILIES, paste_blob
from tilewise.synthetic.faults.cartoons import draw_cartoon
from tilewise.synthetic.faults.copies import COPY_FAMILIES, draw_copy
from tilewise.synthetic.faults.files import enormous_png, repack_png, spoil_file
from tilewise.synthetic.faults.held_out import BLOB_FAMILY, CARTOON_FAMILY
from tilewise.synthetic.faults.masks import MASK_KINDS, as_grey, draw_mask_fault, mask_on_blob
from tilewise.synthetic.faults.pens import draw_pen
from tilewise.synthetic.faults.plan import FaultySlide
from tilewise.synthetic.faults.quality import QUALITY_FAMILIES, draw_quality
from tilewise.synthetic.faults.sections import draw_section
from tilewise.synthetic.faults.stains import restain
from tilewise.synthetic.faults.truth import PlantedFault
from tilewise.synthetic.slide import DrawnSlide

Redraw = Callable[[np.random.Generator, DrawnSlide], DrawnSlide]
"""Lays other tissue into a slide's outline."""


@dataclass(frozen=True)
class FaultyFiles:
    """The files of a faulty slide.

    Attributes:
        image: of the picture.
        mask: of the mask; None where there is none.
        faults: rows of the truth.
        evidence: more files for the truth folder, by name.
    """

    image: bytes
    mask: bytes | None
    faults: tuple[PlantedFault, ...]
    evidence: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class _Task:
    """What the planters below work on."""

    rng: np.random.Generator
    planned: FaultySlide
    drawn: DrawnSlide
    redraw: Redraw

    @property
    def twin(self) -> str:
        return self.planned.twin.image_name if self.planned.twin is not None else ""

    def row(self, kind: str, family: str | None = None, **details: Any) -> PlantedFault:
        family = self.planned.family if family is None else family
        held_out = family == CARTOON_FAMILY or family.endswith(f"/{BLOB_FAMILY}")
        return PlantedFault(self.planned.image_name, kind, self.twin, family, held_out, details)

    def conflict(self) -> tuple[PlantedFault, ...]:
        """A row where the twin's label is another one."""
        twin = self.planned.twin
        if twin is None or twin.label == self.planned.label:
            return ()
        return (self.row("label-conflict", labels=[self.planned.label, twin.label]),)


def plant(planned: FaultySlide, drawn: DrawnSlide, *, redraw: Redraw) -> FaultyFiles:
    """Plant a slide's fault.

    Args:
        planned: what to do.
        drawn: `planned.drawn` as it was drawn.
        redraw: lays other tissue into its outline, for slides that share an outline and nothing else.
    """
    return _PLANTERS[planned.fault](_Task(planned.fault_stream(), planned, drawn, redraw))


def _cartoon(task: _Task) -> FaultyFiles:
    drawn = task.drawn
    rgb = draw_cartoon(task.rng, drawn.rgb, tissue=drawn.tissue, family=task.planned.family)
    rows = (task.row("shared-mask"), task.row("not-histology"), *task.conflict())
    return FaultyFiles(encode_png(rgb), encode_png(as_grey(drawn.mask)), rows)


def _exact_copy(task: _Task) -> FaultyFiles:
    image, mask = _repacked(task, task.planned.family)
    rows = (task.row("exact-copy"), task.row("shared-mask", implied=True), *task.conflict())
    return FaultyFiles(image, mask, rows)


def _named_copy(task: _Task) -> FaultyFiles:
    image, mask = _repacked(task, "same-bytes")
    rows = (task.row("name-family"), task.row("exact-copy"), task.row("shared-mask", implied=True))
    return FaultyFiles(image, mask, rows)


def _repacked(task: _Task, family: str) -> tuple[bytes, bytes]:
    rgb, grey = task.drawn.rgb, as_grey(task.drawn.mask)
    image = repack_png(task.rng, rgb, family=family, data=encode_png(rgb))
    return image, repack_png(task.rng, grey, family=family, data=encode_png(grey))


def _near_copy(task: _Task) -> FaultyFiles:
    if task.planned.family == "blob":
        return _inked_copy(task)
    copy = draw_copy(task.rng, task.drawn.rgb, mask=task.drawn.mask, family=task.planned.family)
    rows = [task.row("near-copy", **copy.steps), *task.conflict()]
    if np.array_equal(copy.mask, task.drawn.mask):
        rows.append(task.row("shared-mask", implied=True))
    return FaultyFiles(encode_png(copy.rgb), encode_png(as_grey(copy.mask)), tuple(rows))


def _inked_copy(task: _Task) -> FaultyFiles:
    colour = "green" if task.rng.random() < 0.6 else str(task.rng.choice(BLOB_COLOURS))
    look = f"{colour}/{task.rng.choice(BLOB_FAMILIES)}"
    inked = _ink(task, look, marked=bool(task.rng.random() < 0.4))
    rows = [task.row("near-copy"), *inked.faults, *task.conflict()]
    if not any(row.kind == "mask-on-ink" for row in rows):
        rows.append(task.row("shared-mask", implied=True))
    return FaultyFiles(inked.image, inked.mask, tuple(rows), inked.evidence)


def _inked(task: _Task) -> FaultyFiles:
    return _ink(task, task.planned.family, marked=task.planned.fault == "mask-on-ink")


def _ink(task: _Task, look: str, *, marked: bool) -> FaultyFiles:
    colour, family = look.split("/")
    drawn, rng = task.drawn, task.rng
    aim = drawn.mask if rng.random() < 0.5 else drawn.tissue
    rgb, alpha = paste_blob(rng, drawn.rgb, aim=aim, colour=colour, family=family)
    mask = mask_on_blob(drawn.mask, alpha) if marked else drawn.mask
    blob = alpha >= 0.05
    details = {
        "opacity": round(float(alpha.max()), 3),
        "pixels": int(blob.sum()),
        "tissue_covered": round(float((blob & drawn.tissue).sum() / max(1, drawn.tissue.sum())), 4),
        "in_mask": bool((blob & mask).any()),
    }
    rows = [task.row("ink", look, **details)]
    if marked:
        rows.append(task.row("mask-on-ink", look))
    evidence = {
        f"alpha_{task.planned.index:04d}.png": encode_png(np.rint(alpha * 255.0).astype(np.uint8)),
        f"clean_{task.planned.index:04d}.png": encode_png(drawn.rgb),
    }
    return FaultyFiles(encode_png(rgb), encode_png(as_grey(mask)), tuple(rows), evidence)


def _pen(task: _Task) -> FaultyFiles:
    rgb = draw_pen(task.rng, task.drawn.rgb, tissue=task.drawn.tissue, family=task.planned.family)
    return FaultyFiles(encode_png(rgb), encode_png(as_grey(task.drawn.mask)), (task.row("pen"),))


def _other_stain(task: _Task) -> FaultyFiles:
    drawn = task.drawn
    rgb = restain(task.rng, drawn.rgb, tissue=drawn.tissue, family=task.planned.family)
    return FaultyFiles(encode_png(rgb), encode_png(as_grey(drawn.mask)), (task.row("other-stain"),))


def _mask_fault(task: _Task) -> FaultyFiles:
    drawn, kind = task.drawn, task.planned.fault
    grey = draw_mask_fault(task.rng, drawn.mask, tissue=drawn.tissue, kind=kind)
    details: dict[str, Any] = {"shape": list(grey.shape)} if kind == "mask-size" and grey is not None else {}
    mask = None if grey is None else encode_png(grey)
    return FaultyFiles(encode_png(drawn.rgb), mask, (task.row(kind, **details),))


def _mask_unreadable(task: _Task) -> FaultyFiles:
    mask = spoil_file(task.rng, encode_png(as_grey(task.drawn.mask)), family=task.planned.family)
    return FaultyFiles(encode_png(task.drawn.rgb), mask, (task.row("mask-unreadable"),))


def _quality(task: _Task) -> FaultyFiles:
    kind = task.planned.fault
    faulty = draw_quality(task.rng, task.drawn, kind=kind, family=task.planned.family)
    rows = [task.row(kind)]
    if not faulty.mask.any():
        rows.append(task.row("mask-empty", implied=True))
    return FaultyFiles(encode_png(faulty.rgb), encode_png(as_grey(faulty.mask)), tuple(rows))


def _unreadable(task: _Task) -> FaultyFiles:
    image = spoil_file(task.rng, encode_png(task.drawn.rgb), family=task.planned.family)
    return FaultyFiles(image, encode_png(as_grey(task.drawn.mask)), (task.row("unreadable"),))


def _too_large(task: _Task) -> FaultyFiles:
    image = enormous_png(task.rng, family=task.planned.family)
    return FaultyFiles(image, enormous_png(task.rng, family="bilevel"), (task.row("too-large"),))


def _section(task: _Task) -> FaultyFiles:
    section = draw_section(task.rng, task.drawn)
    return FaultyFiles(encode_png(section.rgb), encode_png(as_grey(section.mask)), (task.row("neighbouring-section"),))


def _stranger(task: _Task) -> FaultyFiles:
    stranger = task.redraw(task.rng, task.drawn)
    return FaultyFiles(encode_png(stranger.rgb), encode_png(as_grey(stranger.mask)), (task.row("same-outline"),))


def _label_missing(task: _Task) -> FaultyFiles:
    return FaultyFiles(encode_png(task.drawn.rgb), encode_png(as_grey(task.drawn.mask)), (task.row("label-missing"),))


def _in_both(task: _Task) -> FaultyFiles:
    family = task.planned.family
    if family not in COPY_FAMILIES:
        image, mask = _repacked(task, family)
        return FaultyFiles(image, mask, (task.row("in-both", exact=True),))
    copy = draw_copy(task.rng, task.drawn.rgb, mask=task.drawn.mask, family=family)
    return FaultyFiles(
        encode_png(copy.rgb), encode_png(as_grey(copy.mask)), (task.row("in-both", exact=False, **copy.steps),)
    )


_PLANTERS: Mapping[str, Callable[[_Task], FaultyFiles]] = MappingProxyType(
    {
        "cartoon": _cartoon,
        "exact-copy": _exact_copy,
        "name-family": _named_copy,
        "near-copy": _near_copy,
        "ink": _inked,
        "mask-on-ink": _inked,
        "pen": _pen,
        "other-stain": _other_stain,
        **dict.fromkeys(MASK_KINDS, _mask_fault),
        "mask-unreadable": _mask_unreadable,
        **dict.fromkeys(QUALITY_FAMILIES, _quality),
        "unreadable": _unreadable,
        "too-large": _too_large,
        "section": _section,
        "stranger": _stranger,
        "label-missing": _label_missing,
        "in-both": _in_both,
    }
)
