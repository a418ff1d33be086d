"""How tiles are varied at random before they are learnt from."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

Operation = Literal[
    "identity",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
    "rotate",
    "brightness",
    "color",
    "contrast",
    "sharpness",
    "posterize",
    "solarize",
    "auto_contrast",
    "equalize",
]
OPERATIONS: Final[tuple[Operation, ...]] = get_args(Operation)

_SWITCH = "Share of the tiles that are changed so; 0: none."


class AffineConfig(BaseModel):
    """Turn by any angle, shift and scale, in one step; what comes in from outside is white glass."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    probability: float = Field(0.0, ge=0.0, le=1.0, description=_SWITCH)
    degrees: float = Field(180.0, ge=0.0, le=180.0, description="Largest angle, to either side.")
    translation: float = Field(
        0.0, ge=0.0, le=0.9, description="Largest shift along x and y, as a share of width and height."
    )
    scale: tuple[Annotated[float, Field(ge=0.1, le=10.0)], Annotated[float, Field(ge=0.1, le=10.0)]] = Field(
        (1.0, 1.0), description="Least and largest scale; above 1 enlarges."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        _check_order("affine.scale", self.scale)
        return self


class ElasticConfig(BaseModel):
    """Bend the tile like soft tissue (Simard et al. 2003)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    probability: float = Field(0.0, ge=0.0, le=1.0, description=_SWITCH)
    shift_px: float = Field(
        2.0, ge=0.0, le=100.0, description="Root mean square of how far pixels move along x, and along y."
    )
    smooth_px: float = Field(
        12.0, ge=1.0, le=200.0, description="Standard deviation of the Gaussian that smooths the movement."
    )


class ColorConfig(BaseModel):
    """Brightness, contrast, saturation and hue, as torchvision's ColorJitter has them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    probability: float = Field(0.0, ge=0.0, le=1.0, description=_SWITCH)
    brightness: float = Field(0.2, ge=0.0, le=1.0, description="The factor is drawn from 1 - this to 1 + this.")
    contrast: float = Field(0.2, ge=0.0, le=1.0, description="The same, for the distance from the tile's mean grey.")
    saturation: float = Field(0.2, ge=0.0, le=1.0, description="The same, for the distance from the pixel's own grey.")
    hue: float = Field(
        0.05, ge=0.0, le=0.5, description="Largest turn about the grey axis, to either side, as a share of a full turn."
    )


class HedConfig(BaseModel):
    """Amounts of haematoxylin and eosin (Tellez et al. 2018)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    probability: float = Field(0.0, ge=0.0, le=1.0, description=_SWITCH)
    strength: float = Field(
        0.05,
        ge=0.0,
        le=1.0,
        description="Largest change of an amount, as a share and as an optical density; 0.2 is much.",
    )


class BlurConfig(BaseModel):
    """Gaussian blur, as of a scanner out of focus."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    probability: float = Field(0.0, ge=0.0, le=1.0, description=_SWITCH)
    sigma_px: tuple[Annotated[float, Field(gt=0.0, le=20.0)], Annotated[float, Field(gt=0.0, le=20.0)]] = Field(
        (0.1, 1.5), description="Least and largest standard deviation."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        _check_order("blur.sigma_px", self.sigma_px)
        return self


class PolicyConfig(BaseModel):
    """A published policy that draws operations for every tile."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["none", "rand_augment", "trivial_augment", "aug_mix"] = Field(
        "none",
        description="rand_augment: some operations, one strength (Cubuk et al. 2020); trivial_augment: one operation "
        "of any strength (Müller and Hutter 2021); aug_mix: chains of operations, mixed (Hendrycks et al. 2020).",
    )
    probability: float = Field(1.0, ge=0.0, le=1.0, description=_SWITCH)
    operations: tuple[Operation, ...] = Field(
        OPERATIONS,
        min_length=1,
        description="What is drawn from. solarize turns white glass black; leave it out where glass means something.",
    )
    num_operations: int = Field(2, ge=1, le=14, description="One after another (kind rand_augment).")
    magnitude: int = Field(9, ge=0, le=30, description="Their strength, of 30 (kind rand_augment).")
    severity: int = Field(3, ge=1, le=10, description="Largest strength, of 10 (kind aug_mix).")
    num_chains: int = Field(3, ge=1, le=10, description="Chains that are mixed (kind aug_mix).")

    @model_validator(mode="after")
    def _refuse_what_has_no_effect(self) -> Self:
        needs = {
            "num_operations": "rand_augment",
            "magnitude": "rand_augment",
            "severity": "aug_mix",
            "num_chains": "aug_mix",
        }
        for name, kind in needs.items():
            if self.kind != kind and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"augment.policy.{name} has no effect with `kind: {self.kind}`; drop it")
        return self


class AugmentConfig(BaseModel):
    """Random changes of tiles while they are learnt from; every one is off until it is asked for.

    They come in the order of this list. A mask moves with its tile, and glass that comes in from outside is no mask.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    horizontal_flip: float = Field(0.0, ge=0.0, le=1.0, description="Share of the tiles flipped left to right.")
    vertical_flip: float = Field(0.0, ge=0.0, le=1.0, description="Share of the tiles flipped top to bottom.")
    quarter_turn: float = Field(0.0, ge=0.0, le=1.0, description="Share of the tiles turned by 90, 180 or 270 degrees.")
    affine: AffineConfig = Field(default_factory=AffineConfig)
    elastic: ElasticConfig = Field(default_factory=ElasticConfig)
    policy: PolicyConfig = Field(default_factory=PolicyConfig)
    color: ColorConfig = Field(default_factory=ColorConfig)
    hed: HedConfig = Field(default_factory=HedConfig)
    blur: BlurConfig = Field(default_factory=BlurConfig)

    @property
    def is_off(self) -> bool:
        """Whether tiles come out as they went in."""
        shares = (self.horizontal_flip, self.vertical_flip, self.quarter_turn)
        parts = (self.affine, self.elastic, self.color, self.hed, self.blur)
        policy = self.policy.kind != "none" and self.policy.probability > 0.0
        return not (policy or any(shares) or any(part.probability for part in parts))


def _check_order(name: str, bounds: tuple[float, float]) -> None:
    if bounds[0] > bounds[1]:
        raise ValueError(f"augment.{name}: the first must not exceed the second, got {list(bounds)}")
