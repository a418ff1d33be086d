"""Grad-CAM: by hand, where the class is, of every family and every input."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from tests.models.networks import made
from tests.models.networks.made import FAMILIES, cnn, draw_batch, overfit, small_network
from tilewise.errors import UsageError
from tilewise.explain.grad_cam import GradCam, import_grad_cam
from tilewise.explain.layers import spatial_layer
from tilewise.models.networks import NetworkModel, TileBatch, TileNetwork

CORNERS = [(0, 0), (0, 1), (1, 0), (1, 1)]  # row and column


def with_random_head(network: TileNetwork, seed: int = 0) -> TileNetwork:
    """Heads start at zero, and would say nothing."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.head.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return network.eval()


def model_of(network: TileNetwork) -> NetworkModel:
    return NetworkModel.of(with_random_head(network), ("A", "B"))


def squares(side: int, num: int = 32, seed: int = 0) -> tuple[TileBatch, torch.Tensor, list[tuple[int, int]]]:
    """Grey noise; tiles of class 1 have a bright square in one corner, every corner in turn."""
    rng = np.random.default_rng(seed)
    images = rng.integers(60, 100, (num, 1, 3, side, side)).astype(np.uint8)
    labels = np.arange(num) % 2
    corners = [CORNERS[(index // 2) % 4] for index in range(num)]
    large = side * 2 // 5
    for image, label, (row, column) in zip(images, labels, corners, strict=True):
        if label:
            top, left = row * (side - large), column * (side - large)
            image[:, :, top : top + large, left : left + large] = 230
    return TileBatch(torch.from_numpy(images)), torch.from_numpy(labels), corners


def corner_hits(maps: np.ndarray, labels: torch.Tensor, corners: list[tuple[int, int]]) -> list[bool]:
    """Whether the brightest place of each map of class 1 lies in the corner with the square."""
    height, width = maps.shape[1:]
    hits = []
    for one, label, corner in zip(maps, labels.tolist(), corners, strict=True):
        if label:
            row, column = np.unravel_index(int(one.argmax()), one.shape)
            hits.append((int(2 * row >= height), int(2 * column >= width)) == corner)
    return hits


def test_the_maps_are_those_worked_out_by_hand() -> None:
    """Behind a mean over places and a linear head, a channel's gradient is its weight in the head by the places."""
    network = with_random_head(cnn(seed=3))
    batch = draw_batch(5)
    with torch.no_grad():
        features_BCHW = network.encoder.forward_features(network.pixels.images(batch.images_BSCHW[:, 0])).numpy()
    weights_KC = network.head[-1].weight.detach().numpy()
    height, width = features_BCHW.shape[2:]
    for index in (0, 1):
        expected = np.einsum("c,bchw->bhw", weights_KC[index] / (height * width), features_BCHW)
        maps = GradCam(NetworkModel.of(network, ("A", "B"))).maps(batch, index)
        assert maps.shape == (5, 4, 4)
        np.testing.assert_allclose(maps, np.maximum(expected, 0), rtol=1e-4, atol=1e-7)
        assert maps.max() > 0


@pytest.mark.parametrize(("family", "rate"), [("simple_cnn", 0.002), ("vit", 0.003)])
@pytest.mark.parametrize("pooling", ["encoder", "average"])
def test_what_decides_the_class_is_the_brightest(
    family: str, rate: float, pooling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if family == "vit":  # sixteen places instead of four
        name, _, _, options = made._SMALL["vit"]
        monkeypatch.setitem(made._SMALL, "vit", (name, 56, "", options | {"depth": 2, "init_values": 1.0}))
    hits, ratios = [], []
    # What a single ViT attends to through its class token depends on the last bits of its training.
    for seed in range(5 if (family, pooling) == ("vit", "encoder") else 1):
        build = cnn if family == "simple_cnn" else partial(small_network, family)
        network = build(pooling=pooling, seed=seed)
        batch, labels, corners = squares(network.card.input_px)
        assert overfit(network, batch, labels, 120, rate) < 0.1
        maps = GradCam(NetworkModel.of(network.eval(), ("A", "B"))).maps(batch, 1)
        hits += corner_hits(maps, labels, corners)
        brightest = maps.max(axis=(1, 2))  # one scale for all tiles
        without = max(brightest[labels.numpy() == 0].mean(), 1e-30)  # maps of nothing may be 0 everywhere
        ratios.append(brightest[labels.numpy() == 1].mean() / without)
    assert np.mean(hits) >= 0.85
    assert np.exp(np.mean(np.log(ratios))) > 2


@pytest.mark.parametrize(
    ("family", "pooling"),
    [
        *((family, {}) for family in FAMILIES),
        *((family, {"pooling": "average"}) for family in ("swin", "vit_giant")),
        *((family, {"stages": True}) for family in ("resnet", "efficientnet_lite", "swin", "vit")),
    ],
)
def test_every_family_has_a_layer_that_knows_places(family: str, pooling: dict[str, Any]) -> None:
    network = with_random_head(small_network(family, **pooling))
    layer, reshape = spatial_layer(network)
    heard: list[torch.Tensor] = []
    layer.register_forward_hook(lambda module, inputs, output: heard.append(output))
    batch = draw_batch(3, network.card.input_px)
    logits = network(batch)
    grid = reshape(heard[0])
    assert len(heard) == 1
    assert grid.shape[0] == 3
    assert grid.shape[2] == grid.shape[3]
    (gradient,) = torch.autograd.grad(logits[:, 0].sum(), heard[0])
    assert reshape(gradient).abs().sum() > 0
    maps = GradCam(model_of(small_network(family, **pooling))).maps(batch, 0)
    assert maps.shape == (3, *grid.shape[2:])


def test_tokens_stand_where_they_were_cut() -> None:
    """One token is made large where the tile is bright: it comes out in the same place of the grid."""
    network = small_network("vit")
    layer, reshape = spatial_layer(network)
    body: Any = network.encoder
    height, width = body.patch_embed.grid_size
    first = body.num_prefix_tokens
    for place in range(height * width):
        tokens = torch.zeros(1, first + height * width, 5)
        tokens[:, :first] = 9
        tokens[0, first + place] = 1
        assert (reshape(tokens)[0, 0].flatten().argmax().item(), reshape(tokens).max().item()) == (place, 1)
    assert layer is body.blocks[-2]


@pytest.mark.parametrize(
    "config",
    [
        {"input": "mask_channel", "mask_weights": "mean"},
        {"input": "dual_branch", "mask_encoder": "simple_cnn", "mask_init": "random"},
        {"input": "dual_stream"},
        {"input": "dual_stream", "streams": "separate"},
        {"input": "multi_scale", "num_fields": 3},
    ],
    ids=lambda config: "-".join(map(str, config.values())),
)
def test_of_several_inputs_the_tile_itself_is_explained(config: dict[str, Any]) -> None:
    one = model_of(cnn(**config))
    batch = draw_batch(20, num_fields=config.get("num_fields", 1))  # more than one pass
    grad_cam = GradCam(one)
    maps = grad_cam.maps(batch, 1)
    assert maps.shape == (20, 4, 4)
    assert maps.max() > 0
    alone = np.concatenate([grad_cam.maps(batch.rows(slice(index, index + 1)), 1) for index in range(20)])
    np.testing.assert_allclose(alone, maps, rtol=1e-3, atol=1e-6)  # calls of other sizes round differently
    # Behind a linear head, nothing but the tile's own pixels moves the map: the first field's, and a fourth channel's.
    changed = batch.images_BSCHW.clone()
    changed[:, 1:] = 255 - changed[:, 1:]
    others = TileBatch(changed, 255 - batch.masks_BHW, 255 - batch.wides_BCHW)
    assert np.allclose(grad_cam.maps(others, 1), maps, rtol=1e-5, atol=1e-9) == (config["input"] != "mask_channel")
    changed[:, 0] = 255 - changed[:, 0]
    assert not np.allclose(grad_cam.maps(TileBatch(changed, batch.masks_BHW, batch.wides_BCHW), 1), maps, rtol=0.1)


def test_other_weights_draw_other_maps() -> None:
    """After Adebayo et al., NeurIPS 2018: a map that does not depend on the network explains nothing of it."""
    batch = draw_batch(6)
    one, other = (GradCam(model_of(cnn(seed=seed))).maps(batch, 1).ravel() for seed in (0, 1))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.5


def test_asking_leaves_the_model_as_it_was_and_gives_the_same_again() -> None:
    one, batch = model_of(cnn()), draw_batch(4)
    before = one.predict_tiles(batch).tobytes()
    grad_cam = GradCam(one)
    with torch.inference_mode():
        first = grad_cam.maps(batch, 0)
    assert grad_cam.maps(batch, 0).tobytes() == first.tobytes()
    assert one.predict_tiles(batch).tobytes() == before


@pytest.mark.parametrize(("num_tiles", "sizes"), [(1, [1]), (3, [4]), (18, [16, 2])])
def test_a_call_is_no_larger_than_the_slide_needs(num_tiles: int, sizes: list[int]) -> None:
    grad_cam, batch_sizes = GradCam(model_of(cnn())), []
    grad_cam._network.register_forward_pre_hook(lambda _, inputs: batch_sizes.append(len(inputs[0])))
    assert len(grad_cam.maps(draw_batch(num_tiles), 1)) == num_tiles
    assert batch_sizes == sizes


def test_without_the_library_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_grad_cam", None)
    with pytest.raises(UsageError, match=r"tilewise\[explain\]"):
        import_grad_cam()
