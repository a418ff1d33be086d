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
from tilewise.synthetic.plan import PlannedSlide, plan_cohort
from tilewise.synthetic.slide import DrawnSlide, draw_slide
from tilewise.synthetic.truth import SCHEMA, TRUTH_FOLDER, VERSION, truth_rows, truth_summary

_LABELS = "train_labels.csv"
_FOLDERS = {"train": "train_data", "test": "test_data"}


@dataclass(frozen=True)
class SynthSummary:
    """What `write_cohort` did.

    Attributes:
        root: the cohort's folder.
        num_train, num_test: slides of each part.
        num_drawn: slides drawn now; the others were there already.
        best_macro_f1: highest macro F1 anyone can expect on endless slides of this kind.
        truth: the folder with labels of the test slides, latents and bounds.
    """

    root: Path
    num_train: int
    num_test: int
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
    `test_data/`, and `truth/`. The labels are written last, so that a cohort without them is not finished. The same
    config gives the same bytes, whatever the number of workers.

    Args:
        out: a folder that is new, empty, or was begun here.
        config: what to draw.
        workers: processes; None takes every processor.

    Raises:
        UsageError: `out` holds something else, or a cohort of another config.
        BatchFailed: some slides could not be written; `truth/failures.csv` names them.
    """
    plan = plan_cohort(config)
    summary = truth_summary(config, plan)
    _claim(out, summary)
    write_text(out / TRUTH_FOLDER / "truth.csv", _as_csv(truth_rows(config, plan)))
    missing = {slide.image_name: _Job(out, config, slide) for slide in plan.values() if not _is_written(out, slide)}
    outcome = run_each(_write_slide, missing, stage="synth", workers=workers)
    write_failures(out / TRUTH_FOLDER / "failures.csv", outcome.failures)
    if outcome.failures:
        first = outcome.failures[0]
        raise BatchFailed(
            f"{len(outcome.failures)} of {len(plan)} slides could not be written, first {first.item}: {first.message}; "
            f"see {out / TRUTH_FOLDER / 'failures.csv'}, then run the same command again"
        )
    rows = [("sample_index", "label")]
    rows += [(slide.image_name, slide.label) for slide in plan.values() if slide.part == "train"]
    write_text(out / _LABELS, _as_csv(rows))
    return SynthSummary(
        root=out,
        num_train=config.num_slides,
        num_test=config.num_test_slides,
        num_drawn=len(missing),
        best_macro_f1=float(summary["best_reachable"]["macro_f1"]),
        truth=out / TRUTH_FOLDER,
    )


def encode_slide(drawn: DrawnSlide) -> tuple[bytes, bytes]:
    """PNG files of the picture and of its mask (0/255), packed quickly rather than tightly."""
    import imagecodecs

    # Run lengths of differences to the pixel above: half the time of zlib's matching, and no larger on glass.
    image = imagecodecs.png_encode(drawn.rgb, level=1, strategy=3, filter=32)
    mask = imagecodecs.png_encode(drawn.mask.astype("uint8") * 255, level=1, strategy=3, filter=32)
    return bytes(image), bytes(mask)


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
    try:
        found = read_json(marker, schema=SCHEMA, version=VERSION)
    except ArtifactError as error:
        raise UsageError(f"{marker} is not readable ({error}); name another folder, or delete {out}") from error
    differing = [key for key in ("drawing_version", "config") if found.get(key) != summary[key]]
    if differing:
        before, now = found.get("config") or {}, summary["config"]
        fields = [key for key in now if before.get(key) != now[key]] or ["the version of the drawing code"]
        raise UsageError(
            f"{out} holds a synthetic cohort made otherwise (differs in {', '.join(fields)}); "
            "name another folder, or delete this one"
        )
    # A killed run leaves unfinished files under hidden names.
    for folder in (out, out / TRUTH_FOLDER, *(out / name for name in _FOLDERS.values())):
        for path in folder.glob(".*.tmp*"):
            path.unlink()


def _entries(folder: Path) -> Iterable[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else ()


def _is_written(out: Path, slide: PlannedSlide) -> bool:
    folder = out / _FOLDERS[slide.part]
    return (folder / slide.image_name).is_file() and (folder / slide.mask_name).is_file()


def _write_slide(job: _Job) -> None:
    folder = job.root / _FOLDERS[job.planned.part]
    image, mask = encode_slide(draw_slide(job.config, job.planned))
    write_bytes(folder / job.planned.mask_name, mask)
    write_bytes(folder / job.planned.image_name, image)


def _as_csv(rows: Iterable[Iterable[object]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()
