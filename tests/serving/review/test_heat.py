"""Who says what of a slide: the models behind its heat, in words."""

import pytest

from tests.drawn import draw_cohort, recipe
from tilewise import api
from tilewise.folds import Folds
from tilewise.run_folder import RunFolder
from tilewise.serving.review.app import Review
from tilewise.serving.review.reviewed_run import ReviewedRun

pytestmark = pytest.mark.shared_cache


def test_heat_by_models_that_learnt_from_the_slide_says_so(tmp_path):
    draw_cohort(tmp_path / "cohort", num_slides=18)
    settings = ("folds={kind: holdout, test_fraction: 0.25, holdout_fraction: 0.25}",)
    api.train(tmp_path / "cohort", recipe(*settings), out=tmp_path / "run", workers=1)
    folder = RunFolder(tmp_path / "run")
    heat = Review(ReviewedRun.open(folder), None, "ada").heat
    folds = Folds.read(folder.folds)
    (fold,) = folds.folds
    assert heat.of(fold.test[0]).models == "the model of fold 0, which did not learn from this slide"
    for names, words in (
        (fold.train, "which learnt from this slide"),
        (fold.validation, "in whose validation part this slide is"),
        (folds.holdout, "which did not learn from this slide"),
    ):
        assert heat.of(names[0]).models == f"the one model of the run, {words}"
