"""Write docs/api.md from `__all__` and docstrings, so that the reference cannot drift from the code."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

import tilewise
from tilewise import api, errors

TARGET = Path(__file__).parents[1] / "docs" / "api.md"
HEAD = """# Library reference

Everything public, generated from the code by `scripts/api_reference.py`. The rule: what stands in `tilewise.__all__` or
in `tilewise.api.__all__`, the exceptions of `tilewise.errors`, and the attributes of all these without a leading
underscore, are public. Everything else is private, whatever its name, and may change in any version. Examples on this
page are run by the tests, after `import tilewise as tw`.
"""
_NO_ENTRY = {"__version__", "api", "errors"}
_OF_RECIPES = {"Recipe", "HeadConfig", "TrainingConfig"}


def reference() -> str:
    """The whole page."""
    top = [name for name in tilewise.__all__ if name not in _NO_ENTRY]
    further = [name for name in api.__all__ if name not in top]
    types = [name for name in further if isinstance(getattr(api, name), type)]
    verbs = [name for name in further if name not in types]
    parts = [HEAD, "\n## tilewise\n", *(_entry("tilewise", name, getattr(tilewise, name)) for name in top)]
    parts += ["\n## tilewise.api\n\nThe verbs above, and:\n"]
    parts += [_entry("tilewise.api", name, getattr(api, name)) for name in verbs]
    parts += ["\n## What verbs take and return\n\nThe types above, and:\n"]
    parts += [_entry("tilewise.api", name, getattr(api, name)) for name in types]
    parts += [f"\n## tilewise.errors\n\n{inspect.getdoc(errors)}\n\n", *_exceptions()]
    return "".join(parts)


def _exceptions() -> Iterator[str]:
    """A line for each exception, in the order of the tree."""
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and not name.startswith("_"):
            yield f"- `{name}`: {inspect.getdoc(kind)}\n"


def _entry(module: str, name: str, thing: object) -> str:
    text = (
        f"\n### {module}.{name}\n\n```python\n{name}{_signature(thing)}\n```\n\n```text\n{inspect.getdoc(thing)}\n```\n"
    )
    return text + "".join(_members(thing)) if isinstance(thing, type) else text


def _members(kind: type) -> Iterator[str]:
    """A line for each key of a config, and for each public method and property that is the class's own."""
    if kind.__name__ in _OF_RECIPES:
        yield "\nIts keys, with bounds and defaults: [docs/recipe.md](recipe.md).\n"
    elif issubclass(kind, BaseModel):
        yield "\n"
        for name, field in kind.model_fields.items():
            default = "" if field.is_required() else f" = {field.get_default(call_default_factory=True)!r}"
            yield f"- `{name}{default}`: {field.description}\n"
    if members := [name for name in vars(kind) if not name.startswith(("_", "model_")) and _is_member(kind, name)]:
        yield "\n"
    for name in members:
        member = inspect.getattr_static(kind, name)
        function = getattr(member, "__func__", member)
        arguments = _signature(function) if inspect.isfunction(function) else ""
        yield f"- `{name}{arguments}`: {(inspect.getdoc(member) or '').splitlines()[0]}\n"


def _is_member(kind: type, name: str) -> bool:
    member = inspect.getattr_static(kind, name)
    return bool(callable(member) or isinstance(member, property | classmethod) or hasattr(member, "func"))


def _signature(thing: object) -> str:
    if isinstance(thing, type) and hasattr(thing, "model_fields"):
        return ""  # docs/recipe.md has every key
    signature = str(inspect.signature(thing))  # type: ignore[arg-type]
    signature = re.sub(r"(: |-> )'([^']*)'", r"\1\2", signature)  # annotations are strings
    return re.sub(r"\((?:self|cls)(?:, )?", "(", signature)


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
