"""The preview of a tile stage: where tiles lie on the slides, what encoders get, and which slides yield none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from tilewise.auditing.cohort import AuditedCohort, AuditedSlide
from tilewise.execution import Failure
from tilewise.reporting.describe_tiles import NAMES, describe_tiling
from tilewise.reporting.tables import tile_counts
from tilewise.reporting.templates import environment, read
from tilewise.reporting.text import without_folders
from tilewise.reporting.tiles_pictures import TilesPicture, TilesPictureRequest, tiles_pictures
from tilewise.store import write_text
from tilewise.tiles.config import TileConfig
from tilewise.tiles.rows import TileRows
from tilewise.tiles.tileset import TileSet
from tilewise.version import __version__

_MOST_SLIDES: Final = 60
_MOST_EMPTY: Final = 12
_SLIDES_WITH_TILES: Final = 12
# Outlines of more tiles than this would cost more bytes than the picture; an even choice of them is drawn.
_MOST_DRAWN: Final = 600


@dataclass(frozen=True)
class PreviewInput:
    """What a preview is made from.

    Attributes:
        cohort: the slides.
        root: the cohort's folder.
        tiles: what was cut from them.
        config: how.
        failures: slides whose mask or pixels could not be read.
    """

    cohort: AuditedCohort
    root: Path
    tiles: TileSet
    config: TileConfig
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True)
class SlideCard:
    """One slide of the gallery: its name, label, number of tiles, and what there is to say about it."""

    name: str
    label: str
    num_tiles: int
    note: str
    picture: TilesPicture


@dataclass(frozen=True)
class TileFigure:
    """The tiles of one place at full size: its slide, strategy, share under the region, and one address per scale."""

    slide: str
    label: str
    strategy: str
    ratio: float
    region: str
    pictures: tuple[str, ...]


def write_tiles_preview(path: Path, preview: PreviewInput, *, workers: int | None = None) -> Path:
    """Write the preview as one HTML file that loads nothing; returns where. The same input gives the same bytes.

    Args:
        path: of the page.
        preview: what to show.
        workers: processes that draw; None takes every processor.
    """
    slides = {item.slide_id: item for item in preview.cohort.slides}
    rows = preview.tiles.rows()
    names = choose_slides({name: len(own) for name, own in rows.items()}, slides)
    with_tiles = _spread(names, _SLIDES_WITH_TILES)
    empty = _spread([name for name in preview.tiles.skipped if name in slides], _MOST_EMPTY)
    requests = {
        name: TilesPictureRequest(
            slides[name],
            _drawn(rows.get(name, TileRows.none())),
            preview.config,
            _one_place(rows[name]) if name in with_tiles else (),
        )
        for name in (*names, *empty)
    }
    # What is shown close is looked up among all tiles, not among those that are drawn.
    requests |= {
        name: TilesPictureRequest(slides[name], rows[name], preview.config, _one_place(rows[name]))
        for name in with_tiles
        if len(rows[name]) <= _MOST_DRAWN
    }
    pictures = tiles_pictures(requests, root=str(preview.root), workers=workers)
    view = _view(preview, rows) | {
        "cards": [_card(name, slides, rows, preview, pictures) for name in names],
        "num_hidden": len(rows) - len(names),
        "empty": [_card(name, slides, rows, preview, pictures) for name in empty],
        "figures": [_figure(name, slides, requests[name], pictures) for name in with_tiles if pictures[name].tiles],
    }
    write_text(path, environment().get_template("tiles.html").render(view))
    return path


def choose_slides(counts: Mapping[str, int], slides: Mapping[str, AuditedSlide]) -> list[str]:
    """Slides for the gallery in the cohort's order: those with the fewest and the most tiles, and an even choice."""
    names = [name for name in slides if name in counts]
    if len(names) <= _MOST_SLIDES:
        return names
    ranked = sorted(names, key=lambda name: counts[name])
    sixth = _MOST_SLIDES // 6
    chosen = {*ranked[:sixth], *ranked[-sixth:]}
    rest = [name for name in names if name not in chosen]
    chosen |= set(_spread(rest, _MOST_SLIDES - len(chosen)))
    return [name for name in names if name in chosen]


def _spread(names: Sequence[str], most: int) -> list[str]:
    if len(names) <= most:
        return list(names)
    return [names[(2 * index + 1) * len(names) // (2 * most)] for index in range(most)]


def _drawn(rows: TileRows) -> TileRows:
    if len(rows) <= _MOST_DRAWN:
        return rows
    return rows[(2 * np.arange(_MOST_DRAWN) + 1) * len(rows) // (2 * _MOST_DRAWN)]


def _one_place(rows: TileRows) -> tuple[int, ...]:
    """Rows of the place with the most of the region under it: what the encoder sees when all goes well."""
    first = np.flatnonzero(rows.scale == 0)
    place = rows.place[first[int(np.argmax(rows.ratios[first]))]]
    return tuple(np.flatnonzero(rows.place == place).tolist())


def _card(
    name: str,
    slides: Mapping[str, AuditedSlide],
    rows: Mapping[str, TileRows],
    preview: PreviewInput,
    pictures: Mapping[str, TilesPicture],
) -> SlideCard:
    tiles = preview.tiles
    reason = tiles.skipped.get(name) or tiles.fallbacks.get(name) or tiles.small_masks.get(name, "")
    dropped = ", ".join(f"{number} {kind}" for kind, number in tiles.dropped.get(name, {}).items())
    note = "; ".join(part for part in (reason, f"dropped: {dropped}" if dropped else "") if part)
    num_tiles = len(rows[name]) if name in rows else 0
    return SlideCard(
        name, slides[name].slide.label or "", num_tiles, without_folders(note, str(preview.root)), pictures[name]
    )


def _figure(
    name: str,
    slides: Mapping[str, AuditedSlide],
    request: TilesPictureRequest,
    pictures: Mapping[str, TilesPicture],
) -> TileFigure:
    rows = request.rows[np.asarray(request.full_size, dtype=np.int64)]
    return TileFigure(
        name,
        slides[name].slide.label or "",
        NAMES.get(str(rows.strategy[0]), str(rows.strategy[0])),
        float(rows.ratios[0]),
        str(rows.region[0]),
        pictures[name].tiles,
    )


def _view(preview: PreviewInput, rows: Mapping[str, TileRows]) -> dict[str, object]:
    tiles, config = preview.tiles, preview.config
    table = tiles.table
    by_strategy = {
        strategy: (
            int((table["strategy"] == strategy).sum()),
            int(table.loc[table["strategy"] == strategy, "slide"].nunique()),
        )
        for strategy in config.strategy
    }
    dropped: dict[str, int] = {}
    for numbers in tiles.dropped.values():
        for kind, number in numbers.items():
            dropped[kind] = dropped.get(kind, 0) + number
    root = str(preview.root)
    return {
        "title": preview.root.name,
        "style": read("report.css") + read("audit_gallery.css") + read("tiles.css"),
        "version": __version__,
        "description": describe_tiling(config),
        "config": config,
        "names": {name: NAMES.get(name, name) for name in config.strategy},
        "counts": tile_counts({name: len(own) for name, own in rows.items()}),
        "by_strategy": by_strategy,
        "by_class": _by_class(preview, rows),
        "regions": {str(region): int(num) for region, num in table["region"].value_counts().items()},
        "dropped": dropped,
        "num_slides": len(preview.cohort.slides),
        "skipped": {name: without_folders(reason, root) for name, reason in tiles.skipped.items()},
        "fallbacks": {name: without_folders(reason, root) for name, reason in tiles.fallbacks.items()},
        "small_masks": tiles.small_masks,
        "failures": [(failure.item, without_folders(failure.message, root)) for failure in preview.failures],
    }


def _by_class(preview: PreviewInput, rows: Mapping[str, TileRows]) -> list[dict[str, object]]:
    counts_by_class: dict[str, list[int]] = {}
    for item in preview.cohort.slides:
        if item.slide.label is not None:
            num_tiles = len(rows[item.slide_id]) if item.slide_id in rows else 0
            counts_by_class.setdefault(item.slide.label, []).append(num_tiles)
    most = max((sum(counts) for counts in counts_by_class.values()), default=0)
    return [
        {
            "label": label,
            "num_slides": len(counts),
            "num_tiles": sum(counts),
            "median": float(np.median(counts)),
            "width": sum(counts) / most if most else 0.0,
        }
        for label, counts in sorted(counts_by_class.items())
    ]
