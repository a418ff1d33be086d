"""A recipe: every choice of a run, in one file."""

from __future__ import annotations

from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tilewise.auditing.config import AuditConfig
from tilewise.encoders.config import EncoderConfig
from tilewise.ensemble.config import EnsembleConfig
from tilewise.errors import RecipeError
from tilewise.evaluation.config import EvaluationConfig
from tilewise.extraction.config import FeaturesConfig
from tilewise.folds.config import FoldsConfig
from tilewise.ladder.config import LadderConfig
from tilewise.models.config import HeadConfig
from tilewise.models.networks.check import check_network
from tilewise.models.networks.config import NetworkConfig
from tilewise.models.views import ViewsConfig
from tilewise.recipe.faults import explain
from tilewise.segment.config import SegmentConfig
from tilewise.stain.config import StainConfig
from tilewise.store import digest_config
from tilewise.tiles.config import TileConfig
from tilewise.tiles.config_faults import BY_MASK
from tilewise.training_config.augment import AugmentConfig
from tilewise.training_config.check import check_head
from tilewise.training_config.pretrain import PretrainConfig
from tilewise.training_config.pseudo import PseudoConfig
from tilewise.training_config.synthesis import SynthesisConfig
from tilewise.training_config.training import TrainingConfig


class Recipe(BaseModel):
    """Every choice of a run that is not about this machine or this folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="Shown in reports and tables.")
    description: str = Field("", description="Where the recipe comes from and what it is for.")
    notes: tuple[str, ...] = Field(
        (),
        description="What was changed because this machine lacks something, a sentence each; written by `--offline`, "
        "and the first thing every report says.",
    )
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
    synthesis: SynthesisConfig = Field(default_factory=SynthesisConfig)
    pseudo: PseudoConfig = Field(default_factory=PseudoConfig)
    ladder: LadderConfig = Field(default_factory=LadderConfig)
    views: ViewsConfig = Field(default_factory=ViewsConfig)
    folds: FoldsConfig = Field(default_factory=FoldsConfig)
    ensemble: EnsembleConfig = Field(default_factory=EnsembleConfig)
    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig)

    def __repr__(self) -> str:
        trained = "a head on features" if self.training.input == "features" else "a network on tiles"
        return f"<Recipe {self.name}: encoder {self.encoder.name}, {self.head.kind} head, trains {trained}>"

    def __str__(self) -> str:
        return repr(self)

    @property
    def choices_digest(self) -> str:
        """Digest of every choice; name, description and notes do not count."""
        return digest_config(self.model_dump(mode="json", exclude={"name", "description", "notes"}))

    @model_validator(mode="after")
    def _sections_agree(self) -> Self:
        check_head(self.head, self.training)
        if self.training.input == "features":
            for name in ("network", "pretrain", "augment", "synthesis", "views"):
                section = getattr(self, name)
                if section != type(section)():
                    raise ValueError(
                        f"`{name}` has no effect with training.input=features; set training.input=tiles or drop it"
                    )
            self._check_context()
        else:
            if self.features != FeaturesConfig():
                raise ValueError("`features` has no effect with training.input=tiles; drop it")
            check_network(self.network, self.encoder)
            if self.network.crop_px is not None and self.network.crop_px >= self.tiles.size_px:
                raise ValueError(
                    f"network.crop_px={self.network.crop_px} cuts nothing off tiles of that side or less "
                    f"(tiles.size_px={self.tiles.size_px}); set a larger tiles.size_px, or drop it"
                )
            if self.synthesis.method != "none" and self.network.input == "multi_scale":
                raise ValueError(
                    f"synthesis.method={self.synthesis.method} knows one field of view, and network.input=multi_scale "
                    f"has "
                    "several; drop one of the two"
                )
        return self

    @model_validator(mode="after")
    def _rungs_are_recipes(self) -> Self:
        if not self.ladder.rungs:
            return self
        if self.pseudo.method != "none":
            raise ValueError("`pseudo` has no part in what a ladder chooses by; drop it, or `ladder`")
        try:
            rungs = self.rungs()
        except RecipeError as error:
            raise ValueError(f"ladder.rungs: {error}") from error
        on_tiles = [name for name, rung in rungs.items() if rung.training.input == "tiles"]
        if self.training.input == "tiles" or len(on_tiles) > 1:
            raise ValueError(
                "the recipe of a ladder trains a head on features, and one rung at most trains networks "
                f"(training.input=tiles: {', '.join(on_tiles)}); drop the others"
            )
        return self

    def rungs(self) -> dict[str, Self]:
        """Rung of the ladder -> its recipe, which has no ladder; rungs of `ladder.preset`, nothing without a ladder.

        Raises:
            RecipeError: a rung sets an unknown key or a value out of bounds.
        """
        plain = self.model_copy(update={"ladder": LadderConfig()})
        return {rung.name: plain.with_(**rung.set) for rung in self.ladder.tried}

    def _check_context(self) -> None:
        if not self.features.has_context:
            return
        if not self.head.takes_slide_vectors:
            raise ValueError(
                "features.context stands beside the mean of a slide's tiles, and head.aggregate="
                f"{self.head.aggregator} takes none; set head.aggregate=feature_mean, or drop features.context and "
                "features.context_shape"
            )
        if not {name for name in self.tiles.strategy if "." not in name} <= BY_MASK:
            raise ValueError(
                f"features.context tells tiles inside the mask from those outside, and tiles.strategy="
                f"{'+'.join(self.tiles.strategy)} is not cut by the mask; set tiles.strategy=window, or drop it"
            )

    def with_(self, **values: Any) -> Self:
        """A copy with other values: `recipe.with_(**{"tiles.size_px": 256})`; None goes back to a key's default.

        Raises:
            RecipeError: an unknown key or a value out of bounds; every fault is listed.
        """
        data = self.model_dump(exclude_unset=True)
        for key, value in values.items():
            *sections, last = key.split(".")
            section = data
            for name in sections:
                section = section.setdefault(name, {})
                if not isinstance(section, dict):
                    raise RecipeError(f"{key}: {name!r} holds a value, not keys")
            section.pop(last, None)
            if value is not None:
                section[last] = value
        try:
            return type(self).model_validate(data)
        except ValidationError as error:
            raise RecipeError(
                f"recipe {self.name} with {', '.join(values)}: {explain(error, {}, type(self))}"
            ) from error

    def to_yaml(self) -> str:
        """The whole recipe with every default filled in."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)
