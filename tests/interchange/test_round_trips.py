"""Theirs, ours, theirs: every data set, type and attribute comes out as it was."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.interchange.written import COORDS, content, grid, vectors, write_clam, write_stamp, write_trident
from tilewise.api import export_features, import_features
from tilewise.errors import ArtifactError, SlideError, UsageError
from tilewise.interchange.folder import FeatureFolder
from tilewise.interchange.slide_features import SlideFeatures


def there_and_back(folder, tmp_path, format_):
    result = import_features(folder, tmp_path / "ours")
    assert (result.source, result.format, result.failures) == (format_, "tilewise", ())
    result = export_features(tmp_path / "ours", tmp_path / "theirs", format_)
    assert result.failures == ()
    return tmp_path / "theirs"


@pytest.mark.parametrize(
    ("features", "coords", "more"),
    [
        (vectors(9), grid(9), {}),
        (vectors(9, dtype=np.float16), grid(9), {"target_magnification": 12.5, "patch_size_level0": 409.6}),
        (np.empty((0, 8), np.float32), np.empty((0, 2), np.int64), {}),
        (np.empty(0, np.float32), np.empty((0, 2), np.int64), {"level0_width": None, "level0_height": None}),
        (vectors(1, seed=3), grid(1), {"downsample": (4.0, 4.0), "patch_level": 1}),
    ],
    ids=["float32", "float16 and floats", "empty", "empty, no D", "CLAM's attributes"],
)
def test_trident_comes_out_as_it_was(tmp_path, features, coords, more):
    path = write_trident(tmp_path / "job/features_uni_v1/a.h5", features, coords, **more)
    theirs = there_and_back(tmp_path / "job", tmp_path, "trident")
    assert content(theirs / "a.h5") == content(path)


def test_vectors_of_whole_slides_with_squeezed_coordinates_come_out_as_they_were(tmp_path):
    path = write_trident(tmp_path / "slide_features_titan/a.h5", vectors(1)[0], np.array([512, 0]), encoder="")
    slide = FeatureFolder.find(path.parent).read("a")
    assert slide.of_slide
    assert slide.tile_vectors.shape == (1, 8)
    assert content(there_and_back(path.parent, tmp_path, "trident") / "a.h5") == content(path)


@pytest.mark.parametrize("level", [0, 1])
def test_clam_comes_out_as_it_was(tmp_path, level):
    write_clam(tmp_path / "clam", "a", vectors(5), grid(5), level=level)
    slide = FeatureFolder.find(tmp_path / "clam").read("a")
    assert slide.tile_size == 512 * 4**level
    assert slide.size == (None if level else (40000, 30000))
    theirs = there_and_back(tmp_path / "clam", tmp_path, "clam")
    for name in ("h5_files/a.h5", "patches/a.h5"):
        assert content(theirs / name) == content(tmp_path / "clam" / name)
    import torch

    tensors = [torch.load(folder / "pt_files/a.pt", weights_only=True) for folder in (theirs, tmp_path / "clam")]
    assert torch.equal(*tensors)


def test_stamp_comes_out_as_it_was_in_sub_folders_too(tmp_path):
    write_stamp(tmp_path / "uni-0a1b2c3d/site/a.h5", vectors(4), grid(4) * 0.5)
    write_stamp(tmp_path / "uni-0a1b2c3d/b.h5", vectors(3), grid(3) * 0.5)
    theirs = there_and_back(tmp_path / "uni-0a1b2c3d", tmp_path, "stamp")
    for name in ("site/a.h5", "b.h5"):
        assert content(theirs / name) == content(tmp_path / "uni-0a1b2c3d" / name)


def test_torchmil_comes_out_as_it_was(tmp_path):
    for name, array in (("features", vectors(4)), ("coords", grid(4))):
        (tmp_path / "mil" / name).mkdir(parents=True)
        np.save(tmp_path / "mil" / name / "a.npy", array)
    theirs = there_and_back(tmp_path / "mil", tmp_path, "torchmil")
    for name in ("features", "coords"):
        assert (theirs / name / "a.npy").read_bytes() == (tmp_path / "mil" / name / "a.npy").read_bytes()


number = st.one_of(
    st.integers(-(2**62), 2**62).map(np.int64), st.floats(width=64).map(np.float64), st.text(max_size=8),
    arrays.arrays(np.float64, 2), st.booleans().map(np.bool_),
)  # fmt: skip


@given(
    features=arrays.arrays(
        st.sampled_from([np.dtype("<f2"), np.dtype("<f4")]), st.tuples(st.integers(0, 5), st.integers(1, 4))
    ),
    attributes=st.dictionaries(st.text(min_size=1, max_size=5), number, max_size=4),
)
def test_our_file_holds_arrays_and_attributes_bit_by_bit(tmp_path_factory, features, attributes):
    path = tmp_path_factory.mktemp("own") / "a.safetensors"
    coords = grid(len(features))
    SlideFeatures("a", features, coords, "trident", attributes={"coords": attributes}).write(path)
    slide = SlideFeatures.read(path)
    assert (slide.features.dtype, slide.features.tobytes()) == (features.dtype, features.tobytes())
    assert slide.coords.tobytes() == coords.tobytes()
    for name, value in attributes.items():
        own = slide.attributes["coords"][name]
        assert np.asarray(own).dtype == np.asarray(value).dtype
        assert np.asarray(own).tobytes() == np.asarray(value).tobytes()


def test_a_damaged_file_of_ours_is_named(tmp_path):
    path = tmp_path / "a.safetensors"
    SlideFeatures("a", vectors(3), grid(3), "trident").write(path)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(ArtifactError, match="import the features again"):
        SlideFeatures.read(path)


def test_one_format_becomes_another_with_the_precision_that_it_has(tmp_path):
    write_trident(tmp_path / "uni/a.h5", vectors(9), grid(9))
    result = export_features(tmp_path / "uni", tmp_path / "stamp", "stamp", mpp=0.25)
    assert result.failures == ()
    slide = FeatureFolder.find(tmp_path / "stamp").read("a")
    assert (slide.tile_size, slide.tile_px, slide.encoder, slide.mpp) == (128.0, 256, "uni_v1", 0.25)
    assert (slide.coords == grid(9) * 0.25).all()
    assert (slide.features == vectors(9).astype(np.float16)).all()
    assert "tilewise_declared_mpp" in content(tmp_path / "stamp/a.h5")["file"]
    export_features(tmp_path / "stamp", tmp_path / "clam", "clam")
    export_features(tmp_path / "clam", tmp_path / "mil", "torchmil")
    assert (np.load(tmp_path / "mil/coords/a.npy") == grid(9)).all()
    back = export_features(tmp_path / "clam", tmp_path / "again", "trident", encoder="uni_v1")
    assert back.failures == ()
    attributes = FeatureFolder.find(tmp_path / "again").read("a").attributes["coords"]
    assert attributes["patch_size_level0"] == COORDS["patch_size_level0"]
    assert attributes["level0_magnification"] == "None"


@pytest.mark.parametrize(
    ("format_", "declared", "message"),
    [
        ("stamp", {"encoder": "uni"}, "how many microns a pixel is"),
        ("stamp", {"mpp": 0.25}, "give --encoder"),
        ("hs2p", {}, "give --mpp"),
        ("trident", {"tile_size": 256}, "its file says 512"),
    ],
)
def test_a_fact_that_is_missing_or_contradicted_refuses_the_slide(tmp_path, format_, declared, message):
    write_clam(tmp_path / "clam", "a", vectors(5), grid(5))
    (failure,) = export_features(tmp_path / "clam", tmp_path / "out", format_, **declared).failures
    assert message in failure.message
    assert failure.message.startswith("a: ")


def test_values_beyond_float16_are_refused_not_written_as_infinity(tmp_path):
    write_trident(tmp_path / "uni/a.h5", vectors(3) * 1e6, grid(3))
    (failure,) = export_features(tmp_path / "uni", tmp_path / "out", "stamp", mpp=0.25).failures
    assert "beyond float16" in failure.message


def test_another_scale_than_the_slides_own_is_noticed():
    slide = SlideFeatures("a", vectors(3), (grid(3) * 0.25 + 0.0).astype(np.float32), "stamp", unit="um", mpp=0.3)
    with pytest.raises(SlideError, match="no whole level-0 pixels"):
        slide.coords_px()


def test_hs2p_gets_exactly_its_keys_and_the_tiles_by_x_and_then_y(tmp_path):
    write_trident(tmp_path / "uni/a.h5", vectors(9), grid(9))
    result = export_features(tmp_path / "uni", tmp_path / "out", "hs2p", mpp=0.25)
    assert result.failures == ()
    meta = json.loads((tmp_path / "out/a.coordinates.meta.json").read_text())
    assert set(meta) == {"provenance", "slide", "tiling", "segmentation", "filtering", "artifact"}
    assert meta["tiling"]["tile_size_lv0"] == 512
    assert meta["tiling"]["requested_spacing_um"] == 0.5
    assert meta["tiling"]["n_tiles"] == 9
    data = np.load(tmp_path / "out/a.coordinates.npz", allow_pickle=False)
    assert [data[name].dtype.str for name in ("tile_index", "x", "y", "tissue_fractions")] == [
        "<i4",
        "<i8",
        "<i8",
        "<f4",
    ]
    pairs = list(zip(data["x"].tolist(), data["y"].tolist(), strict=True))
    assert pairs == sorted(map(tuple, grid(9).tolist()))


def test_slides_without_tiles_have_no_file_where_the_format_has_none(tmp_path):
    write_trident(tmp_path / "uni/a.h5", np.empty((0, 8), np.float32), np.empty((0, 2), np.int64))
    for format_ in ("clam", "stamp"):
        result = export_features(tmp_path / "uni", tmp_path / format_, format_)
        assert (result.files, result.without_file, result.failures) == ({}, ("a",), ())


def test_pickled_arrays_are_refused_with_the_sentence_that_converts_them(tmp_path):
    import torch

    (tmp_path / "pt").mkdir()
    torch.save(vectors(3), tmp_path / "pt/a.pt")
    (failure,) = import_features(tmp_path / "pt", tmp_path / "out").failures
    assert "could run code" in failure.message
    assert "torch.save(torch.as_tensor(" in failure.message
    np.save(tmp_path / "features.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "mil/features").mkdir(parents=True)
    (tmp_path / "features.npy").rename(tmp_path / "mil/features/a.npy")
    (failure,) = import_features(tmp_path / "mil", tmp_path / "out2").failures
    assert "allow_pickle=False" in failure.message


def test_tensors_alone_are_clams(tmp_path):
    import torch

    (tmp_path / "pt_files").mkdir()
    torch.save(torch.from_numpy(vectors(3)), tmp_path / "pt_files/a.pt")
    slide = FeatureFolder.find(tmp_path).read("a")
    assert (slide.source, slide.coords) == ("clam", None)
    assert (slide.features == vectors(3)).all()


def test_what_cannot_be_known_is_asked(tmp_path):
    with pytest.raises(UsageError, match="no features were found"):
        import_features(tmp_path, tmp_path / "out")
    write_trident(tmp_path / "uni/a.h5", vectors(3), grid(3))
    write_stamp(tmp_path / "stamp/a.h5", vectors(3), grid(3))
    with pytest.raises(UsageError, match="STAMP and TRIDENT lie here"):
        import_features(tmp_path, tmp_path / "out")
    assert import_features(tmp_path, tmp_path / "out", "stamp").source == "stamp"
    with pytest.raises(UsageError, match="new or empty"):
        import_features(tmp_path, tmp_path / "out", "stamp")


def test_a_damaged_h5_file_is_named(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + b"?" * 40)
    with pytest.raises(SlideError, match=re.escape("a.h5: cannot be read as HDF5")):
        import_features(tmp_path, tmp_path / "out")


def test_files_of_earlier_versions_are_read():
    slide = SlideFeatures.read(Path(__file__).parent / "files/version-1.safetensors")
    assert (slide.slide_id, slide.source, slide.unit, slide.encoder) == ("site/a", "trident", "px", "uni_v1")
    assert (slide.tile_size, slide.tile_px, slide.mpp, slide.size) == (512.0, 256, None, (4000, 3000))
    assert slide.features.dtype == np.float16
    assert (slide.features == np.arange(12).reshape(3, 4) / 4).all()
    assert slide.coords.tolist() == [[0, 0], [512, 0], [0, 512]]
    assert slide.attributes["coords"]["target_magnification"] == 20.0
