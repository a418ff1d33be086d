import numpy as np
import pytest

from tilewise.encoders.texture.multiscale import NAMES, multiscale
from tilewise.encoders.texture.planes import separate


def described(tile):
    return dict(zip(NAMES, multiscale([separate(tile)])[0], strict=True))


def waves(stain, period):
    """Haematoxylin in waves of this period, in px."""
    phase = np.arange(256) * (2 * np.pi / period)
    return stain(0.4 + 0.2 * np.sin(phase)[:, None] * np.sin(phase)[None, :], 0.1)


def test_the_strongest_band_follows_the_size_of_structure(stain):
    scales = (4, 8, 16)
    for period, strongest in ((14, 4), (28, 8), (60, 16)):
        features = described(waves(stain, period))
        strengths = [features[f"band.hematoxylin.scale_{scale}.strength"] for scale in scales]
        assert scales[int(np.argmax(strengths))] == strongest


def test_strength_is_relative_to_the_contrast_of_the_plane(stain):
    weak, strong = (stain(0.4 + depth * (waves_at := np.sin(np.arange(256) / 3))[:, None] * waves_at, 0.1)
                    for depth in (0.15, 0.3))  # fmt: skip
    for scale in (4, 8):
        name = f"band.hematoxylin.scale_{scale}.strength"
        assert described(weak)[name] == pytest.approx(described(strong)[name], abs=0.1)


def test_skew_tells_dark_spots_from_pale_ones(nuclei_tile, stain):
    centres = [(x, y) for x in range(24, 224, 44) for y in range(24, 224, 44)]
    dark = described(nuclei_tile(centres, 6))
    y, x = np.mgrid[:224, :224]
    pale = np.min([(x - cx) ** 2 + (y - cy) ** 2 for cx, cy in centres], axis=0) <= 36
    tile = stain(np.where(pale, 0.3, 0.9), 0.2)
    tile[:, -24:] = 240  # glass to compare with; without any, the palest tissue is taken for it
    name = "band.hematoxylin.scale_4.skew"
    assert dark[name] > 0.5
    assert described(tile)[name] < -0.5
    assert dark["band.hematoxylin.scale_4.tails"] > described(waves(stain, 14))["band.hematoxylin.scale_4.tails"]


def test_clumping_tells_one_heap_from_an_even_spread(nuclei_tile):
    even = [(x, y) for x in range(16, 224, 32) for y in range(16, 224, 32)]
    heap = [(x, y) for x in range(10, 90, 12) for y in range(10, 90, 12)]
    spread_out, together = (described(nuclei_tile(centres, 4)) for centres in (even, heap))
    name = "clumping.hematoxylin.scale_4.over_64"
    assert together[name] > 2 * spread_out[name]


def test_quarter_turns_change_nothing(random_tiles):
    tile = random_tiles[2]
    assert np.allclose(multiscale([separate(tile)]), multiscale([separate(np.rot90(tile))]), rtol=0, atol=1e-12)
