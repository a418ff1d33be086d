"""The target that depends on no slide: haematoxylin and eosin as published, in usual amounts."""

from __future__ import annotations

from typing import Final

from tilewise.stain.density import DEFAULT_GLASS
from tilewise.stain.profile import StainProfile

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
