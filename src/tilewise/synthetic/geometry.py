"""Where the cores lie, how they bend and break, and where in them the regions are.

A core is drawn as a straight strip and bent onto the slide afterwards, so that its fibres follow its course.
Strip frame: u along the core from 0 to `length`, v across from 0 to `2 * reach`, the axis at v = `reach`.
Nothing here knows the label of the slide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.synthetic.fields import Field, smooth_field, smooth_line
from tilewise.units import Box, Size

ZoneKind = Literal["region", "distractor", "duct", "fat"]
# Shorter side at which the nominal width of cores holds; smaller slides show fewer, slightly thinner cores.
_NOMINAL_SIDE = 1024


@dataclass(frozen=True)
class Core:
    """A strip of tissue on the slide.

    Attributes:
        x, y: where the strip's axis starts, in level-0 pixels.
        angle: direction of the axis, radians, x towards y.
        length: of the strip, pixels.
        half_width: of the tissue, pixels; nominal, before the edge is roughened.
        bend: sideways shift of the axis at every u; float32 (length,).
    """

    x: float
    y: float
    angle: float
    length: int
    half_width: float
    bend: Field

    @property
    def reach(self) -> int:
        """Half the height of the strip, in pixels: the tissue and room for its rough edge."""
        return int(self.half_width * 1.35) + 8

    @property
    def strip_shape(self) -> tuple[int, int]:
        """(height, width) of the strip."""
        return 2 * self.reach + 1, self.length


@dataclass(frozen=True)
class Zone:
    """A part of one core, an outline in strip coordinates.

    Attributes:
        kind: `region` is a region of interest; `distractor` looks alike and means nothing.
        core: index of the core.
        u, v: centre, in the strip's frame.
        half_length, half_width: of the outline's bounding ellipse, pixels.
        seed: of everything drawn in the zone.
    """

    kind: ZoneKind
    core: int
    u: float
    v: float
    half_length: float
    half_width: float
    seed: int


@dataclass(frozen=True)
class Layout:
    """A slide before anything is painted: its size, cores, fragments (cores without zones) and zones."""

    size: Size
    cores: tuple[Core, ...]
    fragments: tuple[Core, ...]
    zones: tuple[Zone, ...]


def draw_layout(rng: np.random.Generator, min_side_px: int) -> Layout:
    """Lay out one slide: one to four roughly parallel cores with at least two regions, and crumbs beside them."""
    long_side = int(min_side_px * rng.uniform(1.0, 1.7))
    upright = bool(rng.random() < 0.4)
    width_scale = (min_side_px / _NOMINAL_SIDE) ** 0.6
    half_width = 45.0 * width_scale * rng.uniform(0.78, 1.3)
    capacity = min_side_px / (2.9 * half_width)
    num_cores = 1 + int(rng.random() * min(4.0, max(1.0, capacity)))
    # No steeper than lanes side by side allow.
    tilt = rng.uniform(-1.0, 1.0) * min(0.2, 0.7 * min_side_px / (num_cores * long_side))
    lying = [
        _draw_core(rng, Size(long_side, min_side_px), tilt, (index + 0.5) / num_cores, half_width)
        for index in range(num_cores)
    ]
    crumbs = [_draw_fragment(rng, lying, half_width) for _ in range(int(rng.integers(1, 6)))]
    zones = _draw_zones(rng, lying)
    size = Size(min_side_px, long_side) if upright else Size(long_side, min_side_px)
    if upright:
        lying = [_turned(core) for core in lying]
        crumbs = [_turned(core) for core in crumbs]
    return Layout(size, tuple(lying), tuple(crumbs), zones)


def slide_to_strip(core: Core, size: Size) -> tuple[Box, Field, Field] | None:
    """Map the slide's pixels around a core into its strip.

    Returns:
        The box of the slide that the strip can touch, and for each of its pixels u and v, float32 (height, width),
        out of the strip's range where there is none; None when the strip lies off the slide.
    """
    cos, sin = np.float32(np.cos(core.angle)), np.float32(np.sin(core.angle))
    along = np.linspace(0, core.length - 1, 65)
    axis = np.interp(along, np.arange(core.length), core.bend)
    corners_x = core.x + along * cos - np.outer((-core.reach, core.reach), np.ones(65)) * sin - axis * sin
    corners_y = core.y + along * sin + np.outer((-core.reach, core.reach), np.ones(65)) * cos + axis * cos
    left, top = int(corners_x.min()) - 2, int(corners_y.min()) - 2
    box = Box(left, top, int(corners_x.max()) + 3 - left, int(corners_y.max()) + 3 - top).clip(size)
    if box is None:
        return None
    x = np.arange(box.x, box.right, dtype=np.float32) - np.float32(core.x)
    y = np.arange(box.y, box.bottom, dtype=np.float32)[:, None] - np.float32(core.y)
    u = x * cos + y * sin
    v = y * cos - x * sin
    # The axis at every quarter pixel: a look-up is cheaper than interpolating a million times.
    fine = np.interp(np.arange(4 * core.length) / 4, np.arange(core.length), core.bend).astype(np.float32)
    at = np.clip(u * np.float32(4), 0, 4 * core.length - 1).astype(np.int32)
    v += np.float32(core.reach) - fine[at]
    return box, u, v


def outline(core: Core, rng: np.random.Generator, *, breaks: int) -> Field:
    """Signed distance to the tissue's edge in the strip, in pixels, positive inside: rough, tapering, with breaks.

    Returns:
        float32 of the strip's shape.
    """
    height, width = core.strip_shape
    u = np.arange(width, dtype=np.float32)
    v = np.arange(height, dtype=np.float32)[:, None] - core.reach
    half = core.half_width * (1.0 + 0.13 * smooth_line(rng, width, 70.0) + 0.07 * smooth_line(rng, width, 20.0))
    drift = 0.12 * core.half_width * smooth_line(rng, width, 60.0)
    distance = np.minimum(half, 1.25 * core.half_width) - np.abs(v + drift)
    # Ends: half an ellipse, more or less pointed.
    for depth in (u, width - 1 - u):
        blunt = core.half_width * rng.uniform(0.5, 1.4)
        end = depth - blunt * (1.0 - np.sqrt(np.clip(1.0 - (v / (1.1 * core.half_width)) ** 2, 0.0, 1.0))) - 3.0
        distance = np.minimum(distance, end)
    for _ in range(breaks):
        center = rng.uniform(0.12, 0.88) * width
        gap = rng.uniform(1.0, 0.22 * core.half_width)
        slant = rng.uniform(-0.7, 0.7)
        jagged = 0.10 * core.half_width * smooth_line(rng, height, 6.0)[:, None]
        distance = np.minimum(distance, np.abs(u - center - slant * v - jagged) - gap)
    shape = (height, width)
    rough = 3.0 * smooth_field(rng, shape, 11.0, 8.0) + 1.5 * smooth_field(rng, shape, 3.0, 2.2)
    frayed = 1.6 * smooth_field(rng, shape, 9.0, 1.1)
    return np.asarray(distance + rough + frayed, dtype=np.float32)


def zone_outline(zone: Zone, core: Core, *, wobble: float = 0.14) -> npt.NDArray[np.uint8]:
    """The zone as an uneven ellipse drawn by hand; uint8 0/1 of the strip's shape, not cut to the tissue."""
    rng = np.random.default_rng([zone.seed, 1])
    turn = np.linspace(0.0, 2.0 * np.pi, 72, endpoint=False)
    radius = np.ones_like(turn)
    for wave in range(2, 7):
        radius += wobble * rng.standard_normal() / wave**0.7 * np.cos(wave * turn + rng.uniform(0, 2 * np.pi))
    # No longer than the slot allows, lest two zones touch.
    radius = np.clip(radius, 0.55, 1.1)
    points = np.stack(
        [zone.u + zone.half_length * radius * np.cos(turn), zone.v + zone.half_width * radius * np.sin(turn)], axis=1
    )
    return fill_outline(points, core.strip_shape)


def fill_outline(points: npt.NDArray[np.float64], shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Fill a closed outline of (u, v) points; uint8 0/1 (height, width)."""
    filled = np.zeros(shape, dtype=np.uint8)
    cv2.fillPoly(filled, [np.round(points * 16).astype(np.int32)], (1,), shift=4)
    return filled


def _draw_core(rng: np.random.Generator, size: Size, tilt: float, lane: float, half_width: float) -> Core:
    width = half_width * rng.uniform(0.85, 1.15)
    share = rng.uniform(0.72, 0.95)
    length = int(size.width * share)
    angle = tilt + rng.normal(0.0, 0.03)
    start = rng.uniform(0.02, 1.0 - share - 0.02) * size.width if share < 0.94 else 0.03 * size.width
    middle = lane * size.height + rng.normal(0.0, 0.10) * half_width
    # Tilted about the middle of the lane, with a bow and a wave on top.
    along = np.linspace(-0.5, 0.5, length)
    bow = rng.normal(0.0, 0.9) * half_width * 4.0 * (along**2 - 1.0 / 12.0)
    phase = rng.uniform(0.0, 2.0 * np.pi)
    wave = rng.uniform(0.15, 0.6) * half_width * np.sin(2.0 * np.pi * along * rng.uniform(0.7, 2.2) + phase)
    wander = 0.08 * half_width * smooth_line(rng, length, length / 7.0)
    bend = (bow + wave + wander).astype(np.float32)
    # Kept on the slide at its tilt: the lanes of a single core leave it more room than those of four.
    lift = 0.5 * length * np.sin(angle)
    return Core(float(start), float(middle - lift), float(angle), length, float(width), bend)


def _draw_fragment(rng: np.random.Generator, cores: list[Core], half_width: float) -> Core:
    """A crumb near some core."""
    core = cores[int(rng.integers(len(cores)))]
    width = half_width * rng.uniform(0.12, 0.4)
    length = int(width * rng.uniform(2.0, 5.0)) + 6
    u = rng.uniform(0.0, 1.0) * core.length
    aside = (core.half_width * rng.uniform(1.25, 1.9) + width) * rng.choice([-1.0, 1.0])
    aside += core.bend[min(int(u), core.length - 1)]
    x = core.x + u * np.cos(core.angle) - aside * np.sin(core.angle)
    y = core.y + u * np.sin(core.angle) + aside * np.cos(core.angle)
    bend = (0.3 * width * smooth_line(rng, length, max(6.0, length / 3.0))).astype(np.float32)
    return Core(float(x), float(y), float(core.angle + rng.normal(0.0, 0.5)), length, float(width), bend)


def _draw_zones(rng: np.random.Generator, cores: list[Core]) -> tuple[Zone, ...]:
    """Cut every core into slots and give each at most one zone, so that no two zones touch."""
    slots = []
    for index, core in enumerate(cores):
        num = max(3, int(core.length / (4.8 * core.half_width)))
        edges = np.linspace(0.04, 0.96, num + 1) * core.length
        slots += [(index, float(edges[k]), float(edges[k + 1])) for k in range(num)]
    order = rng.permutation(len(slots))
    # About two fifths of the tissue is of interest, half of the rest looks alike, and what is left is harmless.
    num_regions = int(np.clip(round(len(slots) * rng.uniform(0.3, 0.5)), 2, 9))
    fattiness = rng.uniform(0.05, 0.6) ** 1.5
    zones = []
    for rank, slot in enumerate(order):
        index, begin, end = slots[slot]
        core = cores[index]
        draw = rng.random()
        if rank < num_regions:
            kind: ZoneKind = "region"
        elif rank == num_regions or draw > 0.45:
            kind = "distractor"
        elif draw < fattiness:
            kind = "fat"
        elif draw < 0.4:
            kind = "duct"
        else:
            continue
        half_length = 0.5 * (end - begin) * rng.uniform(0.68, 0.9)
        slack = 0.5 * (end - begin) * 0.9 - half_length
        zones.append(
            Zone(
                kind=kind,
                core=index,
                u=0.5 * (begin + end) + rng.uniform(-1.0, 1.0) * max(0.0, slack),
                v=core.reach + rng.normal(0.0, 0.18) * core.half_width,
                half_length=half_length,
                half_width=core.half_width * rng.uniform(0.85, 1.3),
                seed=int(rng.integers(2**62)),
            )
        )
    return tuple(sorted(zones, key=lambda zone: (zone.core, zone.u)))


def _turned(core: Core) -> Core:
    """The core with x and y exchanged, for upright slides (a reflection across the diagonal)."""
    return Core(core.y, core.x, float(np.pi / 2 - core.angle), core.length, core.half_width, -core.bend)
