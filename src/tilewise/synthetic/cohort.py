"""Write a synthetic cohort in the layout of the challenge, and what is true of it beside it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tilewise.errors import ArtifactError, BatchFailed, UsageError
from tilewise.execution import run_each, write_failures
from tilewise.store import read_json, write_bytes, write_json, write_text
from tilewise.synthetic.config import SynthConfig
from tilewise.synthetic.faults.plan import FaultySlide, clean_slides, plan_faults
from tilewise.synthetic.faults.write import NOTES_FOLDER, is_planted, write_faults, write_planted
from tilewise.synthetic.plan import PlannedSlide
from tilewise.synthetic.slide import DrawnSlide, draw_slide
from tilewise.synthetic.truth import SCHEMA, TRUTH_FOLDER, VERSION, truth_rows, truth_summary

_LABELS = "train_labels.csv"
_FOLDERS = {"train": "train_data", "test": "test_data"}


@dataclass(frozen=True)
class SynthSummary:
    """What `write_cohort` did.

    Attributes:
        root: the cohort's folder.
        num_train, num_test: slides of each part, faulty ones included.
        num_faulty: slides with a planted fault, harmless marks included.
        num_drawn: slides drawn now; the others were there already.
        best_macro_f1: highest macro F1 anyone can expect on endless slides of this kind.
        truth: the folder with labels of the test slides, latents and bounds.
    """

    root: Path
    num_train: int
    num_test: int
    num_faulty: int
    num_drawn: int
    best_macro_f1: float
    truth: Path


@dataclass(frozen=True)
class _Job:
    root: Path
    config: SynthConfig
    planned: PlannedSlide


def write_cohort(out: Path, config: SynthConfig, *, workers: int | None = 1) -> SynthSummary:
    """Write a cohort into `out`, or finish one that was begun there with the same config.

    `out` holds `train_data/` (`img_0000.png`, `mask_0000.png` ...), `train_labels.csv`, with test slides also
    `test_data/`, and `truth/`. Where faults are planted, `truth/faults.csv` says which slide has which, and for
    slides with ink `truth/` holds `alpha_0000.png` (share of ink in every pixel, 255 is all) and `clean_0000.png` (the
    picture without it); `faults.read_faults` reads the table. The labels are written last, so that a cohort without
    them is not finished. The same config gives the same bytes, whatever the number of workers.

    Args:
        out: a folder that is new, empty, or was begun here.
        config: what to draw.
        workers: processes; None takes every processor.

    Raises:
        UsageError: `out` holds something else, or a cohort of another config; there are too few slides to be copied, or
            no textures.
        BatchFailed: some slides could not be written; `truth/failures.csv` names them.
    """
    plan = plan_faults(config)
    if config.textures is not None:
        _textures(config.textures)
    # Scores of what can be learned are about slides that can be learned from.
    summary = truth_summary(config, clean_slides(plan))
    _claim(out, summary)
    rows = [("sample_index", "label")]
    rows += [(slide.image_name, _label_given(slide)) for slide in plan.values() if slide.part == "train"]
    labels, truth = _as_csv(rows), _as_csv(truth_rows(config, plan))
    for path, text in ((out / _LABELS, labels), (out / TRUTH_FOLDER / "truth.csv", truth)):
        if path.is_file() and path.read_bytes() != text.encode():
            raise UsageError(f"{path} was edited since it was written; move it, or name another folder")
    write_text(out / TRUTH_FOLDER / "truth.csv", truth)
    missing = {slide.image_name: _Job(out, config, slide) for slide in plan.values() if not _is_written(out, slide)}
    outcome = run_each(_write_slide, missing, stage="synth", workers=workers)
    write_failures(out / TRUTH_FOLDER / "failures.csv", outcome.failures)
    if outcome.failures:
        first = outcome.failures[0]
        raise BatchFailed(
            f"{len(outcome.failures)} of {len(plan)} slides could not be written, first {first.item}: {first.message}; "
            f"see {out / TRUTH_FOLDER / 'failures.csv'}, then run the same command again"
        )
    num_faulty = write_faults(out / TRUTH_FOLDER, plan)
    write_text(out / _LABELS, labels)
    return SynthSummary(
        root=out,
        num_train=sum(slide.part == "train" for slide in plan.values()),
        num_test=sum(slide.part == "test" for slide in plan.values()),
        num_faulty=num_faulty,
        num_drawn=len(missing),
        best_macro_f1=float(summary["best_reachable"]["macro_f1"]),
        truth=out / TRUTH_FOLDER,
    )


def encode_slide(drawn: DrawnSlide) -> tuple[bytes, bytes]:
    """PNG files of the picture and of its mask (0/255)."""
    from tilewise.slides.png import encode_png

    return encode_png(drawn.rgb), encode_png(drawn.mask.astype("uint8") * 255)


def _claim(out: Path, summary: dict[str, Any]) -> None:
    """Make sure the folder is ours; `truth.json`, written before anything else, says so."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; name a folder that is new or empty")
    marker = out / TRUTH_FOLDER / "truth.json"
    if not marker.exists():
        strangers = [path for path in _entries(out) if path.name != TRUTH_FOLDER]
        strangers += [path for path in _entries(out / TRUTH_FOLDER) if not path.name.startswith(".")]
        if strangers:
            raise UsageError(
                f"{out} is not empty ({strangers[0].name} ...) and no synthetic cohort was begun there; "
                "name a folder that is new or empty"
            )
        write_json(marker, summary, schema=SCHEMA, version=VERSION)
        return
    _refuse_another(out, marker, summary)
    # A killed run leaves unfinished files under hidden names.
    folders = (out, out / TRUTH_FOLDER, out / TRUTH_FOLDER / NOTES_FOLDER, *(out / name for name in _FOLDERS.values()))
    for folder in folders:
        for path in folder.glob(".*.tmp*"):
            path.unlink()


def _refuse_another(out: Path, marker: Path, summary: dict[str, Any]) -> None:
    """Refuse a folder whose cohort was made with other settings or by another version of the drawing code."""
    try:
        recorded = read_json(marker, schema=SCHEMA, version=VERSION)
    except ArtifactError as error:
        raise UsageError(f"{marker} is not readable ({error}); name another folder, or delete {out}") from error
    differing = [key for key in ("drawing_version", "config") if recorded.get(key) != summary[key]]
    if differing:
        before, now = recorded.get("config") or {}, summary["config"]
        fields = [key for key in {**now, **before} if before.get(key) != now.get(key)]
        fields = fields or ["the version of the drawing code"]
        raise UsageError(
            f"{out} holds a synthetic cohort made otherwise (differs in {', '.join(fields)}); "
            "name another folder, or delete this one"
        )


def _entries(folder: Path) -> Iterable[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else ()


def _is_written(out: Path, slide: PlannedSlide) -> bool:
    folder = out / _FOLDERS[slide.part]
    if isinstance(slide, FaultySlide):
        return is_planted(folder, out / TRUTH_FOLDER, slide)
    return (folder / slide.image_name).is_file() and (folder / slide.mask_name).is_file()


def _label_given(slide: PlannedSlide) -> str:
    return "" if isinstance(slide, FaultySlide) and slide.fault == "label-missing" else slide.label


def _write_slide(job: _Job) -> None:
    folder = job.root / _FOLDERS[job.planned.part]
    if isinstance(job.planned, FaultySlide):
        drawn = _draw(job.config, job.planned.drawn)
        write_planted(folder, job.root / TRUTH_FOLDER, job.config, job.planned, drawn=drawn)
        return
    image, mask = encode_slide(_draw(job.config, job.planned))
    write_bytes(folder / job.planned.mask_name, mask)
    write_bytes(folder / job.planned.image_name, image)


def _draw(config: SynthConfig, planned: PlannedSlide) -> DrawnSlide:
    """The slide without a fault, of what the config says tissue is made of."""
    drawn = draw_slide(config, planned)
    if config.textures is None:
        return drawn
    from tilewise.synthetic.real import fill_with_textures

    return fill_with_textures(planned, drawn, textures=_textures(config.textures))


def _textures(folder: Path) -> tuple[Path, ...]:
    from tilewise.synthetic.real import find_textures

    return find_textures(folder)


def _as_csv(rows: Iterable[Iterable[object]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()
