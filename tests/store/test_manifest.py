from pathlib import Path

import pytest

from tilewise.errors import ArtifactError
from tilewise.store import Damage, Manifest, digest_config, digest_file, verify


@pytest.fixture
def run(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "sub" / "b.txt").write_text("b")
    Manifest.of(tmp_path, [tmp_path / "a.txt", tmp_path / "sub" / "b.txt"], {"seed": 0}).write(tmp_path)
    return tmp_path


def test_an_untouched_run_is_sound(run):
    assert verify(run) == []
    assert Manifest.read(run).inputs == {"seed": 0}


def test_every_kind_of_damage_is_named(run):
    (run / "a.txt").write_text("A")
    (run / "sub" / "b.txt").unlink()
    (run / "c.txt").write_text("c")
    (run / ".lock").write_text("")
    assert sorted(verify(run), key=lambda item: item.path) == [
        Damage("a.txt", "changed"),
        Damage("c.txt", "unlisted"),
        Damage("sub/b.txt", "missing"),
    ]


def test_a_folder_without_a_manifest_never_finished(tmp_path):
    with pytest.raises(ArtifactError, match="missing"):
        verify(tmp_path)


def test_digests_do_not_depend_on_key_order_and_do_on_every_value(tmp_path):
    assert digest_config({"a": 1, "b": 2}) == digest_config({"b": 2, "a": 1})
    assert digest_config({"a": 1}) != digest_config({"a": "1"})
    (tmp_path / "x").write_bytes(b"x" * 3_000_000)
    (tmp_path / "y").write_bytes(b"x" * 2_999_999 + b"y")
    assert digest_file(tmp_path / "x") != digest_file(tmp_path / "y")


def test_files_that_are_written_again_or_new_are_taken_in(run):
    for name in ("c.txt", "a.txt"):
        Manifest.rewrite(run, run / name, b"new")
        assert (run / name).read_text() == "new"
    assert verify(run) == []
    assert Manifest.read(run).inputs == {"seed": 0}
    assert list(Manifest.read(run).files) == ["a.txt", "c.txt", "sub/b.txt"]


@pytest.mark.parametrize("name", ["a.txt", "c.txt"])
def test_a_run_is_whole_wherever_the_rewriting_of_a_file_stops(run, name, monkeypatch):
    written, last = [], 0
    original = Path.replace

    def replace(self, target):
        if len(written) == last:
            raise KeyboardInterrupt
        written.append(target)
        return original(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    for last in range(3):
        written.clear()
        with pytest.raises(KeyboardInterrupt):
            Manifest.rewrite(run, run / name, f"new {last}".encode())
        assert verify(run) == []
    last = None
    Manifest.rewrite(run, run / name, b"done")
    assert verify(run) == []
    (run / name).write_text("half")
    assert verify(run) == [Damage(name, "changed")]
