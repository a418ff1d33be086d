"""What a decoder makes of damaged data when it goes on after an error, also where the slide was saved once more.

libjpeg paints missing blocks in the middle grey of empty coefficients, exactly flat, so that their edges lie on
the grid of blocks. Brightness alone is looked at: colours are smoothed over the edges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.auditing.finding import Finding
from tilewise.auditing.jumps import largest_jump

_SIDE: Final = 8
_MOST_COLOUR: Final = 3
_GREYS: Final = (127, 129)
_BLACK: Final = (0, 0)
# Shares of the slide from which an area counts. Tiles that were lost are black, and small in a large slide.
_LEAST_GREY, _LEAST_BLACK = 0.01, 0.002
# Share of the pixels right beside an area that may be of its colour too.
_MOST_BESIDE: Final = 0.1


def painted_share(rgb: npt.NDArray[np.uint8]) -> float:
    """Share of a slide that is exactly flat in blocks of 8 px: middle grey, or black that does not reach its border.

    Args:
        rgb: uint8 (H, W, 3).

    Returns:
        0 to 1; 0 where it is next to nothing, or where the area's edges do not lie on the grid of blocks.
    """
    rows, columns = rgb.shape[0] // _SIDE, rgb.shape[1] // _SIDE
    if not rows or not columns:
        return 0.0
    inside = rgb[: rows * _SIDE, : columns * _SIDE]
    brightness = cv2.cvtColor(inside, cv2.COLOR_RGB2GRAY)
    middles = inside[_SIDE // 2 :: _SIDE, _SIDE // 2 :: _SIDE]
    share = 0.0
    for (lowest, highest), least in ((_GREYS, _LEAST_GREY), (_BLACK, _LEAST_BLACK)):
        alike = cv2.inRange(brightness, np.array(lowest), np.array(highest))
        flat = cv2.resize(alike, (columns, rows), interpolation=cv2.INTER_AREA) == 255
        if flat.mean() < least:
            continue
        flat &= np.ptp(middles, axis=2) <= _MOST_COLOUR
        if not highest:
            flat = _off_the_border(flat)  # a frame, and what was not scanned, are black as well
        own = float(flat.mean())
        if own >= least and _share_beside(flat, alike.reshape(rows, _SIDE, columns, _SIDE) > 0) <= _MOST_BESIDE:
            share += own
    return round(share, 4)


@dataclass(frozen=True)
class DamageFacts:
    """What tells of damaged data.

    Attributes:
        painted_share: share of the slide that a decoder painted grey, or left black.
        jump: grey levels by which brightness or colour jumps in the middle of a row of blocks; 0 where they do not.
    """

    painted_share: float
    jump: float


def measure_damage(rgb: npt.NDArray[np.uint8]) -> DamageFacts:
    """Measure what tells of damaged data; `rgb` is uint8 (H, W, 3)."""
    return DamageFacts(painted_share(rgb), round(largest_jump(rgb), 1))


def damage_findings(facts: Mapping[str, DamageFacts]) -> Iterator[Finding]:
    """Name slides that a decoder read in part only."""
    for name, fact in sorted(facts.items()):
        words = []
        if fact.painted_share:
            words.append(
                f"{100 * fact.painted_share:.1f} % of it is flat grey or black with edges on a grid of 8 px, as a "
                "decoder leaves what it cannot read"
            )
        if fact.jump:
            words.append(
                f"from the middle of a row of blocks on, brightness or colour is off by {fact.jump:.0f} levels, as "
                "after an error in the data of a JPEG"
            )
        if words:
            evidence = f"{'; '.join(words)}; take the file from its source again"
            yield Finding(name, "damaged", "", "drop", 0.9 if fact.painted_share else 0.8, evidence)


def _off_the_border(flat: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Without the connected areas that reach the border; bool (R, C)."""
    _, labels = cv2.connectedComponents(flat.astype(np.uint8), connectivity=8)
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return flat & ~np.isin(labels, border)


def _share_beside(flat: npt.NDArray[np.bool_], grey: npt.NDArray[np.bool_]) -> float:
    """Share of the pixels right beside the flat blocks that are of the same grey; 0 where nothing is beside them.

    Args:
        flat: bool (R, C), by block.
        grey: bool (R, 8, C, 8), by pixel.
    """
    beside = np.concatenate(
        [
            grey[:, :, 1:, 0].transpose(0, 2, 1)[flat[:, :-1] & ~flat[:, 1:]],
            grey[:, :, :-1, -1].transpose(0, 2, 1)[flat[:, 1:] & ~flat[:, :-1]],
            grey[1:, 0][flat[:-1] & ~flat[1:]],
            grey[:-1, -1][flat[1:] & ~flat[:-1]],
        ]
    )
    return float(beside.mean()) if beside.size else 0.0
