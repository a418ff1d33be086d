from __future__ import annotations

import datetime

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tilewise.cohort.faults import Faults
from tilewise.cohort.table import read_table
from tilewise.errors import CohortError


@pytest.fixture
def read(tmp_path):
    def parse(content, name="t.csv", *, need_label=True):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        faults = Faults()
        table = read_table(path, need_label=need_label, faults=faults)
        faults.raise_if_any(path)
        return table

    return parse


def pairs(table):
    return [(row.slide, row.label) for row in table.rows]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"sample_index,label\na.png,Luminal A\nb.png,HER2(+)\n", None),
        (b"\xef\xbb\xbfsample_index,label\na.png,Luminal A\nb.png,HER2(+)\n", "UTF-8 with a byte order mark"),
        (b"sample_index,label\r\na.png,Luminal A\r\nb.png,HER2(+)\r\n", "Windows line ends"),
        (b"sample_index,label\ra.png,Luminal A\rb.png,HER2(+)\r", None),
        (b"sample_index;label\na.png;Luminal A\nb.png;HER2(+)", "semicolon-separated"),
        (b"sep=;\r\nsample_index;label\r\na.png;Luminal A\r\nb.png;HER2(+)", "semicolon-separated"),
        (b"sample_index\tlabel\na.png\tLuminal A\nb.png\tHER2(+)\n", "tab-separated"),
        (b'"sample_index","label"\n"a.png","Luminal A"\n"b.png","HER2(+)"\n', None),
        (b"\nsample_index,label\n\na.png,Luminal A\n,\nb.png,HER2(+)\n\n", None),
        (b"sample_index,label,,\na.png,Luminal A,,\nb.png,HER2(+)\n", None),
        ("sample_index,label\na.png,Luminal A\nb.png,HER2(+)\n".encode("utf-16"), "UTF-16"),
        (b" Sample_Index , LABEL \na.png,Luminal A\nb.png,HER2(+)\n", "`Sample_Index` as slide, `LABEL` as label"),
    ],
)
def test_csv_as_programs_write_it(content, message, read):
    table = read(content)
    assert pairs(table) == [("a.png", "Luminal A"), ("b.png", "HER2(+)")]
    assert message is None or message in " ".join(table.notes)


def test_umlauts_of_an_older_spreadsheet(read):
    table = read("sample_index;label\r\na.png;gutartig\r\nb.png;bösartig\r\n".encode("cp1252"))
    assert pairs(table)[1] == ("b.png", "bösartig")
    assert "Windows-1252" in table.notes[0]


def test_cells_are_kept_as_they_are_spelled(read):
    content = 'slide,label\na.png,NA\nb.png,None\nc.png, x \nd.png,"1,0"\ne.png,007\nf.png,nan\ng.png,"say ""hi"""\n'
    assert [row.label for row in read(content).rows] == ["NA", "None", " x ", "1,0", "007", "nan", 'say "hi"']


@pytest.mark.parametrize("name", ["slide", "sample_index", "file", "filename", "image", "path", "slide_id"])
def test_names_of_the_slide_column(name, read):
    table = read(f"{name},label\na.png,x\n")
    assert table.rows[0].slide == "a.png"
    assert table.roles["slide"] == name


def test_every_column_has_its_role_and_the_rest_is_kept(read):
    table = read("scanner,slide,mask,label,group,split,age\nA1,a.png,m/a.png,x, p1 ,train,70\nA1,b.png,,,,,\n")
    first, second = table.rows
    assert (first.mask, first.label, first.group, first.split) == ("m/a.png", "x", "p1", "train")
    assert first.extra == {"scanner": "A1", "age": "70"}
    assert (second.mask, second.label, second.group, second.split) == (None, None, None, None)
    assert "further columns, taken for subgroups and shortcuts: scanner, age" in " ".join(table.notes)


@pytest.mark.parametrize("name", ["patient", "patient_id", "Case_ID", "case"])
def test_patients_are_groups(name, read):
    table = read(f"slide,label,{name}\na.png,x,7\n")
    assert table.rows[0].group == "7"
    assert f"`{name}` as group" in table.notes[0]


def test_slide_id_of_other_meaning_stays_further(read):
    table = read("file,label,slide_id\na.png,x,14-12465\n")
    assert table.rows[0].slide == "a.png"
    assert table.rows[0].extra == {"slide_id": "14-12465"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the table is empty"),
        ("\n\n", "the table is empty"),
        ("sample_index,label\n", "no rows"),
        ("slide,lable\na.png,x\n", "column `label` is missing.*Rename `lable` to `label`"),
        ("slide,class\na.png,x\n", "column `label` is missing; the first line has slide, class"),
        ("slid,label\na.png,x\n", "Rename `slid` to `slide`"),
        ("a.png,x\nb.png,y\n", "first line has a.png, x.*add a first line with column names"),
        ("slide,label,label\na,x,y\n", "column `label` occurs twice"),
        ("slide,label\na.png,x,y\nb.png,x\n", "line 2: 3 fields, but 2 column names"),
        ("slide,label\na.png\n", "line 2: 1 fields"),
        ("slide,label\n,x\na.png,x\n", "line 2: column `slide` is empty"),
        ('slide,label\na.png,"x\n', "line 2: .*check the quotes"),
        (b"PK\x03\x04rest", "spreadsheet"),
        (b"PAR1rest", "Parquet file; give it the suffix"),
    ],
)
def test_faults_are_named(content, message, read):
    with pytest.raises(CohortError, match=message) as caught:
        read(content)
    assert "t.csv" in str(caught.value)


def test_a_label_is_not_needed_to_predict(read):
    table = read("slide\na.png\nb.png\n", need_label=False)
    assert pairs(table) == [("a.png", None), ("b.png", None)]


def test_identical_rows_are_taken_once(read):
    table = read("slide,label\na.png,x\nb.png,y\na.png,x\na.png,x\n")
    assert pairs(table) == [("a.png", "x"), ("b.png", "y")]
    assert any("`a.png` (3 times)" in note for note in table.notes)


@pytest.mark.parametrize("second", ["y,p,1", "x,q,1", "x,p,2"])
def test_rows_that_disagree_are_faults(second, read):
    with pytest.raises(CohortError, match=r"slide `a.png`: lines 2 and 3 disagree .*keep the right one"):
        read(f"slide,label,group,age\na.png,x,p,1\na.png,{second}\n")


def test_all_faults_come_at_once_but_not_hundreds(read):
    lines = [f"s{i}.png" for i in range(30)] + [",x", "a.png,x", "a.png,y"]
    with pytest.raises(CohortError) as caught:
        read("slide,label\n" + "\n".join(lines))
    message = str(caught.value)
    assert "32 faults" in message
    assert "and 20 more of this kind" in message
    assert "lines 33 and 34 disagree" in message
    assert "line 32: column `slide` is empty" in message


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
@given(content=st.one_of(st.binary(max_size=60), st.text('ab,;\t"\n\r\0slidelabel', max_size=60).map(str.encode)))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_content_escapes_as_another_error(name, content, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    try:
        table = read_table(path, need_label=True, faults=Faults())
    except CohortError as error:
        if name not in str(error):
            raise
    else:
        assert all(row.slide.strip() for row in table.rows)


def test_parquet(tmp_path):
    path = tmp_path / "cohort.parquet"
    frame = pd.DataFrame(
        {
            "slide": ["a.png", "b.png", "c.png"],
            "label": pd.Categorical(["x", None, "NA"]),
            "group": [1.0, None, 3.0],
            "age": [70, 71, 72],
            "seen": [datetime.date(2020, 1, 1)] * 3,
        }
    )
    frame.to_parquet(path)
    table = read_table(path, need_label=True, faults=Faults())
    assert pairs(table) == [("a.png", "x"), ("b.png", None), ("c.png", "NA")]
    assert [row.group for row in table.rows] == ["1", None, "3"]
    assert table.rows[0].extra == {"age": 70, "seen": datetime.date(2020, 1, 1)}


def test_damaged_parquet(tmp_path):
    path = tmp_path / "cohort.parquet"
    path.write_bytes(b"PAR1 and nothing more")
    with pytest.raises(CohortError, match="cannot be read as Parquet"):
        read_table(path, need_label=True, faults=Faults())


def test_a_damaged_parquet_table_with_text_that_is_none_is_named(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "cohort.parquet"
    pq.write_table(pa.table({"slide": ["one.png", "two.png"], "label": ["A", "B"]}), path, compression="none")
    path.write_bytes(path.read_bytes().replace(b"one.png", b"\xcdne.png"))
    with pytest.raises(CohortError, match=r"cohort\.parquet: cannot be read as Parquet"):
        read_table(path, need_label=True, faults=Faults())
