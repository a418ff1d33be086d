import csv
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tilewise.encoders.texture import TEXTURE_DIM, VERSION, feature_names, texture_features, vector
from tilewise.slides import read_image

BLANK = [(0, 0, 0), (255, 255, 255), (128, 128, 128), (200, 120, 180), (255, 0, 0), (0, 0, 255)]


def test_names_are_unique_and_as_many_as_values(random_tiles):
    names = feature_names()
    assert len(set(names)) == len(names) == TEXTURE_DIM
    assert all(re.fullmatch(r"[a-z]+(\.[a-z0-9_]+)+", name) for name in names)
    assert texture_features(random_tiles).shape == (len(random_tiles), TEXTURE_DIM)
    assert VERSION >= 1


def test_every_block_fills_its_own_names(random_tiles):
    planes = [vector.separate(tile) for tile in random_tiles]
    widths = [block(planes).shape[1] for block in vector._BLOCKS]
    modules = [vector.colour, vector.lbp, vector.cooccurrence, vector.multiscale, vector.granulometry,
               vector.orientation, vector.nuclei]  # fmt: skip
    assert widths == [len(module.NAMES) for module in modules]


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(20)), st.integers(1, 20))
def test_a_row_depends_on_its_tile_alone_to_the_last_bit(order, num):
    rng = np.random.default_rng(3)
    tiles = rng.integers(0, 256, (20, 40, 40, 3), dtype=np.uint8)
    tiles[::2] //= 3
    tiles[5] = 255
    together = texture_features(tiles)
    chosen = list(order[:num])
    assert texture_features(tiles[chosen]).tobytes() == together[chosen].tobytes()


def test_views_and_threads_of_opencv_change_nothing(random_tiles):
    import cv2

    expected = texture_features(random_tiles)
    turned = np.ascontiguousarray(random_tiles.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3)
    assert np.array_equal(texture_features(turned), expected)
    before = cv2.getNumThreads()
    large = random_tiles.repeat(4, axis=1).repeat(4, axis=2)
    try:
        results = []
        for num_threads in (1, 2, 4):
            cv2.setNumThreads(num_threads)
            results.append(texture_features(large).tobytes())
    finally:
        cv2.setNumThreads(before)
    assert len(set(results)) == 1


@pytest.mark.parametrize("colour", BLANK)
@pytest.mark.parametrize("size", [(32, 32), (33, 57), (224, 224)])
def test_blank_tiles_give_finite_numbers(colour, size):
    tile = np.full((1, *size, 3), colour, np.uint8)
    tile_with_a_dot = tile.copy()
    tile_with_a_dot[0, 5, 7] = 255 - np.array(colour)
    features = texture_features(np.concatenate([tile, tile_with_a_dot]))
    assert np.isfinite(features).all()
    assert np.abs(features).max() < 100


@settings(max_examples=20, deadline=None)
@given(st.integers(32, 90), st.integers(32, 90), st.integers(0, 2**32 - 1))
def test_any_size_gives_finite_numbers_of_moderate_size(height, width, seed):
    rng = np.random.default_rng(seed)
    tiles = (rng.random((2, height, width, 3)) ** rng.uniform(0.1, 5) * 255).astype(np.uint8)
    features = texture_features(tiles)
    assert np.isfinite(features).all()
    assert np.abs(features).max() < 100


def test_no_tiles_give_no_rows():
    assert texture_features(np.empty((0, 64, 64, 3), np.uint8)).shape == (0, TEXTURE_DIM)


def test_quarter_turns_and_mirrors_change_next_to_nothing(nuclei_tile):
    rng = np.random.default_rng(1)
    tile = nuclei_tile(rng.uniform(5, 219, (60, 2)), 6)
    tile = np.clip(tile + rng.normal(0, 4, tile.shape), 0, 255).astype(np.uint8)
    turned = [np.rot90(tile, quarters) for quarters in (1, 2, 3)] + [tile[::-1], tile[:, ::-1]]
    features = texture_features(np.stack([tile, *turned]))
    assert np.abs(features[1:] - features[0]).max() < 1e-4


@pytest.mark.parametrize(
    ("tiles", "says"),
    [
        (np.zeros((2, 64, 64, 3), np.float32), "float32"),
        (np.zeros((64, 64, 3), np.uint8), r"\(64, 64, 3\)"),
        (np.zeros((2, 3, 64, 64), np.uint8), r"\(2, 3, 64, 64\)"),
        (np.zeros((1, 31, 64, 3), np.uint8), "64 x 31"),
    ],
)
def test_other_arrays_are_refused_by_name(tiles, says):
    with pytest.raises(ValueError, match=says):
        texture_features(tiles)


@pytest.mark.real
def test_oral_tiles_are_told_apart(data_dir):
    """A loose bound on every second tile; the benchmark compares with simpler features."""
    text = (data_dir / "oral" / "labels.csv").read_text("utf-8")
    rows = list(csv.DictReader(text.splitlines()))[::2]
    features = texture_features(np.stack([read_image(data_dir / "oral" / row["file"]) for row in rows]))
    labels = np.array([row["label"] == "oscc" for row in rows])
    train = np.array([row["split"] == "train" for row in rows])
    head = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=2000))
    head.fit(features[train], labels[train])
    assert balanced_accuracy_score(labels[~train], head.predict(features[~train])) > 0.58
