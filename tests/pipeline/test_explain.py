"""Networks on pixels explained: the whole way, from a cohort to maps."""

import csv

import numpy as np
import pytest

from tests.drawn import draw_cohort
from tests.pipeline.conftest import train
from tests.pipeline.test_pixels import NETWORK
from tilewise import api
from tilewise.explain.config import ExplainConfig

pytestmark = pytest.mark.shared_cache

INPUTS = [
    ("stain={method: reinhard, target: median}",),
    ("network.input=multi_scale", "tiles.field_scales=[1.0, 2.0]"),
    ("network.input=dual_branch", "network.crop_px=20"),
]


@pytest.mark.parametrize("settings", INPUTS, ids=lambda settings: settings[0])
def test_networks_are_explained_as_they_predict(tmp_path, settings):
    draw_cohort(tmp_path / "cohort", num_slides=12)
    train(tmp_path / "cohort", tmp_path / "run", *NETWORK, "training.epochs=3", *settings)
    new = draw_cohort(tmp_path / "new", num_slides=3)
    config = ExplainConfig(limit=2, occluded_tiles=2)
    prediction = api.explain(tmp_path / "run", new, out=tmp_path / "maps", config=config, workers=1)
    assert list(prediction.pictures) == ["img_0000.png", "img_0001.png"]
    assert prediction.failures == ()
    with prediction.table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    table = api.predict(tmp_path / "run", new, workers=1).table.set_index("slide")
    for name, drawn in prediction.drawn.items():
        bags = [row for row in rows if row["slide"] == name]
        assert len(bags) == table.loc[name, "num_tiles"]
        # Slides are the mean of their tiles, and so is what is painted.
        assert np.mean([float(row["probability"]) for row in bags]) == pytest.approx(
            table.loc[name, f"p_{drawn}"], abs=1e-4
        )
        assert drawn == table.loc[name, "predicted"]
    assert all(float(row["activation"]) >= 0 for row in rows)
    # Of a tile of 32 px that is cropped, the table and the maps have the middle, which is what was seen.
    assert {row["width"] for row in rows} == {"20" if "network.crop_px=20" in settings else "32"}
    occluded = [row for row in rows if row["left_out"]]
    assert 0 < len(occluded) <= 2 * config.occluded_tiles
    assert all(float(row["left_out"]) != 0 for row in occluded)
    assert {check.name for check in prediction.checks} == {"probability", "activation"}
    page = prediction.page.read_text("utf-8")
    assert "by Grad-CAM (Selvaraju" in page
    assert ("only the tile" in page) == (settings[0] == "network.input=dual_branch")
    assert ("only the first is drawn" in page) == (settings[0] == "network.input=multi_scale")
