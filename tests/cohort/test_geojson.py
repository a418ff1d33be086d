import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.measure import points_in_poly

from tests.drawn import draw_slide
from tilewise.auditing.audit_cohort import AuditOptions, audit_cohort
from tilewise.auditing.config import AuditConfig
from tilewise.cohort import Cohort, Slide, read_mask
from tilewise.cohort.geojson import fill, read_outlines
from tilewise.errors import MaskError
from tilewise.interchange.outline import outline
from tilewise.interchange.qupath import QuPathObject, rectangle, write_objects
from tilewise.slides import overview as overview_module
from tilewise.units import Size

MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=20))


def write(path, *objects):
    write_objects(path, [QuPathObject(f"{number}", *one) for number, one in enumerate(objects)])
    return path


def square(x, y, side):
    return [rectangle(x, y, side, side)]


@given(mask=MASKS)
def test_a_mask_outlined_as_qupath_has_it_and_filled_again_is_the_same(mask, tmp_path_factory):
    path = tmp_path_factory.mktemp("geojson") / "a.geojson"
    write(path, ("annotation", outline(mask)))
    size = Size(mask.shape[1], mask.shape[0])
    if mask.any():
        np.testing.assert_array_equal(read_outlines(path, size)[0], mask)
        features = json.loads(path.read_text())["features"]
        for text in (features, features[0], features[0]["geometry"]):
            path.write_text(json.dumps(text))
            np.testing.assert_array_equal(read_outlines(path, size)[0], mask)


@given(
    points=st.lists(st.tuples(st.floats(-5, 30), st.floats(-5, 25)), min_size=3, max_size=9),
    hole=st.lists(st.tuples(st.floats(2, 18), st.floats(2, 14)), min_size=3, max_size=5),
)
def test_pixels_are_inside_by_their_middle(points, hole):
    rings = [np.array(ring) + 1e-4 * np.pi for ring in (points, hole)]  # no middle lies right on an edge
    mask = np.zeros((16, 21), bool)
    fill(mask, rings)
    rows, columns = np.nonzero(np.ones_like(mask))
    middles = np.column_stack([columns + 0.5, rows + 0.5])
    expected = points_in_poly(middles, rings[0]) ^ points_in_poly(middles, rings[1])
    np.testing.assert_array_equal(mask.ravel(), expected)


@pytest.mark.parametrize("factor", [2, 4])
def test_outlines_of_a_large_slide_are_filled_in_its_overview(factor, tmp_path, monkeypatch):
    monkeypatch.setattr(overview_module, "OVERVIEW_PIXELS", -(-101 // factor) * -(-67 // factor))
    path = write(tmp_path / "a.geojson", ("annotation", square(8, 16, 24)), ("annotation", square(64, 40, 40)))
    mask, _ = read_outlines(path, Size(101, 67))
    assert mask.shape == (-(-67 // factor), -(-101 // factor))
    expected = np.zeros((67 + 3, 101 + 3), bool)
    expected[16:40, 8:32] = expected[40:80, 64:104] = True
    np.testing.assert_array_equal(mask, expected[::factor, ::factor][: mask.shape[0], : mask.shape[1]])


def test_only_annotations_are_the_mask(tmp_path):
    path = write(
        tmp_path / "a.geojson",
        ("annotation", [rectangle(0, 0, 40, 30)]),
        ("annotation", square(5, 5, 10), "mask"),
        ("tile", square(20, 5, 8)),
        ("annotation", square(20, 20, 8), "", ("Ignore*", (1, 2, 3))),
    )
    data = json.loads(path.read_text())
    data["features"].append({"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 1]}})
    path.write_text(json.dumps(data))
    mask, notes = read_outlines(path, Size(40, 30))
    assert mask.sum() == 100
    assert mask[5:15, 5:15].all()
    assert len(notes) == 4
    assert any("`Ignore*`" in note for note in notes)
    assert any("whole slide" in note for note in notes)


def test_the_whole_slide_alone_is_the_mask(tmp_path):
    path = write(tmp_path / "a.geojson", ("annotation", [rectangle(0, 0, 40, 30)]))
    assert read_outlines(path, Size(40, 30))[0].all()


def test_all_that_the_standard_allows_is_read(tmp_path):
    path, polygon = tmp_path / "a.geojson", {"type": "Polygon", "coordinates": square(5, 5, 10)[0]}
    geometries = [
        None,
        {"type": "Polygon", "coordinates": []},
        {"type": "MultiPolygon", "coordinates": []},
        {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [1, 1]}, polygon]},
    ]
    properties = {"classification": "Tumour"}
    features = [{"type": "Feature", "geometry": one, "properties": properties} for one in geometries]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), "utf-8-sig")
    mask, notes = read_outlines(path, Size(40, 30))
    assert mask.sum() == 100
    assert mask[5:15, 5:15].all()
    assert [note.split(" not ")[0] for note in notes] == [
        "1 of the features without a geometry",
        "2 of the polygons without a point",
        "1 of the geometries of the kind `Point`",
    ]


@pytest.mark.parametrize("far", [1e5, 1e19, 1e300, 1.7e308])
def test_coordinates_however_far_outside_cover_what_they_enclose(far):
    for corners, expected in (
        ([(-far, -far), (far, -far), (far, far), (-far, far)], np.ones((6, 8), bool)),
        ([(3, -far), (far, -far), (far, far), (3, far)], np.tile(np.arange(8) >= 3, (6, 1))),
        ([(-far, 2), (far, 2), (far, far), (-far, far)], np.tile(np.arange(6)[:, None] >= 2, (1, 8))),
    ):
        mask = np.zeros((6, 8), bool)
        fill(mask, [np.array(corners)])
        np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "{}",
        '{"type": "Feature"}',
        '{"type": "Polygon", "coordinates": [[[0, 0]]]}',
        '{"type": "Polygon", "coordinates": [[[0], [1], [2]]]}',
        '{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [0, 1' + "0" * 400 + "]]]}",
        "[" * 200_000,
    ],
    ids=range(8),
)
def test_damage_names_slide_and_file(text, tmp_path):
    path = tmp_path / "a.geojson"
    path.write_text(text)
    with pytest.raises(MaskError, match=r"img_7\.png.*a\.geojson"):
        read_mask(Slide("img_7.png", tmp_path / "img_7.png", path), Size(40, 30))


@pytest.mark.parametrize(
    "name", ["masks/a.geojson", "masks/a.png.geojson", "images/a.geojson", "images/a_mask.geojson"]
)
def test_outlines_are_paired_by_name_and_audited(name, tmp_path):
    draw_slide(tmp_path / "images" / "a.png", 0, klass=0)
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    write(path, ("annotation", square(20, 20, 40)))
    cohort = Cohort.discover(tmp_path, purpose="predict")
    assert [(slide.slide_id, slide.mask_path) for slide in cohort.slides] == [("a.png", path)]
    audited = audit_cohort(cohort, AuditConfig(), AuditOptions(drop=False, workers=1))
    assert audited.slides[0].use_mask
    assert audited.facts["a.png"].mask.share == pytest.approx(1600 / (128 * 96))


def test_a_table_names_outlines(tmp_path):
    for number, name in enumerate(("a", "b")):
        draw_slide(tmp_path / f"{name}.png", number, klass=0)
    (tmp_path / "drawn").mkdir()
    path = write(tmp_path / "drawn" / "first.geojson", ("annotation", square(20, 20, 40)))
    (tmp_path / "cohort.csv").write_text("slide,mask,label\na.png,drawn/first.geojson,x\nb.png,,y\n")
    cohort = Cohort.discover(tmp_path)
    assert [slide.mask_path for slide in cohort.slides] == [path, None]
