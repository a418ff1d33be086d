"""Two tables as STAMP has them: patients with labels, and whose slides are which."""

import sys
from pathlib import Path

import pandas as pd
import pytest

from tilewise.cohort import Cohort, LabelTables
from tilewise.errors import CohortError

FILES = ("north/a1.h5", "north/a2.h5", "b.h5", "c.h5", "d.h5")


@pytest.fixture
def cohort(tmp_path):
    """`cohort(clini, slide)` joins the texts of two tables over `FILES`."""

    def make(clini: str, slide: str | None, *, label_column: str | None = None) -> Cohort:
        (tmp_path / "clini.csv").write_text(clini)
        if slide is not None:
            (tmp_path / "slide.csv").write_text(slide)
        tables = LabelTables(tmp_path / "clini.csv", None if slide is None else tmp_path / "slide.csv", label_column)
        return of_tables(tmp_path, tables)

    return make


def of_tables(root: Path, tables: LabelTables, files=FILES) -> Cohort:
    named = {name.removesuffix(".h5"): root / name for name in files}
    return Cohort.of_files(root, named, tables=tables, purpose="train", layout="features")


CLINI = "PATIENT,isMSIH,AGE\nP1,MSIH,61\nP2,nonMSIH,70\nP3,NA,50\nP9,MSIH,44\n"
SLIDE = "FILENAME,PATIENT\nnorth/a1.h5,P1\nnorth/a2.h5,P1\nb.h5,P2\nc.h5,P3\nd.h5,P7\n"


def test_slides_get_their_patients_label_group_and_columns(cohort):
    slides = {slide.slide_id: slide for slide in cohort(CLINI, SLIDE, label_column="isMSIH").slides}
    assert [(name, slide.group, slide.label) for name, slide in slides.items()] == [
        ("north/a1.h5", "P1", "MSIH"),
        ("north/a2.h5", "P1", "MSIH"),
        ("b.h5", "P2", "nonMSIH"),
        ("c.h5", "P3", None),
        ("d.h5", "P7", None),
    ]
    assert slides["b.h5"].extra == {"AGE": "70"}
    assert slides["d.h5"].extra == {"AGE": None}


def test_what_has_no_partner_is_named(cohort):
    made = cohort(CLINI, SLIDE, label_column="isMSIH")
    assert "clini.csv: 1 label taken for none: P3" in made.notes
    assert "1 patient of clini.csv without a slide: P9" in made.notes
    assert made.warnings == ("1 slide of slide.csv of no patient in clini.csv and without a label: d.h5",)


def test_the_only_column_beside_the_patients_is_the_label(cohort):
    made = cohort("PATIENT,KRAS\nP1,mutated\nP2,wild\n", SLIDE)
    assert made.classes == ("mutated", "wild")


def test_patients_are_met_in_one_spelling(cohort):
    made = cohort("PATIENT,KRAS\n1,mutated\n2,wild\n", "PATIENT;FILENAME\n1.0;b.h5\n2;c.h5\n2;d.h5\n")
    assert {slide.slide_id: slide.group for slide in made.slides if slide.label} == {
        "b.h5": "1",
        "c.h5": "2",
        "d.h5": "2",
    }


def test_one_file_per_patient_needs_no_slide_table(tmp_path):
    (tmp_path / "clini.csv").write_text("PATIENT,KRAS\nP1,mutated\nP2,wild\n")
    made = of_tables(tmp_path, LabelTables(tmp_path / "clini.csv"), ("P1.h5", "P2.h5"))
    assert [(slide.slide_id, slide.label) for slide in made.slides] == [("P1", "mutated"), ("P2", "wild")]
    with pytest.raises(CohortError, match=r"no patient of it has a file, the first: P1; .* \(--slide-table\)"):
        of_tables(tmp_path, LabelTables(tmp_path / "clini.csv"))


@pytest.mark.parametrize(
    ("clini", "slide", "column", "message"),
    [
        (CLINI, SLIDE, None, "column `label` is missing; .* or name it with --label-column"),
        (CLINI, SLIDE, "isMSI", "--label-column isMSI: no such column; did you mean isMSIH?"),
        (CLINI, "FILENAME\nb.h5\n", "isMSIH", "no column names the patients; call it PATIENT"),
        ("ID,isMSIH\nP1,x\n", SLIDE, "isMSIH", "no column names the patients; call it PATIENT. It has ID, isMSIH"),
        (CLINI, SLIDE.replace("\n", ",x\n").replace("PATIENT,x", "PATIENT,AGE"), "isMSIH", "delete `AGE` here"),
        (CLINI, SLIDE.replace("\n", ",x\n").replace("PATIENT,x", "PATIENT,label"), "isMSIH", "delete `label` here"),
        (CLINI + "P1,nonMSIH,61\n", SLIDE, "isMSIH", "patient `P1`: lines 2 and 6 disagree"),
        ("PATIENT,K\n1,x\n1.0,y\n2,y\n", SLIDE, None, "lines 2 and 3 are of one patient"),
        (CLINI, "FILENAME,PATIENT\nq.h5,P1\nr.h5,P2\n", "isMSIH", r"no slide of it has a file, the first: q\.h5"),
    ],
)
def test_tables_that_do_not_fit_are_refused(cohort, clini, slide, column, message):
    with pytest.raises(CohortError, match=message):
        cohort(clini, slide, label_column=column)


def test_a_spreadsheet_is_read_where_there_is_a_reader(tmp_path):
    pytest.importorskip("openpyxl")
    frame = pd.DataFrame({"PATIENT": [1, 2, 3], "KRAS": ["mutated", "wild", None], "AGE": [61, 70.5, None]})
    frame.to_excel(tmp_path / "clini.xlsx", index=False)
    pd.DataFrame({"PATIENT": [1, 2, 3], "FILENAME": ["b.h5", "c.h5", "d.h5"]}).to_excel(
        tmp_path / "s.xlsx", index=False
    )
    made = of_tables(tmp_path, LabelTables(tmp_path / "clini.xlsx", tmp_path / "s.xlsx", "KRAS"))
    slides = {slide.slide_id: slide for slide in made.slides}
    assert [(slides[name].group, slides[name].label) for name in ("b.h5", "c.h5", "d.h5")] == [
        ("1", "mutated"), ("2", "wild"), ("3", None),
    ]  # fmt: skip


def test_without_a_reader_of_spreadsheets_the_next_step_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    (tmp_path / "clini.xlsx").write_bytes(b"PK\x03\x04")
    with pytest.raises(CohortError, match=r"save the sheet as CSV \(UTF-8\)"):
        of_tables(tmp_path, LabelTables(tmp_path / "clini.xlsx", tmp_path / "clini.xlsx"))


@pytest.mark.parametrize("folder", ["tables", "features"])
def test_a_class_that_is_declared_stays_one(tmp_path, folder):
    for name in ("tables", "features"):
        (tmp_path / name).mkdir()
    (tmp_path / "tables/clini.csv").write_text("PATIENT,grade\nP1,NA\nP2,high\nP3,-nan\n")
    (tmp_path / "tables/slide.csv").write_text("FILENAME,PATIENT\nb.h5,P1\nc.h5,P2\nd.h5,P3\n")
    (tmp_path / folder / "classes.txt").write_text("NA\nhigh\n")
    tables = LabelTables(tmp_path / "tables/clini.csv", tmp_path / "tables/slide.csv", "grade")
    made = of_tables(tmp_path / "features", tables)
    assert {slide.slide_id: slide.label for slide in made.slides if slide.group} == {
        "b.h5": "NA", "c.h5": "high", "d.h5": None,
    }  # fmt: skip


def test_the_column_of_labels_has_no_other_part(tmp_path, cohort):
    for column in ("PATIENT", "slide"):
        with pytest.raises(CohortError, match=f"--label-column {column}: it names slides or patients"):
            cohort("slide,PATIENT,label\nb,P1,x\nc,P2,y\n", None, label_column=column)
    made = cohort("slide,split,label\nb,train,x\nc,test,y\n", None, label_column="split")
    slides = {slide.slide_id: slide for slide in made.slides}
    assert [(slides[name].label, slides[name].split) for name in ("b", "c")] == [("train", None), ("test", None)]
    assert slides["b"].extra == {"label": "x"}


def test_a_column_that_a_spreadsheet_has_twice_is_refused(tmp_path, monkeypatch):
    # Without the package that reads the format; pandas names columns of both alike.
    monkeypatch.setattr(pd, "read_excel", pd.read_csv)
    path = tmp_path / "labels.xlsx"
    path.write_text("slide,label,\nb,x,1\nc,y,2\n")
    made = of_tables(tmp_path, LabelTables(path))
    assert made.classes == ("x", "y")
    assert made.slides[0].extra == {"column 3": "1"}
    path.write_text("slide,label,label\nb,x,y\n")
    with pytest.raises(CohortError, match="column `label` occurs twice"):
        of_tables(tmp_path, LabelTables(tmp_path / "labels.xlsx"))
