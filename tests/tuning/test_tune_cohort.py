"""Searches end to end on a small drawn cohort: what is seen, what is scored, and searches that are stopped."""

import csv
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from sklearn.metrics import f1_score

from tests import killed
from tests.drawn import SETTINGS, draw_cohort, recipe
from tilewise import api
from tilewise.cli.main import run as command
from tilewise.errors import RecipeError, TrainingError, UsageError
from tilewise.execution import Failure, Outcome
from tilewise.folds import Folds
from tilewise.pipeline import fold_jobs
from tilewise.pipeline.trial_folds import TrialFolds
from tilewise.tuning import run_trials as module
from tilewise.tuning.space import load_space

pytestmark = pytest.mark.shared_cache

SPACE = {
    "training.learning_rate": {"low": 0.0001, "high": 0.5, "log": True},
    "head": [
        {"name": "linear", "head.kind": "linear", "head.hidden_sizes": None},
        {"name": "mlp", "head.kind": "mlp", "head.hidden_sizes": {"choices": [[4], [8]]}},
    ],
}
#: Learns nothing at this rate, so that a search has something to gain.
SLOW = ("training.learning_rate=0.000001", "head.kind=mlp", "head.hidden_sizes=[4]")


def search(home, out, **more):
    options = {"out": home / out, "num_trials": 4, "workers": 1} | more
    return api.tune(home / "cohort", SPACE, recipe(*SLOW), **options)


def drawn(tuned):
    return [(trial.state, trial.value, trial.by_fold, trial.settings) for trial in tuned.trials]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("tuned")
    draw_cohort(home / "cohort", num_slides=24)
    return home


@pytest.fixture(scope="module")
def tuned(home):
    return search(home, "whole")


def test_the_winner_is_a_run_and_its_outer_slides_lie_in_no_fold(home, tuned):
    assert tuned.winner is not None
    assert api.verify(tuned.run.folder.root) == []
    folds = Folds.read(tuned.run.folder.folds)
    assert folds == Folds.read(home / "whole" / "folds.json")
    assert len(folds.holdout) == tuned.num_outer_slides == 6
    assert not set(folds.holdout) & {
        name for fold in folds.folds for name in (*fold.train, *fold.validation, *fold.test)
    }
    assert tuned.recipe.training.learning_rate == tuned.winning_trial.settings["training.learning_rate"]
    assert "Chosen by `tilewise tune`" in tuned.recipe.notes[0]
    assert any("Chosen by" in warning for warning in tuned.run.warnings)


def test_scores_are_of_the_winners_own_predictions(tuned):
    table = tuned.run.predictions.table
    validation = table[table["part"] == "validation"]
    by_fold = {
        fold: f1_score(rows["label"], rows["predicted"], average="macro") for fold, rows in validation.groupby("fold")
    }
    assert tuned.winning_trial.by_fold == pytest.approx(by_fold)
    assert tuned.scores.validation.value == pytest.approx(tuned.winning_trial.value)
    assert tuned.scores.validation.value > tuned.first_scores.validation.value
    outer = table[table["part"] == "holdout"]
    deployed = f1_score(outer["label"], outer["predicted"], average="macro")
    assert tuned.scores.deployed.value == pytest.approx(deployed)
    assert tuned.gain.difference.value == pytest.approx(deployed - tuned.first_scores.deployed.value)
    assert tuned.scores.optimism.value == pytest.approx(tuned.scores.validation.value - tuned.scores.outer.value)


def test_trials_never_ask_about_test_parts_or_outer_slides(home, monkeypatch):
    parts = []
    predict = TrialFolds.predict

    def note(self, model, number, part):
        parts.append((self.folder.root.parent.name, part))
        return predict(self, model, number, part)

    monkeypatch.setattr(TrialFolds, "predict", note)
    search(home, "watched", num_trials=2)
    of_trials = [part for folder, part in parts if folder == "trials"]
    assert of_trials[:6] == ["validation"] * 6
    assert of_trials[6:] in ([], ["holdout"] * 3)  # of the winner, once


def test_page_tables_and_recipe_hold_it(home, tuned):
    page = tuned.page.read_text("utf-8")
    assert page.count("<svg") == 1 + 3
    history = page.partition('class="chart history"')[2].partition("</svg>")[0]
    assert all(f">{number}</text>" in history for number in range(4))
    assert "line best" in history
    assert "line train" not in history  # which is dashed, as the recipe as it is
    (caution,) = [sentence for sentence in tuned.sentences() if sentence.startswith("Only 6 ")]
    assert caution.split(" `")[0] in page
    assert 'href="as-it-is/report.html"' in page
    assert f'href="{tuned.run.folder.root.name}/report.html"' in page
    with tuned.csv.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["trial"] for row in rows] == ["0", "1", "2", "3"]
    assert float(rows[tuned.winner]["validation"]) == pytest.approx(tuned.winning_trial.value, abs=1e-5)
    written = json.loads((home / "whole" / "tune.json").read_text())
    assert written["scores"]["optimism"]["value"] == tuned.scores.optimism.value
    again = api.load_recipe(home / "whole" / "winner.yaml")
    assert again.training.learning_rate == tuned.recipe.training.learning_rate
    assert again.folds.holdout_fraction == 0.0  # as the recipe was


def test_the_same_call_again_trains_nothing_and_more_trials_go_on(home, tuned, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(module, "run_trial", pytest.fail)
        patch.setattr("tilewise.pipeline.train._train_folds", pytest.fail)
        again = search(home, "whole")
    assert again.to_json() == tuned.to_json()
    more = search(home, "whole", num_trials=6)
    assert drawn(more)[:4] == drawn(tuned)
    assert len(more.trials) == 6
    assert replace(more, num_winners=2).sentences()[-1].startswith("2 winners")


def arguments(home, out, num_trials):
    path = home / "space.yaml"
    path.write_text(yaml.safe_dump(SPACE, sort_keys=False))
    options = ["--space", str(path), "--recipe", "texture", "--trials", str(num_trials), "--workers", "1", "--quiet"]
    settings = [part for setting in (*SETTINGS, *SLOW) for part in ("--set", setting)]
    return ["tune", str(home / "cohort"), *options, *settings, "--out", str(home / out)]


def start(home, out, num_trials):
    command_line = [sys.executable, "-m", "tilewise", *arguments(home, out, num_trials)]
    return subprocess.Popen(command_line, env=os.environ | {"PYTHONPATH": str(Path(api.__file__).parents[2])})


def test_a_search_that_is_killed_ends_with_the_same_trials(home, tuned, capsys):
    process = killed.start(command, arguments(home, "killed", 4))
    while not (home / "killed" / "trials" / "0002" / "folds" / "0").exists():
        assert process.is_alive(), "it ended before it could be killed"
        time.sleep(0.02)
    process.kill()
    process.join()
    assert not (home / "killed" / "tune.json").exists()
    assert command([*arguments(home, "killed", 4), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["winner"] == tuned.winner
    assert printed["scores"] == asdict(tuned.scores)
    for trial, other in zip(printed["trials"], tuned.trials, strict=True):
        undisturbed = other.to_json() | {"seconds": trial["seconds"]}
        assert trial == json.loads(json.dumps(undisturbed))
    assert command(["spaces"]) == 0
    assert "heads" in capsys.readouterr().out


@pytest.mark.soak
def test_two_processes_share_the_trials(home):
    search(home, "shared", num_trials=1)  # what they share is made
    process = start(home, "shared", 5)
    made = search(home, "shared", num_trials=5)
    assert process.wait() == 0
    assert [trial.number for trial in made.trials] == list(range(5))
    assert search(home, "shared", num_trials=5).to_json() == made.to_json()


def test_a_trial_that_fails_is_told_and_the_others_go_on(home, monkeypatch):
    score = module.validation_score

    def fail_one(trained, number, metric):
        if trained.folder.root.name == "0001":
            raise TrainingError("the loss is nan")
        return score(trained, number, metric)

    monkeypatch.setattr(module, "validation_score", fail_one)
    made = search(home, "failing", num_trials=3)
    assert [trial.state == "failed" for trial in made.trials] == [False, True, False]
    assert made.trials[1].error == "the loss is nan"
    assert "1 failed" in made.sentences()[0]
    assert "the loss is nan" in made.page.read_text("utf-8")


def test_time_that_is_over_ends_the_search_and_the_same_call_goes_on(home, tuned):
    early = search(home, "timed", time_limit=0.001)
    assert early.trials == ()
    assert early.winner is None
    assert early.num_missing == 4
    assert "4 trials were not made in time" in early.sentences()[-1]
    assert drawn(search(home, "timed")) == drawn(tuned)


def test_what_cannot_be_tuned_is_refused_before_any_work(home, tuned, tmp_path):
    cohort = home / "cohort"
    with pytest.raises(RecipeError, match="did you mean 'dropout'"):
        api.tune(cohort, {"head.droput": {"low": 0.0, "high": 0.5}}, recipe(), out=tmp_path / "a")
    with pytest.raises(UsageError, match="small-cohort has a ladder"):
        api.tune(cohort, "heads", "small-cohort", out=tmp_path / "b")
    with pytest.raises(UsageError, match="validation_fraction=0 leaves nothing"):
        api.tune(cohort, SPACE, recipe("folds.validation_fraction=0"), out=tmp_path / "c")
    with pytest.raises(UsageError, match=r"holds another search \(seed changed\)"):
        search(home, "whole", seed=1)
    with pytest.raises(UsageError, match="num_trials=0"):
        search(home, "whole", num_trials=0)
    assert not list(tmp_path.iterdir())


def test_a_trial_must_have_the_slides_of_all_others(home):
    space = {"tiles.min_mask_ratio": {"choices": [0.25, 1.0]}}
    made = api.tune(home / "cohort", space, recipe("tiles.fallback=exclude"), out=home / "cut", num_trials=3, workers=1)
    failed = [trial for trial in made.trials if trial.state == "failed"]
    assert [trial.settings["tiles.min_mask_ratio"] for trial in failed] == [1.0] * len(failed)


def test_on_a_cluster_a_task_claims_what_the_largest_trial_takes_and_failures_are_warned_of(monkeypatch, caplog):
    claims = []

    def run_each(*_, claim, **__):
        claims.append(claim)
        return Outcome({}, (Failure("trial 0", "searching", "OSError", "no space left"),))

    monkeypatch.setattr(module, "run_each", run_each)
    monkeypatch.setattr(module, "current_ray", object)
    monkeypatch.setattr(fold_jobs, "default_threads", lambda: 8)
    space = load_space(SPACE | {"training": [{"name": "small"}, {"name": "large", "training.num_threads": 3}]})
    study = SimpleNamespace(trials=list, space=space, claim=lambda _: "done")
    shared = SimpleNamespace(for_worker=lambda: None, resources=SimpleNamespace(workers=1))
    module.run_trials(study, module.Search(recipe(*SLOW), shared, 2), SimpleNamespace(advance=lambda _: None))
    assert [claim.threads for claim in claims] == [3]
    assert "1 of 2 tasks on the cluster ended without a trial, the first by OSError: no space left" in caplog.text
