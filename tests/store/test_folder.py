"""Folders that results go to."""

import pytest

from tilewise.errors import UsageError
from tilewise.store import check_out, visible_names


def test_a_new_an_empty_and_an_earlier_folder_are_taken(tmp_path):
    check_out(tmp_path / "new", mark="done.json", contents="masks")
    (tmp_path / ".hidden").touch()
    check_out(tmp_path, mark="done.json", contents="masks")
    for name in ("b.png", "done.json"):
        (tmp_path / name).touch()
    check_out(tmp_path, mark="done.json", contents="masks")
    assert visible_names(tmp_path) == ["b.png", "done.json"]
    assert visible_names(tmp_path / "nowhere") == []


def test_other_files_and_a_file_in_its_place_are_refused(tmp_path):
    (tmp_path / "img_0001.png").touch()
    with pytest.raises(UsageError, match=r"it holds other files \(img_0001\.png\)"):
        check_out(tmp_path, mark="done.json", contents="masks")
    with pytest.raises(UsageError, match=r"is a file; name a folder for the masks"):
        check_out(tmp_path / "img_0001.png", mark="done.json", contents="masks")
