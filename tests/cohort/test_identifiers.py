"""One spelling of the names in tables."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewise.cohort.identifiers import identifier, integers, means_missing, slides_named, typed_alike, visible


@given(st.text(max_size=20))
def test_an_identifier_stays_as_it_is_and_is_nfc(text):
    once = identifier(text)
    assert identifier(once) == once
    assert unicodedata.is_normalized("NFC", once)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("A\u200b", "A"),
        ("e\u200b\u0301", "\u00e9"),
        ("Luminal\u00a0A", "Luminal A"),
        (" x ", " x "),
        ("\u00adHER2\x00", "HER2"),
    ],
)
def test_what_cannot_be_seen_goes(text, plain):
    assert identifier(text) == plain


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({"1.0", "2.0"}, {"1.0": "1", "2.0": "2"}),
        ({"1", "1.0", "1.5"}, {"1.0": "1"}),
        ({"1.0", "1.5"}, {}),
        ({"01.0", "v1.0", "1,0", "-0.0", "10.00"}, {"-0.0": "-0", "10.00": "10"}),
    ],
)
def test_integers_with_decimals(texts, expected):
    assert integers(texts) == expected


def test_a_slide_is_named_by_its_id_or_by_the_name_of_its_file():
    ids = ["images/a.png", "images/b.png", "more/b.png", "b.png ", "c.png", "x/c.png"]
    assert slides_named("images/a.png", ids) == ["images/a.png"]
    assert slides_named("a.png", ids) == ["images/a.png"]
    assert slides_named("c.png", ids) == ["c.png"]
    assert slides_named("b.png", ids) == ["b.png "]
    assert slides_named("b.png", ids[:3]) == ["images/b.png", "more/b.png"]
    assert slides_named("d.png", ids) == []


def test_what_is_missing_and_what_looks_alike():
    assert [means_missing(text) for text in ("NaN", " - ", "n/a", "nano", "0", "")] == [True] * 3 + [False] * 3
    assert typed_alike("\u0410  x") == typed_alike("a X")
    assert typed_alike("000") == typed_alike("0") != typed_alike("00a")
    assert visible("o\u0308 A\u200b") == "o\\u0308 A\\u200b"
