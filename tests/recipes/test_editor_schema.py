"""The schema editors get: by an independent validator."""

import copy

import jsonschema
import pytest
import yaml

from tilewise.recipe import Recipe, load_recipe, packaged_recipes, recipe_schema


@pytest.fixture(scope="module")
def validator():
    schema = recipe_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("name", sorted(packaged_recipes()))
def test_every_packaged_recipe_is_valid_as_written_and_as_shown(validator, name):
    validator.validate(yaml.safe_load(packaged_recipes()[name]))
    validator.validate(yaml.safe_load(load_recipe(name).to_yaml()))


def test_every_key_at_every_depth_refuses_an_unknown_neighbour(validator):
    whole = yaml.safe_load(Recipe(name="x").to_yaml())

    def sections(data, path=()):
        yield path
        for key, value in data.items():
            if isinstance(value, dict):
                yield from sections(value, (*path, key))

    for path in sections(whole):
        data = copy.deepcopy(whole)
        section = data
        for key in path:
            section = section[key]
        section["unknown"] = 1
        assert not validator.is_valid(data), path


@pytest.mark.parametrize(
    ("data", "valid"),
    [
        ({"name": "x", "extends": "window-resnet50", "network": {"mask_encoder": None}, "head": None}, True),
        ({"name": "x", "tiles": {"strategy": ["window", "grid"]}}, True),
        ({"name": "x", "tiles": {"strategy": "windows"}}, False),
        ({"name": "x", "tiles": {"strategy": ["windows"]}}, False),
        ({"name": "x", "tiles": {"size_px": 1}}, False),
        ({"name": "x", "training": {"patience": "never"}}, True),
        ({"name": "x", "training": {"patience": "ever"}}, False),
        ({"name": "x", "folds": {"source": "split"}}, True),
        ({"name": "x", "folds": {"from_": "split"}}, False),
        ({"name": "x", "extends": ["a", "b"]}, False),
        ({"extends": "window-resnet50"}, False),
        ({"name": None}, False),
    ],
)
def test_what_an_editor_accepts(validator, data, valid):
    assert validator.is_valid(data) is valid


def test_every_key_shows_what_it_means():
    def properties(schema):
        for section in (schema, *schema["$defs"].values()):
            yield from section["properties"].items()

    bare = [key for key, rule in properties(recipe_schema()) if "description" not in rule and "$ref" not in str(rule)]
    assert bare == []
