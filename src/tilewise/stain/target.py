"""What slides are brought to: the standard, a slide, a stored profile, or the median of slides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from tilewise.errors import UsageError
from tilewise.slides import open_slide
from tilewise.stain.config import StainConfig
from tilewise.stain.density import DEFAULT_GLASS
from tilewise.stain.fit import fit_slide
from tilewise.stain.profile import StainProfile, Triple
from tilewise.stain.trust import untrusted_reason

# Dyes and amounts are the reference that M. Veta's implementation of Macenko's method brought in and most others carry
# (torchstain too). The Lab numbers are what public sections of five sets have in the middle after Macenko's method has
# brought them to these dyes, so that Reinhard's leads to the same look. They are constants of no cohort.
STANDARD: Final = StainProfile(
    method="macenko",
    stain_matrix=((0.562583, 0.720078, 0.406188), (0.215899, 0.801196, 0.558097)),
    concentrations=(1.9705, 1.0308),
    lab_mean=(57.7, 22.0, -9.2),
    lab_std=(15.9, 5.6, 6.3),
    glass=DEFAULT_GLASS,
    num_pixels=1 << 31,
    off_plane=0.0,
)
"""Haematoxylin and eosin as published, in usual amounts: a target that depends on no slide."""


def median_profile(profiles: Sequence[StainProfile]) -> StainProfile:
    """The middle of several profiles: the median of every number, the dyes made unit vectors again.

    A third of them may be odd without much effect, and their order has none. Give only profiles that are to be
    believed (`untrusted_reason`).

    Raises:
        UsageError: there are none, or they were fitted by different methods.
    """
    methods = sorted({profile.method for profile in profiles})
    if len(methods) != 1:
        raise UsageError(
            f"a median stain needs profiles of one method, not {' and '.join(methods) or 'none at all'}; fit them anew"
        )
    dyes = np.median([profile.matrix for profile in profiles], axis=0)
    dyes /= np.maximum(np.linalg.norm(dyes, axis=1, keepdims=True), 1e-12)
    first, second = (
        round(float(value), 6) for value in np.median([profile.concentrations for profile in profiles], axis=0)
    )
    return StainProfile(
        method=profiles[0].method,
        stain_matrix=(_triple(dyes[0]), _triple(dyes[1])),
        concentrations=(first, second),
        lab_mean=_middle([profile.lab_mean for profile in profiles]),
        lab_std=_middle([profile.lab_std for profile in profiles]),
        glass=_middle([profile.glass for profile in profiles]),
        num_pixels=sum(profile.num_pixels for profile in profiles),
        off_plane=round(float(np.median([profile.off_plane for profile in profiles])), 6),
    )


def choose_target(config: StainConfig, profiles: Sequence[StainProfile] = ()) -> StainProfile:
    """The profile that the config's `target` names.

    Args:
        config: its method is not `none`.
        profiles: of the slides that may be learnt from, for the `median`; those not to be believed are left out.

    Raises:
        UsageError: the target is no file, or no profile of the slides, or not the target's, is to be believed.
        ArtifactError: the target is a .json file that holds no profile.
        SlideUnreadable: the target is a slide that cannot be read.
    """
    if config.target == "median":
        believed = [profile for profile in profiles if not untrusted_reason(profile, config)]
        if not believed:
            raise UsageError(
                f"stain.target is `median`, but of {len(profiles)} slides none has a stain estimate to be believed; "
                "set stain.target to `standard`, a slide or a profile, or stain.method to none"
            )
        return median_profile(believed)
    if config.target == "standard":
        chosen = STANDARD
    elif not config.target.is_file():
        raise UsageError(
            f"stain.target {config.target} is no file; give `standard`, `median`, a slide, or a profile's .json file"
        )
    elif config.target.suffix.lower() == ".json":
        chosen = StainProfile.read(config.target)
    elif config.method == "none":
        raise UsageError("stain.method is none, so there is nothing to fit stain.target to; choose a method")
    else:
        with open_slide(config.target) as reader:
            chosen = fit_slide(reader, config.method)
    if reason := untrusted_reason(chosen, config):
        raise UsageError(f"stain.target {config.target}: {reason}; choose another slide or profile")
    return chosen


def _middle(values: Sequence[Triple]) -> Triple:
    return _triple(np.median(np.asarray(values), axis=0))


def _triple(values: npt.NDArray[np.float64]) -> Triple:
    first, second, third = (round(float(value), 6) for value in values)
    return first, second, third
