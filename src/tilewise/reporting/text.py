"""How numbers and sentences are written on pages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tilewise import wording

NOTHING = "–"
_LONGEST = 0.8  # interval that is shown

# An absolute path of at least one folder, of either system; addresses (`https://...`) and shares (`2/3`) are none.
_FOLDERS = re.compile(r"(?<![\w.:/\\~-])(?:~|[A-Za-z]:)?[/\\]{1,2}(?:[^\s/\\:;,'\"`<>|()]+[/\\]+)+(?=[^\s/\\])")


def number(value: float | None, digits: int = 2) -> str:
    """A number with fixed decimals; a dash for None."""
    return NOTHING if value is None else f"{value:.{digits}f}"


def signed(value: float | None, digits: int = 3) -> str:
    """A difference with its sign, none where it rounds to 0; a dash for None."""
    return NOTHING if value is None else wording.signed(value, digits)


def p_value(value: float | None) -> str:
    """A p-value with three decimals, `<0.001` below."""
    return "<0.001" if value is not None and value < 0.001 else number(value, 3)


def value_of(score: Mapping[str, Any], digits: int = 2) -> str:
    """The value of a score."""
    return number(score["value"], digits)


def interval(score: Mapping[str, Any], digits: int = 2) -> str:
    """The interval of a score, as `0.51 to 0.63`."""
    if score["low"] is None or score["high"] is None:
        return NOTHING
    return f"{number(score['low'], digits)} to {number(score['high'], digits)}"


def says_nothing(score: Mapping[str, Any]) -> bool:
    """Whether an interval is so long that it leaves nearly every score from 0 to 1 open."""
    return score["low"] is not None and score["high"] is not None and score["high"] - score["low"] > _LONGEST


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
    """A quantity with its noun, thousands set apart: `1 slide`, `2 slides`, `12 classes`."""
    return wording.count(quantity, noun, thousands="\N{NARROW NO-BREAK SPACE}")


def without_folders(text: str, root: str = "") -> str:
    """The text with absolute paths cut to their last part: a report is passed on, and folders name people.

    `root` is the cohort's folder; what lies below it keeps its path from there.
    """
    if len(root) > 1:
        text = text.replace(root.rstrip("/\\") + "/", "").replace(root.rstrip("/\\") + "\\", "")
    return _FOLDERS.sub("", text)
