"""Where tiles of imported features are drawn."""

import numpy as np
import pytest

from tilewise.interchange.slide_features import SlideFeatures
from tilewise.pipeline.feature_places import _stem, place_tiles


def test_one_slide_in_microns_takes_those_in_pixels_along():
    vectors_ND = np.zeros((2, 3), np.float32)
    places = place_tiles(
        {
            "a": SlideFeatures("a", vectors_ND, np.array([[0, 0], [128, 0]], np.float32), "stamp", "um", 128.0),
            "b": SlideFeatures("b", vectors_ND, np.array([[0, 0], [512, 0]]), "trident", "px", 512.0, mpp=0.25),
            "c": SlideFeatures("c", vectors_ND, np.array([[0, 0], [512, 0]]), "trident", "px", 512.0),
        },
        None,
    )
    assert places.unit == "um"
    assert places.boxes["a"].tolist() == places.boxes["b"].tolist() == [[0, 0, 128, 128], [128, 0, 128, 128]]
    assert not places.boxes["c"].any()


@pytest.mark.parametrize("name", ["north/case.1", "case.1.ome.tif", "case.1.h5", "case.1.svs.pt"])
def test_a_slide_and_its_features_have_one_stem(name):
    assert _stem(name) == "case.1"
