"""Checks of maps: what they say of maps whose quality is known."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from tilewise.explain.checks import (
    Localisation,
    MapCheck,
    agree_with_occlusion,
    correlate,
    localise,
    randomised,
    rank_correlation,
    shared_ranks,
)
from tilewise.explain.occlusion import Occlusion
from tilewise.explain.values import TileValues
from tilewise.models import FoldModel
from tilewise.models.config import HeadConfig
from tilewise.models.standardisation import Standardisation

FEW = hnp.arrays(np.float64, 12, elements=st.integers(0, 5).map(float))


@given(FEW, FEW)
def test_rank_correlation_is_that_of_scipy(first, second):
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        assert rank_correlation(first, second) == 0
    else:
        assert rank_correlation(first, second) == pytest.approx(spearmanr(first, second).statistic, abs=1e-12)


@given(FEW, hnp.arrays(np.bool_, 12))
def test_auroc_of_heat_is_that_of_scikit_learn_over_places_with_a_tile(heat, signal):
    heat = heat.reshape(3, 4).astype(np.float32)
    heat[0, 0] = np.nan
    signal = signal.reshape(3, 4)
    localisation = localise(heat, signal)
    tiled = ~np.isnan(heat)
    if signal[tiled].all() or not signal[tiled].any():
        assert localisation is None
    else:
        assert localisation.auroc == pytest.approx(roc_auc_score(signal[tiled], heat[tiled]))
        assert localisation.chance == pytest.approx(signal[tiled].mean())


def test_the_pointing_game_goes_by_the_hottest_places():
    signal = np.array([[True, False, False]])
    assert localise(np.array([[2.0, 1.0, 1.0]], np.float32), signal).hit
    assert not localise(np.array([[1.0, 2.0, 1.0]], np.float32), signal).hit
    assert not localise(np.array([[2.0, 2.0, 2.0]], np.float32), signal).hit, "most of the hottest lie beside it"


def head(weights):
    standard = Standardisation(np.zeros(4, np.float32), np.ones(4, np.float32))
    return FoldModel(("A", "B"), HeadConfig(), standard, {"0.weight": weights, "0.bias": np.zeros(2, np.float32)})


def test_weights_are_put_into_another_order_and_the_same_seed_gives_the_same():
    model = head(np.arange(8, dtype=np.float32).reshape(2, 4))
    mixed = randomised(model, 0)
    assert sorted(mixed.weights["0.weight"].ravel()) == list(range(8))
    assert not np.array_equal(mixed.weights["0.weight"], model.weights["0.weight"])
    assert np.array_equal(mixed.weights["0.weight"], randomised(model, 0).weights["0.weight"])
    assert not np.array_equal(mixed.weights["0.weight"], randomised(model, 1).weights["0.weight"])
    assert list(mixed.weights) == list(model.weights)


def values(probabilities):
    boxes = np.tile([0, 0, 8, 8], (len(probabilities), 1))
    return TileValues(boxes, boxes, np.asarray(probabilities, np.float64))


def test_maps_that_cannot_be_compared_are_left_out_and_one_that_became_flat_has_changed():
    rising = [0.1, 0.2, 0.3, 0.4, 0.5]
    assert correlate(values(rising), values(rising[::-1])) == {"probability": pytest.approx(1)}, (
        "no sign in random weights"
    )
    assert correlate(values(rising), values([0.5] * 5)) == {"probability": 0}
    assert correlate(values([0.5] * 5), values(rising)) == {}
    assert correlate(values(rising[:4]), values(rising[:4])) == {}


def test_unrelated_rankings_share_nothing_on_average_over_any_number_of_places():
    for num_places in (5, 6, 7):
        places = np.arange(num_places, dtype=float)
        orders = [np.array(order, float) for order in permutations(range(num_places))]
        assert np.mean([shared_ranks(places, order) for order in orders]) == pytest.approx(0, abs=1e-12)


@given(FEW, FEW)
def test_shared_ranks_have_no_sign_and_never_exceed_all(first, second):
    share = shared_ranks(first, second)
    assert share == pytest.approx(shared_ranks(first, -second))
    assert -0.1 - 1e-12 <= share <= 1 + 1e-12  # 1 / 11 is what chance gives twelve places


@pytest.mark.parametrize(("leading", "is_insensitive"), [(100.0, True), (1.0, False)])
def test_maps_of_features_that_have_one_leading_direction_are_painted_by_random_weights(leading, is_insensitive):
    """What the mean of signed correlations never finds: a random head is as often as not the reverse of the map."""
    generator = np.random.default_rng(0)
    rotation = np.linalg.qr(generator.normal(size=(40, 40)))[0]
    scales = np.ones(40)
    scales[0] = leading
    signed, shares = [], {}
    for slide in range(60):
        features = (generator.normal(size=(30, 40)) * scales) @ rotation
        heads = generator.normal(size=(40, 6))
        learnt, *drawn = (features @ heads).T
        signed.append(np.mean([rank_correlation(learnt, one) for one in drawn]))
        shares[str(slide)] = float(np.mean([shared_ranks(learnt, one) for one in drawn]))
    assert abs(np.mean(signed)) < 0.15
    check = MapCheck("probability", shares)
    assert check.is_insensitive is is_insensitive
    assert check.random_share.low < check.random_share.value < check.random_share.high


def test_activation_agrees_with_occlusion_where_bright_parts_matter():
    activations = np.random.default_rng(0).random((3, 4, 4)).astype(np.float32)
    boxes = np.tile([0, 0, 8, 8], (3, 1))

    def agreement(falls):
        occlusion = Occlusion(np.array([2, 0]), falls)
        return agree_with_occlusion(TileValues(boxes, boxes, np.ones(3), None, activations, occlusion))

    assert agreement(activations[[2, 0]] ** 2) == pytest.approx(1)
    assert agreement(-activations[[2, 0]]) == pytest.approx(-1)
    assert agreement(np.zeros((2, 4, 4), np.float32)) is None
    assert agree_with_occlusion(values([0.1, 0.2])) is None
    assert len(MapCheck("activation", agreements={"a": -0.2}).faults) == 1


def test_a_map_that_fails_a_check_says_so():
    on, off = Localisation(0.9, hit=True, chance=0.2), Localisation(0.4, hit=False, chance=0.2)
    good = MapCheck(
        "attention", {"a": 0.1, "b": -0.1}, {"a": on, "b": Localisation(0.8, hit=True, chance=0.2), "c": on}
    )
    assert good.faults == ()
    assert good.verdict == "random weights paint another map, heat lies on the signal"
    assert good.pointing == (1.0, pytest.approx(0.2))
    bad = MapCheck("attention", {"a": 0.9, "b": 0.95}, {"a": on, "b": off})
    assert len(bad.faults) == 2
    assert "random weights explain 92% (61% to 100%) of their ranks" in bad.faults[0]
    assert "AUROC 0.65" in bad.faults[1]
    assert bad.verdict == "random weights paint much the same map, heat falls anywhere"
    faint = {
        name: Localisation(score, hit=True, chance=0.2) for name, score in zip("abc", (0.6, 0.61, 0.62), strict=True)
    }
    assert MapCheck("attention", {}, faint).verdict == "heat leans towards the signal"
    assert MapCheck("attention").verdict == "too few places to say"
