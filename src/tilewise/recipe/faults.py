"""What is wrong with a recipe, in words: the key, the value, what was meant, and which file it comes from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from tilewise.recipe.sources import did_you_mean

Path = tuple[str, ...]

# Keys of earlier versions, and what to write instead; YAML reads a bare `on` as true.
_FORMER_KEYS = {
    "training.on": "it is training.input now: features or tiles",
    "training.mixup.on": "it is training.mixup.level now: none, features or tiles",
    "folds.from": "it is folds.source now",
    "folds.select_fraction": "it is folds.validation_fraction now",
    "compose": "it is synthesis now",
    "tiles.random_views_balance": "set training.sampling.balance=rare, which counts the labels of the train part alone",
    "segment.generosity": "it is segment.mask_threshold now",
    "training.select_metric": "set training.select_by=metric, and epochs are chosen by evaluation.metric, which the "
    "whole recipe goes by (macro_f1 unless said otherwise); or training.select_by=loss",
}
_COMMON_WORDS = {"input", "level", "source", "per", "name"}


def explain(error: ValidationError, origins: Mapping[Path, str], model: type[BaseModel]) -> str:
    """Every fault on a line of its own; where keys come from several files, each named key with its own.

    Args:
        error: of validating a recipe.
        origins: path of a value -> where it comes from; empty where there is only one place.
        model: of a recipe, whose keys are proposed for unknown ones.
    """
    several = len(set(origins.values())) > 1
    lines = []
    for fault in error.errors():
        lines.append(_sentence(fault, model))
        if several:
            concerned = _concerned(fault, origins)
            lines += [f"  {'.'.join(map(str, path))}: from {origins[path]}" for path in concerned]
            if fault["type"] == "value_error" and len({origins[path] for path in concerned}) > 1:
                lines.append("  (a key set to null drops what is inherited)")
    return "\n  ".join(lines)


def _sentence(fault: Any, model: type[BaseModel]) -> str:
    place = ".".join("on" if part in {True, "True"} else str(part) for part in fault["loc"])
    if fault["type"] in {"extra_forbidden", "invalid_key"} and place in _FORMER_KEYS:
        return f"{place}: this key is no more; {_FORMER_KEYS[place]}"
    if fault["type"] == "extra_forbidden":
        siblings = _known_keys(fault["loc"][:-1], model)
        known = f"; known here: {', '.join(siblings)}" if siblings else ""
        return f"{place}: unknown key{did_you_mean(str(fault['loc'][-1]), siblings)}{known}"
    if fault["type"] == "missing" and place == "name":
        return "name: give the recipe a name of its own; it is not inherited"
    value = "" if isinstance(fault["input"], dict) else f", got {fault['input']!r}"
    if fault["type"] == "literal_error":
        value += did_you_mean(str(fault["input"]), re.findall(r"'([^']*)'", fault["ctx"]["expected"]))
    return f"{place}: {fault['msg']}{value}" if place else str(fault["msg"])


def _concerned(fault: Any, origins: Mapping[Path, str]) -> list[Path]:
    """The values a fault is about: what stands at its place, and what its message names."""
    place, message = tuple(map(str, fault["loc"])), str(fault["msg"])
    at_place = fault["type"] != "value_error"
    return [path for path in origins if (at_place and path[: len(place)] == place) or _is_named(path, place, message)]


def _is_named(path: Path, place: Path, message: str) -> bool:
    """Whether a message about a section names this value: whole, as part of a section, or seen from the section."""
    words = tuple(map(str, path))
    if re.search(rf"(?<![\w.]){re.escape('.'.join(words))}(?![\w.]*\w)", message):
        return True
    if any(f"`{'.'.join(words[:end])}`" in message for end in range(1, len(words))):
        return True
    if words[: len(place)] != place or not place:
        return False
    near = re.escape(".".join(words[len(place) :]))
    # The commonest English words have to stand as a key: in backticks, or before a value.
    after = "[=:`]" if near in _COMMON_WORDS else r"(?![\w.]*\w)"
    return re.search(rf"(?<![\w.]){near}{after}", message) is not None


def _known_keys(location: tuple[Any, ...], model: type[BaseModel]) -> list[str]:
    for part in location:
        field = model.model_fields.get(str(part))
        annotation = field.annotation if field else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)
