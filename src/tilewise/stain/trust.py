"""Is an estimate of a slide's stain to be believed?"""

from __future__ import annotations

from tilewise.stain.config import StainConfig, TrustConfig
from tilewise.stain.dye_vectors import PUBLISHED
from tilewise.stain.profile import StainProfile, angle_between


def untrusted_reason(profile: StainProfile, config: StainConfig) -> str:
    """Why an estimate is not to be believed; '' where it is.

    The dyes are judged for Reinhard's method too: moving the colours of a section that is no H&E to those of one makes
    a picture of nothing.
    """
    bounds = config.trust
    if profile.num_pixels < bounds.min_pixels:
        return f"too little tissue: {profile.num_pixels} stained pixels, {bounds.min_pixels} are needed"
    return _out_of_range(profile, bounds) or _ill_conditioned(profile, bounds)


def _out_of_range(profile: StainProfile, bounds: TrustConfig) -> str:
    for name, vector, published in zip(("haematoxylin", "eosin"), profile.stain_matrix, PUBLISHED, strict=True):
        angle, most = angle_between(vector, published), bounds.max_from_published
        if angle > most:
            return f"{name} out of range: {angle:.0f} degrees from the published vector, at most {most:g} are believed"
    return ""


def _ill_conditioned(profile: StainProfile, bounds: TrustConfig) -> str:
    least, most = bounds.min_angle, bounds.max_angle
    if not least <= profile.angle <= most:
        return f"ill-conditioned: {profile.angle:.0f} degrees between the two dyes, {least:g} to {most:g} are expected"
    if profile.off_plane > bounds.max_off_plane:
        share = f"{profile.off_plane:.2f} of the spread in it, at most {bounds.max_off_plane:g}"
        return f"ill-conditioned: the spread off the plane of the dyes is {share}"
    if min(profile.concentrations) <= 0.0 or min(profile.lab_std) <= 0.0:
        return "ill-conditioned: the tissue is of one colour, or without one of the two dyes"
    return ""
