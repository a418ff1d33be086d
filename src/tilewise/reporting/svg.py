"""Inline SVG, element by element; every attribute and text is escaped."""

from __future__ import annotations

from collections.abc import Iterable

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


def drawing(width: float, height: float, children: Iterable[Markup], *, label: str, class_: str = "chart") -> Markup:
    """An `svg` element that scales with its column; `label` is what a screen reader says."""
    return element(
        "svg",
        element("title", label),
        *children,
        class_=class_,
        viewBox=f"0 0 {_text(width)} {_text(height)}",
        role="img",
        preserveAspectRatio="xMinYMin meet",
    )


def path(points: Iterable[tuple[float, float]], *, closed: bool = False) -> str:
    """Path data through points."""
    steps = " ".join(f"{'L' if index else 'M'}{_text(x)} {_text(y)}" for index, (x, y) in enumerate(points))
    return f"{steps} Z" if closed else steps


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(value)
