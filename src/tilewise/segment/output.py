"""Masks in a folder that training can be pointed to."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from tilewise.cohort import Cohort, Slide
from tilewise.errors import ArtifactError
from tilewise.segment.config import SegmentConfig
from tilewise.segment.segment_cohort import Segmentation
from tilewise.segment.segmenter import FoldNetwork, Segmenter
from tilewise.segment.sheet import write_sheet
from tilewise.store import (
    atomic_path,
    digest_config,
    forget_written,
    read_json,
    record_written,
    write_json,
    write_text,
)

SUMMARY, TABLE, SHEET, NETWORKS = "segment.json", "cohort.csv", "segment.html", "segmenter"
_SCHEMA, _VERSION = "tilewise.segment", 1


def write_output(
    out: Path, segmentation: Segmentation, cohort: Cohort, config: SegmentConfig, *, seed: int, workers: int | None
) -> None:
    """Write masks, `segment.json`, `segment.html`, the networks, and `cohort.csv`, which `tilewise train OUT` takes.

    Masks are called `<slide>_mask.png` and lie as the slides do below the cohort's folder (without `images/`), so that
    a folder `masks/` right in the cohort's own is found by name as well. Whether the folder may be written to is for
    the caller to know: a run writes into its own, which nobody else may.
    """
    slides = {slide.slide_id: slide for slide in cohort.slides}
    places = mask_places(cohort)
    masks = {one.slide_id: places[one.slide_id] for one in segmentation.slides if one.used}
    before = _masks_before(out)
    forget_written(out)  # until all of it is there: a call that is stopped goes on
    # The summary comes first: a folder that holds anything says whose it is, and a stopped call can go on.
    write_json(out / SUMMARY, _summary(segmentation, masks, config, seed), schema=_SCHEMA, version=_VERSION)
    for name in sorted(before - set(masks.values())):
        (out / name).unlink(missing_ok=True)
    for one in segmentation.slides:
        if one.used:
            with atomic_path(out / masks[one.slide_id]) as temporary:
                shutil.copyfile(one.mask.path, temporary)
    if segmentation.networks and config.unet.networks is None:
        Segmenter(tuple(FoldNetwork.load(folder) for folder in segmentation.networks)).save(out / NETWORKS)
    write_text(out / TABLE, _table(out, slides, masks))
    record_written(out, [out / TABLE, *(out / name for name in masks.values())])
    write_sheet(out / SHEET, segmentation, workers=workers)


def made_masks(out: Path) -> str:
    """One sentence on the masks in a folder that `write_output` wrote; '' where there is none.

    Raises:
        ArtifactError: the summary is damaged.
    """
    if not (out / SUMMARY).is_file():
        return ""
    data = read_json(out / SUMMARY, schema=_SCHEMA, version=_VERSION)
    try:
        used = [row for row in data["slides"] if row["used"]]
        tissue = sum(row["fallback"] is not None for row in used)
        sentence = f"{len(used)} of {len(data['slides'])} slides were cut by masks that were made"
        sentence += f" ({data['config']['method']}{f', on {tissue} of tissue instead' * bool(tissue)})"
        score = data["scores"]["dice"]
        if score["value"] is not None:
            sentence += (
                f"; Dice with the masks that were there: {score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"
            )
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{out / SUMMARY} is damaged ({error!r}); train the run again") from error
    return sentence + "."


def made_paths(out: Path) -> dict[str, Path]:
    """Slide -> its mask in a folder that `write_output` wrote, where that took the place of what the slide had.

    Raises:
        ArtifactError: the summary is damaged.
    """
    if not (out / SUMMARY).is_file():
        return {}
    data = read_json(out / SUMMARY, schema=_SCHEMA, version=_VERSION)
    try:
        return {str(row["slide"]): out / str(row["mask"]) for row in data["slides"] if row["used"] and row["mask"]}
    except (KeyError, TypeError) as error:
        raise ArtifactError(f"{out / SUMMARY} is damaged ({error!r}); train the run again") from error


def mask_places(cohort: Cohort) -> dict[str, str]:
    """Slide -> path of its mask below the folder of masks."""
    places: dict[str, str] = {}
    taken: set[str] = set()
    for slide in cohort.slides:
        path, root = Path(os.path.normpath(slide.path)), Path(os.path.normpath(cohort.root))
        below = PurePosixPath((path.relative_to(root) if path.is_relative_to(root) else Path(path.name)).as_posix())
        in_images = below.parts[0] == "images" and len(below.parts) > 1
        folder = below.parent.relative_to("images") if in_images else below.parent
        place = (folder / f"{below.stem}_mask.png").as_posix()
        if place.casefold() in taken:
            place = (folder / f"{below.stem}-{digest_config(slide.slide_id)[:8]}_mask.png").as_posix()
        taken.add(place.casefold())
        places[slide.slide_id] = place
    return places


def _summary(segmentation: Segmentation, masks: Mapping[str, str], config: SegmentConfig, seed: int) -> dict[str, Any]:
    return {
        "config": config.model_dump(mode="json"),
        "seed": seed,
        "scores": {name: dict(score) for name, score in segmentation.scores.items()},
        "slides": [
            {
                "slide": one.slide_id,
                "mask": masks.get(one.slide_id),
                "made_by": one.made_by,
                "used": one.used,
                "share": one.mask.share,
                "fallback": one.mask.fallback or None,
                "note": one.note or None,
                "dice": one.mask.dice,
                "boundary_f": one.mask.boundary_f,
            }
            for one in segmentation.slides
        ],
        "failures": [{"slide": one.item, "stage": one.stage, "message": one.message} for one in segmentation.failures],
        "dropped": list(segmentation.before.dropped),
    }


def _masks_before(out: Path) -> set[str]:
    """Masks that an earlier call wrote here."""
    try:
        data = read_json(out / SUMMARY, schema=_SCHEMA, version=_VERSION)
        names = {str(row["mask"]) for row in data["slides"] if row.get("mask")}
    except (ArtifactError, KeyError, TypeError):
        return set()
    # A damaged summary must not name files elsewhere.
    paths = {name: PurePosixPath(name) for name in names if name.endswith("_mask.png")}
    return {name for name, path in paths.items() if ".." not in path.parts and not path.is_absolute()}


def _table(out: Path, slides: Mapping[str, Slide], masks: Mapping[str, str]) -> str:
    columns = ["slide", "mask", "label", "group", "split"]
    extra = list(dict.fromkeys(key for slide in slides.values() for key in slide.extra))
    extra = [name for name in extra if name.casefold() not in columns]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*columns, *extra])
    for name, slide in slides.items():
        mask = masks.get(name) or (None if slide.mask_path is None else _from(out, slide.mask_path))
        row = [_from(out, slide.path), mask, slide.label, slide.group, slide.split]
        writer.writerow(["" if cell is None else cell for cell in (*row, *(slide.extra.get(key) for key in extra))])
    return buffer.getvalue()


def _from(out: Path, path: Path) -> str:
    try:
        return Path(os.path.relpath(path, out.absolute())).as_posix()
    except ValueError:  # on another drive
        return path.as_posix()
