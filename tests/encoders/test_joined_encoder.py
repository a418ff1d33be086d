"""Two encoders' features side by side."""

import numpy as np
import pytest

from tilewise.encoders import EncoderConfig, build_encoder
from tilewise.errors import UsageError


def test_features_stand_side_by_side_and_the_signature_holds_both():
    tiles = np.random.default_rng(0).integers(0, 255, (5, 64, 64, 3), dtype=np.uint8)
    network = EncoderConfig(name="simple_cnn", init="random")
    alone, texture = build_encoder(network), build_encoder(EncoderConfig(name="texture"))
    both = build_encoder(network.model_copy(update={"with_texture": True}))
    features_ND = both.encode(tiles)
    assert features_ND.shape == (5, both.card.dim) == (5, alone.card.dim + texture.card.dim)
    np.testing.assert_array_equal(features_ND, np.hstack([alone.encode(tiles), texture.encode(tiles)]))
    assert features_ND.dtype == np.float32
    assert both.signature == {**alone.signature, "texture": texture.signature}
    assert both.encode(tiles[:0]).shape == (0, both.card.dim)


def test_texture_beside_itself_is_refused():
    with pytest.raises(UsageError, match="with_texture"):
        build_encoder(EncoderConfig(name="texture", with_texture=True))
