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
    (run / "a.txt").write_text("again")
    (run / "c.txt").write_text("new")
    Manifest.relist(run, [run / "a.txt", run / "c.txt"])
    assert verify(run) == []
    assert Manifest.read(run).inputs == {"seed": 0}
    assert list(Manifest.read(run).files) == ["a.txt", "c.txt", "sub/b.txt"]
