"""How quantities are written, in messages and on pages alike."""

from __future__ import annotations


def count(quantity: int, noun: str, *, thousands: str = "") -> str:
    """A quantity with its noun: `1 slide`, `2 slides`, `12 classes`; `thousands` stands between groups of digits."""
    plural = noun + ("es" if noun.endswith("s") else "s")
    return f"{quantity:,} {noun if quantity == 1 else plural}".replace(",", thousands)
