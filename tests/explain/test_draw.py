"""Names of slides on pictures: in whatever font, no character becomes a box."""

import pytest
from PIL import ImageFont

from tilewise.explain import draw

PILLOWS_OWN = ImageFont.load_default(25)


def test_most_alphabets_are_drawn_as_they_are():
    name = "Präparat Łódź Жук δ x² …"
    assert draw._legible(name, draw._font(25)) == name
    assert draw._legible("a\N{COMBINING DIAERESIS}", draw._font(25, bold=True)) == "ä"


@pytest.mark.parametrize(
    ("name", "drawn"), [("Präparat 7", "Praparat 7"), ("中日 1", "<4E2D><65E5> 1"), ("x²", "x2"), ("a_b-c", "a_b-c")]
)
def test_what_a_font_lacks_is_written_by_its_base_letter_or_number(name, drawn):
    assert draw._legible(name, PILLOWS_OWN) == drawn


def test_without_dejavu_texts_are_in_pillows_own_font(monkeypatch):
    truetype = ImageFont.truetype

    def without_dejavu(font, size, **options):
        if isinstance(font, str):
            raise OSError("cannot open resource")
        return truetype(font, size, **options)

    monkeypatch.setattr(ImageFont, "truetype", without_dejavu)
    draw._font.cache_clear()
    try:
        assert draw._font(25).getname() == PILLOWS_OWN.getname()
    finally:
        draw._font.cache_clear()
