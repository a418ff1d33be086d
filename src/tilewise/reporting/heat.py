"""Tiles' probabilities of a class as heat over a thumbnail: one scale from 0 to 1 on every slide."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from tilewise.reporting.data import Heat, SlideResult
from tilewise.reporting.text import number
from tilewise.store import read_table, write_table

_SCHEMA, _VERSION = "tilewise.tile-probabilities", 1
_BOX = ["x", "y", "width", "height"]
_SIDE, _OPAQUE = 240, 0.7
_PREFIX = "p_"


def write_tile_probabilities(path: Path, table: pd.DataFrame) -> None:
    """Write a row for each tile: slide, x, y, width, height (level-0 pixels), p_<class> for every class."""
    write_table(path, table, schema=_SCHEMA, version=_VERSION)


@dataclass(frozen=True)
class TileProbabilities:
    """What `write_tile_probabilities` wrote; without rows where a run has none."""

    table: pd.DataFrame

    @classmethod
    def read(cls, path: Path) -> TileProbabilities:
        """Those of a run; without rows where there is no such file.

        Raises:
            ArtifactError: the file is damaged.
        """
        table = read_table(path, schema=_SCHEMA, version=_VERSION)[0] if path.is_file() else pd.DataFrame({"slide": []})
        return cls(table)

    def draw(self, result: SlideResult, size: tuple[int, int]) -> SlideResult:
        """The result with the heat of the predicted class, and of the true one where that is another.

        Args:
            result: of a slide.
            size: width and height of the slide, in level-0 pixels.
        """
        rows = self.table[self.table["slide"] == result.slide]
        if rows.empty:
            return result
        names = [column.removeprefix(_PREFIX) for column in rows.columns if column.startswith(_PREFIX)]
        probabilities_TC = rows[[_PREFIX + name for name in names]].to_numpy(np.float32)
        predicted = names.index(result.predicted)
        boxes = rows[_BOX].to_numpy(np.float64)
        return replace(
            result,
            heats=tuple(
                _heat(name, probabilities_TC[:, names.index(name)], boxes, size, chance=1.0 / len(names))
                for name in dict.fromkeys((result.predicted, result.label))
            ),
            # The only tile of a slide says what the slide's prediction says.
            share_for_predicted=float(np.mean(probabilities_TC.argmax(axis=1) == predicted))
            if len(boxes) > 1
            else None,
        )


def describe_heat(results: Sequence[SlideResult]) -> str:
    """How tiles of slides that are predicted right differ from those of wrong ones; '' where no slide has heat."""
    parts = []
    for words, is_right in (("of tiles where the prediction is right", True), ("where it is wrong", False)):
        own = {one.slide: one.share_for_predicted for one in results if one.heats and one.right is is_right}
        shares = [share for share in own.values() if share is not None]
        if shares:
            parts.append(f"{100 * np.mean(shares):.0f} % {words}")
    return f"On the pictured slides, the predicted class leads on {', and on '.join(parts)}." if parts else ""


def _heat(
    name: str,
    probability_T: npt.NDArray[np.float32],
    boxes: npt.NDArray[np.float64],
    size: tuple[int, int],
    *,
    chance: float,
) -> Heat:
    least, most = float(probability_T.min()), float(probability_T.max())
    words = f"{name}: {number(least)} to {number(most)}" if len(boxes) > 1 else f"{name}: {number(most)}"
    if most <= chance:
        words += f"; nothing here, no tile is above chance ({number(chance)})"
    return Heat(name, _png_uri(_paint(probability_T, boxes, size)), words)


def _paint(
    probability_T: npt.NDArray[np.float32], boxes: npt.NDArray[np.float64], size: tuple[int, int]
) -> npt.NDArray[np.uint8]:
    """Viridis where there are tiles, their mean where they overlap; RGBA, uint8 (H, W, 4)."""
    scale = _SIDE / max(size)
    width, height = (max(1, round(side * scale)) for side in size)
    sums_HW, counts_HW = np.zeros((height, width)), np.zeros((height, width), np.int64)
    for value, (x, y, w, h) in zip(probability_T, boxes * scale, strict=True):
        rows, columns = (
            slice(int(first), max(int(first) + 1, round(first + side))) for first, side in ((y, h), (x, w))
        )
        sums_HW[rows, columns] += value
        counts_HW[rows, columns] += 1
    levels_HW = (255.0 * sums_HW / np.maximum(counts_HW, 1)).round().astype(np.uint8)
    bgr_HWC = cv2.applyColorMap(levels_HW, cv2.COLORMAP_VIRIDIS)
    alpha_HW = np.where(counts_HW > 0, round(255 * _OPAQUE), 0).astype(np.uint8)
    return np.dstack([bgr_HWC[..., ::-1], alpha_HW])


def _png_uri(rgba_HWC: npt.NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(rgba_HWC, "RGBA").quantize(64, method=Image.Quantize.FASTOCTREE).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
