"""Outlines that carry the label, for cohorts whose signal lies in the mask's shape alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from tilewise.synthetic.geometry import Core, Zone, fill_outline


@dataclass(frozen=True)
class OutlineShape:
    """The shape of a region of interest; lengths in units of the core's half width.

    Attributes:
        half_length: along the core.
        waviness: relative depth of the waves of the outline.
        num_lobes: waves around the outline.
        half_width: across the core.
        taper: 0 for two like ends, 1 for one that is a point.
        tilt: radians against the core, to either side.
    """

    half_length: float
    waviness: float
    num_lobes: int
    half_width: float
    taper: float
    tilt: float

    @classmethod
    def of(cls, unit: tuple[float, ...]) -> Self:
        """The outline of latents in 0..1, in the order of `latents.SHAPE_LATENTS`."""
        length, waviness, lobes, slenderness, taper, tilt = unit
        return cls(
            half_length=0.45 + 0.70 * length,
            waviness=0.02 + 0.30 * waviness,
            num_lobes=3 + round(6 * lobes),
            half_width=0.85 - 0.55 * slenderness,
            taper=0.8 * taper,
            tilt=0.7 * tilt,
        )


def shaped_outline(zone: Zone, core: Core, look: OutlineShape) -> npt.NDArray[np.uint8]:
    """A region of this shape at the zone's centre; uint8 0/1 of the core's strip, not cut to the tissue."""
    rng = np.random.default_rng([zone.seed, 3])
    turn = np.linspace(0.0, 2.0 * np.pi, 120, endpoint=False)
    radius = 1.0 + look.waviness * np.cos(look.num_lobes * turn + rng.uniform(0.0, 2.0 * np.pi))
    end = rng.choice([-1.0, 1.0])
    along = core.half_width * look.half_length * radius * np.cos(turn)
    across = core.half_width * look.half_width * radius * np.sin(turn) * (1.0 + end * look.taper * np.cos(turn))
    tilt = look.tilt * rng.choice([-1.0, 1.0])
    u = zone.u + along * np.cos(tilt) - across * np.sin(tilt)
    v = core.reach + along * np.sin(tilt) + across * np.cos(tilt)
    return fill_outline(np.stack([u, v], axis=1), core.strip_shape)
