import random

import numpy as np
import pytest

from tilewise.errors import ArtifactError
from tilewise.features.bag import FeatureBag


@pytest.fixture
def bag():
    generator = np.random.default_rng(0)
    return FeatureBag("a.png", generator.random((6, 40), np.float32), generator.integers(0, 99, (6, 4)))


def test_what_was_written_is_read(bag, tmp_path):
    bag.write(tmp_path / "a.h5", key="k")
    back = FeatureBag.read(tmp_path / "a.h5", "a.png", key="k")
    assert back.features_ND.dtype == np.float32
    np.testing.assert_array_equal(back.features_ND, bag.features_ND)
    np.testing.assert_array_equal(back.boxes, bag.boxes)


def test_the_bag_of_something_else_is_refused_by_the_slides_name(bag, tmp_path):
    bag.write(tmp_path / "a.h5", key="k")
    with pytest.raises(ArtifactError, match=r"a\.png"):
        FeatureBag.read(tmp_path / "a.h5", "a.png", key="other")


@pytest.mark.parametrize("content", [b"", b"no HDF5", b"\x89HDF\r\n\x1a\n" + b"\0" * 900])
def test_what_is_no_bag_is_damaged(content, tmp_path):
    (tmp_path / "a.h5").write_bytes(content)
    with pytest.raises(ArtifactError, match="damaged"):
        FeatureBag.read(tmp_path / "a.h5", "a.png", key="k")


def test_a_bag_that_is_read_is_the_one_that_was_written_wherever_it_broke_off(bag, tmp_path):
    path = tmp_path / "a.h5"
    bag.write(path, key="k")
    whole = path.read_bytes()
    refused = 0
    for length in range(0, len(whole), 211):
        path.write_bytes(whole[:length])
        with pytest.raises(ArtifactError):
            FeatureBag.read(path, "a.png", key="k")
        refused += 1
    assert refused > 5


def test_a_flipped_bit_in_vectors_or_boxes_is_noticed(bag, tmp_path):
    path = tmp_path / "a.h5"
    bag.write(path, key="k")
    whole = path.read_bytes()
    for data in (bag.features_ND.tobytes(), bag.boxes.tobytes()):
        start = whole.index(data)
        for place in random.Random(0).sample(range(len(data)), 5):
            broken = bytearray(whole)
            broken[start + place] ^= 1
            path.write_bytes(broken)
            with pytest.raises(ArtifactError, match="not the bag"):
                FeatureBag.read(path, "a.png", key="k")
