import numpy as np
import pytest
from skimage.feature import structure_tensor as scikit_tensor

from tilewise.encoders.texture.orientation import NAMES, coherences, orientation, structure_tensor
from tilewise.encoders.texture.planes import separate


def described(tile):
    return dict(zip(NAMES, orientation([separate(tile)])[0], strict=True))


def stripes(angle, size=224):
    y, x = np.mgrid[:size, :size]
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * (2 * np.pi / 16))
    return np.rint(150 + 60 * wave).astype(np.uint8)[..., None].repeat(3, axis=2)


@pytest.mark.parametrize("angle", np.linspace(0, np.pi, 7))
def test_stripes_run_one_way_whatever_the_angle(angle):
    features = described(stripes(angle))
    assert features["orientation.grey.scale_2.coherence"] > 0.9
    assert features["orientation.grey.scale_2.overall"] > 0.9
    assert features["orientation.grey.scale_2.coherence_spread"] < 0.1


def test_noise_runs_no_way():
    noise = np.random.default_rng(0).integers(0, 256, (224, 224, 1), dtype=np.uint8).repeat(3, axis=2)
    features = described(noise)
    assert features["orientation.grey.scale_2.overall"] < 0.1
    assert features["orientation.grey.scale_2.coherence"] < 0.35


def test_crossed_halves_are_coherent_locally_and_not_overall():
    tile = stripes(0)
    tile[:, 112:] = stripes(np.pi / 2)[:, 112:]
    features = described(tile)
    assert features["orientation.grey.scale_2.coherence"] > 0.85
    assert features["orientation.grey.scale_2.overall"] < 0.15


def test_the_tensor_is_scikit_images(random_tiles):
    plane = random_tiles[0, ..., 0].copy()
    xx, yy, xy = structure_tensor(plane)
    # A tiny sigma leaves skimage's products as they are.
    rr, rc, cc = scikit_tensor(plane.astype(float), sigma=0.01, mode="mirror")
    for ours, theirs in ((xx, cc), (yy, rr), (xy, rc)):
        assert ours == pytest.approx(theirs.reshape(8, 8, 8, 8).mean(axis=(1, 3)).ravel(), rel=1e-4, abs=1e-2)


def test_a_flat_plane_has_no_direction():
    assert np.array_equal(coherences(structure_tensor(np.full((16, 16), 50, np.uint8))[None]), np.zeros((1, 3)))


def test_quarter_turns_change_next_to_nothing(random_tiles):
    tile = random_tiles[4]
    assert np.allclose(orientation([separate(tile)]), orientation([separate(np.rot90(tile))]), rtol=0, atol=1e-6)
