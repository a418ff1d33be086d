"""Weights on disk: what is read is what was written, or it is refused with the next step."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tilewise.errors import ArtifactError
from tilewise.store import read_tensors, write_tensors

AGAIN = {"described_in": "model.json", "again": "train again"}


@settings(max_examples=40, deadline=None)
@given(
    tensors=st.dictionaries(
        st.text("abc.", min_size=1, max_size=8),
        arrays.arrays(np.float32, arrays.array_shapes(max_dims=3, max_side=4)),
        max_size=4,
    )
)
def test_what_is_written_is_read(tmp_path_factory, tensors):
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    read = read_tensors(path, write_tensors(path, tensors), **AGAIN)
    assert read.keys() == tensors.keys()
    for name, array in tensors.items():
        np.testing.assert_array_equal(read[name], array)


def test_a_file_of_another_training_is_refused(tmp_path):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    digest = write_tensors(first, {"a": np.zeros(3, np.float32)})
    write_tensors(second, {"a": np.ones(3, np.float32)})
    with pytest.raises(
        ArtifactError, match=r"second.* is not the file that model.json beside it describes; train again"
    ):
        read_tensors(second, digest, **AGAIN)


def test_a_missing_file_names_the_next_step(tmp_path):
    with pytest.raises(ArtifactError, match=r"is missing; train again"):
        read_tensors(tmp_path / "none.safetensors", "x", **AGAIN)


def test_a_file_of_something_else_is_damaged(tmp_path):
    from tilewise.store import digest_bytes

    path = tmp_path / "model.safetensors"
    path.write_bytes(b"no weights")
    with pytest.raises(ArtifactError, match="is damaged"):
        read_tensors(path, digest_bytes(b"no weights"), **AGAIN)
