"""A recipe: every choice of a run, in one file."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tilewise.audit.config import AuditConfig
from tilewise.encoders.config import EncoderConfig
from tilewise.errors import RecipeError
from tilewise.evaluation.config import EvaluationConfig
from tilewise.features.config import FeaturesConfig
from tilewise.folds.config import FoldsConfig
from tilewise.models.config import HeadConfig
from tilewise.models.networks.check import check_network
from tilewise.models.networks.config import NetworkConfig
from tilewise.models.views import ViewsConfig
from tilewise.segment.config import SegmentConfig
from tilewise.stain.config import StainConfig
from tilewise.tiles.config import TileConfig
from tilewise.training.augment import AugmentConfig
from tilewise.training.compose.config import ComposeConfig
from tilewise.training.config import TrainingConfig
from tilewise.training.pretrain import PretrainConfig
from tilewise.training.pseudo.config import PseudoConfig

DEFAULT = "default"


class Recipe(BaseModel):
    """Every choice of a run that is not about this machine or this folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="Shown in reports and tables.")
    description: str = Field("", description="Where the recipe comes from and what it is for.")
    audit: AuditConfig = Field(default_factory=AuditConfig)
    segment: SegmentConfig = Field(default_factory=SegmentConfig)
    tiles: TileConfig = Field(default_factory=TileConfig)
    stain: StainConfig = Field(default_factory=StainConfig)
    encoder: EncoderConfig = Field(default_factory=EncoderConfig)
    features: FeaturesConfig = Field(default_factory=FeaturesConfig)
    network: NetworkConfig = Field(default_factory=NetworkConfig)
    pretrain: PretrainConfig = Field(default_factory=PretrainConfig)
    head: HeadConfig = Field(default_factory=HeadConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    augment: AugmentConfig = Field(default_factory=AugmentConfig)
    compose: ComposeConfig = Field(default_factory=ComposeConfig)
    pseudo: PseudoConfig = Field(default_factory=PseudoConfig)
    views: ViewsConfig = Field(default_factory=ViewsConfig)
    folds: FoldsConfig = Field(default_factory=FoldsConfig)
    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig)

    @model_validator(mode="after")
    def _sections_agree(self) -> Self:
        if self.training.on == "features":
            for name in ("network", "pretrain", "augment", "compose", "views"):
                section = getattr(self, name)
                if section != type(section)():
                    raise ValueError(
                        f"`{name}` has no effect with training.on=features; set training.on=pixels or drop it"
                    )
        else:
            if self.features != FeaturesConfig():
                raise ValueError("`features` has no effect with training.on=pixels; drop it")
            check_network(self.network, self.encoder)
            if self.compose.method != "none" and self.network.input == "multi_scale":
                raise ValueError(
                    f"compose.method={self.compose.method} knows one field of view, and network.input=multi_scale has "
                    "several; drop one of the two"
                )
        return self

    def to_yaml(self) -> str:
        """The whole recipe with every default filled in."""
        return yaml.safe_dump(
            self.model_dump(mode="json", by_alias=True), sort_keys=False, allow_unicode=True, width=110
        )


def packaged_recipes() -> dict[str, str]:
    """Name -> YAML text of every recipe that comes with tilewise."""
    folder = resources.files("tilewise") / "recipes"
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".yaml")), key=lambda entry: entry.name)
    return {entry.name.removesuffix(".yaml"): entry.read_text("utf-8") for entry in files}


def load_recipe(name_or_path: str | Path = DEFAULT, overrides: Iterable[str] = ()) -> Recipe:
    """Load a packaged recipe by name, or one from a YAML file, and apply `a.b=value` overrides.

    Raises:
        RecipeError: no such recipe, not YAML, an unknown key, or a value out of bounds; every fault is listed.
    """
    origin = str(name_or_path)
    path = Path(name_or_path)
    packaged = packaged_recipes()
    if origin in packaged:
        text = packaged[origin]
    elif path.suffix in {".yaml", ".yml"} or path.is_file():
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(
                f"{path}: cannot read this recipe ({error}); give a YAML file or a packaged name"
            ) from error
    else:
        raise RecipeError(
            f"no recipe named {origin!r}{_suggestion(origin, packaged)}; `tilewise recipes` lists them, "
            "or give a YAML file"
        )
    data = _mapping(text, origin)
    for override in overrides:
        _apply(data, override)
    return parse_recipe(data, origin)


def parse_recipe(data: Mapping[str, Any], origin: str = "recipe") -> Recipe:
    """Validate plain data as a recipe.

    Raises:
        RecipeError: an unknown key or a value out of bounds; every fault is listed.
    """
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise RecipeError(f"{origin}: " + "\n  ".join(_explain(fault) for fault in error.errors())) from error


class _UniqueKeys(yaml.SafeLoader):
    """A key given twice is a fault: YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key in seen:
                raise RecipeError(f"the key {key!r} stands twice (line {key_node.start_mark.line + 1}); keep one")
            if key is not None:
                seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _mapping(text: str, origin: str) -> dict[str, Any]:
    try:
        data = yaml.load(text, _UniqueKeys)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise RecipeError(f"{origin} is not YAML: {error}") from error
    except RecipeError as error:
        raise RecipeError(f"{origin}: {error}") from error
    if not isinstance(data, dict):
        raise RecipeError(f"{origin} is not a recipe: expected keys such as `tiles:` and `encoder:`")
    return data


def _apply(data: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise RecipeError(f"--set {override!r} is not of the form key.key=value; for example --set tiles.size_px=256")
    target = data
    for part in parts[:-1]:
        below = target.setdefault(part, {})
        if not isinstance(below, dict):
            raise RecipeError(f"--set {override!r}: {part!r} holds a value, not keys")
        target = below
    try:
        target[parts[-1]] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise RecipeError(f"--set {override!r}: the value is not YAML ({error})") from error


def _explain(fault: Any) -> str:
    place = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        siblings = _known_keys(fault["loc"][:-1])
        return f"{place}: unknown key{_suggestion(str(fault['loc'][-1]), siblings)}; known here: {', '.join(siblings)}"
    given = "" if isinstance(fault["input"], dict) else f", got {fault['input']!r}"
    return f"{place}: {fault['msg']}{given}" if place else str(fault["msg"])


def _known_keys(location: tuple[Any, ...]) -> list[str]:
    model: type[BaseModel] = Recipe
    for part in location:
        field = model.model_fields.get(str(part))
        annotation = field.annotation if field else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return [field.alias or name for name, field in model.model_fields.items()]


def _suggestion(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""
