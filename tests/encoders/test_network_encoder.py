"""Networks as encoders: the same tile gives the same bytes, in every engine the same features."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tilewise.compute import computes_bfloat16
from tilewise.encoders import EncoderConfig, build_encoder

pytest.importorskip("openvino", reason="the [fast] extra is not installed")

ENGINES = ("torch", "openvino")
# One of each kind of network; the smallest that behaves as its kind does.
NETWORKS = (
    "resnet18",
    "resnet50",
    "mobilenet_v3_small",
    "convnext_tiny",
    "lunit_vits16_dino",
    "ctranspath",
)
Features = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def accepted(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A cache folder in which the licences of the networks used here are accepted."""
    from tilewise.encoders import accept_licence, find_card

    folder = str(tmp_path_factory.mktemp("accepted"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILEWISE_CACHE", folder)
        for name in NETWORKS:
            accept_licence(find_card(name))
    return folder


@pytest.fixture
def build(accepted: str, realistic_weights: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TILEWISE_CACHE", accepted)

    def make(name: str, **settings: Any):
        # A small batch, because the last one is padded; one thread, because other tests may run beside this one.
        options: dict[str, Any] = {"threads": 1, "batch_size": 4, **settings}
        return build_encoder(EncoderConfig(name=name, weights=realistic_weights(name), **options), offline=True)

    return make


def assert_same_features(exact: Features, fast: Features) -> None:
    """Rounding must not show where it matters: in what tells tiles apart.

    The mean is subtracted first, because feature vectors of one network all point nearly the same way.
    The nearest tile stays the nearest (of tiles equally near within a tenth, either may be), and all pairs of tiles
    stay in the order of their distances.
    """
    exact = exact.astype(np.float64) - exact.mean(axis=0)
    fast = fast.astype(np.float64) - fast.mean(axis=0)
    cosine = (exact * fast).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(fast, axis=1)
    assert cosine.min() >= 0.99
    distances, others = (np.linalg.norm(rows[:, None] - rows, axis=2) for rows in (exact, fast))
    for square in (distances, others):
        np.fill_diagonal(square, np.inf)
    chosen = distances[np.arange(len(exact)), others.argmin(axis=1)]
    assert (chosen <= 1.1 * distances.min(axis=1)).all()
    upper = np.triu_indices(len(exact), 1)
    ranks = [np.argsort(np.argsort(square[upper])) for square in (distances, others)]
    assert np.corrcoef(ranks)[0, 1] >= 0.999


# The slow ones in `make soak`.
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.soak] * (name in ("convnext_tiny", "ctranspath", "resnet50")))
        for name in NETWORKS
    ],
)
def test_the_default_and_every_engine_agree_with_float32(build, name: str, tiles) -> None:
    exact = build(name, engine="torch", precision="float32").encode(tiles)
    # A test of rounding needs features that differ between tiles.
    assert np.linalg.norm(exact - exact.mean(0)) > 0.1 * np.linalg.norm(exact)
    assert_same_features(exact, build(name).encode(tiles))
    if computes_bfloat16() and name in ("resnet18", "lunit_vits16_dino"):
        assert_same_features(exact, build(name, engine="torch", precision="bfloat16").encode(tiles))


@pytest.mark.parametrize("name", ["resnet18", "lunit_vits16_dino"])
def test_float32_is_float32_in_both_engines(build, name: str, tiles) -> None:
    exact, other = (build(name, engine=engine, precision="float32").encode(tiles[:8]) for engine in ENGINES)
    np.testing.assert_allclose(other, exact, rtol=0, atol=2e-3 * np.abs(exact).max())


@pytest.mark.real
@pytest.mark.parametrize(
    "name", [pytest.param("resnet50", marks=pytest.mark.soak), "mobilenet_v3_small", "lunit_vits16_dino"]
)
def test_the_default_agrees_with_float32_on_real_tiles(build, name: str, real_tiles) -> None:
    exact = build(name, engine="torch", precision="float32").encode(real_tiles)
    assert_same_features(exact, build(name).encode(real_tiles))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["resnet18", "lunit_vits16_dino"])
def test_a_tile_gives_the_same_bytes_wherever_it_stands(build, name: str, engine: str, tiles) -> None:
    encoder = build(name, engine=engine, batch_size=8)
    together = encoder.encode(tiles)
    order = np.random.default_rng(0).permutation(len(tiles))
    assert np.array_equal(encoder.encode(tiles[order]), together[order])
    assert np.array_equal(encoder.encode(tiles[3:4]), together[3:4])
    assert np.array_equal(build(name, engine=engine, batch_size=8).encode(tiles), together)


def test_openvinos_bytes_do_not_depend_on_the_number_of_threads(build, tiles) -> None:
    one, two = (build("resnet18", engine="openvino", threads=threads).encode(tiles) for threads in (1, 2))
    assert np.array_equal(one, two)


@pytest.mark.parametrize("engine", ENGINES)
def test_no_tiles_and_tiles_of_another_size(build, engine: str, tiles) -> None:
    from tilewise.encoders.preprocess import resize_tiles

    encoder = build("resnet18", engine=engine)
    assert encoder.encode(tiles[:0]).shape == (0, 512)
    small = tiles[:3, :150, :100]
    assert np.array_equal(encoder.encode(small), encoder.encode(resize_tiles(small, 224)))
    with pytest.raises(ValueError, match="uint8"):
        encoder.encode(tiles[0])


def test_the_network_sees_what_its_authors_fed_it(build, realistic_weights, tiles) -> None:
    """The engine's features against torch used by hand, with the published normalisation written out."""
    import torch
    from safetensors.torch import load_file

    from tilewise.torchvision_repair import import_timm

    network = import_timm().create_model("resnet18", num_classes=0).eval()
    network.load_state_dict(load_file(realistic_weights("resnet18")))
    images = torch.from_numpy(tiles[:4].astype(np.float32) / 255).permute(0, 3, 1, 2)
    images = (images - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(
        3, 1, 1
    )
    with torch.inference_mode():
        expected = network(images).numpy()
    for engine in ENGINES:
        features = build("resnet18", engine=engine, precision="float32").encode(tiles[:4])
        np.testing.assert_allclose(features, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_signature_holds_everything_that_changes_the_output(build, realistic_weights) -> None:
    from tilewise.store import digest_config, digest_file

    # What is computed in is said, so that the base is the same on every processor.
    options: dict[str, Any] = {"engine": "torch", "precision": "float32"}
    base = build("resnet18", **options).signature
    assert base["weights"] == digest_file(realistic_weights("resnet18"))
    assert base == build("resnet18", **options).signature
    variants = [
        build("resnet18", **options | {"engine": "openvino"}),
        build("resnet18", **options | {"precision": "bfloat16"}),
        build("resnet18", **options, batch_size=3),
        build("resnet18", **options, threads=2),
        *(build_encoder(EncoderConfig(name="resnet18", init="random", **options), seed=seed) for seed in (0, 1)),
    ]
    digests = {digest_config(dict(encoder.signature)) for encoder in variants}
    assert digest_config(dict(base)) not in digests
    assert len(digests) == len(variants)


def test_torchs_thread_setting_is_put_back(build, tiles) -> None:
    import torch

    before = torch.get_num_threads()
    build("resnet18", engine="torch", threads=2 if before == 1 else 1).encode(tiles[:2])
    assert torch.get_num_threads() == before


_NO_NETWORK = """
import socket, sys
def refuse(*args, **kwargs): raise SystemExit("a network attempt")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
import threading
before = set(threading.enumerate())
import numpy as np
from tilewise.encoders import EncoderConfig, build_encoder
encoder = build_encoder(EncoderConfig(name="simple_cnn", init="random", engine="openvino"), seed=0)
assert encoder.encode(np.zeros((3, 50, 50, 3), np.uint8)).shape == (3, 256)
assert sys.modules["openvino_telemetry"] is None
import openvino.tools.ovc.telemetry_utils as used
assert used.tm.__name__.endswith("telemetry_stub"), used.tm
"""


def test_openvino_reports_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "CI": ""}
    result = subprocess.run(
        [sys.executable, "-c", _NO_NETWORK], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert list(tmp_path.iterdir()) == [], "telemetry keeps an identity in the home folder"
