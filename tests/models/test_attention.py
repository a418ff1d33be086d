"""Gated attention: its formula, and what the weight of a tile may and may not depend on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from tests.one_thread import one_thread
from tilewise.models import FoldModel, HeadConfig, Standardisation
from tilewise.models.attention import PooledHead, build_pooled_head
from tilewise.models.tile_bags import TileBags

__all__ = ["one_thread"]

D, C = 6, 3
HEADS = [
    HeadConfig(aggregate="attention", attention_size=5),
    HeadConfig(kind="mlp", hidden_sizes=(4,), norm="batch", dropout=0.3, aggregate="attention", attention_size=5),
]


def pooled_head(config: HeadConfig = HEADS[0], seed: int = 0, scale: float = 1.0) -> PooledHead:
    """A head none of whose weights is zero."""
    module = build_pooled_head(config, num_features=D, num_classes=C, generator=torch.Generator().manual_seed(seed))
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.from_numpy(scale * rng.normal(size=tuple(parameter.shape))))
    return module.eval()


def model(config: HeadConfig = HEADS[0], seed: int = 0) -> FoldModel:
    rng = np.random.default_rng(seed)
    standardisation = Standardisation(
        rng.normal(size=D).astype(np.float32), rng.uniform(0.5, 2.0, D).astype(np.float32)
    )
    weights = {name: tensor.numpy() for name, tensor in pooled_head(config, seed).state_dict().items()}
    return FoldModel(tuple("ABC"), config, standardisation, weights, origin={"seed": seed})


def bags(num_tiles: list[int], seed: int = 1) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Tiles of slides in random order; a slide may have none."""
    rng = np.random.default_rng(seed)
    slides_N = rng.permutation(np.repeat(np.arange(len(num_tiles)), num_tiles))
    return rng.normal(size=(len(slides_N), D)).astype(np.float32), slides_N.astype(np.int64)


def by_hand(one: FoldModel, tiles_ND: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights and probabilities of one slide with a linear head, as Ilse et al. write them (their equation 9)."""
    weights = {name: array.astype(np.float64) for name, array in one.weights.items()}
    x_ND = (tiles_ND.astype(np.float64) - one.standardisation.mean_D) * one.standardisation.scale_D
    powers = []
    for x_D in x_ND:
        value = np.tanh(weights["attention.value.weight"] @ x_D + weights["attention.value.bias"])
        gate = 1.0 / (1.0 + np.exp(-(weights["attention.gate.weight"] @ x_D + weights["attention.gate.bias"])))
        powers.append(np.exp(weights["attention.score.weight"][0] @ (value * gate)))
    share_N = np.array(powers) / np.sum(powers)
    z_D = sum(share * x_D for share, x_D in zip(share_N, x_ND, strict=True))
    odds_C = np.exp(weights["head.0.weight"] @ z_D + weights["head.0.bias"])
    return share_N, odds_C / odds_C.sum()


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=6).filter(any), st.integers(0, 1000))
def test_slides_get_what_the_formula_gives(num_tiles: list[int], seed: int) -> None:
    one, (features_ND, slides_N) = model(seed=seed), bags(num_tiles, seed)
    computed_SC, counts_S = one.predict_slides(features_ND, slides_N, len(num_tiles))
    weights_N = one.attention_N(features_ND, slides_N, len(num_tiles))
    assert counts_S.tolist() == num_tiles
    assert (computed_SC.dtype, weights_N.dtype, weights_N.shape) == (np.float64, np.float64, slides_N.shape)
    for slide, num in enumerate(num_tiles):
        own = slides_N == slide
        if not num:
            assert np.isnan(computed_SC[slide]).all()
            continue
        share_N, probabilities_C = by_hand(one, features_ND[own])
        np.testing.assert_allclose(weights_N[own], share_N, rtol=1e-5)
        np.testing.assert_allclose(computed_SC[slide], probabilities_C, rtol=1e-5, atol=1e-7)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(0, 1000))
def test_training_and_prediction_pool_alike(num_tiles: list[int], seed: int) -> None:
    """The module that learns, in float32, says what the model on disk says."""
    one, (features_ND, slides_N) = model(seed=seed), bags(num_tiles, seed)
    inputs = torch.from_numpy(one.standardisation.apply(features_ND).astype(np.float32))
    with torch.inference_mode():
        logits = pooled_head(seed=seed)(TileBags(inputs, torch.from_numpy(slides_N), len(num_tiles)))
    computed_SC, _ = one.predict_slides(features_ND, slides_N, len(num_tiles))
    np.testing.assert_allclose(logits.softmax(dim=1).numpy(), computed_SC, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("head", HEADS, ids=["linear", "mlp"])
def test_the_order_of_tiles_and_the_other_slides_do_not_matter(head: HeadConfig) -> None:
    one, num_tiles = model(head), [700, 1, 40, 900, 3]
    features_ND, slides_N = bags(num_tiles)
    together_SC, _ = one.predict_slides(features_ND, slides_N, len(num_tiles))
    order = np.random.default_rng(3).permutation(len(slides_N))
    turned_SC, _ = one.predict_slides(features_ND[order], slides_N[order], len(num_tiles))
    np.testing.assert_allclose(turned_SC, together_SC, rtol=1e-6)
    for slide in range(len(num_tiles)):
        own = slides_N == slide
        alone_SC, _ = one.predict_slides(features_ND[own], np.zeros(own.sum(), dtype=np.int64), 1)
        assert alone_SC[0].tobytes() == together_SC[slide].tobytes()


def test_a_slide_of_one_tile_is_what_the_head_says_of_the_tile() -> None:
    one, (features_ND, _) = model(), bags([5])
    slides_SC, _ = one.predict_slides(features_ND, np.arange(5), 5)
    np.testing.assert_allclose(slides_SC, one.predict_tiles(features_ND), rtol=1e-6)


@pytest.mark.parametrize("size", [1.0, 1e4, -1e4])
def test_weights_sum_to_one_however_large_the_scores(size: float) -> None:
    scores_N = torch.tensor([0.0, 1.0, 2.0, 5.0, 5.0]) * size
    weights_N = TileBags(torch.empty(5, 1), torch.tensor([0, 0, 0, 2, 2]), 3).softmax(scores_N)
    assert weights_N[:3].sum().item() == pytest.approx(1.0)
    np.testing.assert_allclose(weights_N[3:], [0.5, 0.5])
    np.testing.assert_allclose(weights_N[:3], scores_N[:3].softmax(dim=0), rtol=1e-6)


def test_training_starts_from_the_plain_mean() -> None:
    module = build_pooled_head(HEADS[0], num_features=D, num_classes=C, generator=torch.Generator().manual_seed(0))
    features_ND, slides_N = bags([4, 9])
    with torch.no_grad():
        pooled_SD = module.pool(TileBags(torch.from_numpy(features_ND), torch.from_numpy(slides_N), 2)).vectors_SV
    for slide in range(2):
        np.testing.assert_allclose(pooled_SD[slide], features_ND[slides_N == slide].mean(axis=0), rtol=1e-4, atol=1e-6)
    assert module.attention.value.weight.abs().max().item() > 0.1, "or V and U could never leave zero"


def test_the_gradient_is_that_of_finite_differences_and_reaches_every_weight() -> None:
    module = pooled_head(scale=0.5).double()
    features_ND, slides_N = bags([4, 1, 6])
    inputs = (torch.from_numpy(features_ND).double().requires_grad_(), torch.from_numpy(slides_N), 3)
    assert torch.autograd.gradcheck(lambda features: module(TileBags(features, *inputs[1:])), inputs[:1])
    module(TileBags(*inputs)).log_softmax(dim=1)[:, 0].sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in module.parameters())


@pytest.mark.parametrize("head", HEADS, ids=["linear", "mlp"])
def test_round_trip_predicts_the_same_and_writes_the_same(head: HeadConfig, tmp_path: Path) -> None:
    one, (features_ND, slides_N) = model(head), bags([30, 7])
    one.save(tmp_path / "a")
    back = FoldModel.load(tmp_path / "a")
    assert (back.head, back.aggregator, back.origin) == (head, "attention", {"seed": 0})
    for computed, expected in zip(
        back.predict_slides(features_ND, slides_N, 2), one.predict_slides(features_ND, slides_N, 2), strict=True
    ):
        assert computed.tobytes() == expected.tobytes()
    back.save(tmp_path / "b")
    for name in ("model.safetensors", "model.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_what_cannot_be_answered_is_refused() -> None:
    features_ND, slides_N = bags([4])
    with pytest.raises(ValueError, match=r"takes features \(N, 6\), got \(4, 5\)"):
        model().predict_slides(features_ND[:, :5], slides_N, 1)
    plain = FoldModel(tuple("ABC"), HeadConfig(), model().standardisation, {})
    with pytest.raises(ValueError, match=r"does not weigh tiles; it was trained with head\.aggregate=mean"):
        plain.attention_N(features_ND, slides_N, 1)
    with pytest.raises(ValidationError, match=r"head\.attention_size has no effect with `aggregate: max`"):
        HeadConfig(aggregate="max", attention_size=64)
