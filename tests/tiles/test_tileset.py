import numpy as np
import pandas as pd
import pytest

from tilewise.errors import ArtifactError
from tilewise.tiles.plan import TilePlan
from tilewise.tiles.tileset import TileSet


def boxes(*rows):
    return np.array(rows, dtype=np.int64).reshape(-1, 4)


@pytest.fixture
def tiles():
    return TileSet.of(
        {
            "b, ünicode.png": TilePlan(boxes([0, 0, 8, 8], [8, 0, 8, 8]), np.array([1.0, 0.5]), "mask", ""),
            "NA": TilePlan(boxes([4, 4, 8, 8]), np.array([0.25]), "tissue", "no mask"),
            "none.png": TilePlan(boxes(), np.empty(0), "mask", "excluded"),
        }
    )


def test_rows_keep_the_order_of_slides_and_tiles_are_numbered_within_each(tiles):
    assert tiles.table["slide"].tolist() == ["b, ünicode.png"] * 2 + ["NA"]
    assert tiles.table["tile"].tolist() == [0, 1, 0]
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
