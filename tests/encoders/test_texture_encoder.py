"""The embedded features as an encoder."""

from __future__ import annotations

import numpy as np
import pytest

from tilewise.encoders import EncoderConfig, build_encoder, find_card
from tilewise.encoders.preprocess import resize_tiles
from tilewise.encoders.texture import texture_features
from tilewise.encoders.texture_encoder import TextureEncoder


def test_features_are_those_of_tiles_resized_to_the_cards_size(tiles) -> None:
    encoder = build_encoder(EncoderConfig(threads=1))
    assert np.array_equal(encoder.encode(tiles[:3]), texture_features(tiles[:3]))
    rectangles = np.concatenate([tiles[:2], tiles[2:4]], axis=2)
    assert np.array_equal(encoder.encode(rectangles), texture_features(resize_tiles(rectangles, 224)))
    assert encoder.encode(tiles[:0]).shape == (0, encoder.card.dim)


def test_processes_change_no_byte(tiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tilewise.encoders.texture_encoder._FEW", 4)
    monkeypatch.setattr("tilewise.encoders.texture_encoder._JOB", 3)
    alone, several = (TextureEncoder(find_card("texture"), threads=threads) for threads in (1, 2))
    assert np.array_equal(several.encode(tiles[:8]), alone.encode(tiles[:8]))
    assert several._pool is not None
    assert np.array_equal(several.encode(tiles[8:9]), alone.encode(tiles[8:9]))
    assert several.encode(tiles[:0]).shape == (0, several.card.dim)
    assert several.signature == alone.signature


def test_a_dead_process_is_no_end(tiles, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    from concurrent.futures.process import BrokenProcessPool

    class Broken:
        def map(self, *_: object) -> None:
            raise BrokenProcessPool

    encoder = TextureEncoder(find_card("texture"), threads=2)
    encoder._pool = Broken()  # type: ignore[assignment]
    assert np.array_equal(encoder.encode(tiles[:1]), texture_features(tiles[:1]))
    assert "died" in caplog.text
    assert encoder._pool is None
