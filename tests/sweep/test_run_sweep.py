"""Sweeps end to end on a small drawn cohort: the same folds, what is shared, resuming, failures, and the table."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import f1_score, roc_auc_score

from tests.drawn import SETTINGS, draw_cohort
from tilewise import api
from tilewise.cli.main import run as command
from tilewise.errors import TrainingError, UsageError
from tilewise.folds import Folds
from tilewise.inference.predictions import Predictions
from tilewise.pipeline import fold_jobs, shared_stages, train
from tilewise.run_folder import RunFolder
from tilewise.sweep.grid import Grid
from tilewise.sweep.page import sentences
from tilewise.tiles import tile_cohort

HEADS = {"factors": {"head.norm": ["none", "batch"]}}


def grid(**more):
    return Grid.model_validate({"name": "small", **more}).over("texture", SETTINGS)


def _settings():
    return {key: yaml.safe_load(value) for key, _, value in (setting.partition("=") for setting in SETTINGS)}


@pytest.fixture(scope="session")
def swept(tmp_path_factory):
    home = tmp_path_factory.mktemp("swept")
    draw_cohort(home / "cohort", num_slides=18)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILEWISE_CACHE", str(home / "cache"))
        made = api.sweep(home / "cohort", grid(**HEADS), out=home / "sweep", workers=1)
    return home, made


@pytest.fixture
def cached(swept, monkeypatch):
    monkeypatch.setenv("TILEWISE_CACHE", str(swept[0] / "cache"))
    return swept


def test_every_variant_is_a_whole_run_on_the_same_folds(swept):
    home, made = swept
    common = Folds.read(home / "sweep" / "folds.json")
    for row in made.table.rows:
        assert api.verify(home / "sweep" / row.run) == []
        assert Folds.read(RunFolder(home / "sweep" / row.run).folds) == common
    assert [row.factors for row in made.table.rows] == [{"head.norm": "none"}, {"head.norm": "batch"}]


def test_a_variant_is_what_the_recipe_gives_by_itself(cached, tmp_path):
    home, made = cached
    variant = made.table.rows[1]
    recipe = api.load_recipe("texture", (*SETTINGS, "head.norm=batch"))
    alone = api.train(home / "cohort", recipe, out=tmp_path / "alone", workers=1)
    inside = Predictions.read(home / "sweep" / variant.run / "predictions.parquet").table
    assert alone.predictions.table.equals(inside)
    assert variant.test["macro_f1"] == asdict(alone.evaluation.macro_f1)


def test_variants_beside_each_other_are_what_they_are_one_by_one(cached, tmp_path):
    home, made = cached
    beside = api.sweep(home / "cohort", grid(**HEADS), out=tmp_path / "sweep", workers=2)
    for row, alone in zip(beside.table.rows, made.table.rows, strict=True):
        assert (row.name, row.test, row.difference) == (alone.name, alone.test, alone.difference)
        one, other = (home_ / row.run / "predictions.parquet" for home_ in (tmp_path / "sweep", home / "sweep"))
        assert Predictions.read(one).table.equals(Predictions.read(other).table)


def test_the_table_says_what_the_rows_hold(swept):
    home, made = swept
    with (home / "sweep" / "sweep.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["variant"] for row in rows] == [*(row.name for row in made.table.rows), "whatever was chosen"]
    assert float(rows[1]["test_macro_f1"]) == pytest.approx(made.table.rows[1].test["macro_f1"]["value"], abs=1e-6)
    assert rows[0]["difference_macro_f1"] == ""
    difference = made.table.rows[1].difference["macro_f1"]["difference"]["value"]
    values = [row.test["macro_f1"]["value"] for row in made.table.rows]
    assert difference == pytest.approx(values[1] - values[0])
    page = (home / "sweep" / "sweep.html").read_text()
    for row in made.table.rows:
        assert f'href="{row.run}/report.html"' in page
    assert made.table.chosen.validation == max(row.validation for row in made.table.rows)
    assert made.table.chosen.name in sentences(made.table)[0]
    choice = made.table.choice
    other = next(row.name for row in made.table.rows if row is not made.table.chosen)
    agreed = replace(made.table, choice=replace(choice, by_fold=dict.fromkeys(choice.by_fold, made.table.chosen.name)))
    assert "Every fold's own validation part chooses it, too: choosing cost nothing here." in sentences(agreed)[0]
    assert not any("optimism" in sentence for sentence in sentences(agreed))
    divided = replace(made.table, choice=replace(choice, by_fold=choice.by_fold | {min(choice.by_fold): other}))
    assert "too good to be true" in sentences(divided)[0]
    assert "no part in the choice: that interval is what to expect of new slides" in sentences(divided)[1]
    assert any(sentence.startswith("Only ") for sentence in sentences(made.table))
    assert "optimism of the winner's own score" in page
    assert float(rows[-1]["test_macro_f1"]) == pytest.approx(made.table.choice.test["macro_f1"]["value"], abs=1e-6)


def test_whatever_was_chosen_is_chosen_by_each_folds_own_validation_part(swept):
    home, made = swept
    tables = {
        row.name: Predictions.read(home / "sweep" / row.run / "predictions.parquet").table for row in made.table.rows
    }

    def macro_f1(rows):
        return f1_score(rows["label"], rows["predicted"], average="macro")

    chosen = []
    for fold, name in made.table.choice.by_fold.items():
        parts = {key: table[table["fold"] == fold] for key, table in tables.items()}
        validation = {key: macro_f1(part[part["part"] == "validation"]) for key, part in parts.items()}
        assert validation[name] == max(validation.values())
        chosen.append(parts[name][parts[name]["part"] == "test"])
    score = made.table.choice.test["macro_f1"]
    assert score["value"] == pytest.approx(macro_f1(pd.concat(chosen)))
    assert made.table.choice.optimism == pytest.approx(made.table.chosen.test["macro_f1"]["value"] - score["value"])


def test_rows_that_come_to_one_recipe_are_one_row_and_the_notice_comes_first(
    cached, tmp_path, monkeypatch, capsys, caplog
):
    home, _ = cached
    monkeypatch.chdir(tmp_path)
    encoders = {"factors": {"encoder.name": ["resnet18", "resnet50", "mobilenet_v3_small"]}}
    (tmp_path / "grid.yaml").write_text(json.dumps({"name": "small", **encoders, "set": _settings()}))
    options = ["--recipe", "texture", "--grid", "grid.yaml", "--out", "sweep", "--offline", "--workers", "1"]
    code = command(["sweep", str(home / "cohort"), *options])
    assert code == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Not run as the grid says")
    assert "name resnet18 stands for 2 further rows of the grid too" in printed.splitlines()[1]
    assert "name resnet50, name mobilenet_v3_small" in printed.splitlines()[1]
    assert "Chosen by" not in printed
    assert "all rows of the grid are one and the same run" in printed
    with (tmp_path / "sweep" / "sweep.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    assert (row["variant"], row["same_as"]) == ("name resnet18", "name resnet50, name mobilenet_v3_small")
    for name in ("resnet18", "resnet50", "mobilenet_v3_small"):
        assert f"the weights of {name} are not on this machine" in row["notes"]
    page = (tmp_path / "sweep" / "sweep.html").read_text()
    assert page.index("Not run as the grid says") < page.index("one and the same run")
    assert [path.name for path in (tmp_path / "sweep" / "variants").iterdir()] == ["01-name-resnet18"]


def test_the_metric_of_the_recipe_is_what_variants_are_chosen_by(cached, tmp_path):
    home, made = cached
    chosen_by = grid(**HEADS).over(None, ["evaluation.metric=auroc_macro"])
    other = api.sweep(home / "cohort", chosen_by, out=tmp_path / "sweep", workers=1)
    assert other.table.metric == "auroc_macro"
    for row in other.table.rows:
        table = Predictions.read(tmp_path / "sweep" / row.run / "predictions.parquet").table
        validation = table[table["part"] == "validation"]
        aurocs = [
            roc_auc_score(validation["label"] == name, validation[f"p_{name}"])
            for name in sorted(set(validation["label"]))
        ]
        assert row.validation == pytest.approx(np.mean(aurocs))
    first = (tmp_path / "sweep" / "sweep.csv").read_text().splitlines()[0]
    assert "validation_auroc_macro" in first
    assert "test macro AUROC" in other.lines()[0]
    assert [row.test for row in other.table.rows] == [row.test for row in made.table.rows]


def test_what_variants_share_is_made_once(cached, tmp_path, monkeypatch):
    home, _ = cached
    calls = []
    for module, name in (
        (shared_stages, "audit_cohort"),
        (shared_stages, "prepare"),
        (shared_stages, "find_shortcuts"),
        (tile_cohort, "plan_tiles"),
    ):
        original = getattr(module, name)

        def counted(*arguments, original=original, name=name, **options):
            calls.append(name)
            return original(*arguments, **options)

        monkeypatch.setattr(module, name, counted)
    api.sweep(home / "cohort", grid(**HEADS), out=tmp_path / "sweep", workers=1)
    assert calls.count("audit_cohort") == calls.count("prepare") == calls.count("find_shortcuts") == 1
    assert calls.count("plan_tiles") == 18


def test_variants_that_differ_after_training_alone_are_trained_once(cached, tmp_path, monkeypatch):
    home, _ = cached
    names = {"all": {}, "best": {"ensemble.members": "best", "ensemble.num_members": 1}}
    variants = [{"name": name, "set": settings} for name, settings in names.items()]
    trained = []
    original = fold_jobs.train_with_unlabelled

    def counted(inputs, request, *, out):
        before = (out / "history.csv").exists()
        trained.append(before)
        return original(inputs, request, out=out)

    monkeypatch.setattr(fold_jobs, "train_with_unlabelled", counted)
    chosen = grid(variants=variants).over(None, ["folds.holdout_fraction=0.3"])
    made = api.sweep(home / "cohort", chosen, out=tmp_path / "sweep", workers=1)
    assert trained == [False] * 3 + [True] * 3
    assert made.table.rows[0].test == made.table.rows[1].test
    runs = [tmp_path / "sweep" / row.run for row in made.table.rows]
    members = [len(json.loads((run / "model" / "classifier.json").read_text())["members"]) for run in runs]
    assert members == [3, 1]
    assert all(row.holdout for row in made.table.rows)


def test_a_stopped_sweep_goes_on_and_more_variants_may_follow(cached, tmp_path, monkeypatch):
    home, made = cached
    out = tmp_path / "sweep"

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train, "predict_holdout", stop)
        with pytest.raises(KeyboardInterrupt):
            api.sweep(home / "cohort", grid(**HEADS), out=out, workers=1)
    again = api.sweep(home / "cohort", grid(**HEADS), out=out, workers=1)
    assert [row.test for row in again.table.rows] == [row.test for row in made.table.rows]
    more = [{"name": "l1", "set": {"training.loss.l1": 0.01}}]
    longer = api.sweep(home / "cohort", grid(**HEADS, variants=more), out=out, workers=1)
    assert [row.test for row in longer.table.rows[:2]] == [row.test for row in made.table.rows]
    assert [row.seconds for row in longer.table.rows[:2]] == [row.seconds for row in again.table.rows]
    with pytest.raises(UsageError, match="holds another sweep"):
        api.sweep(home / "cohort", grid(factors={"head.dropout": [0.1, 0.2]}), out=out, workers=1)
    with pytest.raises(UsageError, match="holds another sweep"):
        api.sweep(home / "cohort", grid(**HEADS), out=out, seed=1, workers=1)


def test_a_variant_that_fails_is_a_row_and_the_others_are_whole(cached, tmp_path, monkeypatch):
    home, _ = cached
    original = fold_jobs.train_with_unlabelled

    def failing(inputs, request, *, out):
        if request.head.norm == "batch":
            raise TrainingError("fold 0: the loss is not a number; lower training.learning_rate")
        return original(inputs, request, out=out)

    monkeypatch.setattr(fold_jobs, "train_with_unlabelled", failing)
    made = api.sweep(home / "cohort", grid(**HEADS), out=tmp_path / "sweep", workers=1)
    assert [row.error is None for row in made.table.rows] == [True, False]
    page = (tmp_path / "sweep" / "sweep.html").read_text()
    assert "the loss is not a number" in page
    assert "1 variant failed" in page
    monkeypatch.undo()
    monkeypatch.setenv("TILEWISE_CACHE", str(home / "cache"))
    again = api.sweep(home / "cohort", grid(**HEADS), out=tmp_path / "sweep", workers=1)
    assert all(row.error is None for row in again.table.rows)


def test_an_encoder_that_no_variant_can_use_is_said_before_any_slide_is_looked_at(cached, tmp_path, monkeypatch):
    monkeypatch.setattr(shared_stages.SharedStages, "audit", lambda *_: pytest.fail("slides were audited"))
    variants = grid(factors=HEADS["factors"], set={"encoder.pooling": "stages"})
    with pytest.raises(UsageError, match="texture: it is no network"):
        api.sweep(cached[0] / "cohort", variants, out=tmp_path / "sweep", workers=1)


@pytest.mark.usefixtures("cached")
def test_variants_that_cut_otherwise_are_scored_on_the_slides_they_share(tmp_path):
    folder = tmp_path / "cohort"
    draw_cohort(folder, num_slides=18)
    (folder / "masks" / "mask_0003.png").unlink()
    levels = {"kept": {"tiles.fallback": "tissue"}, "left out": {"tiles.fallback": "exclude"}}
    made = api.sweep(folder, grid(factors={"slides without a mask": levels}), out=tmp_path / "sweep", workers=1)
    whole, fewer = made.table.rows
    assert (whole.num_slides, fewer.num_slides, made.table.num_slides) == (18, 17, 17)
    assert made.table.left_out == ("img_0003.png",)
    own = Folds.read(tmp_path / "sweep" / fewer.run / "folds.json")
    common = Folds.read(tmp_path / "sweep" / "folds.json")
    for before, after in zip(common.folds, own.folds, strict=True):
        assert set(after.train) == set(before.train) - {"img_0003.png"}


def test_a_folder_of_something_else_is_left_alone(cached, tmp_path):
    home, _ = cached
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds no sweep"):
        api.sweep(home / "cohort", grid(**HEADS), out=tmp_path, workers=1)
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == ["notes.txt"]


def test_the_command_line(cached, tmp_path, capsys):
    home, made = cached
    (tmp_path / "grid.yaml").write_text("name: small\nfactors: {head.norm: [none, batch]}\n")
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    options = ["--grid", str(tmp_path / "grid.yaml"), "--out", str(tmp_path / "sweep"), "--workers", "1", "--quiet"]
    assert command(["sweep", str(home / "cohort"), *options, *settings, "--recipe", "texture", "--json"]) == 0
    output = json.loads(capsys.readouterr().out)
    assert [row["test"] for row in output["rows"]] == [row.test for row in made.table.rows]
    assert output["choice"]["test"] == made.table.choice.test
    assert command(["grids"]) == 0
    assert "heads" in capsys.readouterr().out
    assert command(["grids", "heads"]) == 0
    assert "factors:" in capsys.readouterr().out
    assert command(["sweep", str(home / "cohort"), "--grid", "none-such", "--out", str(tmp_path / "x")]) == 2


def test_a_slide_that_no_variant_can_use_is_named_and_the_command_ends_with_1(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TILEWISE_CACHE", str(tmp_path / "cache"))
    broken = draw_cohort(tmp_path / "cohort") / "images" / "img_0003.png"
    broken.write_bytes(broken.read_bytes()[:300])
    (tmp_path / "grid.yaml").write_text("name: small\nfactors: {head.dropout: [0.0, 0.5]}\n")
    settings = [part for value in SETTINGS for part in ("--set", value)]
    options = ["--grid", str(tmp_path / "grid.yaml"), "--out", str(tmp_path / "sweep"), "--workers", "1", "--json"]
    assert command(["sweep", str(tmp_path / "cohort"), *options, "--quiet", "--recipe", "texture", *settings]) == 1
    out, err = capsys.readouterr()
    assert [failure["item"] for failure in json.loads(out)["failures"]] == ["img_0003.png"]
    assert err.count("failed: img_0003.png") == 1
