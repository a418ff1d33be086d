"""Where the tiles of imported features lie, to be drawn: on the slides' pixels where there are any, or on a blank."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np

from tilewise.cohort.identifiers import same_name
from tilewise.errors import SlideError, UsageError
from tilewise.interchange.slide_features import SlideFeatures, Unit
from tilewise.slides import SUFFIXES, read_header
from tilewise.tiles.window import Boxes
from tilewise.units import Size

_FEATURE_SUFFIXES: Final = (".h5", ".pt", ".npy", ".safetensors")
_OME: Final = ".ome"  # of `slide.ome.tif`


@dataclass(frozen=True)
class FeaturePlaces:
    """Where the tiles of slides lie.

    Attributes:
        unit: of boxes and sizes: level-0 pixels, or microns where no file tells how many a pixel has.
        boxes: slide -> int64 (N, 4) as x, y, width, height; 0 wide where nobody knows.
        sizes: slide -> its size, or what its tiles reach to.
        pictures: slide -> its file of pixels, where there is one that fits.
        faults: slide -> why it has none, where a person gave a folder of slides.
    """

    unit: Unit
    boxes: Mapping[str, Boxes]
    sizes: Mapping[str, Size]
    pictures: Mapping[str, Path]
    faults: Mapping[str, str]

    @property
    def sentences(self) -> tuple[str, ...]:
        """What a person who sees the maps must know."""
        sentences = []
        if not self.pictures and not self.faults:
            sentences.append(
                "No pixels were at hand: tiles are rectangles on a blank of the slide's size, or of their reach. "
                "To draw on the slides, give their folder with --pixels."
            )
        if self.faults:
            name, why = next(iter(self.faults.items()))
            num = f"{len(self.faults)} of {len(self.boxes)} slides"
            sentences.append(f"{num} are drawn as rectangles on a blank, the first {name}: {why}.")
        if self.unit == "um":
            sentences.append(
                "Places are in microns, for no file says how many a pixel has; QuPath counts pixels, so there is no "
                "GeoJSON. The slides tell it: give their folder with --pixels."
            )
        return tuple(sentences)


def place_tiles(slides: Mapping[str, SlideFeatures], folder: Path | None) -> FeaturePlaces:
    """Find out where tiles lie.

    Args:
        slides: slide -> its file of features; the vectors themselves have no part.
        folder: of the slides' pixels, found by name; None where there are none.

    Raises:
        UsageError: the folder is not there, or holds no slide of that name.
    """
    candidates = {} if folder is None else _files(folder)
    pictures: dict[str, Path] = {}
    faults: dict[str, str] = {}
    scales: dict[str, float | None] = {}
    for name, slide in slides.items() if folder is not None else ():
        files = next((candidates[key] for key in map(_stem, (name, slide.slide_id)) if key in candidates), [])
        try:
            scales[name] = _fitting(files, slide)
        except SlideError as error:
            faults[name] = str(error)
        else:
            pictures[name] = files[0]
    if folder is not None and not pictures:
        name = next(iter(faults))
        raise UsageError(f"--pixels {folder}: not one slide fits, the first {name}: {faults[name]}")
    is_metric = folder is None and any(slide.unit == "um" and slide.mpp is None for slide in slides.values())
    unit: Unit = "um" if is_metric else "px"
    boxes = {name: _boxes(slide, unit, scales.get(name)) for name, slide in slides.items()}
    sizes = {}
    for name, slide in slides.items():
        reach = (boxes[name][:, :2] + boxes[name][:, 2:]).max(axis=0, initial=0)
        sizes[name] = Size(int(reach[0]), int(reach[1]))
        if name in pictures:
            sizes[name] = read_header(pictures[name]).size
        elif slide.size is not None and unit == "px":
            sizes[name] = Size(*slide.size)
    return FeaturePlaces(unit, boxes, sizes, pictures, faults)


def _stem(name: str) -> str:
    """A slide's name without folders and suffix."""
    path = PurePosixPath(same_name(name).replace("\\", "/"))
    while path.suffix.lower() in (*SUFFIXES, *_FEATURE_SUFFIXES, _OME):
        path = path.with_suffix("")
    return path.name


def _files(folder: Path) -> dict[str, list[Path]]:
    if not folder.is_dir():
        raise UsageError(f"--pixels {folder}: no such folder; give the folder of the slides")
    files: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES:
            files[_stem(path.name)].append(path)
    return files


def _fitting(files: list[Path], slide: SlideFeatures) -> float | None:
    """Microns per pixel of the slide whose features these are.

    Raises:
        SlideError: there is not one file of its name, or it does not fit the features.
    """
    if len(files) != 1:
        raise SlideError("no slide of its name lies there" if not files else f"{len(files)} slides have its name")
    header = read_header(files[0])
    if slide.size is not None and Size(*slide.size) != header.size:
        size = Size(*slide.size)
        raise SlideError(f"its features are of {_in_words(size)}, and {files[0].name} has {_in_words(header.size)}")
    mpp = slide.mpp or header.mpp
    if slide.unit == "um" and mpp is None:
        raise SlideError(f"its features count microns, and {files[0].name} does not say how many a pixel has")
    corner = _boxes(slide, "px", mpp)[:, :2].max(axis=0, initial=0)
    if corner[0] >= header.size.width or corner[1] >= header.size.height:
        text = f"a tile lies at {corner[0]}, {corner[1]}, and {files[0].name} has {_in_words(header.size)}"
        raise SlideError(text)
    return mpp


def _boxes(slide: SlideFeatures, unit: Unit, mpp: float | None) -> Boxes:
    """int64 (N, 4) in the unit, rounded; 0 wide where nobody knows."""
    boxes_N4 = np.zeros((len(slide.tile_vectors), 4), dtype=np.int64)
    if slide.coords is None or slide.tile_size is None:
        return boxes_N4
    try:
        side = replace(slide, mpp=mpp or slide.mpp).tile_size_in(unit)
    except SlideError:  # the scale is unknown
        return boxes_N4
    boxes_N4[:, :2] = np.rint(slide.coords.reshape(-1, 2).astype(np.float64) * (side / slide.tile_size))
    boxes_N4[:, 2:] = max(1, round(side))
    return boxes_N4


def _in_words(size: Size) -> str:
    return f"{size.width} x {size.height} px"
