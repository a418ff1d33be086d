"""Which slides a cohort has: index, part, label and latents. Cheap, and known before a pixel is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from tilewise.synthetic.config import SynthConfig
from tilewise.synthetic.latents import class_names, draw_latents, priors, to_unit

# Streams of the cohort. Those of slides have one number more, which is never 0: numpy takes [a, b] for [a, b, 0].
_ORDER_STREAM, _PARTS_STREAM = 7_101, 7_102
_LATENT_STREAM = 7


@dataclass(frozen=True)
class PlannedSlide:
    """One slide to be drawn.

    Attributes:
        index: number in the file name.
        part: `train` or `test`.
        label: the class's name.
        latents: six numbers, normal around the class's mean.
        unit: the same in 0..1, what the painters use.
        seed: of the cohort; `[seed, index, stream]` seeds everything else about the slide.
    """

    index: int
    part: Literal["train", "test"]
    label: str
    latents: tuple[float, ...]
    unit: tuple[float, ...]
    seed: int

    @property
    def image_name(self) -> str:
        """File name of the picture, which is the slide's id."""
        return f"img_{self.index:04d}.png"

    @property
    def mask_name(self) -> str:
        """File name of the mask."""
        return f"mask_{self.index:04d}.png"

    def stream(self, number: int) -> np.random.Generator:
        """The slide's own random numbers of one stream."""
        return np.random.default_rng([self.seed, self.index, number])


def plan_cohort(config: SynthConfig) -> dict[int, PlannedSlide]:
    """Plan every slide, in the order of the indices.

    Classes come in the shares the config asks for, as exactly as whole slides allow, in each part. Without test
    slides the training indices run from 0 without a gap; with them both parts draw from one range.
    """
    total = config.num_slides + config.num_test_slides
    in_test = np.zeros(total, dtype=bool)
    in_test[: config.num_test_slides] = True
    np.random.default_rng([config.seed, _PARTS_STREAM]).shuffle(in_test)
    labels = np.empty(total, dtype=np.intp)
    rng = np.random.default_rng([config.seed, _ORDER_STREAM])
    for chosen in (~in_test, in_test):
        labels[chosen] = rng.permutation(_quota(config, int(chosen.sum())))
    return {index: _plan(config, index, test=bool(in_test[index]), label=labels[index]) for index in range(total)}


def _plan(config: SynthConfig, index: int, *, test: bool, label: np.intp) -> PlannedSlide:
    rng = np.random.default_rng([config.seed, index, _LATENT_STREAM])
    latents = draw_latents(config, np.array([label]), rng)[0]
    return PlannedSlide(
        index=index,
        part="test" if test else "train",
        label=class_names(config)[label],
        latents=tuple(float(value) for value in latents),
        unit=to_unit(config, latents),
        seed=config.seed,
    )


def _quota(config: SynthConfig, num: int) -> npt.NDArray[np.intp]:
    """Labels of `num` slides by largest remainder; every class gets one slide where there are enough."""
    exact = priors(config) * num
    counts = np.floor(exact).astype(int)
    for index in np.argsort(counts - exact, kind="stable")[: num - counts.sum()]:
        counts[index] += 1
    if num >= len(counts):
        for index in np.flatnonzero(counts == 0):
            counts[counts.argmax()] -= 1
            counts[index] += 1
    return np.repeat(np.arange(len(counts)), counts)
