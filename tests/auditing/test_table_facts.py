from types import SimpleNamespace

import pytest

from tilewise.auditing.table import TableFacts


def audited(**columns):
    num = len(next(iter(columns.values())))
    slides = [
        SimpleNamespace(
            slide_id=f"s{place}", slide=SimpleNamespace(extra={name: cells[place] for name, cells in columns.items()})
        )
        for place in range(num)
    ]
    return SimpleNamespace(slides=slides, relabelled={})


def test_few_values_are_taken_as_they_are_without_empty_cells():
    facts = TableFacts.of(audited(site=["b ", "a", None, "", "b", float("nan")]))
    assert facts.columns == {"site": {"s1": "a", "s0": "b", "s4": "b"}}
    assert list(facts.columns["site"].values()) == ["a", "b", "b"]


def test_many_numbers_are_cut_at_their_median_and_many_words_are_left_out():
    ages, names = [str(40 + place) for place in range(21)], [f"name {place}" for place in range(21)]
    facts = TableFacts.of(audited(age=ages, name=names, one=["x"] * 21))
    assert set(facts.columns) == {"age"}
    assert facts.columns["age"]["s10"] == "up to 50"
    assert facts.columns["age"]["s11"] == "above 50"
    assert list(dict.fromkeys(facts.columns["age"].values())) == ["up to 50", "above 50"]


@pytest.mark.parametrize("facts", [TableFacts(), TableFacts({"s0": "A"}, {"site": {"s0": "a"}})])
def test_plain_data_makes_the_same_facts(facts):
    assert TableFacts(**facts.to_json()) == facts
