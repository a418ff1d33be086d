"""A recipe that changes another one."""

from __future__ import annotations

import types
import typing

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from tilewise.errors import RecipeError
from tilewise.recipe import Recipe, load_recipe, packaged_recipes, resolve_recipe
from tilewise.recipe.merge import MergedRecipe
from tilewise.recipe.sources import RecipeFile


def write(folder, text, name="mine.yaml"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_child_joins_sections_and_replaces_lists_and_values(tmp_path):
    write(tmp_path, "name: base\nextends: dual-branch-convnext\nhead: {hidden_sizes: [64, 32]}\n", "base.yaml")
    mine = write(tmp_path, "name: mine\nextends: base.yaml\ntraining: {optimizer: {kind: adamw}}\n")
    base, child = load_recipe("dual-branch-convnext"), load_recipe(mine)
    assert child.head == base.head.model_copy(update={"hidden_sizes": (64, 32)})
    optimizer = base.training.optimizer.model_copy(update={"kind": "adamw"})
    assert child.training == base.training.model_copy(update={"optimizer": optimizer})
    unchanged = set(Recipe.model_fields) - {"name", "description", "head", "training"}
    assert all(getattr(child, section) == getattr(base, section) for section in unchanged)


def test_paths_start_from_the_file_that_names_them(tmp_path, monkeypatch):
    write(tmp_path, "name: top\ntiles: {size_px: 99}\n", "top.yaml")
    write(tmp_path, "name: middle\nextends: ../top.yaml\n", "below/middle.yaml")
    mine = write(tmp_path, f"name: mine\nextends: {tmp_path / 'below' / 'middle.yaml'}\n", "elsewhere/mine.yaml")
    monkeypatch.chdir("/")
    assert load_recipe(mine).tiles.size_px == 99


VALUES = st.one_of(st.none(), st.integers(0, 3), st.lists(st.integers(0, 3), max_size=2))
KEYS = st.sampled_from("abc")
SECTIONS = st.dictionaries(KEYS, st.recursive(VALUES, lambda below: st.dictionaries(KEYS, below, max_size=3)))


@given(st.lists(SECTIONS, max_size=4))
def test_layers_are_what_they_are_one_over_the_other_and_every_value_has_an_origin(layers):
    made, wanted = MergedRecipe(), {}
    for number, data in enumerate(layers):
        made.merge(RecipeFile(str(number), data, None, None))
        wanted = over(wanted, data)
    assert made.data == wanted
    assert set(made.origins) == set(leaves(made.data))
    for path, origin in made.origins.items():
        assert path in leaves(layers[int(origin)])


def over(below, above):
    merged = {key: value for key, value in below.items() if not (key in above and above[key] is None)}
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = over(merged[key], value)
        elif value is not None or key not in below:
            merged[key] = value
    return merged


def leaves(value, path=()):
    if isinstance(value, dict):
        return [leaf for key, below in value.items() for leaf in leaves(below, (*path, key))]
    return [path]


def test_a_parent_need_not_be_whole(tmp_path):
    write(tmp_path, "tiles: {size_px: 99}\n", "part.yaml")
    assert load_recipe(write(tmp_path, "name: mine\nextends: part.yaml\n")).tiles.size_px == 99
    with pytest.raises(RecipeError, match=r"part\.yaml: name: give the recipe a name of its own"):
        load_recipe(tmp_path / "part.yaml")


def test_neither_name_nor_description_is_inherited(tmp_path):
    child = load_recipe(write(tmp_path, "name: mine\nextends: window-resnet50\n"))
    assert (child.name, child.description) == ("mine", "")
    with pytest.raises(RecipeError, match="a name of its own; it is not inherited"):
        load_recipe(write(tmp_path, "extends: window-resnet50\n"))


def test_null_drops_what_is_inherited(tmp_path):
    text = "name: mine\nextends: dual-branch-convnext\nnetwork: {input: image, mask_encoder: null, mask_init: null}\n"
    child = load_recipe(write(tmp_path, text + "head: null\nensemble:\n"))
    fresh = Recipe(name="x")
    assert child.network.mask_encoder == fresh.network.mask_encoder
    assert child.network.input_px == 384
    assert child.head == fresh.head
    assert load_recipe("window-resnet50", ["head.norm=null"]).head.norm == fresh.head.norm


def test_null_that_drops_nothing_is_a_value_and_refused_where_it_is_none(tmp_path):
    with pytest.raises(RecipeError, match=r"stain\.method"):
        load_recipe(write(tmp_path, "name: mine\nextends: window-resnet50\nstain: {method: null}\n"))
    with pytest.raises(RecipeError, match="tilez: unknown key"):
        load_recipe(write(tmp_path, "name: mine\nextends: window-resnet50\ntilez: null\n"))
    assert load_recipe(write(tmp_path, "name: mine\nextends: default\ntiles: {size_um: null}\n")).tiles.size_um is None


def test_null_may_mean_both_because_what_may_be_null_is_null_by_default():
    assert list(_not_null_by_default(Recipe)) == []


def _not_null_by_default(model: type[BaseModel], prefix: str = ""):
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from _not_null_by_default(annotation, f"{prefix}{name}.")
        elif types.NoneType in typing.get_args(annotation) and field.get_default(call_default_factory=True) is not None:
            yield prefix + name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "name: a\nextends: window_resnet50\n",
            r"mine\.yaml: extends: no recipe named .*did you mean 'window-resnet50'",
        ),
        ("name: a\nextends: none.yaml\n", r"mine\.yaml: extends: .*none\.yaml: cannot read"),
        ("name: a\nextends: [default]\n", r"extends: give one recipe"),
        ("name: a\nextends: ''\n", r"extends: give one recipe"),
        ("name: a\nextends: mine.yaml\n", r"circle \(.*mine\.yaml -> .*mine\.yaml\)"),
        ("name: a\nextends: broken.yaml\n", r"mine\.yaml: extends: .*broken\.yaml: the key 'name' stands twice"),
    ],
)
def test_a_parent_that_cannot_be_had_is_named(tmp_path, text, message):
    write(tmp_path, "name: a\nname: b\n", "broken.yaml")
    with pytest.raises(RecipeError, match=message):
        load_recipe(write(tmp_path, text))


def test_a_longer_circle_is_refused_whole(tmp_path):
    for name, parent in (("a", "b"), ("b", "c"), ("c", "a")):
        write(tmp_path, f"name: {name}\nextends: {parent}.yaml\n", f"{name}.yaml")
    with pytest.raises(RecipeError, match=r"a\.yaml -> .*b\.yaml -> .*c\.yaml -> .*a\.yaml"):
        load_recipe(tmp_path / "a.yaml")


def test_an_unknown_key_names_the_file_it_stands_in(tmp_path):
    write(tmp_path, "name: top\ntiles: {sizepx: 3}\n", "top.yaml")
    with pytest.raises(RecipeError) as raised:
        load_recipe(write(tmp_path, "name: mine\nextends: top.yaml\ntilez: {x: 1}\n"))
    lines = str(raised.value).splitlines()
    assert any("tiles.sizepx: from" in line and line.endswith("top.yaml") for line in lines)
    assert any("tilez.x: from" in line and line.endswith("mine.yaml") for line in lines)


def test_keys_that_lost_their_effect_name_the_file_they_come_from(tmp_path):
    mine = write(tmp_path, "name: mine\nextends: dual-branch-convnext\nhead: {kind: linear}\n")
    with pytest.raises(RecipeError) as raised:
        load_recipe(mine)
    assert "head.hidden_sizes: from dual-branch-convnext" in str(raised.value)
    assert f"head.kind: from {mine}" in str(raised.value)
    assert "null drops what is inherited" in str(raised.value)
    with pytest.raises(RecipeError, match=r"tiles\.overlap: from window-resnet50"):
        load_recipe("window-resnet50", ["tiles.strategy=whole"])
    with pytest.raises(RecipeError) as raised:
        load_recipe("window-resnet50", ["training.input=features"])
    assert "training.mixup.level: from window-resnet50" in str(raised.value)
    assert "training.input: from --set training.input" in str(raised.value)


def test_where_all_keys_stand_in_one_file_it_is_not_named_again(tmp_path):
    with pytest.raises(RecipeError) as raised:
        load_recipe(write(tmp_path, "name: mine\nhead: {kind: linear, hidden_sizes: [3]}\n"))
    assert " from " not in str(raised.value)


def test_a_word_that_yaml_takes_for_true_is_a_key_all_the_same(tmp_path):
    mine = write(tmp_path, "name: mine\nencoder: {name: resnet18}\ntraining: {input: tiles}\n")
    assert load_recipe(mine).training.input == "tiles"
    mixed = load_recipe(mine, ["training.mixup={level: tiles, mixup_alpha: 0.3}"])
    assert mixed.training.mixup.mixup_alpha == 0.3


def test_what_is_shown_is_yaml_of_the_same_recipe_after_where_it_comes_from(tmp_path):
    text = 'name: mine\ndescription: "Ours:\\n# with\\u0007 noise"\nextends: window-resnet50\n'
    resolved = resolve_recipe(write(tmp_path, text), ["tiles.size_px=200"])
    yaml_text = resolved.to_yaml()
    assert load_recipe(write(tmp_path, yaml_text, "shown.yaml")) == resolved.recipe
    comments = yaml_text[: yaml_text.index("name: mine")].splitlines()
    assert all(line.startswith("#") for line in comments)
    assert comments[0].endswith("mine.yaml, which extends window-resnet50")
    words = " ".join(line.removeprefix("#").strip() for line in comments)
    paragraph = yaml.safe_load(packaged_recipes()["window-resnet50"])["description"]
    assert paragraph in words
    assert comments[-1] == "# with --set tiles.size_px=200"
