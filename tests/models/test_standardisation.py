"""Standardisation against scikit-learn's."""

from __future__ import annotations

import numpy as np
from sklearn.preprocessing import StandardScaler

from tilewise.models import Standardisation


def test_equals_sklearns_weighted_scaler() -> None:
    rng = np.random.default_rng(0)
    features = (rng.normal(size=(200, 6)) * [1, 10, 1e-3, 5, 1, 1e4] + [0, 100, 1, -5, 3, 0]).astype(np.float32)
    weights = rng.uniform(0.1, 2.0, 200)
    ours = Standardisation.fit(features, weights)
    theirs = StandardScaler().fit(features.astype(np.float64), sample_weight=weights)
    np.testing.assert_allclose(ours.apply(features), theirs.transform(features.astype(np.float64)), atol=2e-4)


def test_a_constant_feature_stays_silent_on_new_slides() -> None:
    features = np.full((10, 3), [0.0, 7.3, 1e-20], dtype=np.float32)
    scaled = Standardisation.fit(features, np.ones(10)).apply(np.full((1, 3), 99.0, dtype=np.float32))
    np.testing.assert_array_equal(scaled, [[0.0, 0.0, 0.0]])


def test_what_is_missing_is_left_out_and_becomes_the_mean():
    rng = np.random.default_rng(0)
    features_ND = rng.normal(3.0, 2.0, size=(40, 3))
    features_ND[::4, 1], features_ND[:, 2] = np.nan, np.nan
    weights_N = rng.uniform(0.5, 2.0, 40)
    one = Standardisation.fit(features_ND, weights_N)
    is_there = ~np.isnan(features_ND[:, 1])
    alone = Standardisation.fit(features_ND[is_there, 1:2], weights_N[is_there])
    np.testing.assert_allclose(one.mean_D[1:2], alone.mean_D, rtol=1e-6)
    np.testing.assert_allclose(one.scale_D[1:2], alone.scale_D, rtol=1e-6)
    assert one.scale_D[2] == 0.0
    standardised_ND = one.apply(one.fill(features_ND))
    assert (standardised_ND[::4, 1] == 0.0).all()
    assert (standardised_ND[:, 2] == 0.0).all()
    np.testing.assert_array_equal(one.fill(features_ND[:, 1:]), one.fill(features_ND)[:, 1:])
    assert np.isnan(one.apply(features_ND)[0, 1])
    complete = Standardisation.fit(features_ND[:, :1], weights_N)
    assert complete.mean_D[0] == one.mean_D[0]
