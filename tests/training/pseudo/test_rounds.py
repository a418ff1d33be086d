"""A fold in rounds: what joins is right and helps, nothing that is scored is looked at, and it goes on when killed."""

from __future__ import annotations

import csv
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.killed import exit_code
from tests.training.pseudo.cohort_of import (
    CLASSES,
    FOLD,
    LABELS,
    SLIDES,
    TRUTH,
    UNLABELLED,
    Guarded,
    die,
    draw,
    head_trainer,
    task,
    truth,
)
from tilewise.calibration.scaling import Scaling
from tilewise.errors import TrainingError
from tilewise.extraction.bag import FeatureBag
from tilewise.models import FoldModel
from tilewise.training.pseudo.rounds import train_with_pseudo


@pytest.fixture(scope="module")
def bags() -> dict[str, FeatureBag]:
    return draw(TRUTH)


@pytest.fixture(scope="module")
def trained(bags: dict[str, FeatureBag], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fold")
    train_with_pseudo(task(rounds=2), head_trainer(bags), out=out)
    return out


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "pseudo.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_what_joined_is_written_beside_the_model_and_into_its_origin(trained: Path) -> None:
    origin = FoldModel.load(trained).origin["pseudo"]
    written = rows(trained)
    assert list(written[0]) == ["slide", "label", "probability", "round"]
    assert [{**row, "probability": float(row["probability"]), "round": int(row["round"])} for row in written] == sorted(
        origin["added"], key=lambda row: (row["round"], row["slide"])
    )
    assert {row["round"] for row in written} == {"1", "2"}
    assert origin["num_candidates"] == len(UNLABELLED)
    assert origin["config"]["threshold"] == 0.6
    assert all(float(row["probability"]) >= 0.6 for row in written)
    assert set(contents(trained / "pseudo")) == {
        f"round-{number}/{name}" for number in (0, 1) for name in ("history.csv", "model.json", "model.safetensors")
    }


def test_the_probability_is_what_the_model_of_the_round_before_says(trained: Path, bags: dict[str, FeatureBag]) -> None:
    for number in (0, 1):
        model = FoldModel.load(trained / "pseudo" / f"round-{number}")
        joined = [row for row in rows(trained) if row["round"] == str(number + 1)]
        validation = head_trainer(bags).predict(model, FOLD.validation)
        truth_V = np.array([CLASSES.index(LABELS[name]) for name in validation])
        scaling = Scaling.fit(np.stack(list(validation.values())), truth_V)
        raw = head_trainer(bags).predict(model, [row["slide"] for row in joined])
        probabilities = {name: scaling.apply(row_C[None])[0] for name, row_C in raw.items()}
        for row in joined:
            assert float(row["probability"]) == probabilities[row["slide"]].max()
            assert row["label"] == CLASSES[probabilities[row["slide"]].argmax()]


def test_uncalibrated_is_what_the_model_says(bags: dict[str, FeatureBag], tmp_path: Path) -> None:
    train_with_pseudo(task(calibrated=False), head_trainer(bags), out=tmp_path)
    model = FoldModel.load(tmp_path / "pseudo/round-0")
    raw = head_trainer(bags).predict(model, UNLABELLED)
    assert {row["slide"]: float(row["probability"]) for row in rows(tmp_path)} == {
        name: row_C.max() for name, row_C in raw.items() if row_C.max() >= 0.6
    }


def test_the_last_model_is_trained_on_all_that_joined(
    trained: Path, bags: dict[str, FeatureBag], tmp_path: Path
) -> None:
    joined = {row["slide"]: row["label"] for row in rows(trained)}
    fold = replace(FOLD, train=tuple(sorted((*FOLD.train, *joined))))
    by_hand = head_trainer(bags).train(fold, LABELS | joined, tmp_path)
    model = FoldModel.load(trained)
    assert (tmp_path / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()
    assert {name: value for name, value in model.origin.items() if name != "pseudo"} == by_hand.origin


def test_pseudo_labels_are_mostly_right_and_help_where_labels_are_few(tmp_path: Path) -> None:
    drawn = truth(12, 130)
    new = [name for name in drawn if name.startswith("u")]
    joining, fresh = new[:30], new[30:]
    gains, right = [], []
    for seed in range(3):
        trainer = head_trainer(draw(drawn, seed=seed))

        def score(model: FoldModel, trainer=trainer) -> float:
            probabilities = trainer.predict(model, fresh)
            return float(np.mean([CLASSES[probabilities[name].argmax()] == drawn[name] for name in fresh]))

        before = trainer.train(FOLD, LABELS, tmp_path / f"before{seed}")
        after = train_with_pseudo(task(candidates=joining, rounds=2), trainer, out=tmp_path / f"after{seed}")
        gains.append(score(after) - score(before))
        right += [one["label"] == drawn[one["slide"]] for one in after.origin["pseudo"]["added"]]
    assert len(right) >= 60
    assert np.mean(right) > 0.8
    assert min(gains) > 0.0
    assert np.mean(gains) > 0.05


def test_nothing_but_train_select_and_candidates_is_looked_at(bags: dict[str, FeatureBag], tmp_path: Path) -> None:
    forbidden = (*FOLD.test, *UNLABELLED[20:])
    guarded = Guarded(bags, forbidden)
    train_with_pseudo(task(candidates=UNLABELLED[:20], rounds=2), head_trainer(guarded), out=tmp_path)
    assert guarded.asked == {*FOLD.train, *FOLD.validation, *UNLABELLED[:20]}
    assert {row["slide"] for row in rows(tmp_path)} <= set(UNLABELLED[:20])
    with pytest.raises(AssertionError, match="u20 was looked at"):
        train_with_pseudo(task(candidates=UNLABELLED[:21]), head_trainer(guarded), out=tmp_path / "other")


def test_other_labels_of_the_test_part_change_no_byte(
    trained: Path, bags: dict[str, FeatureBag], tmp_path: Path
) -> None:
    others = LABELS | dict.fromkeys(FOLD.test, "A")
    assert others != LABELS
    train_with_pseudo(task(labels=others, rounds=2), head_trainer(bags), out=tmp_path)
    assert contents(tmp_path) == contents(trained)


def test_balance_counts_the_train_part_alone(bags: dict[str, FeatureBag], tmp_path: Path) -> None:
    fold = replace(FOLD, train=(*SLIDES[:6], "s09"), test=SLIDES[10:])  # one more of A
    model = train_with_pseudo(task(fold=fold, balance=True, rounds=3), head_trainer(bags), out=tmp_path)
    counts = {label: sum(one["label"] == label for one in model.origin["pseudo"]["added"]) for label in CLASSES}
    assert counts == {"A": 0, "B": 1, "C": 1}


def test_killed_and_taken_up_it_is_the_same_to_the_byte(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Before the second model is there.
    assert exit_code(die, tmp_path, 2) == -signal.SIGKILL
    assert [path.parent.name for path in tmp_path.rglob("model.json")] == ["round-0"]
    # Then, going on, between the last model and what is said of it.
    original, folders = FoldModel.save, []

    def save(model: FoldModel, folder: Path) -> None:
        folders.append(folder.name)
        if "pseudo" in model.origin:
            raise KeyboardInterrupt
        original(model, folder)

    monkeypatch.setattr(FoldModel, "save", save)
    with pytest.raises(KeyboardInterrupt):
        train_with_pseudo(task(rounds=2), head_trainer(draw(TRUTH)), out=tmp_path)
    monkeypatch.undo()
    assert folders == ["round-1", tmp_path.name, tmp_path.name]
    assert "pseudo" not in FoldModel.load(tmp_path).origin
    train_with_pseudo(task(rounds=2), head_trainer(draw(TRUTH)), out=tmp_path)
    assert contents(tmp_path) == contents(trained)


def test_a_finished_fold_is_left_alone(trained: Path, bags: dict[str, FeatureBag]) -> None:
    models = sorted(trained.rglob("model.*"))
    before = contents(trained), [path.stat().st_mtime_ns for path in models]
    train_with_pseudo(task(rounds=2), head_trainer(bags), out=trained)
    assert (contents(trained), [path.stat().st_mtime_ns for path in models]) == before


def test_where_nobody_joins_the_first_model_is_the_one(bags: dict[str, FeatureBag], tmp_path: Path) -> None:
    alone = head_trainer(bags).train(FOLD, LABELS, tmp_path / "alone")
    for name, config in {"unsure": {"threshold": 1.0, "rounds": 3}, "nobody": {"candidates": ()}}.items():
        out = tmp_path / name
        model = train_with_pseudo(task(**config), head_trainer(bags), out=out)
        assert model.origin["pseudo"]["added"] == []
        assert (out / "pseudo.csv").read_text() == "slide,label,probability,round\n"
        assert (out / "model.safetensors").read_bytes() == (tmp_path / "alone" / "model.safetensors").read_bytes()
        assert (out / "history.csv").read_bytes() == (tmp_path / "alone" / "history.csv").read_bytes()
        assert model.origin["inputs"] == alone.origin["inputs"]
        before = (out / "model.json").stat().st_mtime_ns
        train_with_pseudo(task(**config), head_trainer(bags), out=out)
        assert (out / "model.json").stat().st_mtime_ns == before
        (out / "model.safetensors").write_bytes(b"damaged")
        train_with_pseudo(task(**config), head_trainer(bags), out=out)
        assert FoldModel.load(out).origin == model.origin
    assert not (tmp_path / "nobody" / "pseudo").exists()


def test_models_of_rounds_that_are_no_more_are_taken_away(bags: dict[str, FeatureBag], tmp_path: Path) -> None:
    train_with_pseudo(task(rounds=2), head_trainer(bags), out=tmp_path)
    train_with_pseudo(task(rounds=2, threshold=1.0), head_trainer(bags), out=tmp_path)
    assert [path.name for path in (tmp_path / "pseudo").iterdir()] == ["round-0"]


@pytest.mark.parametrize("name", ["s00", "s07", "s10"])
def test_a_candidate_with_a_label_or_in_a_part_is_refused(name: str) -> None:
    with pytest.raises(TrainingError, match=f"fold 0: slide {name} cannot be pseudo-labelled"):
        task(candidates=("u00", name))
    with pytest.raises(TrainingError, match=f"slide {name}"):
        task(candidates=(name,), labels={})
