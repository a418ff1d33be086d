"""What a search varies, as a YAML file says it."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tilewise.errors import RecipeError
from tilewise.recipe import Recipe
from tilewise.recipe.sources import did_you_mean, packaged_texts, parse_keys, read_text

Settings = dict[str, Any]

# What trials are compared by, or what has no part in a validation score.
_COMMON = ("name", "description", "notes", "audit", "folds", "evaluation", "ensemble", "ladder")
_OWN_KEYS = ("name", "description", "recipe")
_MOST_FAULTS = 8


class Draw(Protocol):
    """Where the values of a trial come from."""

    def number(self, parameter: Parameter) -> float:
        """A value of a range."""

    def choice(self, name: str, labels: Sequence[str]) -> int:
        """Which of several, by position."""


class ParameterValues(BaseModel):
    """The values that a search tries for one key: a range of numbers, or choices."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    low: int | float | None = Field(None, description="Least value. Whole numbers are drawn where both ends are whole.")
    high: int | float | None = Field(None, description="Largest value.")
    log: bool = Field(False, description="Whether orders of magnitude are equally likely.")
    step: int | float | None = Field(None, gt=0, description="Distance between the values of a range.")
    choices: list[Any] | None = Field(None, min_length=2, description="Values, of any kind that the key takes.")

    @model_validator(mode="after")
    def _is_range_or_choices(self) -> Self:
        if self.choices is not None:
            if self.model_fields_set != {"choices"}:
                raise ValueError("choices stand alone, without low, high, log and step")
            return self
        if self.low is None or self.high is None:
            raise ValueError("give low and high, or choices")
        if self.low >= self.high:
            raise ValueError(f"low={self.low} is not below high={self.high}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log needs low above 0, and takes no step")
        return self


@dataclass(frozen=True)
class Parameter:
    """A key that is searched.

    Attributes:
        key: of the recipe.
        name: the key, with its alternatives in brackets where it has a value in some of them only.
        values: that are tried.
    """

    key: str
    name: str
    values: ParameterValues

    @property
    def section(self) -> str:
        """Of the recipe, that holds the key."""
        return _section(self.key)

    @property
    def num_values(self) -> float:
        """How many values are tried; infinite for a range of numbers that are not whole and have no step."""
        values = self.values
        if values.low is None or values.high is None:
            return len(self.labels)
        step = values.step or (1 if self.is_whole else 0)
        return (values.high - values.low) // step + 1 if step else math.inf

    @property
    def is_whole(self) -> bool:
        """Whether its range is of whole numbers."""
        ends = (self.values.low, self.values.high, self.values.step or 1)
        return all(isinstance(end, int) for end in ends)

    @property
    def labels(self) -> tuple[str, ...]:
        """Its choices in words; none of a range."""
        return tuple(one if isinstance(one, str) else json.dumps(one) for one in self.values.choices or ())

    def draw(self, draw: Draw) -> Any:
        """A value."""
        if self.values.choices is not None:
            return self.values.choices[draw.choice(self.name, self.labels)]
        return draw.number(self)


@dataclass(frozen=True)
class Alternatives:
    """Branches of which a trial takes one.

    Attributes:
        name: of the choice between them.
        branches: in the order of the file.
    """

    name: str
    branches: tuple[Branch, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the branches."""
        return tuple(branch.name for branch in self.branches)


@dataclass(frozen=True)
class Branch:
    """Keys that are set or searched together.

    Attributes:
        name: of the branch among its alternatives.
        settings: keys that every trial of the branch has.
        parameters: keys that are searched.
        alternatives: further choices within the branch.
    """

    name: str
    settings: Settings = field(default_factory=dict)
    parameters: tuple[Parameter, ...] = ()
    alternatives: tuple[Alternatives, ...] = ()

    def draw(self, draw: Draw) -> Settings:
        """Recipe key -> value of one trial."""
        settings = self.settings | {one.key: one.draw(draw) for one in self.parameters}
        for one in self.alternatives:
            settings |= one.branches[draw.choice(one.name, one.labels)].draw(draw)
        return settings

    def num_ways(self, sections: Collection[str]) -> float:
        """How many values the keys of some sections of the recipe take together, at most; infinite for ranges."""
        ways = math.prod(one.num_values for one in self.parameters if one.section in sections)
        for one in self.alternatives:
            touched = [branch.num_ways(sections) for branch in one.branches if branch.touches(sections)]
            ways *= sum(touched) + (len(touched) < len(one.branches))
        return ways

    def touches(self, sections: Collection[str]) -> bool:
        """Whether any key of these sections is set or searched."""
        keys = [*self.settings, *(one.key for one in self.parameters)]
        below = (branch for one in self.alternatives for branch in one.branches)
        return any(_section(key) in sections for key in keys) or any(branch.touches(sections) for branch in below)

    def walk(self, pins: Mapping[str, int] = {}) -> Iterator[tuple[dict[str, int], Parameter | None]]:
        """Each parameter and each branch, with the choices that lead there."""
        yield dict(pins), None
        for parameter in self.parameters:
            yield dict(pins), parameter
        for one in self.alternatives:
            for index, branch in enumerate(one.branches):
                yield from branch.walk({**pins, one.name: index})


@dataclass(frozen=True)
class Space:
    """What a search varies.

    Attributes:
        name: of the space.
        description: what it is for.
        recipe: that is varied where no other is named; None leaves it open.
        root: its keys.
    """

    name: str
    description: str
    recipe: str | None
    root: Branch

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All keys that are searched."""
        return tuple(parameter for _, parameter in self.root.walk() if parameter is not None)

    @property
    def keys(self) -> tuple[str, ...]:
        """All recipe keys that some trial sets or searches."""
        branches, keys = [self.root], []
        while branches:
            branch = branches.pop()
            keys += [*branch.settings, *(parameter.key for parameter in branch.parameters)]
            branches += [one for alternatives in branch.alternatives for one in alternatives.branches]
        return tuple(dict.fromkeys(keys))

    def num_ways(self, sections: Collection[str]) -> float:
        """In how many ways trials may differ in some sections of the recipe, at most; 1 where they share them."""
        return self.root.num_ways(sections)

    def extremes(self) -> Iterator[Settings]:
        """Trials at both ends of every range, with every choice and in every branch, one at a time."""
        for pins, parameter in self.root.walk():
            for end in (0,) if parameter is None else range(len(parameter.labels) or 2):
                yield self.root.draw(_Pinned(pins if parameter is None else {**pins, parameter.name: end}))

    def check(self, recipe: Recipe) -> None:
        """Try both ends of every range, every choice and every branch on a recipe; nothing is run.

        Raises:
            RecipeError: a key is unknown, or a value is not valid there; every fault is listed.
        """
        faults: dict[str, None] = {}
        for settings in self.extremes():
            common = [key for key in settings if key.split(".")[0] in _COMMON]
            if common:
                raise RecipeError(
                    f"space {self.name}: {common[0]} is the same for all trials, which are compared by it or leave "
                    "it out; set it in the recipe, or with --set"
                )
            try:
                recipe.with_(**settings)
            except RecipeError as error:
                text = str(error).replace(f"recipe {recipe.name} with {', '.join(settings)}: ", "", 1)
                faults.setdefault(text)
        if faults:
            raise RecipeError(
                f"space {self.name} over recipe {recipe.name}: " + "\n  ".join(list(faults)[:_MOST_FAULTS])
            )


def _section(key: str) -> str:
    return key.partition(".")[0]


class _Pinned:
    """Draws what is pinned, and the first of everything else."""

    def __init__(self, pins: Mapping[str, int]) -> None:
        self._pins = pins

    def number(self, parameter: Parameter) -> float:
        values = parameter.values
        low, high = values.low, values.high
        assert low is not None
        assert high is not None
        if not self._pins.get(parameter.name):
            return low
        return high if values.step is None else low + (high - low) // values.step * values.step

    def choice(self, name: str, labels: Sequence[str]) -> int:
        del labels
        return self._pins.get(name, 0)


def packaged_spaces() -> dict[str, str]:
    """Name -> YAML text of every space that comes with tilewise."""
    return packaged_texts("tilewise.tuning", "spaces")


def load_space(source: str | Path | Mapping[str, Any]) -> Space:
    """Load a packaged space by name, one from a YAML file, or one of the keys that such a file would hold.

    Raises:
        RecipeError: no such space, not YAML, or a key whose values cannot be read; every fault is listed.
    """
    if isinstance(source, Mapping):
        return _parse(dict(source), "the keys of the space")
    origin, packaged = str(source), packaged_spaces()
    text = packaged[origin] if origin in packaged else read_text(Path(source), origin, "space", packaged)
    data = parse_keys(text, origin, "a space: expected recipe keys, such as `head.dropout: {low: 0, high: 1}`")
    return _parse(data, origin)


def _parse(data: dict[str, Any], origin: str) -> Space:
    own = {key: data.pop(key) for key in _OWN_KEYS if key in data}
    wrong = [key for key, value in own.items() if not isinstance(value, str) or not value]
    if wrong:
        raise RecipeError(f"{origin}: {wrong[0]}: expected text, not {own[wrong[0]]!r}")
    faults: list[str] = []
    root = _branch(data, "", faults)
    space = Space(own.get("name", Path(origin).stem), own.get("description", ""), own.get("recipe"), root)
    if not faults and not space.parameters and not root.alternatives:
        faults.append("nothing is searched; give a key a range or choices, as `head.dropout: {low: 0.0, high: 0.5}`")
    if faults:
        raise RecipeError(f"{origin}: " + "\n  ".join(faults))
    return space


def _branch(data: Mapping[str, Any], where: str, faults: list[str], name: str = "") -> Branch:
    settings: Settings = {}
    parameters: list[Parameter] = []
    alternatives: list[Alternatives] = []
    for key, value in data.items():
        title = f"{key} [{where}]" if where else str(key)
        if isinstance(value, dict):
            try:
                parameters.append(Parameter(str(key), title, ParameterValues.model_validate(value)))
            except ValidationError as error:
                faults += [_fault(str(key), fault) for fault in error.errors()]
        elif isinstance(value, list):
            alternatives.append(_alternatives(str(key), title, value, where, faults))
        else:
            settings[str(key)] = value
    return Branch(name, settings, tuple(parameters), tuple(alternatives))


def _alternatives(key: str, title: str, value: list[Any], where: str, faults: list[str]) -> Alternatives:
    if len(value) < 2 or not all(isinstance(branch, dict) for branch in value):
        faults.append(
            f"{key}: a list is of alternatives, two or more, each with keys of its own; give a key's values as "
            f"{{choices: {json.dumps(value, default=str)}}}"
        )
        return Alternatives(title, ())
    branches = []
    for number, branch in enumerate(value, 1):
        keys = dict(branch)
        name = str(keys.pop("name", number))
        branches.append(_branch(keys, f"{where}, {name}" if where else name, faults, name))
    names = [branch.name for branch in branches]
    if len(set(names)) < len(names):
        faults.append(f"{key}: two alternatives are called alike ({', '.join(names)}); give each a `name`")
    return Alternatives(title, tuple(branches))


def _fault(key: str, fault: Any) -> str:
    place = ".".join(map(str, fault["loc"][:1]))
    if fault["type"] == "extra_forbidden":
        known = list(ParameterValues.model_fields)
        return f"{key}: {place}: unknown{did_you_mean(place, known)}; known here: {', '.join(known)}"
    return f"{key}: {place + ': ' if place else ''}{str(fault['msg']).removeprefix('Value error, ')}"
