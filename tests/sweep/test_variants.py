"""Grids: what they hold, what is refused, and the recipes they make."""

import pytest
import torch
import yaml

from tilewise.encoders import find_card
from tilewise.encoders.networks import create_network
from tilewise.errors import RecipeError
from tilewise.models.networks.blocks import encoder_blocks
from tilewise.recipe import load_recipe
from tilewise.sweep.grid import Grid, load_grid, packaged_grids
from tilewise.sweep.variants import factor_columns, variants_of


def test_factors_are_crossed_in_order():
    grid = Grid(
        name="g",
        recipe="texture",
        set={"training.epochs": 3},
        factors={"head.dropout": [0.0, 0.5], "head.norm": ["none", "batch"]},
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


def test_rows_of_the_same_recipe_are_one_variant():
    rows = [
        {"name": "a", "set": {"head.dropout": 0.1}},
        {"name": "b", "set": {}},
        {"name": "c", "set": {"head.norm": "batch"}},
    ]
    grid = Grid.model_validate({"name": "g", "recipe": "texture", "cumulative": True, "variants": rows})
    variants = variants_of(grid)
    assert [(variant.name, variant.also) for variant in variants] == [("a", ("b",)), ("c", ())]


def test_levels_set_keys_that_belong_together():
    levels = {"linear": {"head.kind": "linear"}, "mlp": {"head.kind": "mlp", "head.hidden_sizes": [8]}}
    variants = variants_of(Grid(name="g", factors={"head": levels}))
    assert [variant.name for variant in variants] == ["head linear", "head mlp"]
    assert variants[1].recipe.head.hidden_sizes == (8,)


def test_cumulative_variants_keep_what_came_before():
    steps = [{"name": "a", "set": {"head.dropout": 0.1}}, {"name": "b", "set": {"head.norm": "batch"}}]
    variants = variants_of(
        Grid.model_validate({"name": "g", "recipe": "texture", "cumulative": True, "variants": steps})
    )
    assert (variants[1].recipe.head.dropout, variants[1].recipe.head.norm) == (0.1, "batch")
    alone = variants_of(Grid.model_validate({"name": "g", "recipe": "texture", "variants": steps}))
    assert alone[1].recipe.head.dropout == 0.0


def test_a_section_as_a_setting_has_a_column_for_each_key_that_differs():
    steps = [{"name": "a", "set": {"head": {"kind": "linear"}}}, {"name": "b", "set": {"head": {"kind": "mlp"}}}]
    assert factor_columns(variants_of(Grid.model_validate({"name": "g", "variants": steps}))) == {
        "head.kind": ["linear", "mlp"]
    }


def test_settings_of_the_command_line_give_way_to_what_varies():
    grid = Grid(name="g", recipe="texture", factors={"head.dropout": [0.0, 0.5]})
    grid = grid.over(None, ["head.dropout=0.9", "training.epochs=2"])
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


def test_each_encoder_of_the_sliding_window_has_tiles_of_its_own_input_size():
    for variant in variants_of(load_grid("encoders-window")):
        assert variant.recipe.tiles.size_px == find_card(variant.recipe.encoder.name).input_px, variant.name
        assert variant.recipe.network.input_px is None


def test_unfrozen_blocks_are_those_of_the_last_layer():
    millions = {}
    for variant in variants_of(load_grid("ablation-window")):
        network = variant.recipe.network
        if network.trained == "last":
            with torch.device("meta"):
                body = create_network(find_card("resnet50"), seed=0)
            blocks = encoder_blocks(body, network.blocks)[-network.last_blocks :]
            names = [name for block in blocks for name in block.parameters]
            assert all(name.startswith("layer4.") for name in names)
            millions[network.last_blocks] = sum(body.get_parameter(name).numel() for name in names) / 1e6
    assert millions == pytest.approx({1: 4.46, 2: 8.93}, abs=0.01)


def test_the_log_of_the_dual_branch_is_its_teams():
    rows = [variant.recipe for variant in variants_of(load_grid("log-dual-branch"))]
    plain, tiling, fine, masks, dual, lion, *_ = rows
    assert [row.training.loss.class_weights for row in rows[:6]] == [
        "inverse", "none", "inverse", "inverse", "none", "inverse"
    ]  # fmt: skip
    assert (plain.tiles.size_px, plain.tiles.fit, plain.network.crop_px) == (224, "stretch", None)
    assert (tiling.tiles.size_px, tiling.network.crop_px, tiling.training.sampling.balance) == (512, 224, "class")
    assert (fine.tiles.size_px, fine.tiles.fit, fine.training.batch_size, fine.training.step.accumulate) == (
        512, "pad", 4, 4
    )  # fmt: skip
    assert (masks.network.input, masks.tiles.fit, masks.tiles.size_px) == ("mask_channel", "reflect", 224)
    assert masks.training.batch_size == 32
    assert (dual.network.input, lion.training.optimizer.kind) == ("dual_branch", "lion")
    assert "0.2493 to 0.4112" in load_grid("log-dual-branch").description


def test_folders_are_plain_names():
    grid = Grid.model_validate({"name": "g", "variants": [{"name": "Ä: 1/2 % \\ ..", "set": {}}]})
    assert variants_of(grid)[0].folder(3) == "03-1-2"


def test_offline_variants_do_without_weights_and_say_so():
    variants = variants_of(load_grid("encoders-window"), offline=True)
    assert variants[0].recipe.encoder.name == "texture"
    assert "resnet50" in variants[0].notes[0]
    assert variants[-1].notes == ()
    assert variants_of(load_grid("encoders-window"))[0].recipe.encoder.name == "resnet50"


def test_the_grid_of_heads_starts_from_a_recipe_whose_head_is_fitted_at_once():
    variants = variants_of(load_grid("heads").over(None, ["head.kind=lda", "head.refit=true"]))
    assert [variant.recipe.head.kind for variant in variants] == ["linear"] * 4 + ["mlp"] * 8
    assert "head.refit" not in factor_columns(variants)
