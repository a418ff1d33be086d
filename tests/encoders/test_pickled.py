"""Encoders go to another process as what they are built from."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from tilewise.encoders import EncoderConfig, build_encoder
from tilewise.errors import UsageError

TILES_NHWC = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
CONFIGS: dict[str, dict[str, Any]] = {
    "texture": {"name": "texture", "threads": 1},
    "network": {"name": "resnet18", "init": "random", "engine": "torch", "threads": 1},
    "both": {"name": "resnet18", "init": "random", "engine": "torch", "threads": 1, "with_texture": True},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_it_computes_the_same_bytes(name: str) -> None:
    encoder = build_encoder(EncoderConfig(**CONFIGS[name]), seed=3, offline=True)
    other = pickle.loads(pickle.dumps(encoder))
    assert (other.signature, other.num_threads) == (encoder.signature, 1)
    assert other.encode(TILES_NHWC).tobytes() == encoder.encode(TILES_NHWC).tobytes()


@pytest.mark.parametrize("name", ["texture", "network"])
def test_where_it_would_compute_others_it_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pickled = pickle.dumps(build_encoder(EncoderConfig(**CONFIGS[name]), offline=True))
    module = {"texture": "texture_encoder", "network": "plan"}[name]
    monkeypatch.setattr(f"tilewise.encoders.{module}.instruction_set", lambda: "abacus")
    with pytest.raises(UsageError, match=r"\(instructions is abacus and was .*use machines that are alike"):
        pickle.loads(pickled)
