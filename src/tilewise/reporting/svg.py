"""Inline SVG, element by element; every attribute and text is escaped."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from markupsafe import Markup, escape


def element(tag: str, *children: str | Markup, **attributes: object) -> Markup:
    """One element. Underscores in attribute names become hyphens, `class_` is `class`; None leaves one out.

    Children that are `Markup` go in as they are, plain text is escaped; numbers are written with up to two decimals.
    """
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    if not children:
        return Markup(f"<{tag}{written}/>")  # noqa: S704 - every part is escaped above
    inside = Markup("").join(children)
    return Markup(f"<{tag}{written}>{inside}</{tag}>")  # noqa: S704 - every part is escaped above


def drawing(
    width: float, height: float, children: Iterable[Markup], *, label: str, class_: str = "chart", description: str = ""
) -> Markup:
    """An `svg` element that scales with its column; a screen reader says `label` and `description`."""
    return element(
        "svg",
        element("title", label),
        *([element("desc", description)] if description else []),
        *children,
        class_=class_,
        viewBox=f"0 0 {_text(width)} {_text(height)}",
        role="img",
        preserveAspectRatio="xMinYMin meet",
    )


def mark(words: str, *children: Markup) -> Markup:
    """What a chart says something of on hover and on focus."""
    return element("g", element("title", words), *children, class_="mark", role="img")


@dataclass(frozen=True)
class Frame:
    """The axes of a chart whose ordinate runs from 0 to 1: its size, the ends of its abscissa, and its margins."""

    width: float
    height: float
    first: float
    last: float
    left: float = 34.0
    right: float = 8.0
    top: float = 8.0
    bottom: float = 34.0

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point lies in the drawing."""
        across = (x - self.first) / (self.last - self.first)
        return (
            self.left + across * (self.width - self.left - self.right),
            self.height - self.bottom - y * (self.height - self.top - self.bottom),
        )

    def grid(self, *, xs: Iterable[float], x_label: str, write: Callable[[float], str]) -> list[Markup]:
        """Lines across, numbers at both axes, and the name of the abscissa."""
        parts = []
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            (left, y), (right, _) = self.at(self.first, share), self.at(self.last, share)
            parts.append(element("line", x1=left, x2=right, y1=y, y2=y, class_="grid"))
            parts.append(element("text", f"{share:g}", x=left - 5, y=y + 3.5, class_="tick", text_anchor="end"))
        for x in xs:
            across, bottom = self.at(x, 0.0)
            anchor = {self.first: "start", self.last: "end"}.get(x, "middle")
            parts.append(element("text", write(x), x=across, y=bottom + 14, class_="tick", text_anchor=anchor))
        middle, bottom = self.at((self.first + self.last) / 2, 0.0)
        parts.append(element("text", x_label, x=middle, y=bottom + 29, class_="tick", text_anchor="middle"))
        return parts

    def column(self, x: float, width: float) -> Markup:
        """An unseen column around `x`, which takes the pointer."""
        (across, bottom), (_, top) = self.at(x, 0.0), self.at(x, 1.0)
        return element("rect", x=across - width / 2, y=top, width=width, height=bottom - top, class_="reach")


def path(points: Iterable[tuple[float, float]], *, closed: bool = False) -> str:
    """Path data through points."""
    steps = " ".join(f"{'L' if index else 'M'}{_text(x)} {_text(y)}" for index, (x, y) in enumerate(points))
    return f"{steps} Z" if closed else steps


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(value)
