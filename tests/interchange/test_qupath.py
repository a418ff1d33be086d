"""What QuPath's reader takes, and masks that come out as they were."""

import json
import math
import uuid

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tilewise.interchange.outline import outline
from tilewise.interchange.qupath import QuPathObject, class_colours, rectangle, write_objects


def fill(polygons, shape):
    """A mask from polygons by the even-odd rule: every upright edge turns over all pixels to its right."""
    mask = np.zeros(shape, bool)
    for ring in (ring for polygon in polygons for ring in polygon):
        for (x, y), (next_x, next_y) in zip(ring, [*ring[1:], ring[0]], strict=True):
            if x == next_x:
                mask[min(y, next_y) : max(y, next_y), x:] ^= True
    return mask


def signed_area(ring):
    points = np.array(ring)
    following = np.roll(points, -1, axis=0)
    return (points[:, 0] * following[:, 1] - following[:, 0] * points[:, 1]).sum() / 2


@given(mask=arrays.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_an_outline_filled_again_is_the_mask_and_its_rings_are_simple(mask):
    polygons = outline(mask)
    assert (fill(polygons, mask.shape) == mask).all()
    for outer, *holes in polygons:
        assert signed_area(outer) > 0
        assert all(signed_area(hole) < 0 for hole in holes)
    for ring in (ring for polygon in polygons for ring in polygon):
        assert len(set(ring)) == len(ring) >= 4
        steps = np.diff(np.array([*ring, ring[0]]), axis=0)
        assert ((steps != 0).sum(axis=1) == 1).all(), "edges follow pixels"
    import cv2

    assert len(polygons) == cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)[0] - 1


def written(tmp_path, *objects):
    path = tmp_path / "a.geojson"
    write_objects(path, objects)
    return json.loads(path.read_text("utf-8"))


def check_as_qupath(feature):
    """The rules of its reader, each of which throws or loses something."""
    assert feature["type"] == "Feature"
    assert str(uuid.UUID(feature["id"])) == feature["id"]
    properties = feature["properties"]
    assert properties["objectType"] in {"annotation", "detection", "tile", "cell", "tmaCore"}
    assert "null" not in json.dumps(feature)
    if "classification" in properties:
        assert isinstance(properties["classification"]["name"], str)
        colour = properties["classification"]["color"]
        assert len(colour) == 3
        assert all(isinstance(value, int) and 0 <= value <= 255 for value in colour)
    for value in properties.get("measurements", {}).values():
        assert isinstance(value, int | float) or value in {"NaN", "Infinity", "-Infinity"}
    polygons = feature["geometry"]["coordinates"]
    for ring in (
        ring for polygon in ([polygons] if feature["geometry"]["type"] == "Polygon" else polygons) for ring in polygon
    ):
        assert ring[0] == ring[-1]
        assert len(ring) >= 4
        assert all(value == round(value, 2) for point in ring for value in point)


def test_objects_keep_the_rules_of_qupaths_reader(tmp_path):
    plain = QuPathObject("a/0", "tile", [rectangle(0.126, 0, 10.001, 5)])
    full = QuPathObject(
        "a/1", "annotation", [rectangle(0, 0, 1, 1), rectangle(5, 5, 2, 2)], "mask", ("A", (1, 2, 3)),
        {"x": math.nan, "y": 0.5, "z": math.inf}, locked=True,
    )  # fmt: skip
    document = written(tmp_path, plain, full)
    assert document["type"] == "FeatureCollection"
    for feature in document["features"]:
        check_as_qupath(feature)
    first, second = document["features"]
    assert first["properties"] == {"objectType": "tile", "isLocked": False}
    assert first["geometry"]["coordinates"][0][0] == [0.13, 0]
    assert second["properties"]["measurements"] == {"x": "NaN", "y": 0.5, "z": "Infinity"}
    assert second["properties"]["classification"] == {"name": "A", "color": [1, 2, 3]}
    assert second["geometry"]["type"] == "MultiPolygon"
    assert first["id"] != second["id"]
    assert written(tmp_path, plain, full) == document, "ids follow from what objects are"


def test_classes_have_colours_of_their_own():
    colours = class_colours([f"c{number}" for number in range(8)])
    assert len(set(colours.values())) == 8


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    import tilewise as tw
    from tests.drawn import draw_cohort, recipe

    home = tmp_path_factory.mktemp("home")
    draw_cohort(home / "cohort", num_slides=12)
    run = tw.train(home / "cohort", recipe(), out=home / "run", workers=1)
    return home, run, tw.api.export_run(run, home / "geojson", "qupath")


def test_a_run_is_exported_slide_by_slide_with_prediction_mask_and_tiles(exported):
    import cv2

    home, run, result = exported
    assert result.failures == ()
    table = run.predictions.out_of_fold.table.set_index("slide")
    assert set(result.files) == set(table.index)
    name = "img_0003.png"
    features = json.loads((home / "geojson" / f"{name}.geojson").read_text())["features"]
    for feature in features:
        check_as_qupath(feature)
    kinds = [feature["properties"]["objectType"] for feature in features]
    assert kinds.count("annotation") == 2, "many objects are never annotations"
    assert kinds.count("tile") == table.loc[name, "num_tiles"] > 0
    slide, mask = features[0]["properties"], features[1]
    assert slide["classification"]["name"] == table.loc[name, "predicted"]
    assert slide["measurements"]["probability A"] == table.loc[name, "p_A"]
    pixels = cv2.imread(str(home / "cohort/masks/mask_0003.png"), cv2.IMREAD_GRAYSCALE) > 0
    geometry = mask["geometry"]
    polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    polygons = [[[tuple(map(int, point)) for point in ring[:-1]] for ring in polygon] for polygon in polygons]
    assert (fill(polygons, pixels.shape) == pixels).all()


def test_an_export_goes_into_a_folder_of_its_own(exported):
    import tilewise as tw
    from tilewise.errors import UsageError

    home, run, _ = exported
    with pytest.raises(UsageError, match="new or empty"):
        tw.api.export_run(run, home / "geojson", "qupath")
    with pytest.raises(UsageError, match="belongs to the run"):
        tw.api.export_run(run, home / "run/model/geojson", "qupath")
