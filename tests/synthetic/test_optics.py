import numpy as np

from tilewise.synthetic.optics import draw_appearance, draw_glass, scan, shine_through
from tilewise.units import Size


def test_dyes_darken_as_beer_and_lambert_say() -> None:
    rng = np.random.default_rng(0)
    look = draw_appearance(rng)
    haematoxylin, eosin = rng.random((2, 20, 30), dtype=np.float32)
    haematoxylin[:5] = eosin[:5] = 0.0
    glass = np.full((20, 30, 3), 230.0, np.float32)
    expected = glass * 10 ** -(haematoxylin[:, :, None] * look.haematoxylin + eosin[:, :, None] * look.eosin)
    shine_through(glass, haematoxylin, eosin, look)
    np.testing.assert_allclose(glass, expected, rtol=1e-4)
    assert (glass[:5] == 230.0).all()


def test_glass_is_grey_white_and_nearly_even() -> None:
    for seed in range(8):
        rng = np.random.default_rng(seed)
        glass = draw_glass(rng, Size(400, 300), draw_appearance(rng))
        assert glass.shape == (300, 400, 3)
        middle = np.median(glass, axis=(0, 1))
        assert (middle > 210).all()
        assert (middle < 250).all()
        assert np.ptp(middle) < 12
        assert np.percentile(glass, 99) - np.percentile(glass, 3) < 25


def test_scan_keeps_the_picture_and_its_channels() -> None:
    rng = np.random.default_rng(0)
    picture = np.empty((300, 310, 3), np.float32)
    picture[:] = (200.0, 120.0, 170.0)
    scanned = scan(rng, picture, draw_appearance(rng))
    assert scanned.dtype == np.uint8
    assert scanned.shape == picture.shape
    np.testing.assert_allclose(scanned.mean(axis=(0, 1)), (200, 120, 170), atol=2.0)


def test_stains_differ_mildly_between_slides() -> None:
    appearances = [draw_appearance(np.random.default_rng(seed)) for seed in range(40)]
    strengths = np.array([np.linalg.norm(look.eosin) for look in appearances])
    assert 1.2 < strengths.max() / strengths.min() < 1.6
    directions = np.array([look.haematoxylin / np.linalg.norm(look.haematoxylin) for look in appearances])
    assert (directions @ directions.mean(axis=0) / np.linalg.norm(directions.mean(axis=0))).min() > 0.99
