"""A run's own features for other programs, and a run from these again."""

import numpy as np
import pytest

import tilewise as tw
from tests.drawn import draw_cohort, recipe
from tilewise.api import export_features
from tilewise.errors import UsageError
from tilewise.interchange.folder import FeatureFolder
from tilewise.tiles.tileset import TileSet


@pytest.mark.shared_cache
def test_features_of_a_run_go_out_as_they_are_and_train_to_the_same_predictions(tmp_path):
    plain = recipe()
    cohort = draw_cohort(tmp_path / "cohort", num_slides=12)
    run = tw.train(cohort, plain, out=tmp_path / "run", workers=1)
    result = export_features(tmp_path / "run", tmp_path / "clam", "clam")
    assert (result.source, result.failures) == ("tilewise", ())
    folder = FeatureFolder.find(tmp_path / "clam")
    bags, _, _ = features = tw.features(cohort, plain, workers=1)
    boxes = TileSet.read(run.folder.tiles)[0].boxes()
    for name, bag in zip(features.slide_ids, bags, strict=True):
        slide = folder.read(name.removesuffix(".png"))
        assert (slide.features == bag).all()
        assert (slide.coords == boxes[name][:, :2]).all()
        assert slide.tile_size == 32
    again = tw.train(tmp_path / "clam", plain, out=tmp_path / "again", labels=cohort / "labels.csv")
    tables = [one.predictions.out_of_fold.table.sort_values("slide") for one in (run, again)]
    np.testing.assert_allclose(*(table[["p_A", "p_B"]].to_numpy() for table in tables), rtol=0, atol=1e-6)
    (tmp_path / "cohort/labels.csv").write_text(
        (tmp_path / "cohort/labels.csv").read_text().replace("0003.png,B", "0003.png,A")
    )
    with pytest.raises(UsageError, match="have changed since"):
        export_features(tmp_path / "run", tmp_path / "other", "clam")
    with pytest.raises(UsageError, match="export that folder"):
        export_features(tmp_path / "again", tmp_path / "other", "clam")
