"""The chart of what tells the label besides the tissue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tilewise.reporting.headline import Row
from tilewise.shortcuts.find_shortcuts import Shortcuts, TraitScore, describe_shortcuts


@dataclass(frozen=True)
class ShortcutChart:
    """Rows of intervals: the run's own score, then each trait's.

    `band` is where guessers score, `findings` are the traits that tell the label.
    """

    lead: str
    rows: tuple[Row, ...]
    band: tuple[float, float] | None
    columns: tuple[TraitScore, ...]
    findings: tuple[TraitScore, ...] = ()


def shortcut_chart(shortcuts: Shortcuts, evaluation: Mapping[str, Any]) -> ShortcutChart:
    """Every trait beside the run's own macro F1."""
    own = evaluation["out_of_fold"]["macro_f1"]
    rows = [Row("This run, from the tissue", "", "score", own["value"], own["low"], own["high"])]
    for trait in shortcuts.traits:
        detail = f"{trait.p_words}{', tells the label' if trait.is_told else ''}"
        rows.append(Row(f"From the {trait.name}", detail, "score" if trait.is_told else "baseline", *trait.macro_f1))
    band = (shortcuts.traits[0].guess_low, shortcuts.traits[0].guess_high) if shortcuts.traits else None
    return ShortcutChart(describe_shortcuts(shortcuts), tuple(rows), band, shortcuts.columns, shortcuts.findings)
