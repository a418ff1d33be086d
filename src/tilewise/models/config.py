"""What stands between a tile's features and its class probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Kind = Literal["linear", "mlp", "lda", "logistic"]
Aggregator = Literal["mean", "majority", "max", "attention", "feature_mean", "feature_mean_and_deviation"]

_OF_SLIDE_VECTORS: tuple[Aggregator, ...] = ("feature_mean", "feature_mean_and_deviation")


class HeadConfig(BaseModel):
    """The head of a model: features in, logits out, and how those of a slide's tiles become the slide's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind = Field(
        "linear",
        description="linear: softmax regression. mlp: hidden layers. Both learn in epochs, as `training` says. The "
        "others are linear too and are fitted at once to one vector per slide. lda: linear discriminant analysis, the "
        "shared covariance shrunk by Ledoit and Wolf's rule, probabilities calibrated by inner folds of the train "
        "part. logistic: logistic regression with an L2 penalty.",
    )
    hidden_sizes: tuple[Annotated[int, Field(ge=1, le=65536)], ...] = Field(
        (128,), min_length=1, max_length=8, description="Units of each hidden layer (kind mlp)."
    )
    norm: Literal["none", "batch", "layer", "group"] = Field(
        "none",
        description="BatchNorm, LayerNorm or GroupNorm before the first linear layer and before every further hidden "
        "layer. group: as many groups as divide the inputs evenly, at most 32, of at least 4 inputs each. Kinds linear "
        "and mlp.",
    )
    dropout: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description="Share of inputs dropped before every linear layer; attention drops none. Kinds linear and mlp.",
    )
    activation: Literal["relu", "silu"] = Field("relu", description="What follows each hidden layer (kind mlp).")
    logistic_c: float | None = Field(
        None,
        gt=0.0,
        le=1e6,
        description="Inverse strength of the penalty, scikit-learn's C, on standardised features (kind logistic). Left "
        "out: of nine values the one that does best, by training.select_by, over five inner folds of the train part, "
        "which keep groups together.",
    )
    refit: bool | None = Field(
        None,
        description="After validation was scored, fit the head again to train and validation together (kinds lda and "
        "logistic). What the run's files say of validation is by the first fit; test is predicted by the second. "
        "Left out: yes, with these kinds.",
    )
    aggregate: Aggregator | None = Field(
        None,
        description="From tiles to the slide, in scoring and in prediction alike. mean: of their probabilities. "
        "majority: share of the tiles that vote for each class. max: the highest probability of each class over the "
        "tiles, scaled to sum to 1. The others are for heads on features, which then see one vector per slide. "
        "attention: the mean of its tiles' features by weights that are learnt (gated attention, Ilse et al. 2018). "
        "feature_mean: the plain mean. feature_mean_and_deviation: the mean and the standard deviation side by side. "
        "Left out: mean; of kinds lda and logistic feature_mean.",
    )
    attention_size: int = Field(
        128, ge=1, le=65536, description="Hidden units that weigh the tiles (aggregate attention)."
    )

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        """Only what was set."""
        return ((name, value) for name, value in self if name in self.model_fields_set)

    @property
    def aggregator(self) -> Aggregator:
        """`aggregate`, filled in where it was left out."""
        return self.aggregate or ("mean" if self.learns_in_epochs else "feature_mean")

    @property
    def refits(self) -> bool:
        """`refit`, filled in where it was left out."""
        return not self.learns_in_epochs if self.refit is None else self.refit

    @property
    def learns_in_epochs(self) -> bool:
        """Whether the head is trained step by step, and not fitted at once."""
        return self.kind in ("linear", "mlp")

    @property
    def attends(self) -> bool:
        """Whether the tiles of a slide are weighed by weights that are learnt."""
        return self.aggregator == "attention"

    @property
    def takes_slide_vectors(self) -> bool:
        """Whether the head sees moments of a slide's features, and no tile by itself."""
        return self.aggregator in _OF_SLIDE_VECTORS

    @property
    def num_moments(self) -> int:
        """Length of what the head sees, as a multiple of a tile's features."""
        return 2 if self.aggregator == "feature_mean_and_deviation" else 1

    @model_validator(mode="after")
    def _refuse_what_has_no_effect(self) -> Self:
        needs: dict[str, tuple[Kind, ...]] = {
            "hidden_sizes": ("mlp",),
            "activation": ("mlp",),
            "norm": ("linear", "mlp"),
            "dropout": ("linear", "mlp"),
            "logistic_c": ("logistic",),
            "refit": ("lda", "logistic"),
        }
        for name, kinds in needs.items():
            if self.kind not in kinds and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(
                    f"head.{name} has no effect with `kind: {self.kind}`; set head.kind={kinds[0]} or drop it"
                )
        if not self.learns_in_epochs and not self.takes_slide_vectors:
            raise ValueError(
                f"head.aggregate={self.aggregator} needs a head that learns in epochs, and `kind: {self.kind}` is "
                "fitted to one vector per slide; set head.aggregate=feature_mean, or head.kind=linear"
            )
        if not self.attends and self.attention_size != type(self).model_fields["attention_size"].default:
            raise ValueError(
                f"head.attention_size has no effect with `aggregate: {self.aggregator}`; set head.aggregate=attention "
                "or drop it"
            )
        return self
