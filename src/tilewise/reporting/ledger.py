"""Where slides and tiles went between the folder and the score: what is lost is counted, and adds up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pandas as pd

from tilewise.reporting.data import DecisionRow, FailureRow, Ledger, LedgerRow, Ledgers
from tilewise.score_warnings import RunFacts

_SCORED = ("test", "holdout")


def make_ledgers(
    facts: RunFacts, decisions: Sequence[DecisionRow], failures: Sequence[FailureRow], predictions: pd.DataFrame
) -> Ledgers:
    """Follow every slide and tile of a run to its score, or to where it was lost.

    Args:
        facts: of the run's files.
        decisions: of its audit.
        failures: slides that failed, with the stage.
        predictions: of the run.
    """
    scored = predictions[predictions["part"].isin(_SCORED) & predictions["label"].notna()].drop_duplicates("slide")
    scored_names = set(scored["slide"].astype(str))
    names = [*facts.slides["slide"].astype(str), *map(str, facts.audit.get("dropped", ()))]
    left, rows = list(names), []
    for stage, reasons in _losses(facts, decisions, failures, scored_names):
        by_reason: dict[str, list[str]] = {}
        for name in left:
            if name in reasons and name not in scored_names:
                by_reason.setdefault(reasons[name], []).append(name)
        rows += [LedgerRow(stage, reason, len(own), tuple(own)) for reason, own in by_reason.items()]
        lost = {name for own in by_reason.values() for name in own}
        left = [name for name in left if name not in lost]
    return Ledgers(Ledger(len(names), tuple(rows), len(left)), _tiles(facts, scored))


def _losses(
    facts: RunFacts, decisions: Sequence[DecisionRow], failures: Sequence[FailureRow], scored: set[str]
) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Stage by stage, slide -> why it went no further; the first that names a slide counts."""
    yield "audit", {row.slide: "could not be read" for row in failures if row.stage == "audit"}
    yield "audit", {row.slide: f"dropped: {row.finding}" for row in reversed(decisions) if row.decision == "drop"}
    yield "audit", dict.fromkeys(facts.audit.get("dropped", ()), "dropped")
    yield "labels", dict.fromkeys(facts.slides[facts.slides["label"].isna()]["slide"], "without a label")
    yield "tiles", dict.fromkeys(facts.tiles.skipped, "yields no tile")
    for row in failures:
        yield row.stage, {row.slide: "failed"}
    yield "folds", dict.fromkeys(_in_folds(facts, scored), "learnt from, in no test part")
    yield "folds", dict.fromkeys(facts.slides["slide"], "in no part of a fold")


def _in_folds(facts: RunFacts, scored: set[str]) -> Iterable[str]:
    return (item.slide_id for item in facts.folds.items if item.slide_id not in scored)


def _tiles(facts: RunFacts, scored: pd.DataFrame) -> Ledger:
    table = facts.tiles.table
    num_of = table[table["scale"] == 0].groupby("slide").size()
    names = list(scored["slide"].astype(str))
    dropped: dict[str, int] = {}
    for name in names:
        for kind, num in facts.tiles.dropped.get(name, {}).items():
            dropped[kind] = dropped.get(kind, 0) + num
    cut = int(num_of.reindex(names, fill_value=0).sum())
    last = int(scored["num_tiles"].sum())
    rows = [LedgerRow("tiles", f"filtered: {kind}", num) for kind, num in dropped.items() if num]
    if cut != last:
        rows.append(LedgerRow("score", "not looked at", cut - last))
    return Ledger(cut + sum(dropped.values()), tuple(rows), last)
