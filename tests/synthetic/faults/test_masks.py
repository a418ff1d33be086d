import numpy as np
import pytest

from tilewise.synthetic.faults.masks import MASK_KINDS, as_grey, draw_mask_fault, mask_on_blob
from tilewise.synthetic.slide import DrawnSlide


def faulty(slide: DrawnSlide, kind: str, seed: int) -> np.ndarray | None:
    return draw_mask_fault(np.random.default_rng(seed), slide.mask, tissue=slide.tissue, kind=kind)


def test_kinds_are_the_audits() -> None:
    assert set(MASK_KINDS) == {
        "mask-missing", "mask-empty", "mask-size", "mask-not-binary", "mask-full", "mask-outside-tissue",
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_each_is_what_it_says(slide: DrawnSlide, seed: int) -> None:
    assert faulty(slide, "mask-missing", seed) is None
    empty, full = faulty(slide, "mask-empty", seed), faulty(slide, "mask-full", seed)
    assert empty is not None
    assert full is not None
    assert empty.shape == full.shape == slide.mask.shape
    assert not empty.any()
    assert (full == 255).all()
    sized = faulty(slide, "mask-size", seed)
    assert sized is not None
    assert sized.shape != slide.mask.shape
    assert set(np.unique(sized)) <= {0, 255}
    soft = faulty(slide, "mask-not-binary", seed)
    assert soft is not None
    assert soft.shape[:2] == slide.mask.shape
    assert soft.ndim == 3 or len(np.unique(soft)) > 2


@pytest.mark.parametrize("seed", range(8))
def test_outside_means_off_the_tissue(slide: DrawnSlide, seed: int) -> None:
    outside = faulty(slide, "mask-outside-tissue", seed)
    assert outside is not None
    assert outside.any()
    assert not (outside > 0)[slide.tissue].any()


def test_mask_on_blob_takes_the_core_in(slide: DrawnSlide) -> None:
    alpha = np.zeros(slide.mask.shape, np.float32)
    alpha[:20, :20], alpha[20:25, :20] = 0.9, 0.2
    mask = mask_on_blob(slide.mask, alpha)
    assert mask[:20, :20].all()
    np.testing.assert_array_equal(mask[20:], slide.mask[20:])
    assert set(np.unique(as_grey(mask))) == {0, 255}
