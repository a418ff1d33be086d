"""Faces and what is around them: the drawings that cartoons are made of, before any style is put on."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.units import Size

Colour = tuple[int, int, int]
Art = npt.NDArray[np.uint8]
_AA = cv2.LINE_AA


@dataclass(frozen=True)
class Palette:
    """Colours of a drawing, RGB.

    Attributes:
        ground: two colours behind the faces.
        skin, hair, accent: to choose from, face by face.
        line: of outlines, pupils and mouths.
    """

    ground: tuple[Colour, Colour]
    skin: tuple[Colour, ...]
    hair: tuple[Colour, ...]
    accent: tuple[Colour, ...]
    line: Colour


@dataclass(frozen=True)
class Drawing:
    """A drawing as large as the slide.

    Attributes:
        rgb: uint8 (H, W, 3).
        light: float32 (H, W), how much light falls on every pixel were the faces balls, about 0..1.
    """

    rgb: Art
    light: npt.NDArray[np.float32]


def bright_palette(rng: np.random.Generator) -> Palette:
    """Colours as in a children's book."""

    def any_hue(saturation: tuple[float, float], value: tuple[float, float]) -> Colour:
        return hsv(rng.uniform(0, 360), rng.uniform(*saturation), rng.uniform(*value))

    skin = [(255, 219, 172), (241, 194, 125), (141, 85, 36), (255, 221, 64), (120, 200, 90), (90, 160, 230)]
    return Palette(
        ground=(any_hue((0.2, 0.9), (0.6, 1.0)), any_hue((0.2, 0.9), (0.6, 1.0))),
        skin=tuple(skin[k] for k in rng.permutation(len(skin))[:3]),
        hair=tuple(any_hue((0.3, 0.9), (0.15, 0.8)) for _ in range(3)),
        accent=tuple(any_hue((0.6, 1.0), (0.6, 1.0)) for _ in range(3)),
        line=(20, 16, 24),
    )


def stained_palette(rng: np.random.Generator) -> Palette:
    """Pinks and purples of haematoxylin and eosin."""

    def pink(depth: float) -> Colour:
        density = depth * np.array([0.14, 0.86, 0.45]) + rng.uniform(0.0, 0.12) * np.array([0.6, 0.7, 0.3])
        red, green, blue = (int(v) for v in 240 * 10 ** -(0.55 * density))
        return red, green, blue

    def purple(depth: float) -> Colour:
        density = depth * np.array([0.58, 0.73, 0.34]) + rng.uniform(0.0, 0.2) * np.array([0.1, 0.8, 0.5])
        red, green, blue = (int(v) for v in 240 * 10 ** -(0.75 * density))
        return red, green, blue

    return Palette(
        ground=(pink(rng.uniform(0.3, 0.8)), pink(rng.uniform(0.6, 1.2))),
        skin=tuple(pink(rng.uniform(0.15, 0.7)) for _ in range(3)),
        hair=tuple(purple(rng.uniform(0.6, 1.2)) for _ in range(3)),
        accent=tuple(purple(rng.uniform(0.3, 0.9)) for _ in range(3)),
        line=purple(1.4),
    )


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """RGB of a colour; hue in degrees, the others 0..1."""
    triple = np.array([[[hue % 360, saturation, value]]], np.float32)
    red, green, blue = (int(v) for v in np.rint(255 * cv2.cvtColor(triple, cv2.COLOR_HSV2RGB)[0, 0]))
    return red, green, blue


def draw_faces(rng: np.random.Generator, size: Size, *, palette: Palette, line_px: float, pitch: float) -> Drawing:
    """Faces over the whole slide, on a patterned ground.

    Args:
        rng: of everything.
        size: of the slide.
        palette: colours to use.
        line_px: width of the outlines, pixels; 0 leaves them out.
        pitch: distance between faces, pixels.
    """
    rgb = _ground(rng, size, palette, pitch)
    light = np.full((size.height, size.width), 0.6, np.float32)
    start_x, start_y = rng.uniform(-0.5, 0.2, 2) * pitch
    for row, y in enumerate(np.arange(start_y, size.height + 0.5 * pitch, 0.92 * pitch)):
        for x in np.arange(start_x + (row % 2) * 0.5 * pitch, size.width + 0.5 * pitch, pitch):
            center = np.array([x, y]) + rng.normal(0.0, 0.05 * pitch, 2)
            _Face(rng, rgb, light, center, 0.5 * pitch * rng.uniform(0.75, 1.02)).draw(palette, line_px)
    return Drawing(rgb, light)


def _ground(rng: np.random.Generator, size: Size, palette: Palette, pitch: float) -> Art:
    rgb = np.empty((size.height, size.width, 3), np.uint8)
    rgb[:] = palette.ground[0]
    kind = rng.integers(4)
    if kind == 1:
        y, x = np.mgrid[: size.height, : size.width].astype(np.float32)
        angle = rng.uniform(0, np.pi)
        band = pitch * rng.uniform(0.08, 0.4)
        rgb[np.sin((x * np.cos(angle) + y * np.sin(angle)) / band * np.pi) > 0] = palette.ground[1]
    elif kind == 2:
        step = pitch * rng.uniform(0.15, 0.4)
        for y in np.arange(0, size.height, step):
            for x in np.arange(0, size.width, step):
                cv2.circle(rgb, (int(x), int(y)), int(0.28 * step), palette.ground[1], -1, _AA)
    elif kind == 3:
        middle = np.array([size.width * rng.random(), size.height * rng.random()])
        for turn in np.linspace(0, 2 * np.pi, 24, endpoint=False):
            ray = [middle + 3 * max(size) * np.array([np.cos(turn + d), np.sin(turn + d)]) for d in (0.0, np.pi / 24)]
            cv2.fillPoly(rgb, [np.array([middle, *ray], np.int32)], palette.ground[1], _AA)
    return rgb


class _Face:
    """Draws one face onto a canvas; lengths in units of the face's radius, turned by its tilt."""

    def __init__(
        self,
        rng: np.random.Generator,
        rgb: Art,
        light: npt.NDArray[np.float32],
        center: npt.NDArray[np.float64],
        radius: float,
    ) -> None:
        self.rng, self.rgb, self.light, self.center, self.radius = rng, rgb, light, center, radius
        self.tilt = rng.normal(0.0, 0.35)
        self.breadth = rng.uniform(0.8, 1.05)

    def draw(self, palette: Palette, line_px: float) -> None:
        rng = self.rng
        skin, hair = _pick(rng, palette.skin), _pick(rng, palette.hair)
        accent, line = _pick(rng, palette.accent), palette.line
        width = max(1, round(line_px)) if line_px else 0
        if rng.random() < 0.6:
            self._oval(0, -0.25, 1.0 * self.breadth, 0.95, hair, line, width)
        for side in (-1, 1):
            self._oval(side * 0.92 * self.breadth, 0.0, 0.18, 0.26, skin, line, width)
        self._oval(0, 0, 0.9 * self.breadth, 0.95, skin, line, width)
        self._shade()
        if rng.random() < 0.7:
            self._fringe(hair, line, width)
        apart, height = rng.uniform(0.28, 0.42), rng.uniform(-0.22, 0.0)
        big = rng.uniform(0.14, 0.27)
        for side in (-1, 1):
            self._oval(side * apart, height, big, big * rng.uniform(0.9, 1.4), (252, 252, 250), line, width)
            look = rng.uniform(-0.3, 0.3, 2) * big
            self._oval(side * apart + look[0], height + look[1], 0.55 * big, 0.55 * big, accent, line, 0)
            self._oval(side * apart + look[0], height + look[1], 0.3 * big, 0.3 * big, line, line, 0)
            self._oval(
                side * apart + look[0] - 0.1 * big, height - 0.2 * big, 0.1 * big, 0.1 * big, (255,) * 3, line, 0
            )
            self._stroke([(side * (apart - 0.15), height - 0.38), (side * (apart + 0.18), height - 0.34)], hair)
            if rng.random() < 0.5:
                self._oval(side * 0.52, 0.3, 0.15, 0.1, _pick(rng, palette.accent), line, 0)
        self._oval(0, 0.14, rng.uniform(0.07, 0.16), rng.uniform(0.07, 0.14), accent, line, width)
        self._mouth(palette, width)

    def _mouth(self, palette: Palette, width: int) -> None:
        smile, half, at = self.rng.uniform(-0.05, 0.25), self.rng.uniform(0.25, 0.5), self.rng.uniform(0.42, 0.55)
        along = np.linspace(-1, 1, 15)
        lower = [(half * t, at + smile * (1 - t * t)) for t in along]
        if self.rng.random() < 0.5:
            upper = [(half * t, at - 0.02) for t in along[::-1]]
            self._fill(lower + upper, _pick(self.rng, palette.accent), palette.line, max(width, 1))
        else:
            self._stroke(lower, palette.line)

    def _fringe(self, hair: Colour, line: Colour, width: int) -> None:
        num = int(self.rng.integers(4, 9))
        top = [(0.92 * self.breadth * np.cos(t), -0.97 * np.sin(t)) for t in np.linspace(0.2, np.pi - 0.2, 15)]
        jag = [
            (x, -0.45 - 0.25 * (k % 2) - 0.1 * self.rng.random()) for k, x in enumerate(np.linspace(-0.85, 0.85, num))
        ]
        self._fill(top + jag, hair, line, width)

    def _shade(self) -> None:
        """A ball lit from the upper left."""
        reach = int(self.radius) + 1
        x0, y0 = int(self.center[0]) - reach, int(self.center[1]) - reach
        left, top = max(0, x0), max(0, y0)
        window = self.light[top : max(0, y0 + 2 * reach), left : max(0, x0 + 2 * reach)]
        if not window.size:
            return
        y, x = np.mgrid[: window.shape[0], : window.shape[1]].astype(np.float32)
        x, y = (x + left - self.center[0]) / self.radius, (y + top - self.center[1]) / self.radius
        depth = np.sqrt(np.clip(1.0 - x * x - y * y, 0.0, 1.0))
        np.copyto(window, 0.25 + 0.75 * np.clip(-0.45 * x - 0.5 * y + 0.72 * depth, 0, 1), where=depth > 0)

    def _oval(self, x: float, y: float, a: float, b: float, fill: Colour, line: Colour, width: int) -> None:
        turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        self._fill([(x + a * np.cos(t), y + b * np.sin(t)) for t in turn], fill, line, width)

    def _fill(self, points: list[tuple[float, float]], fill: Colour, line: Colour, width: int) -> None:
        placed = [self._place(points)]
        cv2.fillPoly(self.rgb, placed, fill, _AA, shift=4)
        if width:
            cv2.polylines(self.rgb, placed, True, line, width, _AA, shift=4)

    def _stroke(self, points: list[tuple[float, float]], colour: Colour) -> None:
        cv2.polylines(self.rgb, [self._place(points)], False, colour, max(1, round(0.07 * self.radius)), _AA, shift=4)

    def _place(self, points: list[tuple[float, float]]) -> npt.NDArray[np.int32]:
        cos, sin = np.cos(self.tilt), np.sin(self.tilt)
        turned = np.array(points) @ np.array([[cos, sin], [-sin, cos]])
        placed: npt.NDArray[np.int32] = np.round((self.center + self.radius * turned) * 16).astype(np.int32)
        return placed


def _pick(rng: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    return colours[int(rng.integers(len(colours)))]
