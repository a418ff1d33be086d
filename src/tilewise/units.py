"""Boxes, pixels and microns. x before y and width before height, everywhere.

The frame is the slide's level 0 unless a name says otherwise: the origin is the top-left corner,
x grows to the right, y grows downward, and a box covers pixels `x .. x + width - 1`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, NewType

Level0Px = NewType("Level0Px", int)
Microns = NewType("Microns", float)


class Size(NamedTuple):
    """Width and height in pixels, in that order."""

    width: int
    height: int

    @property
    def area(self) -> int:
        """Pixels covered."""
        return self.width * self.height


@dataclass(frozen=True, slots=True, order=True)
class Box:
    """An axis-aligned box in level-0 pixels: top-left corner, then width and height.

    Raises:
        ValueError: width or height is not positive.
    """

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f"a box needs a positive width and height, got {self.width} x {self.height}")

    @property
    def right(self) -> int:
        """First column to the right of the box."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """First row below the box."""
        return self.y + self.height

    @property
    def area(self) -> int:
        """Pixels covered."""
        return self.width * self.height

    @property
    def rows(self) -> slice:
        """Slice for the first axis of an (H, W) array."""
        return slice(self.y, self.bottom)

    @property
    def columns(self) -> slice:
        """Slice for the second axis of an (H, W) array."""
        return slice(self.x, self.right)

    def inside(self, size: Size) -> bool:
        """Whether the whole box lies on a slide of this size."""
        return self.x >= 0 and self.y >= 0 and self.right <= size.width and self.bottom <= size.height

    def clip(self, size: Size) -> Box | None:
        """The part of the box on a slide of this size; None when there is none."""
        x, y = max(self.x, 0), max(self.y, 0)
        width, height = min(self.right, size.width) - x, min(self.bottom, size.height) - y
        return Box(x, y, width, height) if width > 0 and height > 0 else None

    def shift_inside(self, size: Size) -> Box:
        """The box moved by as little as needed to lie on the slide; shrunk only where the slide is smaller."""
        width, height = min(self.width, size.width), min(self.height, size.height)
        x = min(max(self.x, 0), size.width - width)
        y = min(max(self.y, 0), size.height - height)
        return Box(x, y, width, height)

    @classmethod
    def around(cls, x_center: float, y_center: float, size: Size) -> Box:
        """A box of this size whose centre is the given point, rounded down to whole pixels."""
        return cls(int(x_center - size.width / 2), int(y_center - size.height / 2), size.width, size.height)
