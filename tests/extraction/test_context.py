"""What stands beside a slide's tiles, in numbers."""

import numpy as np
import pytest
from skimage.draw import ellipse
from skimage.measure import label, regionprops

from tilewise.auditing.mask_shape import NUM_SHAPES, describe_shape
from tilewise.extraction.bag import FeatureBag
from tilewise.extraction.config import FeaturesConfig
from tilewise.extraction.context import with_context


def bag(name, features_ND, **more):
    features_ND = np.asarray(features_ND, np.float32)
    return FeatureBag(name, features_ND, np.zeros((len(features_ND), 4), np.int64), **more)


INSIDE = {"a": bag("a", [[1, 2], [3, 4]]), "b": bag("b", [[5, 6]])}
OUTSIDE = {"a": bag("a", [[1, 1], [2, 2], [3, 9]])}
SHAPES = {"a": np.arange(NUM_SHAPES, dtype=np.float32)}


def test_first_stands_whether_there_is_any_then_the_mean_the_difference_and_the_shape():
    config = FeaturesConfig(context="outside_and_difference", context_shape=True)
    described = with_context(INSIDE, OUTSIDE, SHAPES, config)
    np.testing.assert_array_equal(described["a"].context_E, [1, 2, 4, 0, -1, *range(7)])
    np.testing.assert_array_equal(described["b"].context_E, [0, *[np.nan] * 11])
    np.testing.assert_array_equal(described["a"].features_ND, INSIDE["a"].features_ND)
    assert with_context(INSIDE, OUTSIDE, {}, FeaturesConfig(context="outside"))["a"].context_E.tolist() == [1, 2, 4]
    assert len(with_context(INSIDE, {}, SHAPES, FeaturesConfig(context_shape=True))["b"].context_E) == NUM_SHAPES


@pytest.mark.parametrize(("radii", "rotation"), [((30, 30), 0.0), ((40, 15), 0.0), ((40, 15), 0.7)])
def test_shapes_are_those_that_scikit_image_measures(radii, rotation):
    mask = np.zeros((200, 220), dtype=bool)
    mask[ellipse(100, 90, *radii, rotation=rotation)] = True
    mask[5:9, 5:8] = True
    share, components, largest, compactness, solidity, extent, elongation = describe_shape(mask).tolist()
    region = max(regionprops(label(mask)), key=lambda one: one.area)
    assert share == pytest.approx(np.log(mask.mean()))
    assert components == pytest.approx(np.log(2))
    assert largest == pytest.approx(region.area / mask.sum())
    assert compactness == pytest.approx(min(4 * np.pi * region.area / region.perimeter**2, 1.0), abs=0.12)
    assert solidity == pytest.approx(region.solidity, abs=0.02)
    assert extent == pytest.approx(region.extent)
    assert elongation == pytest.approx(region.axis_minor_length / region.axis_major_length, abs=0.01)


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (9, 9)])
def test_masks_of_a_pixel_a_line_and_the_whole_slide_have_a_shape(shape):
    mask = np.ones(shape, dtype=bool)
    numbers = describe_shape(mask)
    assert np.isfinite(numbers).all()
    assert numbers[0] == 0
    assert (numbers[2:] > 0).all()
    assert (numbers[2:] <= 1).all()
