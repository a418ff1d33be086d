from dataclasses import replace

import pytest

from tilewise.auditing.decisions import Names, merge, propose, read_decisions, write_decisions
from tilewise.auditing.finding import Decision, Finding
from tilewise.errors import CohortError

FINDING = Finding("a, b.png", "exact-copy", "c.png", "drop", 1.0, 'equal to "c.png"')


@pytest.fixture
def slides():
    return Names(["a, b.png", "ü.png", "copy.png "], ["A", "Class B", "B"])


def test_what_was_proposed_is_written_and_read_again(slides, tmp_path):
    (proposed,) = propose([FINDING])
    assert (proposed.proposal, proposed.decision, proposed.author) == ("drop", "drop", "tilewise")
    write_decisions(tmp_path / "d.csv", [proposed])
    assert read_decisions(tmp_path / "d.csv", slides) == ()  # nobody edited it
    edited = replace(proposed, decision="keep", author="me")
    write_decisions(tmp_path / "d.csv", [edited])
    assert read_decisions(tmp_path / "d.csv", slides) == (edited,)


def test_a_table_saved_by_a_spreadsheet_is_read_with_stray_spaces_and_a_mark_at_its_start(slides, tmp_path):
    text = 'Slide, finding,DECISION,value \r\n"a, b.png ",exact-copy, Drop ,\r\nü.png,,relabel, B \r\n'
    (tmp_path / "d.csv").write_bytes(text.encode("utf-8-sig"))
    first, second = read_decisions(tmp_path / "d.csv", slides)
    assert first.decision == "drop"
    assert (second.decision, second.value) == ("relabel", "B")


def test_every_faulty_row_is_listed_with_its_line(slides, tmp_path):
    (tmp_path / "d.csv").write_text("slide,decision,value\nno.png,keep,\nü.png,maybe,\nü.png,relabel, \nü.png,keep,\n")
    with pytest.raises(CohortError) as raised:
        read_decisions(tmp_path / "d.csv", slides)
    message = str(raised.value)
    assert all(f"line {number}" in message for number in (2, 3, 4))
    assert "line 5" not in message
    assert "keep, fix-mask, repair, relabel, drop" in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"slide,verdict\n\xc3\xbc.png,drop\n", "no column 'decision'"),
        (b"", "no column"),
        (b"PK\x03\x04", "a spreadsheet"),
        (b'slide,decision\n"\xfc.png,drop\n', "check the quotes"),
        (None, "cannot be read"),
    ],
)
def test_what_is_no_table_of_decisions_is_refused_by_name(slides, tmp_path, content, message):
    if content is not None:
        (tmp_path / "d.csv").write_bytes(content)
    with pytest.raises(CohortError, match=message) as raised:
        read_decisions(tmp_path / "d.csv", slides)
    assert "d.csv" in str(raised.value)


def test_given_decisions_replace_proposals_of_the_same_finding_and_others_are_added():
    proposed = propose([FINDING])
    keep = Decision("a, b.png", "exact-copy", "drop", "keep", author="me")
    more = Decision("ü.png", "", "", "drop", author="me")
    assert merge(proposed, [keep, more]) == (keep, more)
    assert merge(proposed, []) == proposed


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-8-sig"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_is_read_as_spreadsheets_save_it(slides, tmp_path, encoding, delimiter):
    rows = [("slide", "finding", "proposal", "decision", "value", "reason", "author", "time")]
    rows += [("ü.png", "ink", "keep", "drop", "", "", "Jörg", "")]
    text = "\r\n".join(delimiter.join(row) for row in rows) + "\r\n"
    (tmp_path / "d.csv").write_bytes(text.encode(encoding))
    assert read_decisions(tmp_path / "d.csv", slides) == (Decision(*rows[1]),)


def test_a_slide_whose_id_ends_with_a_space_can_be_named_with_and_without_it(slides, tmp_path):
    for cell in ("copy.png ", "copy.png", "copy.png\u200b"):
        (tmp_path / "d.csv").write_text(f"slide,decision\n{cell},drop\n", encoding="utf-8")
        assert read_decisions(tmp_path / "d.csv", slides)[0].slide == "copy.png "


def test_a_name_that_two_slides_look_like_is_asked_about(tmp_path):
    (tmp_path / "d.csv").write_text("slide,decision\na.png  ,drop\n")
    with pytest.raises(CohortError, match=r"line 2: slide 'a.png  ' may be 'a.png' or 'a.png '"):
        read_decisions(tmp_path / "d.csv", Names(["a.png", "a.png "], []))


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("class b", "did you mean 'Class B'"),
        ("Clas B", "did you mean 'Class B'"),
        ("C", "no class of the cohort .*class is declared by a line in a file classes.txt"),
        ("\u0410", "did you mean 'A'"),
    ],
)
def test_a_label_that_is_no_class_of_the_cohort_is_no_new_class(slides, tmp_path, label, message):
    (tmp_path / "d.csv").write_text(f"slide,decision,value\nü.png,relabel,{label}\n", encoding="utf-8")
    with pytest.raises(CohortError, match=f"line 2: ü.png: relabel to .*{message}"):
        read_decisions(tmp_path / "d.csv", slides)
    assert read_decisions(tmp_path / "d.csv", Names(["ü.png"], []))[0].value == label


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("ü.png,ink,drop,\nü.png,ink,keep,\n", "line 3: ü.png: line 2 decides otherwise"),
        ("ü.png,,relabel,A\nü.png,label-conflict,relabel,B\n", "line 3: ü.png: line 2 decides otherwise"),
        ("ü.png,ink,drop,,it is, surely, ink\n", "line 2: 7 cells, but 4 columns; quote"),
    ],
)
def test_rows_that_contradict_each_other_or_do_not_fit_are_named(slides, tmp_path, rows, message):
    (tmp_path / "d.csv").write_text(f"slide,finding,decision,value\n{rows}", encoding="utf-8")
    with pytest.raises(CohortError, match=message):
        read_decisions(tmp_path / "d.csv", slides)


def test_one_person_and_rows_about_other_things_do_not_contradict(slides, tmp_path):
    text = "slide,finding,decision,value\nü.png,,relabel,A\nü.png,,relabel,A\nü.png,ink,keep,\nü.png,pen,drop,\n"
    (tmp_path / "d.csv").write_text(text, encoding="utf-8")
    assert len(read_decisions(tmp_path / "d.csv", slides)) == 4


def test_a_mask_proposed_to_be_inverted_is_written_with_its_value_and_read_as_unedited(slides, tmp_path):
    inverted = Finding("ü.png", "mask-inverted", "", "fix-mask", 0.9, "marks glass", "invert")
    (proposed,) = propose([inverted])
    assert (proposed.proposal, proposed.decision, proposed.value) == ("fix-mask: invert", "fix-mask", "invert")
    write_decisions(tmp_path / "d.csv", [proposed])
    assert read_decisions(tmp_path / "d.csv", slides) == ()
    aside = replace(proposed, value="")
    write_decisions(tmp_path / "d.csv", [aside])
    assert read_decisions(tmp_path / "d.csv", slides) == (aside,)


def test_fix_mask_takes_no_other_value_than_invert(slides, tmp_path):
    (tmp_path / "d.csv").write_text("slide,finding,decision,value\nü.png,,fix-mask, Invert\n")
    (decision,) = read_decisions(tmp_path / "d.csv", slides)
    assert decision.inverts
    (tmp_path / "d.csv").write_text("slide,finding,decision,value\nü.png,mask-full,fix-mask,inverse\n")
    with pytest.raises(CohortError, match=r"line 2: ü.png: the value of fix-mask is 'inverse'; write invert"):
        read_decisions(tmp_path / "d.csv", slides)


def test_a_decision_names_a_slide_by_its_file_where_one_has_that_name(tmp_path):
    names = Names(["images/a.png", "images/b.png", "more/b.png"], ["A"])
    (tmp_path / "d.csv").write_text("slide,finding,decision\na.png,blank,drop\n")
    (decision,) = read_decisions(tmp_path / "d.csv", names)
    assert decision.slide == "images/a.png"
    (tmp_path / "d.csv").write_text("slide,finding,decision\nb.png,blank,drop\n")
    with pytest.raises(CohortError, match=r"may be 'images/b\.png' or 'more/b\.png'"):
        read_decisions(tmp_path / "d.csv", names)
