"""Pixels: open a slide, whatever its format, and read regions of it as 8-bit RGB.

A reader for pyramids or for OpenSlide's formats is one more file that offers `SlideReader`, and one more line in
`opening.open_slide`.
"""

from tilewise.slides.header import SlideHeader, omissions
from tilewise.slides.indices import read_indices
from tilewise.slides.opening import (
    digest_slide,
    is_slide_folder,
    num_bytes,
    open_slide,
    pixel_digest,
    read_header,
    read_image,
    read_samples,
    rgb_digest,
    slide_exists,
)
from tilewise.slides.overview import DEFAULT_MAX_PIXELS, overview_factor, overview_size
from tilewise.slides.reader import FlatReader, SlideReader
from tilewise.slides.samples import SampleRange, Samples
from tilewise.slides.sniff import SUFFIXES

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "SUFFIXES",
    "FlatReader",
    "SampleRange",
    "Samples",
    "SlideHeader",
    "SlideReader",
    "digest_slide",
    "is_slide_folder",
    "num_bytes",
    "omissions",
    "open_slide",
    "overview_factor",
    "overview_size",
    "pixel_digest",
    "read_header",
    "read_image",
    "read_indices",
    "read_samples",
    "rgb_digest",
    "slide_exists",
]
