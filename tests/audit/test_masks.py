import cv2
import numpy as np
import pytest

from tilewise.audit.masks import mask_findings, measure_mask
from tilewise.cohort import Slide
from tilewise.units import Size

SIZE = Size(120, 80)


@pytest.fixture
def measure(tmp_path):
    """Write a mask and measure it on a slide whose left half is tissue."""
    tissue = np.zeros((SIZE.height, SIZE.width), bool)
    tissue[:, :60] = True

    def written(mask):
        cv2.imwrite(str(tmp_path / "mask.png"), mask)
        return measure_mask(Slide("a.png", tmp_path / "a.png", tmp_path / "mask.png"), SIZE, tissue)

    return written


def boxed(columns, value=255):
    mask = np.zeros((SIZE.height, SIZE.width), np.uint8)
    mask[10:70, columns] = value
    return mask


def kinds(facts, tissue_share=0.5):
    slides = {"a.png": Slide("a.png", "a.png", "mask.png")}
    return {item.kind: item.proposal for item in mask_findings(slides, {"a.png": facts}, {"a.png": tissue_share})}


def test_a_good_mask_is_no_finding(measure):
    mask, facts = measure(boxed(slice(5, 55)))
    assert mask.sum() == 60 * 50
    assert facts.on_tissue == pytest.approx(1.0)
    assert kinds(facts) == {}


def test_a_mask_beside_the_tissue_is_set_aside_and_one_half_beside_it_is_told(measure):
    assert kinds(measure(boxed(slice(70, 118)))[1]) == {"mask-outside-tissue": "fix-mask"}
    assert kinds(measure(boxed(slice(50, 110)))[1]) == {"mask-outside-tissue": "keep"}
    assert kinds(measure(boxed(slice(30, 80)))[1]) == {}


def test_an_empty_mask_is_told(measure):
    assert kinds(measure(boxed(slice(0, 0)))[1]) == {"mask-empty": "fix-mask"}


def test_a_full_mask_is_of_no_use_unless_all_is_tissue(measure):
    _, facts = measure(np.full((SIZE.height, SIZE.width), 255, np.uint8))
    assert kinds(facts, tissue_share=0.3)["mask-full"] == "fix-mask"
    assert kinds(facts, tissue_share=0.95) == {"mask-full": "keep"}


def test_a_mask_drawn_at_half_the_scale_is_measured_at_the_slides(measure):
    whole, _ = measure(boxed(slice(10, 50)))
    half, facts = measure(cv2.resize(boxed(slice(10, 50)), (60, 40), interpolation=cv2.INTER_NEAREST))
    assert facts.scaled
    assert (half == whole).mean() > 0.99
    assert kinds(facts) == {"mask-size": "fix-mask"}


def test_a_mask_of_other_proportions_is_of_no_use(measure):
    mask, facts = measure(np.full((50, 50), 255, np.uint8))
    assert mask is None
    assert not facts.scaled
    assert kinds(facts) == {"mask-size": "fix-mask"}
    assert "50 x 50" in facts.fault


def test_greys_are_told_and_used(measure):
    soft = cv2.GaussianBlur(boxed(slice(10, 50)), (0, 0), 3)
    mask, facts = measure(soft)
    assert mask.any()
    assert kinds(facts) == {"mask-not-binary": "keep"}


def test_a_mask_that_is_no_picture_is_named(tmp_path):
    (tmp_path / "mask.png").write_bytes(b"no picture")
    _, facts = measure_mask(Slide("a.png", tmp_path / "a.png", tmp_path / "mask.png"), SIZE, np.ones((80, 120), bool))
    assert kinds(facts) == {"mask-unreadable": "fix-mask"}


def test_no_mask_at_all():
    assert measure_mask(Slide("a.png", "a.png"), SIZE, np.ones((80, 120), bool)) == (None, None)
    slides = {"a.png": Slide("a.png", "a.png"), "b.png": Slide("b.png", "b.png", "b_mask.png")}
    (found,) = mask_findings(slides, {"a.png": None}, {"a.png": 0.5})
    assert (found.slide, found.kind) == ("a.png", "mask-missing")


def test_where_nobody_drew_masks_none_is_missing():
    assert not list(mask_findings({"a.png": Slide("a.png", "a.png")}, {"a.png": None}, {"a.png": 0.5}))
