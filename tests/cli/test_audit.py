"""`tilewise audit` says how it read a folder, and has succeeded whatever it finds."""

import json
import shutil

import pandas as pd
import pytest

import tilewise as tw
from tests.drawn import draw_slide
from tilewise.cli.main import run
from tilewise.errors import CohortError


@pytest.fixture
def cohort(tmp_path):
    """Four slides without masks, two of a class."""
    folder = tmp_path / "cohort"
    for number in range(4):
        draw_slide(folder / f"img_{number}.png", number, klass=number % 2)
    write_labels(folder, "sample_index,label")
    return folder


def write_labels(folder, head, names=range(4)):
    rows = [f"img_{number}.png,{'AB'[number % 2]}" for number in names]
    (folder / "labels.csv").write_text("\n".join([head, *rows, ""]))


def audit(capfd, folder, *options):
    capfd.readouterr()
    code = run(["audit", str(folder), "--out", str(folder.parent / "audit"), "--workers", "1", *map(str, options)])
    return code, *capfd.readouterr()


def test_a_folder_of_copies_alone_is_reported_with_all_pairs(cohort, tmp_path, capfd):
    copies = tmp_path / "copies"
    copies.mkdir()
    for number in range(4):
        shutil.copy(cohort / f"img_{number}.png", copies / f"new_{number}.png")
    code, text, _ = audit(capfd, copies, "--against", cohort)
    assert code == 0
    assert "0 slides kept, 0 of them repaired, 4 dropped" in text
    assert "No slide is left to train on" in text
    assert "No two of the slides that were kept" not in text
    page = (tmp_path / "audit/report.html").read_text("utf-8")
    assert all(f"new_{number}.png" in page and f"img_{number}.png" in page for number in range(4))
    findings = pd.read_parquet(tmp_path / "audit/findings.parquet")
    pairs = findings[findings["kind"] == "in-both"]
    assert sorted(pairs["slide"]) == [f"new_{number}.png" for number in range(4)]
    assert pd.read_parquet(tmp_path / "audit/slides.parquet").empty
    code, payload, _ = audit(capfd, copies, "--against", cohort, "--json")
    assert set(json.loads(payload)["decisions"].values()) == {"drop"}


def test_an_audit_that_left_no_slide_cannot_be_trained_on(cohort, tmp_path):
    table = tmp_path / "decisions.csv"
    rows = [f"img_{number}.png,other,drop,no use,a person" for number in range(4)]
    table.write_text("\n".join(["slide,finding,decision,reason,author", *rows, ""]))
    audited = tw.audit(cohort, decisions=table, workers=1)
    assert not audited.slides
    with pytest.raises(CohortError, match="no slide is left after the audit"):
        tw.train(audited, "texture", out=tmp_path / "run", workers=1)


def test_slides_none_of_which_can_be_read_are_refused(tmp_path, capfd):
    folder = tmp_path / "cohort"
    folder.mkdir()
    (folder / "img_0.png").write_bytes(b"broken")
    assert audit(capfd, folder)[0] == 2


def test_how_the_folder_was_read_is_printed(cohort, capfd):
    code, _, err = audit(capfd, cohort)
    assert code == 0
    assert "cohort: labels from labels.csv" in err
    assert "cohort: 4 slides, 2 classes: A 2, B 2" in err
    assert "warning" not in err
    assert "labels from" not in audit(capfd, cohort, "--quiet")[2]


def test_a_misspelt_column_of_labels_is_warned_of(cohort, capfd):
    write_labels(cohort, "sample_index,lable")
    code, _, err = audit(capfd, cohort, "--quiet")
    assert code == 0
    assert "warning: cohort: cannot be trained on as it is" in err
    assert "Rename `lable` to `label`" in err
    code, _, err = audit(capfd, cohort)
    assert err.count("Rename `lable` to `label`") == 1
    assert "4 slides, no labels" in err


def test_rows_without_a_slide_are_warned_of(cohort, capfd):
    write_labels(cohort, "sample_index,label", range(6))
    code, _, err = audit(capfd, cohort, "--quiet")
    assert code == 0
    assert "warning: cohort: cannot be trained on as it is" in err
    assert "img_4.png" in err
