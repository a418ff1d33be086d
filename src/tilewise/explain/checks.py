"""Checks of maps: do random weights paint the same, and do they fall on a signal whose place is known?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata, t

from tilewise.evaluation.interval import UNDEFINED, Estimate
from tilewise.explain.paint import Map
from tilewise.explain.values import TileValues
from tilewise.inference.classifier import Member

Mask = npt.NDArray[np.bool_]

FEWEST = 5  # places that ranks are compared over
# Share of a map's ranks from which on random weights paint most of it: what features of one leading direction reach,
# and those of two or three do not (docs/benchmarks.md, "Explanations").
MOSTLY_RANDOM = 0.5
_CLEARLY = 0.75  # AUROC; what any dark tissue reaches by being dark lies between this and chance
_WORDS = {
    "probability": "tile probability",
    "attention": "attention",
    "activation": "class activation",
    "occlusion": "occlusion",
}


@dataclass(frozen=True)
class Localisation:
    """How a slide's heat lies to a signal whose place is known.

    Attributes:
        auroc: probability that a place of the signal is hotter than one beside it; 0.5 is chance.
        hit: whether the hottest place lies on the signal (pointing game; Zhang et al., 2018).
        chance: share of the places that are signal: what the pointing game hits by chance.
    """

    auroc: float
    hit: bool
    chance: float


@dataclass(frozen=True)
class MapCheck:
    """What became of the checks of one kind of map.

    Attributes:
        name: of the map, as in `heat_of`.
        random_shares: slide -> share of its map's ranks that random weights explain, too, mean over draws.
        localisations: slide -> how its heat lies to the planted signal; nothing where no signal is known.
        agreements: slide -> rank correlation of its class activation with occlusion; nothing of other maps.
    """

    name: str
    random_shares: Mapping[str, float] = field(default_factory=dict)
    localisations: Mapping[str, Localisation] = field(default_factory=dict)
    agreements: Mapping[str, float] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Of the map, in words."""
        return _WORDS[self.name].capitalize()

    @property
    def random_share(self) -> Estimate | None:
        """Mean over slides, 0 to 1, with its 95 % interval over slides; None where no slide could be compared."""
        return _mean_over_slides([*self.random_shares.values()]) if self.random_shares else None

    @property
    def agreement(self) -> float | None:
        """Mean over slides; None where nothing was occluded."""
        return float(np.mean([*self.agreements.values()])) if self.agreements else None

    @property
    def is_insensitive(self) -> bool:
        """Whether random weights explain half of the ranks or more."""
        return self.random_share is not None and float(self.random_share) >= MOSTLY_RANDOM

    @property
    def faults(self) -> tuple[str, ...]:
        """What speaks against the maps, a sentence each."""
        faults, maps = [], f"maps of {_WORDS[self.name]}"
        if self.is_insensitive:
            faults.append(
                f"{maps} show the features more than what was learnt: random weights explain {self.random_share:.0%} "
                "of their ranks, too"
            )
        if self.auroc is not None and self.auroc[1] <= 0.5:
            mean, low, high = self.auroc
            faults.append(
                f"{maps} are not shown to fall on the planted signal: AUROC {mean:.2f} (95 % interval {low:.2f} to "
                f"{high:.2f}) where chance is 0.5"
            )
        if self.agreement is not None and self.agreement <= 0:
            faults.append(
                f"{maps} do not agree with occlusion: what is bright matters no more when it is covered than what is "
                f"dark (rank correlation {self.agreement:.2f})"
            )
        return tuple(faults)

    @property
    def verdict(self) -> str:
        """What the checks mean, in words."""
        parts = []
        if self.random_share is not None:
            parts.append(f"random weights paint {'much the same' if self.is_insensitive else 'another'} map")
        if self.auroc is not None:
            mean, low, high = self.auroc
            where = "lies on the signal" if mean >= _CLEARLY else "leans towards the signal"
            parts.append(f"heat {where if low > 0.5 else 'lies beside the signal' if high < 0.5 else 'falls anywhere'}")
        return ", ".join(parts) or "too few places to say"

    @property
    def auroc(self) -> tuple[float, float, float] | None:
        """Mean over slides with the ends of its 95 % interval (Student's t over slides); None for fewer than two."""
        value, low, high = _mean_over_slides([one.auroc for one in self.localisations.values()])
        return None if value is None or low is None or high is None else (value, low, high)

    @property
    def pointing(self) -> tuple[float, float] | None:
        """Share of slides whose hottest place lies on the signal, and what chance hits; None without any."""
        each = [*self.localisations.values()]
        return (
            (float(np.mean([one.hit for one in each])), float(np.mean([one.chance for one in each]))) if each else None
        )


def _mean_over_slides(values: Sequence[float]) -> Estimate:
    """Mean, within 0 and 1, with the ends of its 95 % interval (Student's t), which a single slide does not have."""
    if len(values) < 2:
        return Estimate(float(np.clip(values[0], 0.0, 1.0)), None, None) if values else UNDEFINED
    mean = float(np.mean(values))
    half = float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return Estimate(*(float(np.clip(end, 0.0, 1.0)) for end in (mean, mean - half, mean + half)))


def randomised(member: Member, seed: int) -> Member:
    """The model with the numbers of each of its weight arrays in another order: what it learnt is gone.

    Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018. Their spread stays that of the trained weights. Of
    heads on features the encoder stays as it is.

    Args:
        member: the model.
        seed: of the orders.
    """
    generator = np.random.default_rng(seed)
    weights = {name: member.weights[name] for name in sorted(member.weights)}
    mixed = {name: generator.permutation(array.ravel()).reshape(array.shape) for name, array in weights.items()}
    return replace(member, weights={name: mixed[name] for name in member.weights})


def correlate(values: TileValues, others: TileValues) -> dict[str, float]:
    """Share of the ranks of a slide's maps that the maps of another model explain, by name; see `shared_ranks`.

    Maps of fewer than five places, or of one value alone, cannot be compared and are left out; a map that has one value
    under the other model has changed: 0.
    """
    pairs = {
        "probability": (values.probabilities_T, others.probabilities_T),
        "attention": (values.attention_T, others.attention_T),
        "activation": (values.activations_THW, others.activations_THW),
    }
    shares = {}
    for name, (before, after) in pairs.items():
        if before is None or after is None or before.size < FEWEST or np.ptp(before) == 0:
            continue
        shares[name] = shared_ranks(before.ravel(), after.ravel())
    return shares


def shared_ranks(first_N: npt.NDArray[np.floating], second_N: npt.NDArray[np.floating]) -> float:
    """Share of the variance of ranks that two rankings have in common, whichever way they run.

    (rho^2 - c) / (1 - c), where rho is Spearman's correlation and c = 1 / (N - 1) its mean square over all orders of
    untied places: 1 for the same or the reversed order, 0 on average for unrelated ones, and so below 0 at times.
    Squared, because random weights have no sign: a head is as often as not the reverse of another, and the mean of
    signed correlations is 0 whatever maps look like. 0 where one side has one value alone.
    """
    if np.ptp(second_N) == 0 or np.ptp(first_N) == 0 or not np.isfinite(second_N).all():
        return 0.0
    by_chance = 1.0 / (len(first_N) - 1)
    return (rank_correlation(first_N, second_N) ** 2 - by_chance) / (1.0 - by_chance)


def rank_correlation(first_N: npt.NDArray[np.floating], second_N: npt.NDArray[np.floating]) -> float:
    """Spearman's rank correlation; 0 where one side has one value alone or is not finite."""
    if np.ptp(first_N) == 0 or np.ptp(second_N) == 0 or not np.isfinite(second_N).all():
        return 0.0
    return float(np.corrcoef(rankdata(first_N), rankdata(second_N))[0, 1])


def agree_with_occlusion(values: TileValues) -> float | None:
    """Rank correlation of a slide's class activation with what its class loses when the same parts are covered.

    Over the parts of the tiles that were occluded; None where there are none, or all of one value.
    """
    if values.activations_THW is None or values.occlusion is None or not len(values.occlusion.tiles_K):
        return None
    falls_KHW = values.occlusion.falls_KHW
    height, width = falls_KHW.shape[1:]
    activations_KHW = np.stack(
        [
            cv2.resize(values.activations_THW[tile], (width, height), interpolation=cv2.INTER_AREA)
            for tile in values.occlusion.tiles_K.tolist()
        ]
    )
    if np.ptp(activations_KHW) == 0 or np.ptp(falls_KHW) == 0:
        return None
    return rank_correlation(activations_KHW.ravel(), falls_KHW.ravel())


def localise(heat_HW: Map, signal_HW: Mask) -> Localisation | None:
    """How a map lies to the signal, over places that have a tile; None where all or none of them are signal.

    Args:
        heat_HW: float32, nan where there is no tile.
        signal_HW: where the signal is.
    """
    tiled_HW = ~np.isnan(heat_HW)
    heat_N, signal_N = heat_HW[tiled_HW], signal_HW[tiled_HW]
    num_signal = int(signal_N.sum())
    if not 0 < num_signal < len(signal_N):
        return None
    ranks_N = rankdata(heat_N)
    above = ranks_N[signal_N].sum() - num_signal * (num_signal + 1) / 2
    # Of several hottest places, as in a tile of one value, most decide.
    hottest = signal_N[heat_N == heat_N.max()].mean()
    return Localisation(
        auroc=float(above / (num_signal * (len(signal_N) - num_signal))),
        hit=bool(hottest >= 0.5),
        chance=num_signal / len(signal_N),
    )
