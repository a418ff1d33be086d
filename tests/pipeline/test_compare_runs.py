"""Finished runs of known predictions, compared by recipe: through the library, the command line and the page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import tilewise as tw
from tilewise.auditing.table import TableFacts
from tilewise.cli.main import run as command
from tilewise.errors import ArgumentError, UsageError
from tilewise.inference.predictions import Predictions
from tilewise.recipe import load_recipe
from tilewise.run_folder import RunFolder
from tilewise.store import MANIFEST_NAME, write_json, write_table

CLASSES = ("benign", "invasive")
NUM_SLIDES, NUM_FOLDS = 120, 5


@pytest.fixture
def make_run(tmp_path):
    """A function that makes a finished run with the files that a comparison reads."""

    def make(
        name: str, *, skill: float, seed: int = 0, settings=(), num_folds=NUM_FOLDS, lost=(), relabelled=()
    ) -> Path:
        rng = np.random.default_rng([seed, round(10 * skill)])
        folder = RunFolder(tmp_path / name)
        folder.root.mkdir(parents=True)
        truth = np.arange(NUM_SLIDES) % 2
        logits = rng.normal(size=(NUM_SLIDES, 2)) + skill * np.eye(2)[truth]
        slides = [f"img_{index:03d}.png" for index in range(NUM_SLIDES)]
        table = {"slide": slides, "label": np.asarray(CLASSES, object)[truth], "group": None}
        table |= {
            "fold": (np.arange(NUM_SLIDES) // 2 + seed * (np.arange(NUM_SLIDES) // 7)) % num_folds,
            "part": "test",
        }
        import pandas as pd

        frame = pd.DataFrame(table)
        chosen = ~frame["slide"].isin(lost)
        probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        predictions = Predictions.of(frame[chosen], probabilities[chosen], np.ones(int(chosen.sum())), CLASSES)
        for slide in relabelled:  # to the class that the run predicts
            row = predictions.table["slide"] == slide
            predictions.table.loc[row, "label"] = predictions.table.loc[row, "predicted"]
        predictions.write(folder.predictions, inputs="drawn")
        if relabelled:
            before = dict(zip(table["slide"], table["label"], strict=True))
            facts = TableFacts({slide: before[slide] for slide in relabelled}).to_json()
            folder.audit.mkdir()
            columns = pd.DataFrame({"slide": slides})
            write_table(folder.slides, columns, schema="tilewise.slides", version=2, metadata=facts)
        identity = {"cohort": {"root": "cohort", "layout": "flat"}, "seed": seed, "decisions": None, "notes": []}
        dumped = load_recipe("texture", [f"head.dropout={skill / 10:.3f}", *settings]).with_(
            name=name.partition("-")[0]
        )
        identity["recipe"] = dumped.model_dump(mode="json")
        write_json(folder.identity, identity, schema="tilewise.run", version=1)
        (folder.root / MANIFEST_NAME).write_text("{}")
        return folder.root

    return make


def test_equal_recipes_cannot_be_told_apart_and_the_sentence_says_what_would_be_needed(make_run):
    comparison = tw.compare([make_run("one", skill=1.0), make_run("two", skill=1.1)])
    sentence = comparison.sentences()[0]
    assert sentence.startswith("one and two cannot be told apart with 120 slides (")
    needed = int(re.search(r"about (\d+) would be needed to tell a difference of 0.03", sentence)[1])
    pair = comparison.pairs[0].paired
    assert pair.metrics["macro_f1"].slides_needed(0.03) <= needed <= 1.1 * pair.metrics["macro_f1"].slides_needed(0.03)
    assert pair.same_folds


def test_a_better_recipe_is_named_first_with_its_difference(make_run):
    comparison = tw.compare([make_run("weak", skill=0.2), make_run("strong", skill=4.0)])
    assert comparison.sentences()[0].startswith("strong is better than weak (+0.")
    assert comparison.pairs[0].is_clear("macro_f1")
    assert comparison.pairs[0].paired.metrics["macro_f1"].value < 0
    weak, strong = comparison.recipes
    assert weak.guessing_p_value > strong.guessing_p_value
    assert strong.guessing_p_value < 0.01


def test_a_recipe_that_knows_nothing_is_said_to(make_run):
    comparison = tw.compare([make_run("nothing", skill=0.0), make_run("strong", skill=4.0)])
    assert any(sentence.startswith("nothing is not told from guessing") for sentence in comparison.sentences())


def test_runs_that_predict_alike_are_said_to(make_run):
    same = [make_run("a", skill=1.0), make_run("b", skill=1.0, settings=["training.patience=7"])]
    assert tw.compare(same).sentences()[0] == "a and b cannot be told apart: they score alike on each of 120 slides."


def test_seeds_of_one_recipe_are_its_repeats(make_run):
    skills = (("a", 1.0), ("b", 1.2))
    runs = [make_run(f"{name}-{seed}", skill=skill, seed=seed) for name, skill in skills for seed in range(3)]
    comparison = tw.compare(runs)
    assert [(recipe.name, recipe.runs) for recipe in comparison.recipes] == [
        ("a", ("a-0", "a-1", "a-2")),
        ("b", ("b-0", "b-1", "b-2")),
    ]
    paired = comparison.pairs[0].paired
    assert (paired.num_runs, paired.same_folds) == ((3, 3), True)
    assert paired.metrics["macro_f1"].detectable < tw.compare(runs[::3]).pairs[0].paired.metrics["macro_f1"].detectable


def test_runs_of_one_recipe_alone_are_compared_one_by_one(make_run):
    comparison = tw.compare([make_run("a-0", skill=1.0), make_run("a-1", skill=1.0, seed=1)])
    assert [recipe.name for recipe in comparison.recipes] == ["a-0", "a-1"]
    notes = " ".join(comparison.notes)
    assert "All 2 runs are of one recipe, a" in notes
    assert "not trained on the same folds" in notes
    assert "the same seed gives the same folds" in notes


def test_other_slides_are_named_as_the_reason_for_other_folds(make_run):
    comparison = tw.compare([make_run("a", skill=1.0), make_run("b", skill=1.5, num_folds=4, lost=["img_003.png"])])
    notes = " ".join(comparison.notes)
    assert "not trained on the same folds" in notes
    assert "the runs do not have the same slides" in notes
    assert "the same seed gives" not in notes


def test_three_recipes_are_three_pairs_adjusted_for_their_number(make_run):
    comparison = tw.compare([make_run(name, skill=skill) for name, skill in (("a", 0.5), ("b", 0.6), ("c", 2.0))])
    assert [(pair.a, pair.b) for pair in comparison.pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    for pair in comparison.pairs:
        assert pair.adjusted["macro_f1"] >= pair.paired.metrics["macro_f1"].p_value
    smallest = min(comparison.pairs, key=lambda pair: pair.paired.metrics["macro_f1"].p_value)
    assert smallest.adjusted["macro_f1"] == pytest.approx(3 * smallest.paired.metrics["macro_f1"].p_value)


def test_slides_and_folds_that_differ_are_said(make_run):
    comparison = tw.compare([make_run("a", skill=1.0, lost=["img_003.png"]), make_run("b", skill=1.5, num_folds=4)])
    assert comparison.pairs[0].paired.num_slides == 119
    notes = " ".join(comparison.notes)
    assert "1 slide that not every run has tested" in notes
    assert "different numbers of folds (a: 5, b: 4)" in notes


def test_one_fold_each_says_that_another_seed_is_not_counted(make_run):
    comparison = tw.compare([make_run("a", skill=1.0, num_folds=1), make_run("b", skill=1.5, num_folds=1)])
    assert any("is not in the interval" in note for note in comparison.notes)


def test_what_cannot_be_compared_is_refused(make_run, tmp_path):
    one, other = make_run("one", skill=1.0), make_run("two", skill=1.1)
    with pytest.raises(UsageError, match="name two or more"):
        tw.compare([one])
    with pytest.raises(UsageError, match="named twice"):
        tw.compare([one, one])
    with pytest.raises(UsageError, match="same recipe and seed"):
        tw.compare([one, make_run("again", skill=1.0), other])
    with pytest.raises(UsageError, match="holds no run"):
        tw.compare([one, tmp_path])
    lost = [f"img_{index:03d}.png" for index in range(NUM_SLIDES)]
    with pytest.raises(UsageError, match="no test slide in common"):
        tw.compare([make_run("a", skill=0.5, lost=lost[:60]), make_run("b", skill=0.6, lost=lost[60:])])
    for bad in ({"margin": 0}, {"margin": "0.1"}, {"metric": "f1"}):
        with pytest.raises(ArgumentError, match=next(iter(bad))):
            tw.compare([one, other], **bad)
    with pytest.raises(ArgumentError, match="several runs"):
        tw.compare(one)


def test_the_command_line_and_the_page(make_run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, skill in (("one", 1.0), ("two", 1.1)):
        make_run(name, skill=skill)
    assert command(["compare", "one", "two", "--out", "compare.html"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("one and two cannot be told apart with 120 slides")
    assert any(line.startswith("one less two") for line in lines)
    page = (tmp_path / "compare.html").read_text()
    assert 'class="maker">tilewise compare<' in page
    assert "cannot be told apart with 120 slides" in page
    assert '<svg class="chart differences"' in page
    assert command(["compare", "one", "two", "--json", "--margin", "0.1", "--metric", "auroc_macro"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["metric"], data["pairs"][0]["margin"]) == ("auroc_macro", 0.1)
    row = data["pairs"][0]["metrics"]["auroc_macro"]
    assert row["difference"]["low"] < row["difference"]["value"] < row["difference"]["high"]
    assert row["p_value_holm"] == row["p_value"]
    (tmp_path / "notes.html").write_text("mine")
    assert command(["compare", "one", "two", "--out", "notes.html"]) == 2
    assert (tmp_path / "notes.html").read_text() == "mine"


def wrong_slides(run: Path, number: int) -> list[str]:
    table = Predictions.read(RunFolder(run).predictions).table
    return list(table["slide"][table["label"] != table["predicted"]][:number])


def test_where_decisions_changed_labels_runs_are_compared_on_both(make_run, tmp_path, capsys, monkeypatch):
    before = make_run("before", skill=1.0)
    slides = wrong_slides(before, 6)
    after = make_run("after", skill=1.2, relabelled=slides, lost=["img_003.png"])
    slides = sorted(set(slides) - {"img_003.png"})
    comparison = tw.compare([before, after])
    corrected = comparison.corrected
    assert corrected.relabelled == tuple(slides)
    assert comparison.pairs[0].paired.num_slides == corrected.pairs[0].paired.num_slides == 119
    own, others, alone = comparison.sentences()[:3]
    assert own.startswith("On the table's own labels, before and after cannot be told apart with 119 slides (")
    assert others.startswith(f"On the corrected labels ({len(slides)} slides relabelled), ")
    assert alone.startswith("A score on corrected labels never stands alone")
    tables = {name: Predictions.read(RunFolder(run).predictions).table for name, run in (("a", before), ("b", after))}
    a, b = (table[table["slide"] != "img_003.png"].set_index("slide") for table in tables.values())
    for one, truth in ((comparison, a["label"]), (corrected, b["label"].reindex(a.index))):
        accuracy = [float(np.mean(table["predicted"] == truth)) for table in (a, b.reindex(a.index))]
        assert [recipe.scores["accuracy"][0] for recipe in one.recipes] == pytest.approx(accuracy)
    monkeypatch.chdir(tmp_path)
    assert command(["compare", "before", "after", "--out", "compare.html"]) == 0
    out = capsys.readouterr().out
    assert out.index("the table's own labels:") < out.index("corrected labels:\n")
    page = (tmp_path / "compare.html").read_text()
    assert page.count('<svg class="chart differences"') == 2
    assert "never stands alone" in page
    assert comparison.to_json()["corrected"]["relabelled"] == slides


def test_slides_of_a_class_that_decisions_did_away_with_are_compared_on_corrected_labels_alone(make_run):
    runs = [make_run("two", skill=1.1), make_run("three", skill=1.2)]
    for run in runs:
        folder = RunFolder(run)
        folder.audit.mkdir(exist_ok=True)
        table = Predictions.read(folder.predictions).table
        facts = TableFacts({"img_007.png": "Gone"}).to_json()
        write_table(folder.slides, table[["slide"]], schema="tilewise.slides", version=2, metadata=facts)
    comparison = tw.compare(runs)
    assert comparison.pairs[0].paired.num_slides == NUM_SLIDES - 1
    assert any("is no class of the runs" in note for note in comparison.notes)


def test_slides_that_two_runs_relabel_differently_are_said(make_run):
    one = make_run("one", skill=1.0)
    slides = wrong_slides(one, 12)
    runs = [make_run("two", skill=1.1, relabelled=slides), make_run("three", skill=1.2, relabelled=slides)]
    tables = [Predictions.read(RunFolder(run).predictions).table.set_index("slide")["label"] for run in runs]
    disputed = [name for name in slides if tables[0][name] != tables[1][name]]
    comparison = tw.compare([one, *runs])
    assert disputed
    assert comparison.corrected is None
    assert any(f"{len(disputed)} slides different new labels ({disputed[0]}" in note for note in comparison.notes)
    assert comparison.sentences()[0].startswith("one and two ")
