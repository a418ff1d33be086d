"""One small cohort and one finished run on it, with a hold-out; both are only read."""

import pytest

from tests.drawn import draw_cohort, recipe
from tilewise import api
from tilewise.cohort import Cohort


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    draw_cohort(home / "cohort", num_slides=18)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILEWISE_CACHE", str(home / "cache"))
        train(home / "cohort", home / "run", "folds.holdout_fraction=0.25")
    return home


def train(cohort, out, *settings, **options):
    return api.train(Cohort.discover(cohort), recipe(*settings), out=out, workers=1, **options)
