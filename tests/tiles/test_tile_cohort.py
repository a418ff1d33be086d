import cv2
import numpy as np
import pytest

from tests.drawn import draw_cohort, recipe
from tilewise.auditing.audit_cohort import AuditOptions, audit_cohort
from tilewise.cohort import Cohort
from tilewise.errors import MaskError, NoTiles
from tilewise.tiles import tile_cohort as module
from tilewise.tiles.tile_cohort import tile_cohort
from tilewise.tiles.tileset import TileSet


@pytest.fixture
def folder(tmp_path):
    return draw_cohort(tmp_path / "cohort", num_slides=3)


def audited(folder):
    return audit_cohort(Cohort.discover(folder), recipe().audit, AuditOptions(workers=1))


def count_plans(monkeypatch, fail=None):
    """Count how often a slide is planned; the named one fails as a mask that vanished would."""
    planned = []
    original = module.plan_tiles

    def counted(request):
        planned.append(request.slide.slide_id)
        if request.slide.slide_id == fail:
            raise MaskError(f"{fail}: its mask vanished; put it back")
        return original(request)

    monkeypatch.setattr(module, "plan_tiles", counted)
    return planned


def cut_cohort(folder, out, *settings):
    return tile_cohort(audited(folder), recipe(*settings).tiles, out=out, workers=1)


def test_the_table_is_taken_as_it_is_until_slides_masks_or_options_change(folder, tmp_path, monkeypatch):
    out = tmp_path / "tiles.parquet"
    first, _ = cut_cohort(folder, out)
    planned = count_plans(monkeypatch)
    again, _ = cut_cohort(folder, out)
    assert planned == []
    assert again.table.equals(first.table)
    cut_cohort(folder, out, "tiles.min_mask_ratio=0.5")
    assert len(planned) == 3
    mask = np.zeros((96, 128), np.uint8)
    mask[:40] = 255
    cv2.imwrite(str(folder / "masks/mask_0001.png"), mask)
    changed, _ = cut_cohort(folder, out, "tiles.min_mask_ratio=0.5")
    assert len(planned) == 6
    assert not changed.table.equals(first.table)


def test_a_damaged_table_is_made_again(folder, tmp_path):
    out = tmp_path / "tiles.parquet"
    first, _ = cut_cohort(folder, out)
    out.write_bytes(b"PAR1")
    assert cut_cohort(folder, out)[0].table.equals(first.table)
    assert TileSet.read(out)[0].table.equals(first.table)


def test_a_table_without_the_slides_that_failed_is_written_but_not_taken_again(folder, tmp_path, monkeypatch):
    out = tmp_path / "tiles.parquet"
    planned = count_plans(monkeypatch, fail="img_0001.png")
    tiles, failures = cut_cohort(folder, out)
    assert [failure.item for failure in failures] == ["img_0001.png"]
    assert TileSet.read(out)[0].table.equals(tiles.table)
    assert cut_cohort(folder, out)[1] == failures
    assert len(planned) == 6


def test_where_no_slide_yields_a_tile_the_first_and_its_reason_are_named(folder, tmp_path, monkeypatch):
    for path in (folder / "masks").iterdir():
        path.unlink()
    with pytest.raises(NoTiles, match=r"img_0000\.png.*no mask.*tiles\.fallback=slide"):
        cut_cohort(folder, tmp_path / "tiles.parquet", "tiles.fallback=exclude")
    monkeypatch.undo()
    with pytest.raises(NoTiles) as raised:
        cut_cohort(folder, None, "tiles.fallback=exclude")
    assert "--set" not in str(raised.value)


def test_without_need_of_a_tile_an_empty_set_says_why(folder):
    config = recipe("tiles.strategy=component_box", "tiles.fallback=exclude", "tiles.component_box_min=9999").tiles
    tiles, _ = tile_cohort(audited(folder), config, out=None, workers=1, require=False)
    assert tiles.table.empty
    assert len(tiles.skipped) == 3
