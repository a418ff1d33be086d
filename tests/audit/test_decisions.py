from dataclasses import replace

import pytest

from tilewise.audit.decisions import merge, propose, read_decisions, write_decisions
from tilewise.audit.finding import Decision, Finding
from tilewise.cohort import Slide
from tilewise.errors import CohortError

FINDING = Finding("a, b.png", "exact-copy", "c.png", "drop", 1.0, 'equal to "c.png"')


@pytest.fixture
def slides(tmp_path):
    return {name: Slide(name, tmp_path / name) for name in ("a, b.png", "ü.png")}


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
        (b"slide;finding;decision\n\xc3\xbc.png;x;drop\n", "no column 'slide' or 'decision'"),
        (b"slide,verdict\n\xc3\xbc.png,drop\n", "no column 'decision'"),
        (b"", "no column"),
        (b"slide,decision\n\xfc.png,drop\n", "cannot read"),
        (None, "cannot read"),
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
    kept = Decision("a, b.png", "exact-copy", "drop", "keep", author="me")
    more = Decision("ü.png", "", "", "drop", author="me")
    assert merge(proposed, [kept, more]) == (kept, more)
    assert merge(proposed, []) == proposed
