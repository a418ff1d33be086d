"""What is public: every type that a public thing takes, returns or holds can be imported from a public place."""

import ast
import importlib
import inspect
import pkgutil

import pytest

import tilewise as tw
from tilewise import api, errors

PUBLIC = {name: getattr(tw, name) for name in tw.__all__ if name not in {"__version__", "api", "errors"}}
PUBLIC |= {name: getattr(api, name) for name in api.__all__}
#: Parts of public things that nobody but tilewise makes; sections of recipes are in docs/recipe.md.
INNER = {
    *("AuditOrigin", "Combiner", "EpochConfig", "RecipeFile", "ReferenceDistribution", "SegmentedMask", "Size"),
    *("RungResult", "SlideFacts", "StainProfile", "TilePlan", "TileRows"),
}


def types_of_tilewise():
    modules = [
        module.name for module in pkgutil.walk_packages(tw.__path__, "tilewise.") if "__main__" not in module.name
    ]
    for module in map(importlib.import_module, modules):
        yield from (
            name for name, kind in vars(module).items() if inspect.isclass(kind) and kind.__module__ == module.__name__
        )


def functions_of(thing):
    if not inspect.isclass(thing):
        return [inspect.unwrap(thing)]
    members = [member for name, member in vars(thing).items() if not name.startswith(("_", "model_"))]
    bare = [
        next((getattr(member, kind) for kind in ("__func__", "fget", "func") if hasattr(member, kind)), member)
        for member in members
    ]
    return [function for function in bare if inspect.isfunction(function)]


def annotations_of(thing):
    for function in functions_of(thing):
        yield from function.__annotations__.values()
    if inspect.isclass(thing) and not hasattr(thing, "model_fields"):
        yield from (text for name, text in inspect.get_annotations(thing).items() if not name.startswith("_"))


def test_types_in_public_signatures_are_public():
    texts = {str(text) for thing in PUBLIC.values() for text in annotations_of(thing)}
    names = {node.id for text in texts for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    assert names & set(types_of_tilewise()) - PUBLIC.keys() == INNER


def test_every_name_is_there_and_no_other():
    for module in (tw, api):
        assert all(hasattr(module, name) for name in module.__all__)
        assert dir(module) == sorted(module.__all__)
        with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
            module.nothing  # noqa: B018
    assert tw.errors is errors


def test_every_exception_stands_in_the_tree_and_has_a_sentence():
    kinds = {name: kind for name, kind in vars(errors).items() if inspect.isclass(kind)}
    for name, kind in kinds.items():
        assert issubclass(kind, errors.TilewiseError)
        assert name in errors.__doc__
        assert kind.__doc__
