"""Checks of maps: do they change with what was learnt, and do they fall on a signal whose place is known?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata, t

from tilewise.explain.paint import Map
from tilewise.explain.values import TileValues
from tilewise.inference.classifier import Member

Mask = npt.NDArray[np.bool_]

FEWEST = 5  # places that ranks are compared over
_UNCHANGED = 0.5  # mean rank correlation from which on a map is said not to depend on what was learnt
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
        correlations: slide -> rank correlation of its map with that of randomised weights, mean over draws.
        localisations: slide -> how its heat lies to the planted signal; nothing where no signal is known.
        agreements: slide -> rank correlation of its class activation with occlusion; nothing of other maps.
    """

    name: str
    correlations: Mapping[str, float] = field(default_factory=dict)
    localisations: Mapping[str, Localisation] = field(default_factory=dict)
    agreements: Mapping[str, float] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Of the map, in words."""
        return _WORDS[self.name].capitalize()

    @property
    def correlation(self) -> float | None:
        """Mean over slides; None where no slide could be compared."""
        return float(np.mean([*self.correlations.values()])) if self.correlations else None

    @property
    def agreement(self) -> float | None:
        """Mean over slides; None where nothing was occluded."""
        return float(np.mean([*self.agreements.values()])) if self.agreements else None

    @property
    def is_insensitive(self) -> bool:
        """Whether maps hardly change when weights are randomised."""
        return self.correlation is not None and self.correlation >= _UNCHANGED

    @property
    def faults(self) -> tuple[str, ...]:
        """What speaks against the maps, a sentence each."""
        faults, maps = [], f"maps of {_WORDS[self.name]}"
        if self.is_insensitive:
            faults.append(
                f"{maps} hardly depend on what was learnt: with randomised weights they are almost the same "
                f"(rank correlation {self.correlation:.2f})"
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
        if self.correlation is not None:
            parts.append("hardly changes with what was learnt" if self.is_insensitive else "follows what was learnt")
        if self.auroc is not None:
            mean, low, high = self.auroc
            where = "lies on the signal" if mean >= _CLEARLY else "leans towards the signal"
            parts.append(f"heat {where if low > 0.5 else 'lies beside the signal' if high < 0.5 else 'falls anywhere'}")
        return ", ".join(parts) or "too few places to say"

    @property
    def auroc(self) -> tuple[float, float, float] | None:
        """Mean over slides with the ends of its 95 % interval (Student's t over slides); None for fewer than two."""
        scores = np.array([one.auroc for one in self.localisations.values()])
        if len(scores) < 2:
            return None
        half = t.ppf(0.975, len(scores) - 1) * scores.std(ddof=1) / np.sqrt(len(scores))
        mean = float(scores.mean())
        return mean, max(0.0, mean - float(half)), min(1.0, mean + float(half))

    @property
    def pointing(self) -> tuple[float, float] | None:
        """Share of slides whose hottest place lies on the signal, and what chance hits; None without any."""
        each = [*self.localisations.values()]
        return (
            (float(np.mean([one.hit for one in each])), float(np.mean([one.chance for one in each]))) if each else None
        )


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
    """Rank correlation (Spearman) of a slide's maps with those of another model, by name.

    Maps of fewer than five places, or of one value alone, cannot be compared and are left out; a map that has one value
    under the other model has changed: 0.
    """
    pairs = {
        "probability": (values.probabilities_T, others.probabilities_T),
        "attention": (values.attention_T, others.attention_T),
        "activation": (values.activations_THW, others.activations_THW),
    }
    correlations = {}
    for name, (before, after) in pairs.items():
        if before is None or after is None or before.size < FEWEST or np.ptp(before) == 0:
            continue
        correlations[name] = rank_correlation(before.ravel(), after.ravel())
    return correlations


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
