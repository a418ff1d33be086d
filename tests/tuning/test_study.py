"""Trials in a journal: what they draw, what is pruned, and trials of processes that died."""

import gc

import filelock
import numpy as np
import pytest

from tilewise.errors import DiskFull, UsageError
from tilewise.tuning import study as module
from tilewise.tuning.space import load_space
from tilewise.tuning.study import JOURNAL, Study
from tilewise.tuning.trial import best_trial

SPACE = load_space(
    {
        "training.learning_rate": {"low": 0.001, "high": 1.0, "log": True},
        "training.epochs": {"low": 3, "high": 30, "step": 3},
        "head": [{"head.kind": "linear"}, {"head.kind": "mlp", "head.hidden_sizes": {"choices": [[8], [16]]}}],
    }
)


def score(settings, fold):
    """Best at a rate of 0.1; what folds add differs from trial to trial."""
    rate = settings["training.learning_rate"]
    return 0.8 - 0.1 * abs(np.log10(rate) + 1.0) + 0.1 * np.sin(1e4 * rate + 2.0 * fold)


def make(study, num, folds=5, stop_at=None):
    while isinstance(trial := study.claim(num), module.OpenTrial):
        if trial.number == stop_at:
            return trial
        for fold in range(folds):
            if trial.report(fold, score(trial.settings, fold)) and fold + 1 < folds:
                trial.prune(1.0)
                break
        else:
            trial.finish(1.0)
    return trial


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    study = Study(out, SPACE, seed=5)
    assert make(study, 24) == "done"
    return study


def test_values_lie_in_their_ranges_and_follow_the_score(whole):
    trials = whole.trials()
    assert [trial.number for trial in trials] == list(range(24))
    for trial in trials:
        assert 0.001 <= trial.settings["training.learning_rate"] <= 1.0
        assert trial.settings["training.epochs"] in range(3, 31, 3)
        assert ("head.hidden_sizes" in trial.settings) == (trial.settings["head.kind"] == "mlp")
    best = best_trial(trials)
    assert best.value == pytest.approx(np.mean([score(best.settings, fold) for fold in range(5)]))
    importances = whole.importances()
    assert set(importances) == {"training.learning_rate", "training.epochs", "head"}
    assert importances["training.learning_rate"] > 0.5


def test_a_trial_whose_folds_fall_behind_is_pruned(tmp_path):
    study = Study(tmp_path, SPACE, seed=0)
    for values in ([0.5, 0.6, 0.7, 0.8], [0.4, 0.5, 0.6], [0.4, 0.7, 0.7, 0.7]):
        trial = study.claim(3)
        behind = [trial.report(fold, value) for fold, value in enumerate(values)]
        assert behind[:2] == [False, False]
        trial.prune(1.0) if len(values) == 3 else trial.finish(1.0)
        assert any(behind) == (len(values) == 3)
    assert [trial.state for trial in study.trials()] == ["finished", "pruned", "finished"]
    assert study.trials()[1].by_fold == {0: 0.4, 1: 0.5, 2: 0.6}
    assert study.trials()[1].value is None


def test_a_trial_whose_process_died_is_made_again_and_nothing_else_changes(whole, tmp_path):
    first = Study(tmp_path, SPACE, seed=5)
    dead = make(first, 24, stop_at=12)
    dead.report(0, 0.5)
    assert first.claim(13) == "wait"  # it is being made, as far as others can tell
    dead._lock.release()
    with (tmp_path / JOURNAL).open("ab") as stream:
        stream.write(b'{"op_code":5,"worker_id":"torn')
    again = Study(tmp_path, SPACE, seed=5)
    assert make(again, 24) == "done"
    assert again.trials() == whole.trials()


def test_what_failed_is_told_and_not_tried_again(tmp_path):
    study = Study(tmp_path, SPACE, seed=0)
    trial = study.claim(1)
    trial.fail("the loss is nan", 2.0)
    assert study.claim(1) == "done"
    (made,) = study.trials()
    assert (made.state, made.error, made.value, made.seconds) == ("failed", "the loss is nan", None, 2.0)
    assert best_trial(study.trials()) is None


def test_models_of_the_best_trial_stay(tmp_path):
    study = Study(tmp_path, SPACE, seed=0)
    for value in (0.4, 0.6, 0.5):
        trial = study.claim(3)
        (trial.folder / "folds").mkdir()
        trial.report(0, value)
        trial.finish(1.0)
    study.remove_models()
    assert [path.name for path in sorted((tmp_path / "trials").iterdir())] == ["0001"]


def test_without_locks_one_process_can_still_search(tmp_path, monkeypatch, caplog):
    def refuse(self, *args, **kwargs):
        raise OSError("no locks here")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    study = Study(tmp_path, SPACE, seed=0)
    assert make(study, 2, folds=1) == "done"
    assert "let no other tilewise write there" in caplog.text


def test_without_optuna_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(UsageError, match=r"pip install 'tilewise\[tune\]'"):
        module.import_optuna()


def test_a_full_disk_is_named_and_the_search_goes_on_where_it_was(whole, disk):
    out = disk(40)

    def search():
        with pytest.raises(DiskFull, match="disk is full"):
            make(Study(out, SPACE, seed=5), 24)

    search()
    gc.collect()  # the locks of a process that ends
    disk(4000)
    study = Study(out, SPACE, seed=5)
    assert 0 < len(study.trials()) < 24
    assert make(study, 24) == "done"
    assert [trial.number for trial in study.trials()] == list(range(24))
