"""No command writes over files of a cohort or a run, or over anything that is not its own earlier result."""

import os

import pytest

from tilewise.cli.main import run
from tilewise.cohort import Cohort
from tilewise.cohort.inputs import inputs_of
from tilewise.errors import UsageError
from tilewise.run_folder import RunFolder
from tilewise.store import check_out_file

FILES = ("tiles --out", "tiles --preview", "similar --to a.png --out")
FOLDERS = (
    "audit --out",
    "train --out",
    "sweep --grid heads --out",
    "segment --method tissue --out",
)
RUN = '{"schema": "tilewise.run", "schema_version": 1}\n'


@pytest.fixture
def root(tmp_path):
    """A cohort of files without pixels, a run's folder, and a person's notes; whatever is refused opens no slide."""
    for name in (
        "c/images/a.png",
        "c/images/b.png",
        "c/masks/a.png",
        "c/notes.txt",
        "folders/x/a.png",
        "folders/y/b.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"mine")
    (tmp_path / "c/labels.csv").write_text("slide,label\na.png,x\nb.png,y\n")
    (tmp_path / "link.csv").symlink_to(tmp_path / "c/labels.csv")
    (tmp_path / "images").symlink_to(tmp_path / "c/images")
    (tmp_path / "r").mkdir()
    (tmp_path / "r/run.json").write_text(RUN)
    return tmp_path


@pytest.fixture
def refused(root, capsys):
    """Call a command with a result at a place; the message, once nothing is found to be changed."""

    def call(command, place, cohort="c"):
        before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
        verb, *options = command.split()
        assert run([verb, str(root / cohort), *options, str(root / place), "--quiet"]) == 2
        assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
        return capsys.readouterr().err

    return call


@pytest.mark.parametrize("command", FILES)
@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("c/labels.csv", "is a file of the cohort"),
        ("link.csv", "is a file of the cohort"),
        ("c/LABELS.csv", "is a file of the cohort"),
        ("images/a.png", "is a file of the cohort"),
        ("c/masks/a.png", "is a file of the cohort"),
        ("c/images/new.tif", "would be taken for a part of a cohort"),
        ("c/cohort.csv", "would be taken for a part of a cohort"),
        ("c/images", "is a folder"),
        ("c/notes.txt", "is no earlier"),
        ("r/run.json", "belongs to the run"),
        ("r/audit/new.html", "belongs to the run"),
        ("r/Report.html", "belongs to the run"),
    ],
)
def test_a_file_that_is_somebody_elses_is_refused(command, place, message, refused):
    assert message in refused(command, place)


@pytest.mark.parametrize("command", FOLDERS)
@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("c", "which is read here"),
        ("images", "which is read here"),
        ("c/masks", "which is read here"),
        (".", "which is read here"),
        ("c/notes.txt", "is a file; name a folder"),
        ("r/model", "belongs to the run"),
        ("r/AUDIT", "belongs to the run"),
    ],
)
def test_a_folder_that_is_somebody_elses_is_refused(command, place, message, refused):
    assert message in refused(command, place)


@pytest.mark.parametrize("command", FOLDERS)
def test_a_folder_beside_class_folders_would_be_a_class(command, refused):
    assert "are classes; choose a folder elsewhere" in refused(command, "folders/new", cohort="folders")


@pytest.mark.parametrize("command", ["train --out", "sweep --grid heads --out"])
def test_no_run_lies_in_another(command, refused):
    assert "is a run itself" in refused(command, "r/second")


def test_an_audit_does_not_go_into_a_folder_of_other_things(root, refused):
    (root / "work").mkdir()
    (root / "work/report.html").write_text("my own report")
    assert "holds other files (report.html)" in refused("audit --out", "work")


def test_two_commands_do_not_write_into_one_folder_at_once(root, refused):
    with RunFolder(root / "o").locked():
        assert f"another tilewise (process {os.getpid()} on" in refused("audit --out", "o")


def test_a_submission_beside_the_test_slides_is_not_taken_for_the_cohorts_table(root):
    (root / "c/test_data").mkdir()
    (root / "c/images/a.png").rename(root / "c/test_data/a.png")
    inputs = inputs_of(Cohort.discover(root / "c/test_data", purpose="predict"))
    for name in ("cohort.csv", "train_labels.csv", "classes.txt"):
        with pytest.raises(UsageError, match="would be taken for a part of a cohort"):
            check_out_file(root / "c" / name, is_own=lambda _: True, contents="submission", inputs=inputs)
    check_out_file(root / "c/submission.csv", is_own=lambda _: False, contents="submission", inputs=inputs)
    check_out_file(root / "r/labels.csv", is_own=lambda _: False, contents="submission", inputs=inputs)
    with pytest.raises(UsageError, match="would be taken for a part of a cohort"):  # of another cohort
        check_out_file(root / "folders/x/labels.csv", is_own=lambda _: True, contents="submission", inputs=inputs)


def test_a_schema_replaces_its_own_kind_alone(root, capsys):
    path = root / "schema.json"
    for _ in range(2):
        assert run(["recipes", "schema", "--out", str(path)]) == 0
    path.write_text("{}")
    assert run(["recipes", "schema", "--out", str(path)]) == 2
    assert "no earlier schema" in capsys.readouterr().err
    assert path.read_text() == "{}"


def test_labels_of_a_synthetic_cohort_that_somebody_edited_stay(tmp_path, capsys):
    command = ["synth", str(tmp_path / "s"), "--slides", "4", "--test-slides", "0", "--min-side", "256", "--quiet"]
    assert run([*command, "--workers", "1"]) == 0
    table = tmp_path / "s/train_labels.csv"
    table.write_text(table.read_text() + "more.png,x\n")
    edited = table.read_bytes()
    assert run([*command, "--workers", "1"]) == 2
    assert "train_labels.csv was edited since" in capsys.readouterr().err
    assert table.read_bytes() == edited
