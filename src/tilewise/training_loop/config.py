"""How a network learns: what is minimised, by which steps, at which rate, on which tiles in which mixture."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

ClassBalance = Literal["none", "inverse", "sqrt", "effective"]
OptimizerKind = Literal["adamw", "adam", "sgd", "lion", "radam", "ranger"]
ScheduleKind = Literal["cosine", "restarts", "plateau", "one_cycle", "constant"]

_Beta = Annotated[float, Field(ge=0.0, lt=1.0)]


class LossConfig(BaseModel):
    """What is minimised: cross-entropy or focal loss, weighted by class, and penalties on weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["cross_entropy", "focal"] = Field(
        "cross_entropy", description="focal: tiles that are already right count less (Lin et al. 2017)."
    )
    focal_gamma: float = Field(
        2.0, ge=0.0, le=10.0, description="How much less (kind focal): (1 - p) to this power; 0 is cross-entropy."
    )
    class_weights: ClassBalance = Field(
        "inverse",
        description="Weight of a class: 1; slides / (classes * its slides); the root of that; or by the effective "
        "number of its slides (Cui et al. 2019).",
    )
    effective_beta: float = Field(
        0.99,
        ge=0.0,
        lt=1.0,
        description="Cui's beta (class_weights effective): 0 weighs all classes alike, near 1 is inverse; beyond about "
        "1 / (1 - beta) slides a class gains nothing from more.",
    )
    label_smoothing: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description="Share of the truth that is spread over all classes alike; each of them then counts by its own "
        "class weight, as in torch's cross_entropy.",
    )
    l1: float = Field(0.0, ge=0.0, le=10.0, description="Adds this times the sum of absolute weights, biases left out.")
    l2: float = Field(
        0.0,
        ge=0.0,
        le=10.0,
        description="Adds this times the sum of squared weights, biases left out; weight_decay is another thing.",
    )

    @model_validator(mode="after")
    def _refuse_what_has_no_effect(self) -> Self:
        _refuse(self, "loss", "kind", {"focal_gamma": ("focal",)})
        _refuse(self, "loss", "class_weights", {"effective_beta": ("effective",)})
        return self


class OptimizerConfig(BaseModel):
    """The rule of a step. Learning rate and weight decay stand beside it, in the training config."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: OptimizerKind = Field(
        "adamw",
        description="adamw, adam, sgd, radam (Liu et al. 2020); lion (Chen et al. 2023; wants a rate 3 to 10 times "
        "smaller); ranger: radam with lookahead (Zhang et al. 2019). adam and sgd take weight decay as part of the "
        "gradient, the others apart from it.",
    )
    betas: tuple[_Beta, _Beta] | None = Field(
        None,
        description="Memory of the mean gradient and of its square; left out: 0.9, 0.999, for lion 0.9, 0.99, for "
        "ranger 0.95, 0.999. Not for sgd.",
    )
    epsilon: float = Field(
        1e-8, gt=0.0, le=1.0, description="Added to the root of the mean square. Not for sgd and lion."
    )
    momentum: float = Field(0.9, ge=0.0, lt=1.0, description="Nesterov's momentum (kind sgd); 0: none.")
    lookahead_steps: int = Field(
        6, ge=1, le=1000, description="Steps between two moves of the slow weights (kind ranger)."
    )
    lookahead_share: float = Field(
        0.5, gt=0.0, le=1.0, description="How far the slow weights move towards the fast ones (kind ranger)."
    )

    @model_validator(mode="after")
    def _refuse_what_has_no_effect(self) -> Self:
        adams = ("adamw", "adam", "radam", "ranger")
        needs = {
            "betas": (*adams, "lion"),
            "epsilon": adams,
            "momentum": ("sgd",),
            "lookahead_steps": ("ranger",),
            "lookahead_share": ("ranger",),
        }
        _refuse(self, "optimizer", "kind", needs)
        return self


class ScheduleConfig(BaseModel):
    """The learning rate over the steps, as shares of the one that is set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ScheduleKind = Field(
        "cosine",
        description="cosine: falls once; restarts: falls again and again (both Loshchilov and Hutter 2017); plateau: "
        "falls when validation gets no better; one_cycle: rises, then falls (Smith and Topin 2019); constant.",
    )
    warmup_epochs: float = Field(
        0.0, ge=0.0, le=1000.0, description="Epochs of a linear rise to where the schedule starts; part of all epochs."
    )
    least_share: float = Field(
        0.0, ge=0.0, lt=1.0, description="Share of the rate below which it never falls after the warm-up."
    )
    first_cycle_epochs: float = Field(
        10.0, gt=0.0, le=100_000.0, description="Epochs of the first fall (kind restarts)."
    )
    cycle_growth: float = Field(
        2.0, ge=1.0, le=10.0, description="How many times longer every fall is than the last (kind restarts)."
    )
    plateau_patience: int = Field(
        5, ge=0, le=100_000, description="Epochs without a better one that are borne before a fall (kind plateau)."
    )
    plateau_factor: float = Field(
        0.3, gt=0.0, lt=1.0, description="What the rate is multiplied by at a fall (kind plateau)."
    )
    plateau_improvement: float = Field(
        1e-4, ge=0.0, le=1.0, description="By how much an epoch must be better to count as better (kind plateau)."
    )
    rise_share: float = Field(0.3, gt=0.0, lt=1.0, description="Share of the steps that rise (kind one_cycle).")
    start_share: float = Field(
        0.04, gt=0.0, lt=1.0, description="Share of the rate that the rise starts from (kind one_cycle)."
    )

    @model_validator(mode="after")
    def _refuse_what_has_no_effect(self) -> Self:
        needs: dict[str, tuple[str, ...]] = {
            "least_share": ("cosine", "restarts", "plateau", "one_cycle"),
            "first_cycle_epochs": ("restarts",),
            "cycle_growth": ("restarts",),
            "plateau_patience": ("plateau",),
            "plateau_factor": ("plateau",),
            "plateau_improvement": ("plateau",),
            "rise_share": ("one_cycle",),
            "start_share": ("one_cycle",),
        }
        _refuse(self, "schedule", "kind", needs)
        return self


class MixConfig(BaseModel):
    """Two tiles made one, and their labels with them: MixUp and CutMix."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Literal["none", "features", "tiles"] = Field(
        "none",
        description="features: the vectors of the encoder are mixed, which keeps the cache, or with "
        "one vector per slide (head.aggregate) those; tiles: tiles and masks are, before the encoder.",
    )
    mixup_alpha: float = Field(
        0.2,
        ge=0.0,
        le=100.0,
        description="MixUp (Zhang et al. 2018): shares are drawn from Beta(alpha, alpha); 0 never mixes.",
    )
    cutmix_alpha: float = Field(
        0.0,
        ge=0.0,
        le=100.0,
        description="CutMix (Yun et al. 2019), of pixels only: areas are drawn from Beta(alpha, alpha); 0 never cuts.",
    )
    probability: float = Field(1.0, ge=0.0, le=1.0, description="Share of the batches that are mixed.")
    cutmix_share: float = Field(
        0.5, ge=0.0, le=1.0, description="Share of the mixed batches that get CutMix where both alphas are above 0."
    )

    @model_validator(mode="after")
    def _refuse_what_has_no_effect(self) -> Self:
        mixed = ("features", "tiles")
        needs = {
            "mixup_alpha": mixed,
            "cutmix_alpha": ("tiles",),
            "probability": mixed,
            "cutmix_share": ("tiles",),
        }
        _refuse(self, "mixup", "level", needs)
        if "cutmix_share" in _changed(self) and not (self.mixup_alpha and self.cutmix_alpha):
            raise ValueError("mixup.cutmix_share has no effect unless both alphas are above 0; drop it")
        return self


class SamplingConfig(BaseModel):
    """Which tiles make an epoch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: Literal["tile", "slide"] = Field(
        "tile", description="tile: every tile once; slide: the same number of tiles of every slide."
    )
    tiles_per_slide: int = Field(
        4,
        ge=1,
        le=100_000,
        description="Tiles an epoch takes of a slide (unit slide), others each time; a slide with fewer gives some "
        "of them again.",
    )
    balance: Literal["none", "class", "rare"] = Field(
        "none",
        description="class: as much of every class, in an epoch of the same length, so that common classes are seen in "
        "part; rare: more tiles of rare classes, all others as before. With one vector per slide "
        "(head.aggregate) it is slides that are drawn. Either comes on top of the loss's class_weights, which then "
        "mostly should be none.",
    )
    rare_power: float = Field(
        1.0,
        gt=0.0,
        le=1.0,
        description="A class gives (commonest / its own) to this power times its tiles (balance rare); 0.5 is milder.",
    )
    rare_most: float = Field(
        4.0,
        ge=1.0,
        le=1000.0,
        description="At most so many times its tiles, for they are the same again (balance rare).",
    )

    @model_validator(mode="after")
    def _refuse_what_has_no_effect(self) -> Self:
        _refuse(self, "sampling", "unit", {"tiles_per_slide": ("slide",)})
        _refuse(self, "sampling", "balance", {"rare_power": ("rare",), "rare_most": ("rare",)})
        return self


class StepConfig(BaseModel):
    """What is done around a step of the optimiser."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    accumulate: int = Field(
        1, ge=1, le=10_000, description="Batches whose gradients make one step, as one batch so many times larger."
    )
    clip_norm: float | None = Field(
        None, gt=0.0, le=1e6, description="Longest gradient over all weights together; left out: any length."
    )
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        "float32",
        description="In what the network computes; weights and loss stay float32. float16 scales the loss, and needs a "
        "graphics card.",
    )
    ema_decay: float | None = Field(
        None,
        ge=0.0,
        lt=1.0,
        description="Weights are averaged over steps, and the average is scored and kept: what each step leaves of "
        "it, 0.99 to 0.9999; left out: no average.",
    )
    ema_warmup: bool = Field(
        True,
        description="The decay of the n-th step, from 0, is at most (1 + n) / (10 + n), so that a short training is "
        "not held back by its first weights.",
    )

    @model_validator(mode="after")
    def _refuse_what_has_no_effect(self) -> Self:
        if self.ema_decay is None and not self.ema_warmup:
            raise ValueError("training.ema_warmup has no effect without ema_decay; set ema_decay or drop it")
        return self


def _changed(config: BaseModel) -> set[str]:
    fields = type(config).model_fields
    return {name for name, field in fields.items() if getattr(config, name) != field.default}


def _refuse(config: BaseModel, section: str, switch: str, needs: dict[str, tuple[str, ...]]) -> None:
    """Refuse options that the value of another one leaves without effect."""
    chosen = getattr(config, switch)
    for name in sorted(_changed(config) & needs.keys()):
        if chosen not in needs[name]:
            raise ValueError(
                f"{section}.{name} has no effect with `{switch}: {chosen}`; "
                f"set {section}.{switch}={needs[name][0]} or drop it"
            )
