"""Write faulty slides and the truth about them, so that a run that was broken off can go on."""

from __future__ import annotations

from pathlib import Path

from tilewise.store import read_json, write_bytes, write_json, write_text
from tilewise.synthetic.config import SynthConfig
from tilewise.synthetic.faults.plan import FaultySlide
from tilewise.synthetic.faults.plant import Redraw, plant
from tilewise.synthetic.faults.sections import draw_stranger
from tilewise.synthetic.faults.truth import FAULTS_FILE, PlantedFault, faults_csv
from tilewise.synthetic.plan import PlannedSlide
from tilewise.synthetic.slide import DrawnSlide
from tilewise.synthetic.texture import TumourAppearance

# One small file for each faulty slide, from which the table is put together at the end.
NOTES_FOLDER = "planted"
_SCHEMA, _VERSION = "tilewise.planted_faults", 1


def is_planted(folder: Path, truth: Path, slide: FaultySlide) -> bool:
    """Whether all files of a faulty slide are there; its picture is written last."""
    masked = slide.fault == "mask-missing" or (folder / slide.mask_name).is_file()
    return masked and (folder / slide.image_name).is_file() and _notes(truth, slide).is_file()


def write_planted(folder: Path, truth: Path, config: SynthConfig, slide: FaultySlide, *, drawn: DrawnSlide) -> None:
    """Write a faulty slide.

    Args:
        folder: of the slides of its part.
        truth: the truth's folder.
        config: of the cohort.
        slide: what is to be done to it.
        drawn: `slide.drawn` as it was drawn.
    """
    planted = plant(slide, drawn, redraw=_redraw(config, slide))
    for name, content in planted.evidence.items():
        write_bytes(truth / name, content)
    rows = {"faults": [fault.as_json() for fault in planted.faults]}
    write_json(_notes(truth, slide), rows, schema=_SCHEMA, version=_VERSION)
    if planted.mask is not None:
        write_bytes(folder / slide.mask_name, planted.mask)
    write_bytes(folder / slide.image_name, planted.image)


def write_faults(truth: Path, plan: dict[int, PlannedSlide]) -> int:
    """Put `truth/faults.csv` together once every slide is written; returns the number of faulty slides."""
    faulty = [slide for slide in plan.values() if isinstance(slide, FaultySlide)]
    rows = [
        PlantedFault(**row)
        for slide in faulty
        for row in read_json(_notes(truth, slide), schema=_SCHEMA, version=_VERSION)["faults"]
    ]
    if faulty:
        write_text(truth / FAULTS_FILE, faults_csv(rows))
    return len(faulty)


def _notes(truth: Path, slide: FaultySlide) -> Path:
    return truth / NOTES_FOLDER / f"{slide.index:04d}.json"


def _redraw(config: SynthConfig, slide: FaultySlide) -> Redraw:
    if config.textures is None:
        return lambda rng, drawn: draw_stranger(rng, drawn, look=TumourAppearance.of(slide.unit))
    from tilewise.synthetic.real import compose, draw_regions, find_textures

    textures = find_textures(config.textures)
    return lambda rng, drawn: compose(rng, drawn.tissue, mask=draw_regions(rng, drawn.tissue), textures=textures)
