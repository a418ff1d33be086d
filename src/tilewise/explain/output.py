"""The folder of an explanation: a picture per slide, a table of tiles, objects for QuPath, and a page of all."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import cv2

from tilewise.execution import Failure, run_each
from tilewise.explain.draw import HEAD, draw_slide
from tilewise.explain.objects import slide_objects
from tilewise.explain.page import PageFacts, page_view
from tilewise.explain.slide import MapScales, SlideExplained
from tilewise.explain.tile_sheet import cut_pictures
from tilewise.interchange.qupath import write_objects
from tilewise.reporting.pictures import webp, webp_uri
from tilewise.reporting.templates import environment
from tilewise.slides.png import encode_png
from tilewise.store import digest_config, forget_written, record_written, write_bytes, write_text

TABLE, PAGE = "explain.csv", "explain.html"
_BOX = ("x", "y", "width", "height")
_MEASURED = ("probability", "activation", "attention", "left_out")
_UNPLACED = "nobody knows where its tiles lie; explain.csv has them by number"
_QUALITY, _WIDEST = 82, 1500


@dataclass(frozen=True)
class WrittenExplanation:
    """What was written.

    Attributes:
        pictures: slide -> its picture.
        objects: slide -> its maps as GeoJSON.
        without: slide -> why it has no picture, those of the facts first.
        failures: slides that could not be drawn.
    """

    pictures: Mapping[str, Path]
    objects: Mapping[str, Path]
    without: Mapping[str, str]
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class _Request:
    explained: SlideExplained
    scales: MapScales
    path: Path


def write_explanation(
    out: Path, explained: Sequence[SlideExplained], facts: PageFacts, *, workers: int | None = None
) -> WrittenExplanation:
    """Draw every slide into a folder, with `explain.csv` and `explain.html`; what an earlier call drew there goes.

    Args:
        out: the folder; see `store.check_out`.
        explained: slides that have maps.
        facts: for the page.
        workers: processes that draw; None takes every processor.
    """
    out.mkdir(parents=True, exist_ok=True)
    forget_written(out)  # until all of it is there: a call that is stopped goes on
    for old in _drawn_before(out):
        old.unlink(missing_ok=True)
    places = _places([one.slide.slide_id for one in explained])
    scales = MapScales.of(explained)
    requests = {
        one.slide.slide_id: _Request(one, scales, out / place)
        for one, place in zip(explained, places.values(), strict=True)
        if one.is_placed
    }
    drawn = run_each(_draw, requests, stage="drawing", workers=workers)
    with_picture = [one for one in explained if one.slide.slide_id in drawn.results]
    without = dict(facts.without) | {one.slide.slide_id: _UNPLACED for one in explained if not one.is_placed}
    without |= {failure.item: f"it could not be drawn: {failure.message}" for failure in drawn.failures}
    objects = {}
    for one in with_picture if facts.unit == "px" else ():  # QuPath counts pixels
        name = one.slide.slide_id
        objects[name] = requests[name].path.with_suffix(".geojson")
        write_objects(objects[name], slide_objects(one, facts.classes))
    in_table = [one for one in explained if one.slide.slide_id in drawn.results or not one.is_placed]
    _write_table(out / TABLE, in_table, {name: places[name] for name in drawn.results}, facts.unit)
    pictures = {name: requests[name].path for name in drawn.results}
    record_written(out, [out / TABLE, *pictures.values(), *objects.values()])
    view = page_view(facts, with_picture, drawn.results, without, cut_pictures(facts.sheets, workers=workers))
    write_text(out / PAGE, environment().get_template("explain.html").render(view))
    return WrittenExplanation(pictures, objects, without, drawn.failures)


def _places(names: Sequence[str]) -> dict[str, str]:
    """Slide -> name of its picture; one that two slides would share gets a digest."""
    places: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        stem = "-".join(PurePosixPath(name).with_suffix("").parts).strip("/-.") or "slide"
        if stem.casefold() in taken:
            stem = f"{stem}-{digest_config(name)[:8]}"
        taken.add(stem.casefold())
        places[name] = f"{stem}.png"
    return places


def _drawn_before(out: Path) -> list[Path]:
    """Pictures that an earlier call drew here, as its table names them, and the objects beside them."""
    try:
        with (out / TABLE).open(encoding="utf-8", newline="") as stream:
            names = {row.get("picture") or "" for row in csv.DictReader(stream)}
    except (OSError, UnicodeDecodeError, csv.Error):
        return []
    # A damaged table must not name files elsewhere.
    pictures = [out / name for name in sorted(names) if name.endswith(".png") and Path(name).name == name]
    return [*pictures, *(path.with_suffix(".geojson") for path in pictures)]


def _draw(request: _Request) -> str:
    """Draw and write one picture; returns a smaller one without its head as a `data:` address for the page."""
    rgb_HWC = draw_slide(request.explained, request.scales)
    write_bytes(request.path, encode_png(rgb_HWC))
    rgb_HWC = rgb_HWC[HEAD - 16 :]
    scale = _WIDEST / rgb_HWC.shape[1]
    if scale < 1:
        rgb_HWC = cv2.resize(rgb_HWC, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return webp_uri(webp(rgb_HWC, _QUALITY))


def _write_table(path: Path, explained: Sequence[SlideExplained], places: Mapping[str, str], unit: str) -> None:
    buffer = io.StringIO()
    rows = csv.writer(buffer, lineterminator="\n")
    box_columns = _BOX if unit == "px" else tuple(f"{name}_{unit}" for name in _BOX)
    rows.writerow(["slide", "class", "tile", *box_columns, *_MEASURED, "picture"])
    for one in explained:
        name, measured = one.slide.slide_id, one.values.of_tiles()
        columns = [measured.get(key) for key in _MEASURED]
        for tile, numbers_4 in enumerate(one.values.boxes.tolist()):
            box = numbers_4 if one.is_placed else [""] * 4
            numbers = [None if column_T is None else column_T[tile] for column_T in columns]
            written = ["" if number is None or number != number else f"{number:.6g}" for number in numbers]  # noqa: PLR0124 - nan
            rows.writerow([name, one.class_name, tile, *box, *written, places.get(name, "")])
    write_text(path, buffer.getvalue())
