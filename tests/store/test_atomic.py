import stat

import pytest

from tilewise.store import atomic_path, write_bytes, write_text


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail():
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["a.txt"]


def test_the_file_has_the_permissions_other_files_get(tmp_path):
    write_bytes(tmp_path / "written", b"x")
    (tmp_path / "ordinary").write_bytes(b"x")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("written", "ordinary")}
    assert len(modes) == 1


def test_folders_are_made_and_the_suffix_is_kept_for_writers_that_go_by_it(tmp_path):
    with atomic_path(tmp_path / "deep" / "table.parquet") as temporary:
        assert temporary.suffix == ".parquet"
        assert temporary.parent == tmp_path / "deep"
        temporary.write_bytes(b"x")
    assert (tmp_path / "deep" / "table.parquet").read_bytes() == b"x"
