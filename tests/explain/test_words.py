import pytest

from tilewise.explain.words import describe_outlines


@pytest.mark.parametrize(
    ("num_masks", "sentence"),
    [
        (0, "No slide here has a mask that is used, and so an outline."),
        (2, "The outline is the region that tiles are cut by; 1 slide without one has no mask that is used."),
        (3, "The outline is the region that tiles are cut by."),
    ],
)
def test_outlines_are_described_as_far_as_there_are_any(num_masks, sentence):
    assert describe_outlines(num_masks, 3) == sentence
