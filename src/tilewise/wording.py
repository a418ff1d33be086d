"""How quantities are written, in messages and on pages alike."""

from __future__ import annotations

from markupsafe import Markup, escape


def count(quantity: int, noun: str, *, thousands: str = "") -> str:
    """A quantity with its noun: `1 slide`, `2 slides`, `12 classes`; `thousands` stands between groups of digits."""
    plural = noun + ("es" if noun.endswith("s") else "s")
    return f"{quantity:,} {noun if quantity == 1 else plural}".replace(",", thousands)


def signed(value: float, digits: int) -> str:
    """A difference with its sign, none where it rounds to 0: `+0.12`, `0.00`."""
    rounded = round(value, digits)
    return f"{rounded:+.{digits}f}".replace("-", "\N{MINUS SIGN}") if rounded else f"{0:.{digits}f}"


def duration(seconds: float) -> str:
    """A time in its largest unit: `45 s`, `20 min`, `2.5 h`."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"


def with_code(sentence: str) -> Markup:
    """A sentence with what stands between backticks set as code; everything is escaped."""
    pieces = sentence.split("`")
    if len(pieces) % 2 == 0:  # an odd backtick is a backtick
        return escape(sentence)
    written = [
        Markup("<code>{}</code>").format(piece) if index % 2 else escape(piece) for index, piece in enumerate(pieces)
    ]
    return Markup("").join(written)
