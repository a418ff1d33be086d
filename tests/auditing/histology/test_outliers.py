import numpy as np
import pytest

from tilewise.auditing.histology import outliers
from tilewise.auditing.histology.outliers import neighbour_distance


def features(num):
    values = np.random.default_rng(0).normal(size=(num, 12))
    values[::97] += 3.0
    return values


def test_slides_apart_are_far_and_the_others_are_at_1():
    distances = neighbour_distance(features(600))
    assert np.median(distances) == pytest.approx(1.0)
    assert distances[::97].min() > 1.5 > np.median(distances)


def test_neighbours_in_an_even_sample_tell_what_all_slides_tell(monkeypatch):
    values = features(600)
    exact = neighbour_distance(values)
    monkeypatch.setattr(outliers, "_MOST_COMPARED", 200)
    sampled = neighbour_distance(values)
    assert not np.array_equal(sampled, exact)
    np.testing.assert_allclose(sampled, exact, rtol=0.15)
    assert np.corrcoef(sampled, exact)[0, 1] > 0.97
