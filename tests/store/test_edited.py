"""Files that a person may edit."""

import os

from tilewise.store import edited_files, forget_written, is_as_written, record_written, write_editable

DAY = 1_700_000_000  # 14 November 2023


def test_a_file_of_ours_is_replaced_and_an_edited_one_is_kept_beside_it(tmp_path, caplog):
    path = tmp_path / "d.csv"
    write_editable(path, "one\n")
    write_editable(path, "two\n")
    assert is_as_written(path)
    assert [entry.name for entry in tmp_path.iterdir() if not entry.name.startswith(".")] == ["d.csv"]
    for text in ("edited\n", "again\n", "again\n"):
        path.write_text(text)
        os.utime(path, (DAY, DAY))
        assert not is_as_written(path)
        write_editable(path, "three\n")
    assert path.read_text() == "three\n"
    former = {entry.name: entry.read_text() for entry in tmp_path.glob("d.2*")}
    assert former == {"d.2023-11-14.csv": "edited\n", "d.2023-11-14-2.csv": "again\n"}
    assert "it is kept as d.2023-11-14.csv" in caplog.text


def test_of_a_file_that_nobody_recorded_the_worst_is_assumed(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("from elsewhere\n")
    (tmp_path / ".written.json").write_text("{damaged")
    write_editable(path, "ours\n")
    assert len(list(tmp_path.glob("d.*.csv"))) == 1
    assert is_as_written(path)


def test_which_files_of_a_folder_were_edited(tmp_path):
    paths = [tmp_path / "a.csv", tmp_path / "sub/b.png"]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    assert edited_files(tmp_path) == []
    record_written(tmp_path, paths)
    paths[1].write_text("y")
    assert edited_files(tmp_path) == [paths[1]]
    paths[1].unlink()
    assert edited_files(tmp_path) == []
    paths[0].write_text("y")
    forget_written(tmp_path)
    assert edited_files(tmp_path) == []


def test_the_same_text_again_writes_nothing(tmp_path):
    write_editable(tmp_path / "d.csv", "one\n")
    before = {path: path.stat().st_ino for path in tmp_path.iterdir()}
    write_editable(tmp_path / "d.csv", "one\n")
    assert {path: path.stat().st_ino for path in tmp_path.iterdir()} == before
    (tmp_path / ".written.json").unlink()
    write_editable(tmp_path / "d.csv", "one\n")
    assert is_as_written(tmp_path / "d.csv")
