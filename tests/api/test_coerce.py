"""What public verbs refuse before any work, and how they say so."""

import pytest

import tilewise as tw
from tilewise import api
from tilewise.errors import ArgumentError, RecipeError, UsageError


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tw.train(["a.png"]), "cohort: expected a Cohort, or the path of a folder or table, not a list"),
        (lambda: tw.audit(None), "cohort: expected a Cohort, or the path of a folder or table, not None"),
        (lambda: tw.train("cohort", seed="0"), "train: seed='0': expected a whole number from 0"),
        (lambda: tw.train("cohort", seed=True), "train: seed=True: expected a whole number from 0"),
        (lambda: tw.train("cohort", seed=-1), "train: seed=-1: expected a whole number from 0"),
        (lambda: tw.predict("run", "cohort", workers=0), "predict: workers=0: expected a whole number from 1"),
        (lambda: tw.predict("run", "cohort", offline="no"), "predict: offline='no': expected True or False"),
        (lambda: tw.report("run", out=3), "report: out=3: expected a path"),
        (lambda: api.sweep("cohort", "heads", out=None), "sweep: out=None: expected a path"),
        (lambda: api.sweep("cohort", ["heads"], out="x"), "grid: expected a Grid, .* not a list"),
        (lambda: tw.evaluate(7), "run: expected a Run, or the path of its folder, not an int"),
        (lambda: api.ensemble("runs/a", out="x"), r"runs: expected several runs or their folders, not one path"),
        (lambda: api.ensemble(["a", "b"], "vote", out="x"), "method='vote': give one of average, weighted, greedy"),
        (lambda: api.explain("run", "cohort", out="x", config={}), "config: expected an ExplainConfig or None, not a"),
        (lambda: api.synth("x", ["num_slides"]), "options: expected a mapping such as .*, not a list"),
    ],
)
def test_an_argument_of_another_type_is_named_with_what_was_expected(call, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for kind in (ArgumentError, UsageError, TypeError, ValueError):
        with pytest.raises(kind, match=message):
            call()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_slide": 20}, r"synth: num_slide: unknown key \(did you mean 'num_slides'\?\)"),
        ({"num_slides": 1}, "synth: num_slides: Input should be greater than or equal to 2, got 1"),
        ({"difficulty": "hard"}, "synth: difficulty: Input should be a valid number.* got 'hard'"),
        ({"source": "textures"}, "synth: .*`textures` names the folder for `source: textures`"),
    ],
)
def test_an_option_of_synth_is_named(options, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        api.synth(tmp_path / "cohort", options)
    assert not (tmp_path / "cohort").exists()


def test_a_recipe_may_be_keys_as_in_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keys = {"extends": "default", "name": "mine", "tiles": {"size_px": 256}, "head": {"kind": "mlp"}}
    recipe = tw.load_recipe(keys, ["folds.num_folds=4"])
    text = "extends: default\nname: mine\ntiles: {size_px: 256}\nhead: {kind: mlp}\n"
    (tmp_path / "mine.yaml").write_text(text)
    assert recipe == tw.load_recipe("mine.yaml", ["folds.num_folds=4"])
    assert keys["extends"] == "default", "the caller's keys stay as they are"
    (tmp_path / "child.yaml").write_text("extends: mine.yaml\nname: child\n")
    assert tw.load_recipe({"extends": "child.yaml", "name": "grandchild"}).tiles.size_px == 256
    with pytest.raises(RecipeError, match=r"keys of the recipe: tiles\.sizepx: unknown key .did you mean"):
        tw.load_recipe({"name": "mine", "tiles": {"sizepx": 256}})
    with pytest.raises(RecipeError, match="name: give the recipe a name"):
        tw.load_recipe({"tiles": {"size_px": 256}})
    with pytest.raises(RecipeError, match="expected a Recipe, a name, a YAML file or keys as in one, not a list"):
        tw.load_recipe(["default"])
    with pytest.raises(RecipeError, match="overrides: expected strings such as"):
        tw.load_recipe("default", "tiles.size_px=256")
