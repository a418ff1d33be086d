"""Grids: what they hold, what is refused, and the recipes they make."""

import pytest
import yaml

from tilewise.errors import RecipeError
from tilewise.recipe import load_recipe
from tilewise.sweep.grid import Grid, load_grid, packaged_grids
from tilewise.sweep.variants import factor_columns, variants_of


def test_factors_are_crossed_in_order():
    grid = Grid(
        name="g", set={"training.epochs": 3}, factors={"head.dropout": [0.0, 0.5], "head.norm": ["none", "batch"]}
    )
    variants = variants_of(grid)
    assert [variant.name for variant in variants] == [
        "dropout 0.0, norm none", "dropout 0.0, norm batch", "dropout 0.5, norm none", "dropout 0.5, norm batch",
    ]  # fmt: skip
    assert [variant.recipe.head.dropout for variant in variants] == [0.0, 0.0, 0.5, 0.5]
    assert {variant.recipe.training.epochs for variant in variants} == {3}
    assert factor_columns(variants) == {
        "head.dropout": [0.0, 0.0, 0.5, 0.5],
        "head.norm": ["none", "batch", "none", "batch"],
    }


def test_levels_set_keys_that_belong_together():
    levels = {"linear": {"head.kind": "linear"}, "mlp": {"head.kind": "mlp", "head.hidden_sizes": [8]}}
    variants = variants_of(Grid(name="g", factors={"head": levels}))
    assert [variant.name for variant in variants] == ["head linear", "head mlp"]
    assert variants[1].recipe.head.hidden_sizes == (8,)


def test_cumulative_variants_keep_what_came_before():
    steps = [{"name": "a", "set": {"head.dropout": 0.1}}, {"name": "b", "set": {"head.norm": "batch"}}]
    variants = variants_of(Grid.model_validate({"name": "g", "cumulative": True, "variants": steps}))
    assert (variants[1].recipe.head.dropout, variants[1].recipe.head.norm) == (0.1, "batch")
    alone = variants_of(Grid.model_validate({"name": "g", "variants": steps}))
    assert alone[1].recipe.head.dropout == 0.0


def test_a_section_as_a_setting_has_a_column_for_each_key_that_differs():
    steps = [{"name": "a", "set": {"head": {"kind": "linear"}}}, {"name": "b", "set": {"head": {"kind": "mlp"}}}]
    assert factor_columns(variants_of(Grid.model_validate({"name": "g", "variants": steps}))) == {
        "head.kind": ["linear", "mlp"]
    }


def test_settings_of_the_command_line_give_way_to_what_varies():
    grid = Grid(name="g", factors={"head.dropout": [0.0, 0.5]}).over(None, ["head.dropout=0.9", "training.epochs=2"])
    variants = variants_of(grid)
    assert [variant.recipe.head.dropout for variant in variants] == [0.0, 0.5]
    assert variants[0].recipe.training.epochs == 2
    with pytest.raises(RecipeError, match="of the form"):
        grid.over(None, ["nonsense"])


@pytest.mark.parametrize(
    ("grid", "fault"),
    [
        ({"factors": {"folds.num_folds": [2, 3]}}, "has other `folds` than"),
        ({"factors": {"head.dropuot": [0.1]}}, "variant 'dropuot 0.1' of grid g.*did you mean 'dropout'"),
        ({"variants": [{"name": "a"}, {"name": "a"}]}, "more than one variant named 'a'"),
    ],
)
def test_a_variant_that_cannot_be_compared_is_refused_before_anything_runs(grid, fault):
    with pytest.raises(RecipeError, match=fault):
        variants_of(Grid.model_validate({"name": "g", **grid}))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("name: g", "give `factors` or `variants`"),
        ("name: g\nfactors: {a: []}", "factor 'a' has no value"),
        ("name: g\nfaktors: {a: [1]}", "faktors"),
        ("a: [", "is not YAML"),
        ("- 1", "grid.yaml"),
        ("name: g\nname: h\nfactors: {a: [1]}", "'name' stands twice"),
    ],
)
def test_a_faulty_file_is_told(tmp_path, text, fault):
    path = tmp_path / "grid.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=fault):
        load_grid(path)


def test_an_unknown_grid_is_told():
    with pytest.raises(RecipeError, match="did you mean 'heads'"):
        load_grid("head")


@pytest.mark.parametrize("name", list(packaged_grids()))
def test_every_packaged_grid_is_valid_and_varies_something(name):
    grid = load_grid(name)
    variants = variants_of(grid)
    columns = factor_columns(variants)
    assert grid.name == name
    assert len(variants) >= 2
    for values in columns.values():
        assert any(value != values[0] for value in values)
    # Two rows of the same recipe would be a row too many.
    recipes = [yaml.safe_dump(variant.recipe.model_dump(mode="json")) for variant in variants]
    assert len(set(recipes)) == len(recipes)
    assert grid.recipe is None or load_recipe(grid.recipe).name == grid.recipe


def test_folders_are_plain_names():
    grid = Grid.model_validate({"name": "g", "variants": [{"name": "Ä: 1/2 % \\ ..", "set": {}}]})
    assert variants_of(grid)[0].folder(3) == "03-1-2"


def test_offline_variants_do_without_weights_and_say_so():
    variants = variants_of(load_grid("encoders-window"), offline=True)
    assert variants[0].recipe.encoder.name == "texture"
    assert "resnet50" in variants[0].notes[0]
    assert variants[-1].notes == ()
    assert variants_of(load_grid("encoders-window"))[0].recipe.encoder.name == "resnet50"
