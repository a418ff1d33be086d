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
