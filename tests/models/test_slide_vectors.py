"""Statistics of slides, and models that take them: what a slide's probability follows from."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.one_thread import one_thread
from tilewise.models import FoldModel, HeadConfig, Standardisation
from tilewise.models.slide_vectors import slide_vectors, tile_vectors

__all__ = ["one_thread"]

D, C = 5, 3
HEADS = [
    HeadConfig(kind="lda"),
    HeadConfig(kind="logistic", aggregate="feature_mean_and_deviation"),
    HeadConfig(aggregate="feature_mean_and_deviation"),
    HeadConfig(aggregate="feature_max"),
]


def model(head: HeadConfig, seed: int = 0) -> FoldModel:
    rng, length = np.random.default_rng(seed), D * len(head.statistics)
    standardisation = Standardisation(
        rng.normal(size=length).astype(np.float32), rng.uniform(0.5, 2.0, length).astype(np.float32)
    )
    weights = {
        "0.weight": rng.normal(size=(C, length)).astype(np.float32),
        "0.bias": rng.normal(size=C).astype(np.float32),
    }
    return FoldModel(tuple("ABC"), head, standardisation, weights, origin={"seed": seed})


def tiles(num_tiles: list[int], seed: int = 1):
    rng = np.random.default_rng(seed)
    slides_N = rng.permutation(np.repeat(np.arange(len(num_tiles)), num_tiles))
    return rng.normal(size=(len(slides_N), D)).astype(np.float32), slides_N.astype(np.int64)


def logits(one: FoldModel, vectors_SD: np.ndarray) -> np.ndarray:
    return one.standardisation.apply(vectors_SD) @ one.weights["0.weight"].T.astype(float) + one.weights["0.bias"]


def softmax(logits_SC: np.ndarray) -> np.ndarray:
    return np.exp(logits_SC) / np.exp(logits_SC).sum(axis=1, keepdims=True)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=6).filter(any), st.integers(0, 1000))
def test_statistics_are_those_of_each_slides_own_tiles(num_tiles: list[int], seed: int) -> None:
    features_ND, slides_N = tiles(num_tiles, seed)
    vectors_SD = slide_vectors(features_ND, slides_N, len(num_tiles), statistics=("mean", "deviation", "max"))
    for slide, num in enumerate(num_tiles):
        own = features_ND[slides_N == slide].astype(np.float64)
        expected = (
            np.concatenate([own.mean(axis=0), own.std(axis=0), own.max(axis=0)]) if num else np.full(3 * D, np.nan)
        )
        np.testing.assert_allclose(vectors_SD[slide], expected, rtol=1e-12, atol=1e-15)
        if num:
            alone = slide_vectors(
                features_ND[slides_N == slide], np.zeros(num, np.int64), 1, statistics=("mean", "deviation", "max")
            )
            assert alone[0].tobytes() == vectors_SD[slide].tobytes()
    for place, statistic in enumerate(("mean", "deviation", "max")):
        alone_SD = slide_vectors(features_ND, slides_N, len(num_tiles), statistics=(statistic,))
        np.testing.assert_array_equal(alone_SD, vectors_SD[:, place * D : (place + 1) * D])


@pytest.mark.parametrize("head", HEADS, ids=lambda head: f"{head.kind}, {head.aggregator}")
def test_slides_get_the_softmax_of_their_vector(head: HeadConfig) -> None:
    one, (features_ND, slides_N) = model(head), tiles([3, 0, 700, 1])
    computed_SC, counts_S = one.predict_slides(features_ND, slides_N, 4)
    vectors_SD = slide_vectors(features_ND, slides_N, 4, statistics=head.statistics)
    np.testing.assert_allclose(computed_SC, softmax(logits(one, vectors_SD)), rtol=1e-5)
    assert np.isnan(computed_SC[1]).all()
    assert counts_S.tolist() == [3, 0, 700, 1]
    assert one.num_features == D
    for slide in (0, 2, 3):
        own = features_ND[slides_N == slide]
        alone_SC, _ = one.predict_slides(own, np.zeros(len(own), np.int64), 1)
        assert alone_SC[0].tobytes() == computed_SC[slide].tobytes()


@pytest.mark.parametrize("head", HEADS[:3], ids=lambda head: f"{head.kind}, {head.aggregator}")
def test_the_logits_of_tiles_are_on_average_those_of_their_slide(head: HeadConfig) -> None:
    one, (features_ND, slides_N) = model(head), tiles([8, 1, 30])
    logs_NC = np.log(one.predict_tiles(features_ND, slides_N).astype(np.float64))
    logs_SC = np.log(one.predict_slides(features_ND, slides_N, 3)[0])
    for slide in range(3):
        mean_C = logs_NC[slides_N == slide].mean(axis=0)
        np.testing.assert_allclose(mean_C - mean_C[0], logs_SC[slide] - logs_SC[slide, 0], atol=1e-4)
        alone = one.predict_tiles(features_ND[slides_N == slide])
        np.testing.assert_array_equal(alone, one.predict_tiles(features_ND, slides_N)[slides_N == slide])


@pytest.mark.parametrize("head", [HEADS[0], HEADS[3]], ids=lambda head: head.aggregator)
def test_a_tile_by_itself_is_a_slide_that_has_no_other(head: HeadConfig) -> None:
    one, (features_ND, _) = model(head), tiles([9])
    alone_SC, _ = one.predict_slides(features_ND, np.arange(9), 9)
    np.testing.assert_allclose(one.predict_tiles(features_ND), alone_SC, rtol=1e-6)
    vectors_ND = tile_vectors(features_ND, np.arange(9), 9, statistics=("mean", "deviation"))
    np.testing.assert_array_equal(vectors_ND, np.concatenate([features_ND, np.zeros_like(features_ND)], axis=1))


@pytest.mark.parametrize("head", HEADS, ids=lambda head: f"{head.kind}, {head.aggregator}")
def test_round_trip(head: HeadConfig, tmp_path: Path) -> None:
    one, (features_ND, slides_N) = model(head), tiles([8, 1, 30])
    one.save(tmp_path)
    back = FoldModel.load(tmp_path)
    assert (back.head, back.aggregator, back.num_features) == (head, head.aggregator, D)
    expected, _ = one.predict_slides(features_ND, slides_N, 3)
    assert back.predict_slides(features_ND, slides_N, 3)[0].tobytes() == expected.tobytes()
    with pytest.raises(ValueError, match=rf"the model takes features \(N, {D}\), got \(2, {2 * D}\)"):
        one.predict_slides(np.zeros((2, 2 * D), np.float32), np.zeros(2, np.int64), 1)
    with pytest.raises(ValueError, match=f"does not weigh tiles; it was trained with head.aggregate={head.aggregator}"):
        one.attention_N(features_ND, slides_N, 3)


def test_what_stands_beside_the_tiles_is_part_of_the_vector_and_may_be_missing(tmp_path: Path) -> None:
    rng, head, num_context = np.random.default_rng(0), HEADS[1], 4
    length = 2 * D + num_context
    standardisation = Standardisation(rng.normal(size=length).astype(np.float32), np.ones(length, np.float32))
    weights = {"0.weight": rng.normal(size=(C, length)).astype(np.float32), "0.bias": np.zeros(C, np.float32)}
    one = FoldModel(tuple("ABC"), head, standardisation, weights, num_context=num_context)
    (features_ND, slides_N), context_SE = tiles([3, 5]), rng.normal(size=(2, 4)).astype(np.float32)
    context_SE[1, 2:] = np.nan
    vectors_SD = np.concatenate(
        [slide_vectors(features_ND, slides_N, 2, statistics=("mean", "deviation")), context_SE], axis=1
    )
    filled_SD = np.where(np.isnan(vectors_SD), standardisation.mean_D, vectors_SD)
    expected = softmax(logits(one, filled_SD))
    computed, _ = one.predict_slides(features_ND, slides_N, 2, context_SE)
    np.testing.assert_allclose(computed, expected, rtol=1e-5)
    logs_NC = np.log(one.predict_tiles(features_ND, slides_N, context_SE).astype(np.float64))
    mean_C = logs_NC[slides_N == 1].mean(axis=0)
    np.testing.assert_allclose(mean_C - mean_C[0], np.log(expected[1]) - np.log(expected[1, 0]), atol=1e-4)
    one.save(tmp_path)
    back = FoldModel.load(tmp_path)
    assert (back.num_context, back.num_features) == (num_context, D)
    assert back.predict_slides(features_ND, slides_N, 2, context_SE)[0].tobytes() == computed.tobytes()
    with pytest.raises(ValueError, match="the model takes 4 numbers beside the tiles of a slide, got 0"):
        one.predict_slides(features_ND, slides_N, 2)
