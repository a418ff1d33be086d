from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tilewise.errors import ArtifactError
from tilewise.store import write_table
from tilewise.tiles.config import TileConfig
from tilewise.tiles.fields import with_fields
from tilewise.tiles.plan import TilePlan
from tilewise.tiles.rows import TileRows
from tilewise.tiles.tileset import TileSet


def boxes(*rows):
    return np.array(rows, dtype=np.int64).reshape(-1, 4)


def planned(boxes, ratios, region, reason):
    return TilePlan(TileRows.of_boxes(boxes, ratios, strategy="window", region=region), reason)


@pytest.fixture
def tiles():
    return TileSet.of(
        {
            "b, ünicode.png": planned(boxes([0, 0, 8, 8], [8, 0, 8, 8]), np.array([1.0, 0.5]), "mask", ""),
            "NA": planned(boxes([4, 4, 8, 8]), np.array([0.25]), "tissue", "no mask"),
            "none.png": planned(boxes(), np.empty(0), "mask", "excluded"),
        }
    )


def test_rows_keep_the_order_of_slides_and_tiles_are_numbered_within_each(tiles):
    assert tiles.table["slide"].tolist() == ["b, ünicode.png"] * 2 + ["NA"]
    assert tiles.table["tile"].tolist() == [0, 1, 0]
    assert repr(tiles) == "<TileSet: 3 tiles of 2 slides, 1 without any>"
    assert tiles.counts() == {"none.png": 0, "b, ünicode.png": 2, "NA": 1}
    assert (tiles.skipped, tiles.fallbacks) == ({"none.png": "excluded"}, {"NA": "no mask"})
    assert list(tiles.boxes()) == ["b, ünicode.png", "NA"]
    assert tiles.boxes()["b, ünicode.png"].tolist() == [[0, 0, 8, 8], [8, 0, 8, 8]]


def test_what_was_written_is_read(tiles, tmp_path):
    tiles.write(tmp_path / "tiles.parquet", inputs="digest")
    back, inputs = TileSet.read(tmp_path / "tiles.parquet")
    assert inputs == "digest"
    pd.testing.assert_frame_equal(back.table, tiles.table)
    assert (back.skipped, back.fallbacks) == (tiles.skipped, tiles.fallbacks)


def test_a_set_without_any_tile_can_be_written_too(tmp_path):
    TileSet.of({}).write(tmp_path / "tiles.parquet", inputs="x")
    back, _ = TileSet.read(tmp_path / "tiles.parquet")
    assert back.table.empty
    assert back.boxes() == {}


def test_a_damaged_table_is_named(tiles, tmp_path):
    path = tmp_path / "tiles.parquet"
    tiles.write(path, inputs="x")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ArtifactError, match=r"tiles\.parquet"):
        TileSet.read(path)


def test_rows_come_back_with_all_that_reading_takes(tmp_path):
    config = TileConfig(size_px=16, field_scales=(1.0, 4.0))
    rows = TileRows.of_boxes(boxes([0, 0, 16, 16], [30, 8, 16, 16]), np.ones(2), strategy="grid", region="tissue")
    rows = with_fields(rows, np.ones((40, 60), bool), config, size_l0=16)
    tiles = TileSet.of({"a": TilePlan(rows, "", {"blank": 3})})
    tiles.write(tmp_path / "tiles.parquet", inputs="x")
    back, _ = TileSet.read(tmp_path / "tiles.parquet")
    rows = back.rows()["a"]
    for name, expected in vars(rows).items():
        assert np.array_equal(getattr(rows, name), expected), name
        assert getattr(rows, name).dtype == expected.dtype, name
    assert back.dropped == {"a": {"blank": 3}}


def test_rows_of_a_slide_are_found_wherever_they_stand_in_the_table(tiles):
    shuffled = TileSet(tiles.table.iloc[[1, 2, 0]], tiles.skipped, tiles.fallbacks)
    assert {name: rows.boxes[:, 0].tolist() for name, rows in shuffled.rows().items()} == {
        "b, ünicode.png": [8, 0],
        "NA": [4],
    }


def test_extra_views_that_earlier_versions_marked_are_left_out(tiles, tmp_path):
    path = tmp_path / "tiles.parquet"
    extra = np.arange(len(tiles.table)) % 2 == 1
    replace(tiles, table=tiles.table.assign(training_only=extra)).write(path, inputs="x")
    before, _ = TileSet.read(path)
    assert before.table.equals(tiles.table[~extra].reset_index(drop=True))


def test_a_table_of_version_1_is_read(tiles, tmp_path):
    old = tiles.table[["slide", "tile", "x", "y", "width", "height", "mask_ratio", "region"]]
    head = {"skipped": {"none.png": "why"}, "fallbacks": {}, "inputs": "old"}
    write_table(tmp_path / "tiles.parquet", old, schema="tilewise.tiles", version=1, metadata=head)
    back, inputs = TileSet.read(tmp_path / "tiles.parquet")
    assert inputs == "old"
    assert {name: boxes.tolist() for name, boxes in back.boxes().items()} == {
        name: boxes.tolist() for name, boxes in tiles.boxes().items()
    }
    assert back.rows()["NA"].fields.tolist() == [[4, 4, 8, 8]]
    assert back.dropped == {}


def test_slides_whose_largest_box_was_taken_are_kept_with_the_table(tmp_path):
    rows = TileRows.of_boxes(np.array([[0, 0, 9, 9]]), np.ones(1), strategy="component_box", region="mask")
    tiles = TileSet.of({"a.png": TilePlan(rows, small_mask="no box of its mask"), "b.png": TilePlan(rows)})
    assert (tiles.small_masks, tiles.fallbacks) == ({"a.png": "no box of its mask"}, {})
    tiles.write(tmp_path / "tiles.parquet", inputs="x")
    assert TileSet.read(tmp_path / "tiles.parquet")[0].small_masks == tiles.small_masks
