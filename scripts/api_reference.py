"""Write docs/api.md from `__all__` and docstrings, so that the reference cannot drift from the code."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import tilewise
from tilewise import api

TARGET = Path(__file__).parents[1] / "docs" / "api.md"
HEAD = """# Library reference

Everything public, generated from the code by `scripts/api_reference.py`. The rule: what stands in `tilewise.__all__` or
in `tilewise.api.__all__`, and its attributes without a leading underscore, is public. Everything else is private,
whatever its name, and may change in any version. Examples on this page are run by the tests,
after `import tilewise as tw`.
"""
_VERSION = "__version__"


def reference() -> str:
    """The whole page."""
    top = [name for name in tilewise.__all__ if name not in {_VERSION, "api"}]
    parts = [HEAD, "\n## tilewise\n", *(_entry("tilewise", name, getattr(tilewise, name)) for name in top)]
    further = [name for name in api.__all__ if name not in top]
    parts += ["\n## tilewise.api\n\nThe verbs above, and:\n"]
    parts += [_entry("tilewise.api", name, getattr(api, name)) for name in further]
    return "".join(parts)


def _entry(module: str, name: str, thing: object) -> str:
    text = (
        f"\n### {module}.{name}\n\n```python\n{name}{_signature(thing)}\n```\n\n```text\n{inspect.getdoc(thing)}\n```\n"
    )
    return text + "".join(_members(thing)) if isinstance(thing, type) else text


def _members(kind: type) -> Iterator[str]:
    """A line for each public method and property that is the class's own."""
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
