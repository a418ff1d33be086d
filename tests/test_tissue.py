import cv2
import numpy as np
import pytest

from tilewise.tissue import green_density, tissue_mask


def glass(height, width, level=235):
    noise = np.random.default_rng(0).normal(0, 2, (height, width, 3))
    return np.clip(level + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("level", [200, 225, 250])
@pytest.mark.parametrize("shape", [(300, 500), (1500, 1000)])
def test_a_stained_disc_on_glass_is_found_to_the_pixel_or_so(level, shape):
    slide = glass(*shape, level)
    truth = np.zeros(shape, np.uint8)
    cv2.circle(truth, (shape[1] // 3, shape[0] // 2), 100, 1, -1)
    slide[truth == 1] = (190, 110, 170)
    tissue = tissue_mask(slide)
    both, either = (tissue & (truth == 1)).sum(), (tissue | (truth == 1)).sum()
    assert both / either > 0.93


def test_blank_glass_has_no_tissue():
    assert not tissue_mask(glass(400, 300)).any()
    assert not tissue_mask(np.full((50, 50, 3), 255, np.uint8)).any()


def test_tissue_from_edge_to_edge_is_tissue():
    slide = np.full((300, 300, 3), (200, 130, 180), np.uint8)
    slide[::7, ::5] = (90, 50, 120)
    assert tissue_mask(slide).mean() > 0.99


def test_the_mask_has_the_frame_of_the_slide_even_for_odd_shapes():
    for shape in [(1, 1), (1, 900), (2000, 3)]:
        assert tissue_mask(glass(*shape)).shape == shape


def test_density_is_zero_on_glass_and_one_where_a_tenth_of_the_light_passes():
    slide = glass(100, 100, 239)
    slide[:10, :10] = 23
    density = green_density(slide)
    assert abs(np.median(density)) < 0.02
    assert density[5, 5] == pytest.approx(1.0, abs=0.03)


@pytest.mark.real
def test_real_sections_are_found_where_the_kit_marks_tissue(data_dir):
    slide = cv2.imread(str(data_dir / "slide_cmu1/cmu1_half.png"))[:, :, ::-1]
    truth = cv2.imread(str(data_dir / "slide_cmu1/cmu1_half_tissue_mask.png"), cv2.IMREAD_GRAYSCALE) > 127
    tissue = tissue_mask(np.ascontiguousarray(slide))
    assert (tissue & truth).sum() / (tissue | truth).sum() > 0.8
