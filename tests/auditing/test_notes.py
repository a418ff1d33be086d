"""Notes of readers, counted over slides."""

from tilewise.auditing.notes import note_kinds

NOTES = {
    "a.tif": ("the first of 3 pages taken", "samples reach only 4080 of 65535"),
    "b.tif": (),
    "c.tif": ("samples reach only 4095 of 65535",),
    "d.tif": ("samples reach only 4080 of 65535", "alpha laid on white"),
}


def test_notes_that_differ_in_numbers_are_of_one_kind_and_the_commonest_comes_first():
    kinds = note_kinds(NOTES)
    assert [kind.sentence() for kind in kinds] == [
        "3 slides: samples reach only 4080 to 4095 of 65535",
        "1 slide: alpha laid on white",
        "1 slide: the first of 3 pages taken",
    ]
    assert [kind.is_same for kind in kinds] == [False, True, True]
    assert kinds[0].to_json() == {
        "note": "samples reach only 4080 to 4095 of 65535",
        "slides": {name: NOTES[name][-1 if name == "a.tif" else 0] for name in ("a.tif", "c.tif", "d.tif")},
    }


def test_equal_notes_keep_their_numbers_and_a_slide_may_have_two_of_a_kind():
    assert [kind.text for kind in note_kinds({"a": ["page 2"], "b": ["page 2"]})] == ["page 2"]
    (kind,) = note_kinds({"a": ["page 2", "page 3"], "b": ["page 4"]})
    assert (kind.notes["a"], kind.text) == ("page 2; page 3", "page …")
    assert note_kinds({"a": []}) == ()
