"""The folder of an explanation: a picture per slide, a table of tiles, and a page of all."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import cv2
from PIL import Image

from tilewise.execution import Failure, run_each
from tilewise.explain.draw import draw_slide
from tilewise.explain.slide import SlideExplained
from tilewise.reporting.pictures import webp, webp_uri
from tilewise.reporting.templates import environment, read
from tilewise.reporting.text import without_folders
from tilewise.store import digest_config, forget_written, record_written, write_bytes, write_text
from tilewise.version import __version__

TABLE, PAGE = "explain.csv", "explain.html"
_COLUMNS = ("slide", "class", "x", "y", "width", "height", "probability", "activation", "attention")
_QUALITY, _WIDEST = 82, 1500


@dataclass(frozen=True)
class PageFacts:
    """What stands around the pictures.

    Attributes:
        recipe: name of the run's recipe.
        cohort: its folder, which sentences leave out.
        models: which models were explained, in words.
        methods: how the maps are made, a sentence each.
        without: slide -> why it has no map.
        notes: what is to be said of all slides.
    """

    recipe: str
    cohort: Path
    models: str
    methods: tuple[str, ...]
    without: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Request:
    explained: SlideExplained
    path: Path


def write_explanation(
    out: Path, explained: Sequence[SlideExplained], facts: PageFacts, *, workers: int | None = None
) -> tuple[dict[str, Path], dict[str, str], tuple[Failure, ...]]:
    """Draw every slide into a folder, with `explain.csv` and `explain.html`; what an earlier call drew there goes.

    Args:
        out: the folder; see `store.check_out`.
        explained: slides that have maps.
        facts: for the page.
        workers: processes that draw; None takes every processor.

    Returns:
        Slide -> its picture; slide -> why it has none, `facts.without` first; and the slides that could not be drawn.
    """
    out.mkdir(parents=True, exist_ok=True)
    forget_written(out)  # until all of it is there: a call that is stopped goes on
    for old in _drawn_before(out):
        old.unlink(missing_ok=True)
    places = _places([one.slide.slide_id for one in explained])
    requests = {
        one.slide.slide_id: _Request(one, out / place) for one, place in zip(explained, places.values(), strict=True)
    }
    drawn = run_each(_draw, requests, stage="drawing", workers=workers)
    with_picture = [one for one in explained if one.slide.slide_id in drawn.results]
    root = str(facts.cohort)
    without = dict(facts.without)
    without |= {failure.item: f"it could not be drawn: {failure.message}" for failure in drawn.failures}
    view = {
        "style": read("report.css") + read("explain.css"),
        "version": __version__,
        "facts": facts,
        "without": {name: without_folders(why, root) for name, why in without.items()},
        "slides": [
            (one, drawn.results[one.slide.slide_id], [without_folders(text, root) for text in one.warnings])
            for one in with_picture
        ],
    }
    _write_table(out / TABLE, with_picture, places)
    record_written(out, [out / TABLE, *(requests[name].path for name in drawn.results)])
    write_text(out / PAGE, environment().get_template("explain.html").render(view))
    return {name: requests[name].path for name in drawn.results}, without, drawn.failures


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
    """Pictures that an earlier call drew here, as its table names them."""
    try:
        with (out / TABLE).open(encoding="utf-8", newline="") as stream:
            names = {row.get("picture") or "" for row in csv.DictReader(stream)}
    except (OSError, UnicodeDecodeError, csv.Error):
        return []
    # A damaged table must not name files elsewhere.
    return [out / name for name in sorted(names) if name.endswith(".png") and Path(name).name == name]


def _draw(request: _Request) -> str:
    """Draw and write one picture; returns a smaller one as a `data:` address for the page."""
    rgb_HWC = draw_slide(request.explained)
    buffer = io.BytesIO()
    Image.fromarray(rgb_HWC).save(buffer, "PNG", optimize=True)
    write_bytes(request.path, buffer.getvalue())
    scale = _WIDEST / rgb_HWC.shape[1]
    if scale < 1:
        rgb_HWC = cv2.resize(rgb_HWC, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return webp_uri(webp(rgb_HWC, _QUALITY))


def _write_table(path: Path, explained: Sequence[SlideExplained], places: Mapping[str, str]) -> None:
    buffer = io.StringIO()
    rows = csv.writer(buffer, lineterminator="\n")
    rows.writerow([*_COLUMNS, "picture"])
    for one in explained:
        values, name = one.values, one.slide.slide_id
        activation = values.activations_THW
        for tile, box in enumerate(values.boxes.tolist()):
            numbers = (
                values.probabilities_T[tile],
                None if activation is None else activation[tile].mean(),
                None if values.attention_T is None else values.attention_T[tile],
            )
            written = ["" if number is None else f"{number:.6g}" for number in numbers]
            rows.writerow([name, one.class_name, *box, *written, places[name]])
    write_text(path, buffer.getvalue())
