"""A trained model on disk and at work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from tests.artifacts import rewrite_json
from tilewise.errors import ArtifactError
from tilewise.models import FoldModel, HeadConfig, Standardisation
from tilewise.models.heads import build_head
from tilewise.store import digest_file

HEADS = [
    HeadConfig(),
    HeadConfig(kind="mlp", hidden_sizes=(6, 5), norm="batch", dropout=0.3),
]


def model(head: HeadConfig = HEADS[0], num_features: int = 7, num_classes: int = 3) -> FoldModel:
    rng = np.random.default_rng(5)
    generator = torch.Generator().manual_seed(0)
    state = build_head(head, num_features=num_features, num_classes=num_classes, generator=generator).state_dict()
    weights = {
        name: tensor.numpy()
        if not tensor.is_floating_point()
        else rng.uniform(0.1, 1.0, tuple(tensor.shape)).astype(np.float32)
        for name, tensor in state.items()
    }
    standardisation = Standardisation(
        rng.normal(size=num_features).astype(np.float32), rng.uniform(0.5, 2, num_features).astype(np.float32)
    )
    return FoldModel(tuple("ABCDE"[:num_classes]), head, standardisation, weights, origin={"seed": 3})


def features(num_tiles: int, num_features: int = 7) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(num_tiles, num_features)).astype(np.float32)


def test_linear_model_is_softmax_regression() -> None:
    one = model()
    x = (features(50).astype(np.float64) - one.standardisation.mean_D) * one.standardisation.scale_D
    logits = x @ one.weights["0.weight"].T.astype(np.float64) + one.weights["0.bias"]
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    probabilities_NC = one.predict_tiles(features(50))
    assert probabilities_NC.dtype == np.float32
    np.testing.assert_allclose(probabilities_NC, expected, rtol=1e-6)


@pytest.mark.parametrize("head", HEADS, ids=["linear", "mlp"])
def test_round_trip_predicts_the_same_and_writes_the_same(head: HeadConfig, tmp_path: Path) -> None:
    one = model(head)
    one.save(tmp_path / "a")
    back = FoldModel.load(tmp_path / "a")
    assert back.predict_tiles(features(2000)).tobytes() == one.predict_tiles(features(2000)).tobytes()
    assert (back.classes, back.head, back.aggregator, back.origin) == (one.classes, one.head, "mean", {"seed": 3})
    back.save(tmp_path / "b")
    for name in ("model.safetensors", "model.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("head", HEADS, ids=["linear", "mlp"])
def test_a_tile_does_not_depend_on_its_company_or_on_threads(head: HeadConfig) -> None:
    one, x = model(head), features(1500)
    together = one.predict_tiles(x)
    assert one.predict_tiles(x[::-1].copy())[::-1].tobytes() == together.tobytes()
    assert np.concatenate([one.predict_tiles(part) for part in np.split(x, 100)]).tobytes() == together.tobytes()
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert one.predict_tiles(x).tobytes() == together.tobytes()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_slides_get_the_mean_of_their_tiles() -> None:
    one, x = model(), features(6)
    probabilities, num_tiles = one.predict_slides(x, np.array([0, 2, 0, 2, 2, 0]), 3)
    tiles = one.predict_tiles(x).astype(np.float64)
    np.testing.assert_allclose(probabilities[[0, 2]], [tiles[[0, 2, 5]].mean(0), tiles[[1, 3, 4]].mean(0)], rtol=1e-12)
    assert np.isnan(probabilities[1]).all()
    assert num_tiles.tolist() == [3, 0, 3]


def test_features_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"takes features \(N, 7\), got \(4, 8\)"):
        model().predict_tiles(features(4, 8))


def _spoil(folder: Path, how: str) -> None:
    weights, metadata = folder / "model.safetensors", folder / "model.json"
    if how == "no weights":
        weights.unlink()
    elif how == "no description":
        metadata.unlink()
    elif how == "flipped byte":
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.write_bytes(data)
    elif how == "cut off":
        weights.write_bytes(weights.read_bytes()[:40])
        _edit(metadata, weights_digest=digest_file(weights))
    elif how == "other shape":
        tensors = load_file(weights)
        tensors["head.0.weight"] = tensors["head.0.weight"][:, :-1].copy()
        save_file(tensors, weights)
        _edit(metadata, weights_digest=digest_file(weights))
    elif how == "other head":
        _edit(metadata, head={"kind": "mlp"})
    elif how == "other classes":
        _edit(metadata, classes=["A", "B"])
    elif how == "unknown head":
        _edit(metadata, head={"kind": "quantum"})
    elif how == "unknown aggregator":
        _edit(metadata, aggregator="vote")


def _edit(path: Path, **changes: object) -> None:
    rewrite_json(path, changes)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no weights", "model.safetensors is missing"),
        ("no description", "model.json is missing"),
        ("flipped byte", "is not the file that model.json beside it describes"),
        ("cut off", "model.safetensors is damaged"),
        ("other shape", r"0.weight has shape \(3, 6\), model.json asks for \(3, 7\)"),
        ("other head", "0.bias has shape"),
        ("other classes", "0.bias has shape"),
        ("unknown head", "model.json is damaged"),
        ("unknown aggregator", "unknown aggregator 'vote'"),
    ],
)
def test_damaged_files_are_refused(how: str, message: str, tmp_path: Path) -> None:
    model().save(tmp_path)
    _spoil(tmp_path, how)
    with pytest.raises(ArtifactError, match=message):
        FoldModel.load(tmp_path)
