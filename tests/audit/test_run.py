import csv

import cv2
import numpy as np
import pytest

from tilewise.audit.config import AuditConfig
from tilewise.audit.run import run
from tilewise.cohort import Cohort
from tilewise.errors import CohortError


@pytest.fixture
def folder(tmp_path):
    """Six small slides: 0 and 1 equal in pixels but not in bytes, 2 broken off, 3 without mask, 4 with an empty one."""
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    generator = np.random.default_rng(0)
    rows = [("sample_index", "label")]
    for number in range(6):
        picture = generator.integers(0, 255, (40, 60, 3), np.uint8)
        if number == 1:
            picture = cv2.imread(str(tmp_path / "images/img_0000.png"))
        level = cv2.IMWRITE_PNG_COMPRESSION, number
        cv2.imwrite(str(tmp_path / f"images/img_000{number}.png"), picture, level)
        mask = np.zeros((40, 60), np.uint8)
        if number != 4:
            mask[5 : 20 + number, 10:40] = 255
        if number != 3:
            cv2.imwrite(str(tmp_path / f"masks/mask_000{number}.png"), mask)
        rows.append((f"img_000{number}.png", "AB"[number % 2]))
    broken = tmp_path / "images/img_0002.png"
    broken.write_bytes(broken.read_bytes()[:200])
    with (tmp_path / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return tmp_path


def decide(path, *rows):
    path.write_text("slide,finding,proposal,decision,value,reason,author,time\n" + "".join(f"{row}\n" for row in rows))
    return path


def test_every_fault_is_found_and_decided(folder, tmp_path):
    out = tmp_path / "audit"
    audited = run(Cohort.discover(folder), AuditConfig(), out=out, workers=1)
    kinds = {(item.slide, item.kind) for item in audited.findings}
    assert kinds == {
        ("img_0000.png", "exact-copy"),
        ("img_0001.png", "exact-copy"),
        ("img_0002.png", "unreadable"),
        ("img_0003.png", "mask-missing"),
        ("img_0004.png", "mask-empty"),
    }
    assert audited.dropped == ("img_0000.png", "img_0001.png", "img_0002.png")  # labels of the copies conflict
    assert {item.slide_id: item.use_mask for item in audited.slides} == {
        "img_0003.png": False,
        "img_0004.png": False,
        "img_0005.png": True,
    }
    assert [failure.item for failure in audited.failures] == ["img_0002.png"]
    assert {path.name for path in out.iterdir()} == {"findings.parquet", "decisions.csv", "slides.parquet"}


def test_a_persons_decisions_win_and_what_a_person_dropped_is_no_failure(folder, tmp_path):
    table = decide(
        tmp_path / "decisions.csv",
        "img_0000.png,exact-copy,drop,keep,,seen by eye,me,",
        "img_0002.png,unreadable,drop,drop,,known,me,",
        "img_0005.png,,keep,relabel,A,pathologist,me,",
    )
    audited = run(Cohort.discover(folder), AuditConfig(), out=None, decisions=table, workers=1)
    assert [item.slide_id for item in audited.slides] == [f"img_000{number}.png" for number in (0, 3, 4, 5)]
    assert audited.slides[-1].slide.label == "A"
    assert audited.failures == ()
    assert audited.actions()["img_0005.png"] == "relabel"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("img_9999.png,x,keep,keep,,,,", "no slide 'img_9999.png'"),
        ("img_0000.png,x,keep,destroy,,,,", "decision 'destroy'"),
        ("img_0000.png,x,keep,relabel,,,,", "relabel needs the new label"),
    ],
)
def test_a_bad_row_is_named_with_its_line(folder, tmp_path, row, message):
    with pytest.raises(CohortError, match=message) as raised:
        run(Cohort.discover(folder), AuditConfig(), out=None, decisions=decide(tmp_path / "d.csv", row), workers=1)
    assert "line 2" in str(raised.value)


def test_facts_are_cached_by_content_and_made_again_when_a_file_changes(folder):
    first = run(Cohort.discover(folder), AuditConfig(), out=None, workers=1)
    again = run(Cohort.discover(folder), AuditConfig(), out=None, workers=1)
    assert first == again
    mask = np.zeros((40, 60), np.uint8)
    cv2.imwrite(str(folder / "masks/mask_0005.png"), mask)
    changed = run(Cohort.discover(folder), AuditConfig(), out=None, workers=1)
    assert ("img_0005.png", "mask-empty") in {(item.slide, item.kind) for item in changed.findings}
    assert changed.digest != first.digest


def test_nothing_in_the_cohorts_folder_is_changed(folder, tmp_path):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    run(Cohort.discover(folder), AuditConfig(), out=tmp_path / "elsewhere", workers=1)
    assert {path: path.read_bytes() for path in before} == before
