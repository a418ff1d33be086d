import re

import pytest
import yaml

from tilewise.errors import RecipeError
from tilewise.recipe import Recipe, load_recipe, packaged_recipes, parse_recipe


def write(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", sorted(packaged_recipes()))
def test_every_packaged_recipe_loads_under_its_own_name_and_says_what_it_is(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.description


def test_the_whole_recipe_survives_yaml(tmp_path):
    recipe = load_recipe("default", ["tiles.max_tiles=7", "folds.holdout_fraction=0.2", "name='ünique: #1'"])
    assert load_recipe(write(tmp_path, recipe.to_yaml())) == recipe
    split = load_recipe("default", ["folds={source: split, validation_fraction: 0.2}"])
    assert yaml.safe_load(split.to_yaml())["folds"]["source"] == "split"
    assert load_recipe(write(tmp_path, split.to_yaml())) == split


def test_a_crop_that_cuts_nothing_off_is_refused():
    with pytest.raises(RecipeError, match="cuts nothing off"):
        load_recipe("window-resnet50", ["network.crop_px=224"])
    assert load_recipe("window-resnet50", ["network.crop_px=224", "tiles.size_px=512"]).network.crop_px == 224


def test_every_default_is_written_out():
    def keys(data, prefix=""):
        for key, value in data.items():
            yield prefix + key
            if isinstance(value, dict):
                yield from keys(value, f"{prefix}{key}.")

    whole = set(keys(yaml.safe_load(Recipe(name="bare").to_yaml())))
    assert {"audit.copies", "tiles.fallback", "features.chunk_tiles", "training.patience", "folds.source"} <= whole


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("tiles.size_px=256", "tiles", "size_px", 256),
        (" tiles.size_px = 256", "tiles", "size_px", 256),
        ("tiles.stride_px=null", "tiles", "stride_px", None),
        ("training.learning_rate=1e-3", "training", "learning_rate", 0.001),
        ("features.cache=false", "features", "cache", False),
        ("folds={kind: kfold, num_folds: 3}", "folds", "num_folds", 3),
        ("folds.source=split", "folds", "source", "split"),
    ],
)
def test_an_override_is_read_as_yaml(override, section, key, value):
    more = [] if "source" not in override else ["folds.num_folds=5"]
    assert getattr(getattr(load_recipe("texture", [*more, override]), section), key) == value


def test_the_last_override_of_a_key_wins():
    assert load_recipe("default", ["tiles.size_px=64", "tiles.size_px=32"]).tiles.size_px == 32


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("tiles.sizepx=64", r"tiles\.sizepx: unknown key \(did you mean 'size_px'\?\); known here: strategy"),
        ("tile.size_px=64", r"tile: unknown key \(did you mean 'tiles'\?\)"),
        ("tiles.size_px=1", r"tiles\.size_px: .*16, got 1"),
        ("tiles.size_px=many", r"tiles\.size_px"),
        ("name.first=x", "'name' holds a value, not keys"),
        ("tiles.size_px", "not of the form"),
        ("=3", "not of the form"),
        ("tiles..size_px=3", "not of the form"),
        ("tiles.size_px=[1", "not YAML"),
        ("tiles=", "tiles"),
    ],
)
def test_a_faulty_override_is_named_with_what_was_meant(override, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe("default", [override])


def test_every_fault_is_listed_at_once():
    with pytest.raises(RecipeError) as raised:
        parse_recipe({"name": "x", "tiles": {"size_px": 1, "stridepx": 4}, "head": {"kind": "tree"}})
    assert all(place in str(raised.value) for place in ("tiles.size_px", "tiles.stridepx", "head.kind"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\ntiles:\n  size_px: 32\n  size_px: 64\n", r"mine\.yaml: the key 'size_px' stands twice \(line 4\)"),
        ("name: a\nname: b\n", r"'name' stands twice \(line 2\)"),
        ("- a\n- b\n", "not a recipe"),
        ("", "not a recipe"),
        ("name: [a\n", "not YAML"),
        ("? [a, b]\n: c\n", "not YAML"),
        ("tiles: {size_px: 32}\n", "name"),
        ("name: a\ntiles:\n", "tiles"),
        ("name: !!python/object/apply:os.getcwd []\n", "not YAML"),
    ],
)
def test_a_faulty_file_is_named_with_the_fault(tmp_path, text, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe(write(tmp_path, text))


def test_a_recipe_that_is_not_there(tmp_path):
    with pytest.raises(RecipeError, match="did you mean 'default'"):
        load_recipe("defaults")
    with pytest.raises(RecipeError, match=r"none\.yaml"):
        load_recipe(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes("name: ü".encode("latin-1"))
    with pytest.raises(RecipeError, match=r"latin\.yaml"):
        load_recipe(tmp_path / "latin.yaml")


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("training.on=pixels", "training.input"),
        ("training={on: pixels}", "training.input"),
        ("training.mixup.on=features", "training.mixup.level"),
        ("folds.from=split", "folds.source"),
        ("folds.select_fraction=0.1", "folds.validation_fraction"),
        ("compose.method=texture", "synthesis"),
        ("segment.generosity=0.4", "segment.mask_threshold"),
    ],
)
def test_a_key_that_was_renamed_names_the_new_one(setting: str, key: str) -> None:
    with pytest.raises(RecipeError, match=rf"{re.escape(key)} now"):
        load_recipe("default", [setting])


def test_a_key_of_an_earlier_version_names_the_one_to_set() -> None:
    with pytest.raises(RecipeError, match=r"training\.select_metric: .*training\.select_by=metric.*evaluation\.metric"):
        load_recipe("default", ["training.select_metric=macro_f1"])
    with pytest.raises(RecipeError, match=r"evaluation\.metric"):
        load_recipe("default", ["evaluation.metric=f1"])
