"""How numbers are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NOTHING = "–"


def number(value: float | None, digits: int = 2) -> str:
    """A number with fixed decimals; a dash for None."""
    return NOTHING if value is None else f"{value:.{digits}f}"


def value_of(score: Mapping[str, Any], digits: int = 2) -> str:
    """The value of a score."""
    return number(score["value"], digits)


def interval(score: Mapping[str, Any], digits: int = 2) -> str:
    """The interval of a score, as `0.51 to 0.63`."""
    if score["low"] is None or score["high"] is None:
        return NOTHING
    return f"{number(score['low'], digits)} to {number(score['high'], digits)}"


def mean_and_spread(mean: Mapping[str, Any], digits: int = 2) -> str:
    """Mean and standard deviation over folds, as `0.51 ± 0.04`."""
    if mean["mean"] is None:
        return NOTHING
    spread = "" if mean["std"] is None else f" ± {number(mean['std'], digits)}"
    return f"{number(mean['mean'], digits)}{spread}"


def percent(share: float | None, digits: int = 0) -> str:
    """A share as `46 %`."""
    return NOTHING if share is None else f"{100.0 * share:.{digits}f} %"


def count(quantity: int, noun: str) -> str:
    """A quantity with its noun: `1 slide`, `2 slides`, `12 classes`."""
    plural = noun + ("es" if noun.endswith("s") else "s")
    return f"{quantity:,} {noun if quantity == 1 else plural}".replace(",", "\N{NARROW NO-BREAK SPACE}")
