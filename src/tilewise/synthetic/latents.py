"""The hidden numbers that tell the classes apart, and their known densities.

Each slide has one vector of six latents. Given the class it is normal with unit variance around the class's mean,
so the posterior of the class is known exactly, and with it the best score anyone can reach.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import numpy.typing as npt

from tilewise.synthetic.config import SynthConfig

Array = npt.NDArray[np.float64]

# What each latent steers, inside the regions of interest, when the signal is in the texture; low to high.
TEXTURE_LATENTS = (
    "nuclear_size", "nuclear_density", "nest_size", "haematoxylin", "gland_loss", "tumour_share",
)  # fmt: skip
# The same six numbers when the signal is in the outline of the mask.
SHAPE_LATENTS = ("length", "waviness", "lobes", "slenderness", "taper", "tilt")
NUM_LATENTS = 6

# The [6,3,3] binary code, its even half first: the first four words differ from each other in four places, all
# eight in at least three. Word 0 is the "low grade" end of every latent.
CODES = np.array(
    [
        [0, 0, 0, 0, 0, 0],
        [0, 1, 1, 0, 1, 1],
        [1, 0, 1, 1, 0, 1],
        [1, 1, 0, 1, 1, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 0, 0, 0, 1, 1],
        [0, 1, 0, 1, 0, 1],
        [0, 0, 1, 1, 1, 0],
    ],
    dtype=np.float64,
)
# Distance between the nearest class means at difficulty 0, in standard deviations.
_WIDEST_SEPARATION = 6.8


def class_names(config: SynthConfig) -> tuple[str, ...]:
    """Class names in the order of every array of this package."""
    return tuple(config.classes)


def priors(config: SynthConfig) -> Array:
    """Share of each class; sums to 1."""
    weights = np.array(list(config.classes.values()), dtype=np.float64)
    return np.asarray(weights / weights.sum())


def class_means(config: SynthConfig) -> Array:
    """Means of the latents, (classes, 6): plus or minus the half step in each latent."""
    return (2.0 * CODES[: len(config.classes)] - 1.0) * half_step(config.difficulty, len(config.classes))


def half_step(difficulty: float, num_classes: int) -> float:
    """Distance of every class mean from zero in each latent; 0 at difficulty 1."""
    return _WIDEST_SEPARATION * (1.0 - difficulty) / (2.0 * math.sqrt(_nearest_words(num_classes)))


def draw_latents(config: SynthConfig, labels: npt.NDArray[np.intp], rng: np.random.Generator) -> Array:
    """Latents of slides with these labels, (slides, 6)."""
    return class_means(config)[labels] + rng.standard_normal((len(labels), NUM_LATENTS))


def draw_unlabelled(config: SynthConfig, rng: np.random.Generator, *, num: int) -> Array:
    """Latents with the range of the cohort that say nothing about the slide they are put into, (num, 6)."""
    labels = rng.choice(len(config.classes), size=num, p=priors(config))
    return draw_latents(config, labels, rng)


def posterior(config: SynthConfig, latents: Array) -> Array:
    """Probability of each class given the latents, (slides, classes)."""
    squared = ((latents[:, None, :] - class_means(config)) ** 2).sum(axis=2)
    logits = np.log(priors(config)) - 0.5 * squared
    logits -= logits.max(axis=1, keepdims=True)
    weights = np.exp(logits)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def to_unit(config: SynthConfig, latents: Array) -> tuple[float, ...]:
    """One slide's latents squeezed, each by the normal distribution function, into 0..1; nothing is lost."""
    spread = math.sqrt(2.0 * (1.0 + half_step(config.difficulty, len(config.classes)) ** 2))
    return tuple(0.5 * (1.0 + math.erf(float(value) / spread)) for value in latents)


@cache
def _nearest_words(num_classes: int) -> float:
    words = CODES[:num_classes]
    distances = np.abs(words[:, None, :] - words).sum(axis=2)
    return float(distances[~np.eye(num_classes, dtype=bool)].min())
