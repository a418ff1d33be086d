"""A trained network on disk and at work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from tests.artifacts import rewrite_json
from tests.models.networks.made import cnn, draw_batch, small_network, steps
from tilewise.errors import ArtifactError
from tilewise.models import HeadConfig
from tilewise.models.networks import NetworkModel, TileBatch
from tilewise.store import digest_file

CONFIGS: list[dict[str, Any]] = [
    {},
    {"pooling": "average"},
    {"stages": True},
    {"input": "mask_channel"},
    {"input": "dual_branch"},
    {"input": "dual_stream", "streams": "separate"},
    {"input": "multi_scale"},
]
CLASSES = ("A", "B")


def model(family: str = "resnet", **config: Any) -> NetworkModel:
    if config.get("input") == "dual_branch":
        network = cnn(HeadConfig(kind="mlp", norm="batch", dropout=0.2), **config)
    else:
        network = small_network(family, **config)
    steps(network, tiles(6, **config), torch.tensor([0, 1] * 3), 3)
    return NetworkModel.of(network, CLASSES, origin={"seed": 3})


def tiles(num_tiles: int, **config: Any) -> TileBatch:
    return draw_batch(num_tiles, 32, num_fields=2 if config.get("input") == "multi_scale" else 1, seed=1)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_round_trip_predicts_the_same_and_writes_the_same(config: dict[str, Any], tmp_path: Path) -> None:
    one = model(**config)
    one.save(tmp_path / "a")
    back = NetworkModel.load(tmp_path / "a")
    probabilities_NC = one.predict_tiles(tiles(5, **config))
    assert probabilities_NC.dtype == np.float32
    np.testing.assert_allclose(probabilities_NC.sum(axis=1), 1.0, rtol=1e-6)
    assert np.ptp(probabilities_NC[:, 0]) > 0
    assert back.predict_tiles(tiles(5, **config)).tobytes() == probabilities_NC.tobytes()
    assert (back.classes, back.card, back.network, back.origin) == (CLASSES, one.card, one.network, {"seed": 3})
    back.save(tmp_path / "b")
    for name in ("model.safetensors", "model.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("family", ["vit_giant", "swin", "convnext", "simple_cnn"])
def test_other_families_come_back_as_well(family: str, tmp_path: Path) -> None:
    one, batch = model(family), tiles(3)
    one.save(tmp_path)
    assert NetworkModel.load(tmp_path).predict_tiles(batch).tobytes() == one.predict_tiles(batch).tobytes()


def test_a_model_from_before_stages_were_pooled_is_read(tmp_path: Path) -> None:
    one = model("simple_cnn")
    one.save(tmp_path)
    card = json.loads((tmp_path / "model.json").read_text())["encoder"]
    rewrite_json(
        tmp_path / "model.json", {"encoder": {k: v for k, v in card.items() if k not in {"stages", "packaged"}}}
    )
    back = NetworkModel.load(tmp_path)
    assert back.card.pooling == "network"
    assert back.predict_tiles(tiles(3)).tobytes() == one.predict_tiles(tiles(3)).tobytes()


def test_tiles_do_not_depend_on_their_order_on_what_fills_up_their_call_or_on_threads() -> None:
    one, batch = model(), tiles(37)
    together = one.predict_tiles(batch)
    order = torch.cat(
        [torch.randperm(32, generator=torch.Generator().manual_seed(0)), torch.tensor([34, 36, 32, 35, 33])]
    )
    assert one.predict_tiles(batch.rows(order)).tobytes() == together[order.numpy()].tobytes()
    parts = [one.predict_tiles(batch.rows(slice(start, start + 16))) for start in range(0, 37, 16)]
    assert np.concatenate(parts).tobytes() == together.tobytes()
    np.testing.assert_allclose(one.predict_tiles(batch.rows(slice(1))), together[:1], rtol=1e-5)
    torch.set_num_threads(2)
    assert one.predict_tiles(batch).tobytes() == together.tobytes()
    assert torch.get_num_threads() == 2
    assert one.predict_tiles(batch.rows(slice(0))).shape == (0, 2)


@pytest.mark.parametrize(
    ("num_tiles", "sizes"), [(1, [1]), (2, [2]), (3, [4]), (9, [16]), (16, [16]), (20, [16, 4]), (33, [16, 16, 1])]
)
def test_a_call_is_no_larger_than_the_slide_needs(num_tiles: int, sizes: list[int]) -> None:
    one, batch_sizes = model(), []
    one._module.register_forward_pre_hook(lambda _, inputs: batch_sizes.append(len(inputs[0])))
    assert len(one.predict_tiles(tiles(num_tiles))) == num_tiles
    assert batch_sizes == sizes


def test_probabilities_are_those_of_the_network() -> None:
    network = small_network("resnet")
    steps(network, tiles(6), torch.tensor([0, 1] * 3), 3)
    expected = network.eval()(tiles(6)).softmax(dim=1).detach().numpy()
    one = NetworkModel.of(network, CLASSES)
    steps(network.train(), tiles(6), torch.tensor([0, 1] * 3), 3)  # a copy does not follow
    np.testing.assert_allclose(one.predict_tiles(tiles(6)), expected, rtol=1e-4)
    assert torch.equal(one.build()(tiles(6)), one.build()(tiles(6)))


def test_other_weights_may_be_given() -> None:
    network = small_network("resnet")
    zeros = {name: torch.zeros_like(tensor) for name, tensor in network.state_dict().items()}
    assert (NetworkModel.of(network, CLASSES, weights=zeros).predict_tiles(tiles(2)) == 0.5).all()


def _edit(path: Path, **changes: object) -> None:
    rewrite_json(path, changes)


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
    elif how == "other classes":
        _edit(metadata, classes=["A", "B", "C"])
    elif how == "other input":
        _edit(metadata, network={"input": "mask_channel"})
    elif how == "unknown input":
        _edit(metadata, network={"input": "sound"})
    elif how == "unknown architecture":
        _edit(metadata, encoder=json.loads(metadata.read_text())["encoder"] | {"architecture": "resnet19"})
    elif how == "no mask encoder":
        _edit(metadata, network={"input": "dual_branch"}, head={"kind": "mlp", "hidden_sizes": [3]})
    elif how == "unknown aggregator":
        _edit(metadata, aggregator="vote")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no weights", "model.safetensors is missing"),
        ("no description", "model.json is missing"),
        ("flipped byte", "is not the file that model.json beside it describes"),
        ("cut off", "model.safetensors is damaged"),
        ("other shape", r"head.0.weight has shape \(2, \d+\), model.json asks for \(2, \d+\)"),
        ("other classes", "head.0.bias has shape"),
        ("other input", r"encoder.conv1.image.weight has shape None|encoder.conv1"),
        ("unknown input", "model.json is damaged"),
        ("unknown architecture", "model.json is damaged"),
        ("no mask encoder", "has shape"),
        ("unknown aggregator", "unknown aggregator 'vote'"),
    ],
)
def test_damaged_files_are_refused(how: str, message: str, saved: Path, tmp_path: Path) -> None:
    for name in ("model.safetensors", "model.json"):
        (tmp_path / name).write_bytes((saved / name).read_bytes())
    _spoil(tmp_path, how)
    with pytest.raises(ArtifactError, match=message):
        NetworkModel.load(tmp_path)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    model().save(folder)
    return folder
