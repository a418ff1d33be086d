"""HDF5 files in which the library never comes to an end: each is named, and the others are read."""

import os
import shutil
from pathlib import Path

import pytest

from tests.interchange.written import grid, vectors, write_stamp
from tilewise.api import import_features
from tilewise.cohort import LabelTables
from tilewise.errors import SlideError
from tilewise.pipeline.imported_features import ImportedFeatures

# Five damaged bytes among the attributes, found by fuzzing: HDF5 1.14 reads them for ever.
ENDLESS = Path(__file__).parent / "files/endless.h5"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    # Enough for a busy machine to import h5py.
    monkeypatch.setenv("TILEWISE_SLIDE_TIMEOUT", "4")
    for name in ("a", "c"):
        write_stamp(tmp_path / f"stamp/{name}.h5", vectors(3), grid(3))
    return tmp_path / "stamp"


def test_files_that_hang_in_the_library_are_named_and_the_others_imported(folder, tmp_path):
    shutil.copyfile(ENDLESS, folder / "b.h5")
    os.mkfifo(folder / "d.h5")  # hangs where it is opened, before its format is known
    result = import_features(folder, tmp_path / "out")
    assert list(result.files) == ["a", "c"]
    assert [(one.item, one.stage, one.error) for one in result.failures] == [
        ("b", "features", "SlideTimeout"),
        ("d", "features", "SlideTimeout"),
    ]
    assert "b: stopped after 4 s" in result.failures[0].message


def test_a_cohort_is_read_but_for_the_file_that_hangs(folder, tmp_path):
    shutil.copyfile(ENDLESS, folder / "b.h5")
    (tmp_path / "labels.csv").write_text("slide,label\na,A\nb,B\nc,B\n")
    features = ImportedFeatures.read(folder, LabelTables(tmp_path / "labels.csv"), purpose="train")
    assert list(features.bags) == ["a", "c"]
    ((item, stage, error),) = [(one.item, one.stage, one.error) for one in features.failures]
    assert (item, stage, error) == ("b", "audit", "SlideTimeout")


def test_a_file_that_does_not_tell_its_format_is_one_failure_among_others(folder, tmp_path):
    (folder / "b.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + b"?" * 40)
    result = import_features(folder, tmp_path / "out")
    assert list(result.files) == ["a", "c"]
    assert [(one.item, one.error) for one in result.failures] == [("b", "SlideUnreadable")]
    for name in ("a", "c"):
        (folder / f"{name}.h5").unlink()
    with pytest.raises(SlideError, match=r"b\.h5: cannot be read as HDF5"):
        import_features(folder, tmp_path / "none")
