import cv2
import numpy as np
import pytest

from tilewise.synthetic.faults.cartoons import CARTOON_FAMILIES, draw_cartoon
from tilewise.synthetic.faults.held_out import CARTOON_FAMILY
from tilewise.synthetic.slide import DrawnSlide

ALL = (*CARTOON_FAMILIES, CARTOON_FAMILY)


@pytest.mark.parametrize("family", ALL)
def test_replaces_the_tissue_and_nothing_else(slide: DrawnSlide, family: str) -> None:
    fake = draw_cartoon(np.random.default_rng(1), slide.rgb, tissue=slide.tissue, family=family)
    assert (fake.shape, fake.dtype) == (slide.rgb.shape, np.uint8)
    far = cv2.distanceTransform((~slide.tissue).astype(np.uint8), cv2.DIST_L2, 5) > 12
    np.testing.assert_array_equal(fake[far], slide.rgb[far])
    inside = cv2.erode(slide.tissue.astype(np.uint8), np.ones((7, 7))) > 0
    assert np.abs(fake[inside].astype(int) - slide.rgb[inside]).max(axis=1).mean() > 25


def test_is_cut_out_in_the_tissues_shape(slide: DrawnSlide) -> None:
    # A comic in bright colours: where it differs clearly from the glass is where the tissue was.
    fake = draw_cartoon(np.random.default_rng(5), slide.rgb, tissue=slide.tissue, family="comic")
    glass = np.median(slide.rgb[~slide.tissue], axis=0)
    drawn = np.abs(fake - glass).max(axis=2) > 24
    overlap = (drawn & slide.tissue).sum() / (drawn | slide.tissue).sum()
    assert overlap > 0.85


def test_glass_around_it_is_clear_of_the_old_tissue(slide: DrawnSlide) -> None:
    # Only half of the tissue is replaced by nothing but glass: what is left of its edge must not show.
    from tilewise.synthetic.faults.quality import erase

    cleared = erase(np.random.default_rng(0), slide.rgb, tissue=slide.tissue, what=slide.tissue)
    glass = np.median(slide.rgb[~slide.tissue], axis=0)
    ring = cv2.dilate(slide.tissue.astype(np.uint8), np.ones((5, 5))) > 0
    assert np.percentile(np.abs(cleared[ring] - glass).max(axis=1), 99) < 12


def test_differs_each_time_and_is_the_same_for_the_same_seed(slide: DrawnSlide) -> None:
    def drawn(seed: int) -> np.ndarray:
        return draw_cartoon(np.random.default_rng(seed), slide.rgb, tissue=slide.tissue, family="flat")

    np.testing.assert_array_equal(drawn(1), drawn(1))
    assert (drawn(1) != drawn(2))[slide.tissue].mean() > 0.5


def test_held_out_family_is_not_among_those_to_tune_on() -> None:
    assert CARTOON_FAMILY not in CARTOON_FAMILIES
    assert len(set(ALL)) == len(ALL)
