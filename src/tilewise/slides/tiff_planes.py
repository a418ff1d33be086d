"""Channels and planes that a TIFF file keeps beside or behind its first page, as its descriptions say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from tilewise.slides.tiff_copies import page_size

_STK_PLANES: Final = 33_629  # MetaMorph's UIC2, of one value for each plane


def num_channels(file: Any, first: Any) -> int:
    """Channels of one picture, by ImageJ's description or OME-XML; 1 where neither says."""
    if file.is_imagej:
        return int(file.imagej_metadata.get("channels", 1))
    match = re.search(r'SizeC="(\d{1,4})"', str(first.description or "")) if file.is_ome else None
    return int(match[1]) if match else 1


def num_hidden(file: Any, chain: Sequence[Any]) -> int:
    """Images that follow the first without a page of their own, as ImageJ, MetaMorph and tifffile write stacks."""
    first = chain[0]
    if len(chain) > 1 or int(first.compression) != 1 or not first.dataoffsets or first.dtype is None:
        return 0
    each = page_size(first).area * int(first.samplesperpixel)
    num = 1
    if file.is_imagej:
        num = int(file.imagej_metadata.get("images", 1))
    elif _STK_PLANES in first.tags:
        num = int(first.tags[_STK_PLANES].count)
    elif file.is_shaped and (shaped := file.shaped_metadata) and shaped[0].get("truncated"):
        num = int(np.prod(shaped[0].get("shape", (each,)), dtype=np.int64)) // each
    num_bytes = int(file.filehandle.size) - int(first.dataoffsets[0])
    return max(0, min(num, num_bytes // (each * int(first.dtype.itemsize))) - 1)
