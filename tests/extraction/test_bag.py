import json

import numpy as np
import pytest
from safetensors import safe_open

from tilewise.errors import ArtifactError
from tilewise.extraction.bag import FeatureBag, placements


@pytest.fixture
def bag():
    generator = np.random.default_rng(0)
    return FeatureBag("a.png", generator.random((6, 40), np.float32), generator.integers(0, 99, (6, 4)))


def test_what_was_written_is_read(bag, tmp_path):
    bag.write(tmp_path / "a.safetensors", key="k")
    back = FeatureBag.read(tmp_path / "a.safetensors", "a.png", key="k")
    assert back.features_ND.dtype == np.float32
    np.testing.assert_array_equal(back.features_ND, bag.features_ND)
    np.testing.assert_array_equal(back.boxes, bag.boxes)


def test_the_bag_of_something_else_is_refused_by_the_slides_name(bag, tmp_path):
    bag.write(tmp_path / "a.safetensors", key="k")
    with pytest.raises(ArtifactError, match=r"a\.png"):
        FeatureBag.read(tmp_path / "a.safetensors", "a.png", key="other")


@pytest.mark.parametrize("content", [b"", b"no tensors", b"\x89HDF\r\n\x1a\n" + b"\0" * 900])
def test_what_is_no_bag_is_damaged(content, tmp_path):
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(ArtifactError, match="damaged"):
        FeatureBag.read(tmp_path / "a.safetensors", "a.png", key="k")


def test_a_bag_that_is_read_is_the_one_that_was_written_wherever_it_broke_off(bag, tmp_path):
    path = tmp_path / "a.safetensors"
    bag.write(path, key="k")
    whole = path.read_bytes()
    refused = 0
    for length in range(0, len(whole), 211):
        path.write_bytes(whole[:length])
        with pytest.raises(ArtifactError):
            FeatureBag.read(path, "a.png", key="k")
        refused += 1
    assert refused > 5


def test_a_flipped_byte_or_a_tail_of_zeros_is_noticed_wherever_it_is(bag, tmp_path):
    path = tmp_path / "a.safetensors"
    bag.write(path, key="k")
    whole = path.read_bytes()
    damaged = [whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :] for place in range(0, len(whole), 7)]
    damaged += [whole[:place] + bytes(len(whole) - place) for place in range(0, len(whole) - 64, 29)]
    for data in damaged:
        path.write_bytes(data)
        with pytest.raises(ArtifactError, match=r"a\.safetensors is damaged"):
            FeatureBag.read(path, "a.png", key="k")


def test_other_programs_read_a_bag(bag, tmp_path):
    bag.write(tmp_path / "a.safetensors", key="k")
    with safe_open(tmp_path / "a.safetensors", "numpy") as file:
        np.testing.assert_array_equal(file.get_tensor("features"), bag.features_ND)
        assert json.loads(file.metadata()["tilewise"])["slide"] == "a.png"


def test_vectors_that_are_a_view_of_others_are_written_as_they_are(bag, tmp_path):
    turned = FeatureBag("a.png", bag.features_ND[::-1, ::2], bag.boxes[::-1])
    turned.write(tmp_path / "a.safetensors", key="k")
    back = FeatureBag.read(tmp_path / "a.safetensors", "a.png", key="k")
    np.testing.assert_array_equal(back.features_ND, turned.features_ND)
    np.testing.assert_array_equal(back.boxes, turned.boxes)


def test_placements_are_mask_ratio_and_place_from_minus_one_to_one() -> None:
    boxes = np.array([[0, 10, 4, 4], [20, 10, 4, 4], [10, 10, 4, 4]], dtype=np.int64)
    bag = FeatureBag("a", np.zeros((3, 2), np.float32), boxes, mask_ratios=np.array([1.0, 0.0, 0.25]))
    placements_NP = bag.placements_NP
    assert placements_NP is not None
    assert placements_NP.tolist() == [[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [-0.5, 0.0, 0.0]]
    assert placements([bag, bag]).shape == (6, 3)
    plain = FeatureBag("b", np.zeros((3, 2), np.float32), boxes)
    assert plain.placements_NP is None
    assert placements([bag, plain]) is None
