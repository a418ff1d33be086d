import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.filters import threshold_otsu
from skimage.measure import label, regionprops

from tilewise.encoders.texture.planes import separate
from tilewise.encoders.texture.segmentation import Threshold, find_nuclei, otsu


@given(st.integers(0, 2**32 - 1))
def test_otsu_is_scikit_images(seed):
    rng = np.random.default_rng(seed)
    means, spreads = rng.integers(20, 230, 2), rng.uniform(2, 30, 2)
    values = np.clip(rng.normal(means, spreads, (300, 2)), 0, 255).astype(np.uint8)
    threshold = otsu(np.bincount(values.ravel(), minlength=256))
    # Levels without a pixel between two classes split them equally well.
    theirs = threshold_otsu(hist=(np.bincount(values.ravel(), minlength=256), np.arange(256)))
    assert np.array_equal(values > threshold.level, values > theirs)
    between = np.var(np.where(values > theirs, values[values > theirs].mean(), values[values <= theirs].mean()))
    assert threshold.separability == pytest.approx(between / values.var())


def test_otsu_of_one_level_and_of_none():
    counts = np.zeros(256, np.int64)
    assert otsu(counts) == Threshold(0, 0.0)
    counts[40] = 9
    assert otsu(counts) == Threshold(0, 0.0)


@pytest.mark.parametrize("radius", [4, 7, 11])
def test_discs_are_counted_and_measured(nuclei_tile, radius):
    centres = [(x, y) for x in range(20, 224, 37) for y in range(24, 224, 44)]
    nuclei = find_nuclei(separate(nuclei_tile(centres, radius)))
    assert len(nuclei.area) == len(nuclei.peak_radii) == len(centres)
    assert sorted(zip(nuclei.x.round(), nuclei.y.round(), strict=True)) == sorted(centres)
    assert nuclei.area == pytest.approx(np.pi * radius**2, rel=0.2)
    assert nuclei.peak_radii == pytest.approx(radius, rel=0.2)
    assert (nuclei.eccentricity < 0.35).all()
    assert nuclei.fill == pytest.approx(1, abs=0.05)
    assert nuclei.compactness == pytest.approx(1, abs=0.2)


def test_touching_nuclei_are_one_component_with_two_peaks(nuclei_tile):
    nuclei = find_nuclei(separate(nuclei_tile([(100, 100), (117, 100)], 10)))
    assert len(nuclei.area) == 1
    assert len(nuclei.peak_radii) == 2
    assert nuclei.fill[0] < 0.99
    assert nuclei.eccentricity[0] > 0.7
    assert np.cos(nuclei.angle[0]) == pytest.approx(1, abs=0.01)


def test_nuclei_at_the_edge_are_whole_components(nuclei_tile):
    nuclei = find_nuclei(separate(nuclei_tile([(0, 60), (223, 120), (112, 0), (50, 223)], 8)))
    assert len(nuclei.area) == 4


@pytest.mark.parametrize("level", [0, 128, 200, 255])
def test_blank_tiles_have_no_nuclei_or_are_one(level):
    nuclei = find_nuclei(separate(np.full((224, 224, 3), level, np.uint8)))
    assert len(nuclei.area) <= 1
    assert nuclei.threshold == Threshold(0, 0.0)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([64, 96, 101]))
def test_measures_are_scikit_images(seed, size):
    """Random blobs of any shape, touching the edges too."""
    import cv2

    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.normal(size=(size, size)), (0, 0), 3)
    density = np.where(noise > 0.03, 0.8, 0.05)
    rgb = np.array([0.65, 0.70, 0.29]) / np.linalg.norm([0.65, 0.70, 0.29])
    tile = np.clip(256 * 10 ** -(density[..., None] * rgb) - 1, 0, 255).astype(np.uint8)
    planes = separate(tile)
    nuclei = find_nuclei(planes)
    regions = regionprops(label(nuclei.mask, connectivity=1), intensity_image=planes.nuclear)
    regions = [region for region in regions if region.area >= 12]
    order = np.lexsort((nuclei.y.round(6), nuclei.x.round(6)))
    regions.sort(key=lambda region: (round(region.centroid[1], 6), round(region.centroid[0], 6)))
    assert nuclei.area[order] == pytest.approx([region.area for region in regions])
    assert nuclei.density[order] == pytest.approx([region.intensity_mean for region in regions])
    # skimage takes pixels for points; as squares they add 1/12 to every moment of inertia.
    axes = np.array([region.inertia_tensor_eigvals for region in regions]).reshape(-1, 2) + 1 / 12
    assert nuclei.eccentricity[order] == pytest.approx(np.sqrt(1 - axes[:, 1] / axes[:, 0]), abs=1e-5)
    assert nuclei.fill[order] == pytest.approx(nuclei.area[order] / (4 * np.pi * np.sqrt(axes.prod(axis=1))), rel=1e-6)
