import cv2
import numpy as np
import pytest

from tilewise.synthetic.faults.quality import QUALITY_FAMILIES, draw_quality
from tilewise.synthetic.faults.stains import STAIN_FAMILIES, restain
from tilewise.synthetic.slide import DrawnSlide
from tilewise.tissue import tissue_mask

EACH = [(kind, family) for kind, families in QUALITY_FAMILIES.items() for family in families]


def make_faulty(slide: DrawnSlide, kind: str, family: str) -> DrawnSlide:
    return draw_quality(np.random.default_rng(7), slide, kind=kind, family=family)


def focus(slide: DrawnSlide) -> float:
    grey = cv2.cvtColor(slide.rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float(cv2.Laplacian(cv2.GaussianBlur(grey, (0, 0), 1.0), cv2.CV_32F)[slide.tissue].std())


@pytest.mark.parametrize(("kind", "family"), EACH)
def test_spoils_in_its_own_way(slide: DrawnSlide, kind: str, family: str) -> None:
    faulty = make_faulty(slide, kind, family)
    assert faulty.rgb.shape == slide.rgb.shape
    assert faulty.mask.shape == slide.mask.shape
    tissue = slide.tissue
    if kind == "blank":
        assert tissue_mask(faulty.rgb).mean() < 0.01
        assert not faulty.mask.any()
    elif kind == "tissue-area":
        assert 0 < faulty.tissue.sum() < 0.1 * tissue.sum()
        assert faulty.mask.any()
        assert not (faulty.mask & ~faulty.tissue).any()
        left = tissue_mask(faulty.rgb).sum()
        assert left < 0.15 * tissue.sum()
    elif kind == "blurred":
        assert focus(faulty) < 0.35 * focus(slide)
    elif kind == "dark":
        assert faulty.rgb.max(axis=2).mean() < 0.6 * slide.rgb.max(axis=2).mean()
    else:
        assert np.median(faulty.rgb[~tissue]) > 243
        assert faulty.rgb[tissue].mean() > slide.rgb[tissue].mean() + 15


@pytest.mark.parametrize("family", STAIN_FAMILIES)
def test_other_stains_change_the_tissue_and_not_the_glass(slide: DrawnSlide, family: str) -> None:
    rgb = restain(np.random.default_rng(1), slide.rgb, tissue=slide.tissue, family=family)
    far = cv2.dilate(slide.tissue.astype(np.uint8), np.ones((9, 9))) == 0
    np.testing.assert_array_equal(rgb[far], slide.rgb[far])
    # Pink it is no more: green no longer absorbs most, or hardly more than red.
    red, green, blue = (rgb[slide.tissue][:, c].mean() for c in range(3))
    assert green > min(red, blue) - 8
