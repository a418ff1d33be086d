import csv
import sys

import numpy as np
import pytest

from tests.evaluation.conftest import CLASSES
from tilewise.errors import UsageError
from tilewise.evaluation.doubtful_labels import DoubtfulLabel, find_doubtful_labels, write_doubtful_labels
from tilewise.evaluation.sample import Sample


def with_flips(table, num, seed=0):
    """The table with some labels changed to the next class, and the slides that have them."""
    rows = np.random.default_rng(seed).choice(len(table), num, replace=False)
    table = table.copy()
    next_of = dict(zip(CLASSES, CLASSES[1:] + CLASSES[:1], strict=True))
    truth = table.loc[rows, "label"]
    table.loc[rows, "label"] = truth.map(next_of)
    return table, dict(zip(table.loc[rows, "slide"], truth, strict=True))


def doubts_of(table):
    sample = Sample.of(table, CLASSES)
    return find_doubtful_labels(sample, sample.probabilities_NC)


def test_planted_wrong_labels_are_named_with_their_class(make_table):
    table, truth = with_flips(make_table(300, skill=4.0), 20)
    doubts = doubts_of(table)
    hits = [doubt for doubt in doubts if doubt.slide in truth]
    assert len(hits) >= 16
    assert len(doubts) <= 30
    assert np.mean([doubt.suggested == truth[doubt.slide] for doubt in hits]) > 0.9
    margins = [doubt.suggested_probability - doubt.label_probability for doubt in doubts]
    assert margins == sorted(margins, reverse=True)
    labels = table.set_index("slide")["label"]
    for doubt in doubts:
        assert doubt.label == labels[doubt.slide] != doubt.suggested


def test_sure_and_right_models_doubt_nothing_and_absent_classes_are_no_fault(make_table):
    table = make_table(90, skill=12.0)
    assert doubts_of(table) == ()
    two = table[table["label"] != CLASSES[1]]
    assert doubts_of(two) == ()
    assert doubts_of(two[two["label"] == CLASSES[0]]) == ()


def test_the_table_is_read_as_it_was_written(tmp_path, make_table):
    doubts = doubts_of(with_flips(make_table(120, skill=3.0), 10)[0])
    assert doubts
    write_doubtful_labels(tmp_path / "doubtful_labels.csv", doubts)
    with (tmp_path / "doubtful_labels.csv").open(newline="") as stream:
        rows = [DoubtfulLabel.of_row(row) for row in csv.DictReader(stream)]
    assert [(row.slide, row.label, row.suggested, row.fold) for row in rows] == [
        (doubt.slide, doubt.label, doubt.suggested, doubt.fold) for doubt in doubts
    ]
    assert rows[0].label_probability == pytest.approx(doubts[0].label_probability, abs=1e-6)


def test_without_cleanlab_the_extra_is_named(monkeypatch, make_table):
    monkeypatch.setitem(sys.modules, "cleanlab.filter", None)
    with pytest.raises(UsageError, match=r"tilewise\[doubts\]"):
        doubts_of(make_table(30))
