"""What stands between a tile's features and its class probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tilewise.plugins import PluginName, is_plugin

Kind = Literal["linear", "mlp", "lda", "logistic"]
Aggregator = Literal[
    "mean", "majority", "max", "top_k", "noisy_or", "log_sum_exp",
    "attention", "additive_attention", "clam_sb", "clam_mb", "dsmil", "transmil",
    "feature_mean", "feature_max", "feature_mean_and_deviation",
]  # fmt: skip
Statistic = Literal["mean", "deviation", "max"]
AGGREGATORS: tuple[Aggregator, ...] = get_args(Aggregator)
_NAME = PluginName(AGGREGATORS, "tilewise.aggregators", "tilewise.bag_models")

_OF_PROBABILITIES: tuple[Aggregator, ...] = ("mean", "majority", "max", "top_k", "noisy_or", "log_sum_exp")
_OF_SLIDE_VECTORS: tuple[Aggregator, ...] = ("feature_mean", "feature_max", "feature_mean_and_deviation")
_CLAM: tuple[Aggregator, ...] = ("clam_sb", "clam_mb")
_STATISTICS: dict[str, tuple[Statistic, ...]] = {
    "feature_max": ("max",),
    "feature_mean_and_deviation": ("mean", "deviation"),
}
_OWN_HEAD: tuple[Aggregator, ...] = ("clam_mb", "dsmil")
HIGHEST_TEMPERATURE = 1000.0  # that is tried for kind lda


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
    aggregate: Annotated[str, _NAME] | None = Field(
        None,
        description="From tiles to the slide, in scoring and in prediction alike. mean: of their probabilities. "
        "majority: share of the tiles that vote for each class. max: the highest probability of each class over the "
        "tiles. top_k: the mean of its top_k highest. noisy_or: 1 - the product of 1 - p. log_sum_exp: between the "
        "highest and the mean, by temperature. These four are scaled to sum to 1. The others are for heads on "
        "features, which then see one vector per slide. By weights that are learnt: attention (gated attention, Ilse "
        "et al. 2018), additive_attention (the same without a gate), clam_sb and clam_mb (Lu et al. 2021: attention "
        "whose strongest and weakest tiles are told apart, with one branch or one for each class), dsmil (Li et al. "
        "2021: likeness to the tile that scores highest) and transmil (Shao et al. 2021: a transformer over the "
        "tiles, in their order). feature_mean: the plain mean. feature_max: the highest value of each feature. "
        "feature_mean_and_deviation: the mean and the standard deviation side by side. Plugins have names "
        "with a dot. Left out: mean; of kinds "
        "lda and logistic feature_mean.",
    )
    tile_weights: Literal["equal", "mask_ratio", "confidence", "mask_ratio_and_confidence"] = Field(
        "equal",
        description="How much a tile counts (aggregate mean, majority). mask_ratio: the share of it that the mask "
        "covers, or the tissue where tiles are cut by tissue. confidence: 1 - the entropy of its probabilities / log "
        "classes. mask_ratio_and_confidence: their product. Where no tile of a slide would count, all count the same.",
    )
    attention_placement: bool = Field(
        False,
        description="Attention also goes by the tile's mask ratio and its place among the slide's tiles (aggregate "
        "attention, additive_attention); what is weighed are the features alone.",
    )
    top_k: int = Field(
        5, ge=1, le=1_000_000, description="Tiles of highest probability of a class (aggregate top_k); fewer: all."
    )
    temperature: float = Field(
        0.1,
        gt=0.0,
        le=1000.0,
        description="T of T log mean exp(p / T) (aggregate log_sum_exp): near 0 the highest probability, large the "
        "mean.",
    )
    attention_size: int = Field(
        128,
        ge=1,
        le=65536,
        description="Hidden units that weigh the tiles (aggregate attention, additive_attention, clam_sb, clam_mb); of "
        "dsmil the length of queries.",
    )
    embedding_size: int = Field(
        256,
        ge=8,
        le=65536,
        multiple_of=8,
        description="Length of the vectors that features become first (aggregate clam_sb, clam_mb, transmil); the "
        "papers take 512.",
    )
    instance_tiles: int = Field(
        8,
        ge=1,
        le=10_000,
        description="Tiles of most and of least attention that are told apart (aggregate clam_sb, clam_mb).",
    )
    instance_weight: float = Field(
        0.3,
        ge=0.0,
        lt=1.0,
        description="Share that the loss of these tiles has in the loss (aggregate clam_sb, clam_mb).",
    )

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        """Only what was set."""
        return ((name, value) for name, value in self if name in self.model_fields_set)

    @property
    def aggregator(self) -> str:
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
        return not self.takes_slide_vectors and not self.takes_probabilities

    @property
    def takes_probabilities(self) -> bool:
        """Whether the head sees each tile by itself, and its probabilities become the slide's."""
        return self.aggregator in _OF_PROBABILITIES or is_plugin("tilewise.aggregators", self.aggregator)

    @property
    def takes_placements(self) -> bool:
        """Whether mask ratios or places of tiles count."""
        return self.attention_placement or "mask_ratio" in self.tile_weights

    @property
    def takes_slide_vectors(self) -> bool:
        """Whether the head sees statistics of a slide's features, and no tile by itself."""
        return self.aggregator in _OF_SLIDE_VECTORS

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        """What the head sees of a slide's features, one after the other."""
        return _STATISTICS.get(self.aggregator, ("mean",))

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
        attentions: tuple[Aggregator, ...] = ("attention", "additive_attention", *_CLAM)
        uses: dict[str, tuple[Aggregator, ...]] = {
            "top_k": ("top_k",),
            "temperature": ("log_sum_exp",),
            "attention_size": (*attentions, "dsmil"),
            "attention_placement": ("attention", "additive_attention"),
            "tile_weights": ("mean", "majority"),
            "embedding_size": (*_CLAM, "transmil"),
            "instance_tiles": _CLAM,
            "instance_weight": _CLAM,
        }
        for name, aggregators in uses.items():
            if self.aggregator not in aggregators and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(
                    f"head.{name} has no effect with `aggregate: {self.aggregator}`; set "
                    f"head.aggregate={aggregators[0]} or drop it"
                )
        if self.aggregator in _OWN_HEAD and (self.kind, self.norm, self.dropout) != ("linear", "none", 0.0):
            raise ValueError(
                f"head.aggregate={self.aggregator} has linear scores of its own; drop head.kind, head.norm and "
                "head.dropout, or set head.aggregate=clam_sb"
            )
        return self
