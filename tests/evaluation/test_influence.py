"""Influence of slides on scores, against weights that are moved a little."""

from __future__ import annotations

import numpy as np
import pytest

from tests.evaluation.conftest import CLASSES, MakeTable
from tilewise.evaluation.influence import influence
from tilewise.evaluation.resample import METRICS, statistics
from tilewise.evaluation.sample import Sample


@pytest.mark.parametrize("digits", [1, 9])
def test_influence_is_the_derivative_by_the_weight_of_a_slide(make_table: MakeTable, digits: int) -> None:
    table = make_table(40, skill=1.0)
    sample = Sample.of(table.round({f"p_{name}": digits for name in CLASSES}), CLASSES)
    more, fewer = (statistics(sample, np.ones((40, 40)) + step * np.eye(40)).whole for step in (1e-4, -1e-4))
    slopes = influence(sample)
    for name in METRICS:
        np.testing.assert_allclose(slopes[name], (more[name] - fewer[name]) / 2e-4, atol=1e-6, err_msg=name)
        assert slopes[name].sum() == pytest.approx(0.0, abs=1e-6), name


def test_a_class_that_is_missing_has_no_influence(make_table: MakeTable) -> None:
    table = make_table(30)
    sample = Sample.of(table[table["label"] != "invasive"], CLASSES)
    assert all(np.isfinite(slopes_N).all() for slopes_N in influence(sample).values())
    alone = Sample.of(table[table["label"] == "benign"], CLASSES)
    assert np.isnan(influence(alone)["auroc_macro"]).all()
