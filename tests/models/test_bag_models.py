"""Every learnt way from tiles to slides: what its weights may depend on, its formula, and its files."""

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
from tilewise.models.bag_models import BUILDERS, build_bag_model
from tilewise.models.clam import Clam
from tilewise.models.dsmil import Dsmil
from tilewise.models.tile_bags import TileBags
from tilewise.models.transmil import TransMil, attend, pseudo_inverse

__all__ = ["one_thread"]

D, C = 6, 3
SIZES = {"attention_size": 5, "embedding_size": 16, "instance_tiles": 3}
USED = {"attention": 1, "additive_attention": 1, "clam_sb": 3, "clam_mb": 3, "dsmil": 1, "transmil": 0}
INVARIANT = [name for name in BUILDERS if name != "transmil"]


def head_of(name: str) -> HeadConfig:
    keys = list(SIZES)[: USED[name]] if name != "transmil" else ["embedding_size"]
    return HeadConfig.model_validate({"aggregate": name, **{key: SIZES[key] for key in keys}})


def model(name: str, seed: int = 0) -> FoldModel:
    """A model none of whose weights is zero."""
    rng = np.random.default_rng(seed)
    module = build_bag_model(
        head_of(name), num_features=D, num_classes=C, generator=torch.Generator().manual_seed(seed)
    )
    weights = {
        key: (0.6 * rng.normal(size=tuple(tensor.shape))).astype(np.float32)
        for key, tensor in module.state_dict().items()
    }
    scale_D = rng.uniform(0.5, 2.0, D).astype(np.float32)
    return FoldModel(tuple("ABC"), head_of(name), Standardisation(np.zeros(D, np.float32), scale_D), weights)


def module_of(one: FoldModel) -> torch.nn.Module:
    module = build_bag_model(one.head, num_features=D, num_classes=C)
    module.load_state_dict({key: torch.from_numpy(array) for key, array in one.weights.items()})
    return module.double().eval()


def bags(num_tiles: list[int], seed: int = 1) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Tiles of slides, slide by slide."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(sum(num_tiles), D)).astype(np.float32), np.repeat(np.arange(len(num_tiles)), num_tiles)


@pytest.mark.parametrize("name", BUILDERS)
def test_a_slide_is_the_same_beside_others_and_in_training(name: str) -> None:
    one, num_tiles = model(name), [1, 40, 3, 3, 1, 12]
    features_ND, slides_N = bags(num_tiles)
    together_SC, counts_S = one.predict_slides(features_ND, slides_N, len(num_tiles))
    weights_N = one.attention_N(features_ND, slides_N, len(num_tiles))
    assert counts_S.tolist() == num_tiles
    for slide in range(len(num_tiles)):
        own = slides_N == slide
        alone_SC, _ = one.predict_slides(features_ND[own], np.zeros(own.sum(), np.int64), 1)
        assert alone_SC[0].tobytes() == together_SC[slide].tobytes()
        assert weights_N[own].sum() == pytest.approx(1.0)
        assert (weights_N[own] >= 0).all()
    # Slides mixed with each other, as one batch, in the order of a shuffled table.
    order_N = np.random.default_rng(2).permutation(len(slides_N))
    order_N = order_N if name != "transmil" else np.argsort(np.arange(len(slides_N)) % 7, kind="stable")
    inputs_ND = torch.from_numpy(one.standardisation.apply(features_ND))[order_N]
    if name == "transmil":  # the order within a slide is kept
        order_N = np.argsort(slides_N % 2, kind="stable")
        inputs_ND = torch.from_numpy(one.standardisation.apply(features_ND))[order_N]
    with torch.inference_mode():
        logits_SC = module_of(one)(TileBags(inputs_ND, torch.from_numpy(slides_N[order_N]), len(num_tiles)))
    np.testing.assert_allclose(logits_SC.softmax(dim=1).numpy(), together_SC, rtol=1e-5, atol=1e-7)
    singles_SC, _ = one.predict_slides(features_ND, np.arange(len(slides_N)), len(slides_N))
    np.testing.assert_allclose(one.predict_tiles(features_ND), singles_SC, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", INVARIANT)
@settings(deadline=None, max_examples=15)
@given(num_tiles=st.integers(1, 30), seed=st.integers(0, 1000))
def test_the_order_of_tiles_does_not_matter(name: str, num_tiles: int, seed: int) -> None:
    one, (features_ND, slides_N) = model(name, seed), bags([num_tiles], seed)
    order_N = np.random.default_rng(seed).permutation(num_tiles)
    plain_SC, _ = one.predict_slides(features_ND, slides_N, 1)
    turned_SC, _ = one.predict_slides(features_ND[order_N], slides_N, 1)
    np.testing.assert_allclose(turned_SC, plain_SC, rtol=1e-5, atol=1e-7)
    for class_index in (None, 1):
        weights_N = one.attention_N(features_ND, slides_N, 1, class_index)
        turned_N = one.attention_N(features_ND[order_N], slides_N, 1, class_index)
        np.testing.assert_allclose(turned_N, weights_N[order_N], rtol=1e-9)


@pytest.mark.parametrize("name", BUILDERS)
def test_the_loss_reaches_every_weight(name: str) -> None:
    module = module_of(model(name))
    features_ND, slides_N = bags([4, 1, 30])
    tiles = TileBags(torch.from_numpy(features_ND).double(), torch.from_numpy(slides_N), 3)
    pooled = module.pool(tiles, torch.tensor([0, 2, 1]))
    loss = module.head(pooled.vectors_SV).log_softmax(dim=1)[:, 0].sum()
    if pooled.losses_S is not None:
        loss = loss + pooled.losses_S.sum()
    loss.backward()
    without = [key for key, parameter in module.named_parameters() if not parameter.grad.abs().max() > 0]
    assert without == []
    assert (pooled.losses_S is not None) == name.startswith("clam")


@pytest.mark.parametrize("name", BUILDERS)
def test_round_trip_predicts_the_same(name: str, tmp_path: Path) -> None:
    one, (features_ND, slides_N) = model(name), bags([30, 7])
    one.save(tmp_path)
    back = FoldModel.load(tmp_path)
    assert (back.head, back.aggregator) == (one.head, name)
    computed_SC, expected_SC = (some.predict_slides(features_ND, slides_N, 2)[0] for some in (back, one))
    assert computed_SC.tobytes() == expected_SC.tobytes()


@pytest.mark.parametrize("name", BUILDERS)
def test_bags_of_one_and_of_twenty_thousand_tiles(name: str) -> None:
    module = build_bag_model(head_of(name), num_features=D, num_classes=C, generator=torch.Generator().manual_seed(0))
    rng = np.random.default_rng(0)
    tiles = TileBags(
        torch.from_numpy(rng.normal(size=(20_001, D)).astype(np.float32)), torch.arange(20_001).clamp(max=1), 2
    )
    pooled = module.pool(tiles, torch.tensor([0, 1]))
    (module.head(pooled.vectors_SV).square().sum() + pooled.vectors_SV.sum()).backward()
    assert torch.isfinite(pooled.vectors_SV).all()
    assert all(torch.isfinite(one.grad).all() for one in module.parameters() if one.grad is not None)
    np.testing.assert_allclose(pooled.weights_NB[1:].sum(dim=0).detach(), 1.0, rtol=1e-4)


def softmax(scores: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def test_clam_by_hand() -> None:
    """Both branchings, with the loss of tiles, as the authors' code has it: its equation of the smooth SVM."""
    for name in ("clam_sb", "clam_mb"):
        one, (x_ND, slides_N) = model(name), bags([9, 2])
        module = module_of(one)
        assert isinstance(module, Clam)
        w = {key: array.astype(np.float64) for key, array in one.weights.items()}
        tiles = TileBags(torch.from_numpy(x_ND).double(), torch.from_numpy(slides_N), 2)
        with torch.no_grad():
            pooled, logits_SC = module.pool(tiles, torch.tensor([2, 0])), module(tiles)
        for slide, label in enumerate((2, 0)):
            x = x_ND[slides_N == slide].astype(np.float64)
            h = np.maximum(x @ w["embed.weight"].T + w["embed.bias"], 0.0)
            value = np.tanh(h @ w["attention.value.weight"].T + w["attention.value.bias"])
            gate = 1.0 / (1.0 + np.exp(-(h @ w["attention.gate.weight"].T + w["attention.gate.bias"])))
            a = (value * gate) @ w["attention.score.weight"].T
            pooled_BE = softmax(a, axis=0).T @ h
            if name == "clam_mb":
                expected_C = (pooled_BE * w["head.weight_CE"]).sum(axis=1) + w["head.bias_C"]
            else:
                expected_C = w["head.0.weight"] @ pooled_BE[0] + w["head.0.bias"]
            np.testing.assert_allclose(logits_SC[slide], expected_C, rtol=1e-9)
            k, total = min(3, len(x)), 0.0
            for index in range(C):
                order = np.argsort(-a[:, index if name == "clam_mb" else 0], kind="stable")
                chosen = [(tile, int(index == label)) for tile in order[:k]]
                chosen += [(tile, 0) for tile in order[::-1][:k]] if index == label else []
                losses = []
                for tile, target in chosen:
                    score = w["tile_classifiers.weight"][2 * index : 2 * index + 2] @ h[tile]
                    score = score + w["tile_classifiers.bias"][2 * index : 2 * index + 2]
                    margins = score - score[target] + (np.arange(2) != target)
                    losses.append(np.log(np.exp(margins).sum()))
                total += np.mean(losses)
            assert pooled.losses_S is not None
            assert pooled.losses_S[slide].item() == pytest.approx(total / C, rel=1e-9)


def test_dsmil_by_hand() -> None:
    one, (x_ND, slides_N) = model("dsmil"), bags([9, 2])
    module = module_of(one)
    assert isinstance(module, Dsmil)
    w = {key: array.astype(np.float64) for key, array in one.weights.items()}
    with torch.no_grad():
        logits_SC = module(TileBags(torch.from_numpy(x_ND).double(), torch.from_numpy(slides_N), 2))
    for slide in range(2):
        x = x_ND[slides_N == slide].astype(np.float64)
        scores = x @ w["tile_classifier.weight"].T + w["tile_classifier.bias"]
        q = x @ w["query.weight"].T + w["query.bias"]
        likeness = q @ q[scores.argmax(axis=0)].T / np.sqrt(q.shape[1])
        means_CD = softmax(likeness, axis=0).T @ x
        second_C = w["head.bag.weight"] @ means_CD.ravel() + w["head.bag.bias"]
        np.testing.assert_allclose(logits_SC[slide], 0.5 * (scores.max(axis=0) + second_C), rtol=1e-9)


@pytest.mark.parametrize("num_tiles", [1, 5, 7, 20])
def test_transmil_by_hand(num_tiles: int) -> None:
    """There are 8 landmarks: of 1 and 5 tiles attention is exact, of 7 it just is, of 20 it is not."""
    one, (x_ND, _) = model("transmil"), bags([num_tiles])
    module = module_of(one)
    assert isinstance(module, TransMil)
    w = {key: array.astype(np.float64) for key, array in one.weights.items()}
    tokens = np.maximum(x_ND.astype(np.float64) @ w["embed.weight"].T + w["embed.bias"], 0.0)
    tokens, _ = layer_by_hand(np.concatenate([w["class_token"], tokens]), w, "layers.0.")
    side = int(np.ceil(np.sqrt(num_tiles)))
    square = np.concatenate([tokens[1:]] * (side * side))[: side * side].reshape(side, side, -1)
    placed = square + w["kernel_bias"]
    for index, reach in enumerate((3, 2, 1)):
        padded = np.pad(square, ((reach, reach), (reach, reach), (0, 0)))
        for y in range(side):
            for x in range(side):
                window = padded[y : y + 2 * reach + 1, x : x + 2 * reach + 1]
                placed[y, x] += np.einsum("yxe,eyx->e", window, w[f"kernels.{index}"][:, 0])
    tokens, row = layer_by_hand(
        np.concatenate([tokens[:1], placed.reshape(side * side, -1)[:num_tiles]]), w, "layers.1."
    )
    expected_C = w["head.0.weight"] @ norm_by_hand(tokens[:1], w, "norm.")[0] + w["head.0.bias"]
    bag = TileBags(torch.from_numpy(x_ND).double(), torch.zeros(num_tiles, dtype=torch.int64), 1)
    with torch.no_grad():
        np.testing.assert_allclose(module(bag)[0], expected_C, rtol=1e-7)
        weights_N = module.pool(bag).weights_NB[:, 0].numpy()
    attention_N = np.maximum(row[1:], np.finfo(float).tiny)
    np.testing.assert_allclose(weights_N, attention_N / attention_N.sum(), rtol=1e-7)


def norm_by_hand(x: NDArray[np.float64], w: dict[str, NDArray[np.float64]], name: str) -> NDArray[np.float64]:
    centred = x - x.mean(axis=1, keepdims=True)
    spread = np.sqrt(np.square(centred).mean(axis=1, keepdims=True) + 1e-5)
    return centred / spread * w[f"{name}weight"] + w[f"{name}bias"]


def layer_by_hand(
    x: NDArray[np.float64], w: dict[str, NDArray[np.float64]], name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """x + Nystroem attention with a convolution of values, head by head (Xiong et al. 2021, algorithm 1)."""
    length, size = x.shape
    qkv = norm_by_hand(x, w, f"{name}norm.") @ w[f"{name}qkv.weight"].T
    mixed, rows, num = np.empty((length, size)), [], size // 2
    for head in range(8):
        own = slice(head * size // 8, (head + 1) * size // 8)
        q, k, v = (qkv[:, part * size : (part + 1) * size][:, own] for part in range(3))
        q = q / np.sqrt(size // 8)
        if length <= num:
            attention = softmax(q @ k.T)
        else:
            segment = np.arange(length) * num // length
            ql, kl = (np.stack([one[segment == index].mean(axis=0) for index in range(num)]) for one in (q, k))
            inner = softmax(ql @ kl.T)
            inverse = inner.T / (np.abs(inner).sum(axis=1).max() * np.abs(inner).sum(axis=0).max())
            one = np.eye(num)
            for _ in range(6):
                az = inner @ inverse
                inverse = 0.25 * inverse @ (13 * one - az @ (15 * one - az @ (7 * one - az)))
            attention = softmax(q @ kl.T) @ inverse @ softmax(ql @ k.T)
        rows.append(attention[0])
        padded = np.pad(v, ((16, 16), (0, 0)))
        kernel = w[f"{name}convolution"][head, 0, :, 0]
        mixed[:, own] = attention @ v + np.stack([kernel @ padded[place : place + 33] for place in range(length)])
    return x + mixed @ w[f"{name}out.weight"].T + w[f"{name}out.bias"], np.mean(rows, axis=0)


def test_landmarks_come_near_to_exact_attention() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 8, 60, 4, generator=generator, dtype=torch.float64) for _ in range(3))
    q = q / 4.0
    exact, row = attend(q, k, v, num_landmarks=60)
    np.testing.assert_allclose(row.sum(dim=1), 1.0)
    errors = [(attend(q, k, v, num_landmarks=num)[0] - exact).abs().mean().item() for num in (10, 30, 59)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.05 * exact.abs().mean().item()
    matrix = (torch.randn(1, 1, 5, 5, generator=generator, dtype=torch.float64) + 4 * torch.eye(5)).softmax(dim=3)
    np.testing.assert_allclose((pseudo_inverse(matrix) @ matrix)[0, 0], np.eye(5), atol=1e-6)


def test_what_has_no_effect_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"head\.instance_weight has no effect with `aggregate: attention`"):
        HeadConfig(aggregate="attention", instance_weight=0.5)
    with pytest.raises(ValidationError, match=r"head\.aggregate=dsmil has linear scores of its own; drop head\.kind"):
        HeadConfig(aggregate="dsmil", kind="mlp")
    with pytest.raises(ValidationError, match=r"head\.embedding_size has no effect .*; set head\.aggregate=clam_sb"):
        HeadConfig(embedding_size=64)
