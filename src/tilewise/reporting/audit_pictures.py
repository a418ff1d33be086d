"""Small pictures for the audit's gallery: made in parallel, and never the reason why there is no gallery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from tilewise.cohort import Slide, read_mask, read_scaled_mask
from tilewise.cohort.geojson import SUFFIX as GEOJSON
from tilewise.errors import MaskError, SlideError
from tilewise.execution import run_each, slide_time_limit
from tilewise.reporting.pictures import outline_path, webp, webp_uri
from tilewise.reporting.text import without_folders
from tilewise.slides import open_slide, read_header, read_samples

# Shown at up to 220 px; more pixels are stored so that dense screens show cells and not squares.
SIDE = 360
WIDE_SIDE = 720
_QUALITY = 70


@dataclass(frozen=True)
class PictureRequest:
    """What to draw small: the slide with its mask's outline, its mask's file as it is, or a picture file."""

    slide: Slide
    what: Literal["slide", "mask", "file"] = "slide"


@dataclass(frozen=True)
class SmallPicture:
    """A small picture as WebP.

    Attributes:
        data: the file.
        width: in pixels of the picture.
        height: in pixels of the picture.
        outline: SVG path data around the mask, in pixels of the picture; empty where there is none.
        error: why there is no picture, in a sentence; empty where there is one.
    """

    data: bytes = b""
    width: int = 4
    height: int = 3
    outline: str = ""
    error: str = ""

    @property
    def uri(self) -> str:
        """The picture's `data:` address."""
        return webp_uri(self.data)


def small_pictures(
    requests: Mapping[str, PictureRequest], *, root: str, workers: int | None
) -> dict[str, SmallPicture]:
    """Draw every request; what cannot be drawn says why, without the folders below which people have names.

    Args:
        requests: what to draw, by a key of the caller's.
        root: the cohort's folder, which error sentences leave out.
        workers: processes; None takes every processor.
    """
    outcome = run_each(draw, requests, stage="gallery", workers=workers, limit_s=slide_time_limit())
    lost = {failure.item: SmallPicture(error=without_folders(failure.message, root)) for failure in outcome.failures}
    return {key: outcome.results.get(key) or lost[key] for key in requests}


def draw(request: PictureRequest) -> SmallPicture:
    """Draw one picture.

    Raises:
        SlideError: the file cannot be read.
    """
    slide = request.slide
    if request.what == "mask":
        return _encoded(_mask_as_it_is(slide))
    with open_slide(slide.path) as reader:
        rgb_HWC, size = reader.thumbnail(WIDE_SIDE if request.what == "file" else SIDE), reader.size
    around = ""
    if request.what == "slide" and slide.mask_path is not None:
        try:
            mask_HW, _ = read_scaled_mask(slide, size)
        except MaskError:
            mask_HW = np.zeros((1, 1), bool)  # the finding beside the picture says what is wrong with it
        around = outline_path(mask_HW, rgb_HWC.shape[1], rgb_HWC.shape[0])
    return _encoded(rgb_HWC, around)


def _mask_as_it_is(slide: Slide) -> npt.NDArray[np.uint8]:
    if slide.mask_path is None:
        raise SlideError(f"{slide.slide_id}: it has no mask")
    if slide.mask_path.suffix.lower() == GEOJSON:
        plane = read_mask(slide, read_header(slide.path).size)[0].astype(np.float32)
    else:
        samples = read_samples(slide.mask_path)
        plane = samples.pixels.reshape(*samples.pixels.shape[:2], -1)[:, :, :3].max(axis=2).astype(np.float32)
    scale = SIDE / max(plane.shape)
    if scale < 1:
        plane = cv2.resize(plane, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    # Labels 0 and 1 would both look black: the highest value there is, is shown white.
    grey = (plane * (255.0 / max(float(plane.max()), 1.0))).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _encoded(rgb_HWC: npt.NDArray[np.uint8], around: str = "") -> SmallPicture:
    return SmallPicture(webp(rgb_HWC, _QUALITY), rgb_HWC.shape[1], rgb_HWC.shape[0], around)
