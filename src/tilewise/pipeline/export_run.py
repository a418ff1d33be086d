"""A finished run in, its masks, tiles and predictions as another program's files out."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tilewise.auditing.table import read_slides
from tilewise.cohort import Slide, read_mask
from tilewise.errors import SlideError, UsageError
from tilewise.execution import Failure, task
from tilewise.inference.predictions import PREFIX, Predictions
from tilewise.interchange.outline import outline
from tilewise.interchange.qupath import Colour, QuPathObject, class_colours, rectangle, write_objects
from tilewise.run_folder import RunFolder
from tilewise.segment.output import made_paths
from tilewise.slides import overview_factor
from tilewise.store import path_below
from tilewise.tiles.tileset import TileSet
from tilewise.units import Size

_FIELD = ["field_x", "field_y", "field_width", "field_height"]


@dataclass(frozen=True)
class ExportedRun:
    """What was written of a run.

    Attributes:
        files: slide -> its file.
        failures: slides whose mask could not be read; they have a file without it.
    """

    files: Mapping[str, Path]
    failures: tuple[Failure, ...]


def export_qupath(folder: RunFolder, out: Path) -> ExportedRun:
    """Write `{slide}.geojson` for each slide that has a tile or a prediction.

    A slide is an annotation over its whole area, classified as predicted out of fold or in the hold-out, with the
    probabilities as measurements; the mask that tiles were cut by is an annotation; tiles are tiles.

    Args:
        folder: of a finished run.
        out: for the files.

    Raises:
        UsageError: the folder holds no finished run, or one that combines several.
        ArtifactError: a file of the run is damaged.
    """
    folder.require_finished()
    if not folder.tiles.is_file():
        raise UsageError(f"{folder.root} combines several runs and has no tiles of its own; export one of these runs")
    slides = read_slides(folder.audit / "slides.parquet")[0].set_index("slide", drop=False)
    tiles, _ = TileSet.read(folder.tiles)
    predictions = Predictions.read(folder.predictions)
    table = predictions.per_slide.table.drop_duplicates("slide")
    predicted = {str(row["slide"]): row for row in table.to_dict("records")}
    tiles_of = dict(iter(tiles.table.groupby("slide", sort=False)))
    colours, made = class_colours(predictions.classes), made_paths(folder.segment)
    files, failures = {}, []
    with task("slides", len(slides)) as bar:
        for name, slide in zip(slides["slide"].astype(str), slides.to_dict("records"), strict=True):
            own = tiles_of.get(name, tiles.table.iloc[:0])
            objects = list(_of_slide(name, slide, predicted.get(name), colours))
            if (own["region"] == "mask").any():
                try:
                    objects.append(_of_mask(name, slide, made.get(name)))
                except SlideError as error:
                    failures.append(Failure(name, "masks", type(error).__name__, str(error)))
            objects += _of_tiles(name, own)
            if objects:
                files[name] = path_below(out, f"{name}.geojson")
                write_objects(files[name], objects)
            bar.advance()
    return ExportedRun(files, tuple(failures))


def _of_slide(
    name: str, slide: Mapping[Hashable, Any], row: Mapping[Hashable, Any] | None, colours: Mapping[str, Colour]
) -> Iterator[QuPathObject]:
    """The slide as it was predicted; nothing where it was not, or where its size is unknown."""
    width, height = int(slide["width"]), int(slide["height"])
    if row is None or not width * height:
        return
    predicted = str(row["predicted"])
    probabilities = {f"probability {label}": float(row[PREFIX + label]) for label in colours}
    box = [rectangle(0, 0, width, height)]
    yield QuPathObject(
        f"{name}/slide",
        "annotation",
        box,
        f"predicted {predicted}",
        (predicted, colours[predicted]),
        probabilities,
        True,
    )


def _of_mask(name: str, slide: Mapping[Hashable, Any], made: Path | None) -> QuPathObject:
    size = Size(int(slide["width"]), int(slide["height"]))
    mask, _ = read_mask(Slide(name, Path(slide["path"]), made or Path(slide["mask"])), size)
    factor = overview_factor(size)
    polygons = [[[(x * factor, y * factor) for x, y in ring] for ring in polygon] for polygon in outline(mask)]
    return QuPathObject(f"{name}/mask", "annotation", polygons, "mask", locked=True)


def _of_tiles(name: str, table: pd.DataFrame) -> Iterator[QuPathObject]:
    """Tiles as the encoder took them; those that lie nobody knows where are left out."""
    fields_N4 = table[_FIELD].to_numpy(np.int64).tolist()
    rows = zip(table["tile"], fields_N4, table["mask_ratio"], table["scale"], strict=True)
    for number, (x, y, width, height), ratio, scale in rows:
        if width and height:
            measurements = {"mask ratio": float(ratio), "scale": float(scale)}
            yield QuPathObject(
                f"{name}/tile/{number}", "tile", [rectangle(x, y, width, height)], measurements=measurements
            )
