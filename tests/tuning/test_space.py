"""What a search varies: files, alternatives, and faults that are named before any work."""

import pytest

from tilewise.errors import RecipeError
from tilewise.recipe import load_recipe
from tilewise.tuning.space import load_space, packaged_spaces

RATE = {"training.learning_rate": {"low": 0.01, "high": 0.5, "log": True}}


class Draw:
    """Draws the largest of a range, and the branch that it is told to."""

    def __init__(self, branch):
        self.branch, self.names = branch, []

    def number(self, parameter):
        self.names.append(parameter.name)
        return parameter.values.high

    def choice(self, name, labels):
        self.names.append(name)
        return self.branch if name == "head" else len(labels) - 1


@pytest.mark.parametrize(("name", "recipe"), [("heads", "texture"), ("heads", "default"), ("networks", "fine-tune")])
def test_every_packaged_space_fits_the_recipes_it_is_for(name, recipe):
    space = load_space(name)
    space.check(load_recipe(recipe))
    assert space.name == name
    assert space.description
    assert name in packaged_spaces()


def test_a_trial_has_the_keys_of_one_alternative():
    space = load_space(
        {
            **RATE,
            "training.epochs": 5,
            "head": [
                {"head.kind": "linear", "head.dropout": {"low": 0.0, "high": 0.4}},
                {"name": "mlp", "head.kind": "mlp", "head.hidden_sizes": {"choices": [[8], [16, 8]]}},
            ],
        }
    )
    linear, mlp = Draw(0), Draw(1)
    assert space.root.draw(linear) == {
        "training.learning_rate": 0.5, "training.epochs": 5, "head.kind": "linear", "head.dropout": 0.4,
    }  # fmt: skip
    assert space.root.draw(mlp)["head.hidden_sizes"] == [16, 8]
    assert linear.names == ["training.learning_rate", "head", "head.dropout [1]"]
    assert mlp.names == ["training.learning_rate", "head", "head.hidden_sizes [mlp]"]
    assert [parameter.name for parameter in space.parameters] == [
        "training.learning_rate", "head.dropout [1]", "head.hidden_sizes [mlp]",
    ]  # fmt: skip


def test_whole_numbers_are_drawn_where_both_ends_are_whole():
    space = load_space({"training.epochs": {"low": 5, "high": 20}, "head.dropout": {"low": 0, "high": 0.5}})
    assert [parameter.is_whole for parameter in space.parameters] == [True, False]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"head.dropout": {"low": 0.0}}, "head.dropout: give low and high, or choices"),
        ({"head.dropout": {"low": 0.5, "high": 0.1}}, "low=0.5 is not below high=0.1"),
        ({"head.dropout": {"low": 0.0, "high": 0.1, "log": True}}, "log needs low above 0"),
        ({"head.dropout": {"low": 0.0, "hihg": 0.1}}, "hihg: unknown .did you mean 'high'"),
        ({"head.dropout": {"choices": [0.1], "low": 0}}, "at least 2 items|choices stand alone"),
        ({"head.hidden_sizes": [64, 32]}, "a list is of alternatives"),
        ({"head": [{"name": "a", **RATE}, {"name": "a"}]}, "two alternatives are called alike"),
        ({"head.kind": "linear"}, "nothing is searched"),
        ({"name": 3, **RATE}, "name: expected text"),
    ],
)
def test_what_is_no_space_is_named(keys, message):
    with pytest.raises(RecipeError, match=message):
        load_space(keys)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"training.lerning_rate": {"low": 0.1, "high": 0.2}}, "did you mean 'learning_rate'"),
        ({"head.dropout": {"low": 0.0, "high": 1.5}}, "head.dropout: Input should be less than 1, got 1.5"),
        ({"head.kind": {"choices": ["linear", "lniear"]}}, "got 'lniear'"),
        ({"head": [RATE, {"head.kind": "lda", **RATE}]}, "has no effect with head.kind=lda"),
        ({"folds.num_folds": {"low": 3, "high": 5}}, "folds.num_folds is the same for all trials"),
    ],
)
def test_what_does_not_fit_the_recipe_is_named_before_any_work(keys, message):
    with pytest.raises(RecipeError, match=message):
        load_space(keys).check(load_recipe("texture"))


def test_files_are_read_and_a_name_like_another_is_proposed(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("head.dropout: {low: 0.0, high: 0.5}\n")
    assert load_space(path).name == "mine"
    path.write_text("head.dropout: {low: 0.0, high: 0.5}\nhead.dropout: {low: 0.1, high: 0.5}\n")
    with pytest.raises(RecipeError, match=r"the key 'head\.dropout' stands twice"):
        load_space(path)
    with pytest.raises(RecipeError, match="did you mean 'heads'"):
        load_space("head")
