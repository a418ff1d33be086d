"""Who joins: the sure ones, the surest first, as many as there is room for."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tilewise.training.pseudo.choose import PseudoLabel, choose
from tilewise.training_config.pseudo import PseudoConfig

CLASSES = ("A", "B", "C")
SAID = {
    "u1": np.array([0.7, 0.2, 0.1]),
    "u2": np.array([0.9, 0.05, 0.05]),
    "u3": np.array([0.3, 0.3, 0.4]),
    "u4": np.array([0.05, 0.95, 0.0]),
    "u5": np.array([0.9, 0.0, 0.1]),
}


def config(**options: Any) -> PseudoConfig:
    return PseudoConfig.model_validate({"method": "confident", "threshold": 0.7} | options)


def names(joineds: tuple[PseudoLabel, ...]) -> list[tuple[str, str]]:
    return [(one.slide, one.label) for one in joineds]


def test_the_threshold_is_met_by_what_equals_it() -> None:
    joined = choose(SAID, CLASSES, config(), labelled={"A": 3, "B": 1})
    assert joined == (
        PseudoLabel("u1", "A", 0.7, 1),
        PseudoLabel("u2", "A", 0.9, 1),
        PseudoLabel("u4", "B", 0.95, 1),
        PseudoLabel("u5", "A", 0.9, 1),
    )


def test_the_surest_come_first_and_of_equals_the_first_by_name() -> None:
    assert names(choose(SAID, CLASSES, config(most_per_class=1), labelled={"A": 3})) == [("u2", "A"), ("u4", "B")]
    shuffled = dict(reversed(SAID.items()))
    assert choose(shuffled, CLASSES, config(most_per_class=2), labelled={"A": 3}) == choose(
        SAID, CLASSES, config(most_per_class=2), labelled={"A": 3}
    )


def test_what_joined_before_counts_and_the_round_goes_on() -> None:
    before = (PseudoLabel("u9", "A", 0.8, 2),)
    joined = choose(SAID, CLASSES, config(most_per_class=2), labelled={"A": 3}, before=before)
    assert names(joined) == [("u2", "A"), ("u4", "B")]
    assert {one.round for one in joined} == {3}


def test_balance_fills_up_rare_classes_and_adds_none_to_the_commonest() -> None:
    assert names(choose(SAID, CLASSES, config(balance=True), labelled={"A": 2, "B": 4})) == [("u2", "A"), ("u5", "A")]
    both = config(balance=True, most_per_class=1)
    assert names(choose(SAID, CLASSES, both, labelled={"A": 2, "B": 4})) == [("u2", "A")]


@given(
    raw=st.lists(st.lists(st.floats(0.01, 1.0), min_size=3, max_size=3), max_size=20),
    threshold=st.floats(0.5, 1.0),
    most=st.none() | st.integers(1, 5),
    balance=st.booleans(),
    labelled=st.lists(st.integers(1, 9), min_size=3, max_size=3),
)
def test_nobody_joins_who_is_unsure_or_for_whom_there_is_no_room(
    raw: list[list[float]], threshold: float, most: int | None, balance: bool, labelled: list[int]
) -> None:
    probabilities = {f"u{i:02d}": np.array(row) / sum(row) for i, row in enumerate(raw)}
    asked = config(threshold=threshold, most_per_class=most, balance=balance)
    counts = dict(zip(CLASSES, labelled, strict=True))
    joined = choose(probabilities, CLASSES, asked, labelled=counts)
    assert len({one.slide for one in joined}) == len(joined)
    for place, label in enumerate(CLASSES):
        own = [one for one in joined if one.label == label]
        sure = [
            name
            for name, row in probabilities.items()
            if row.argmax() == place and row[place] >= threshold and name not in {one.slide for one in own}
        ]
        workdir = min([most or 99] + [max(labelled) - counts[label]] * balance)
        assert len(own) <= workdir
        assert all(probabilities[one.slide][place] == one.probability >= threshold for one in own)
        # Whoever is sure and did not join was beaten to the last place.
        assert not sure or len(own) == workdir
        assert all(probabilities[name][place] <= one.probability for name in sure for one in own)
