"""The pages of a TIFF file as the file chains them, whatever the chain is worth."""

from __future__ import annotations

import struct
from typing import Any, Final

import tifffile

MOST_PAGES: Final = 1000
"""Pages that are looked at; a file of more is a stack and no slide."""


def directory_offsets(file: Any) -> tuple[tuple[int, ...], str]:
    """Follow the chain of page directories.

    tifffile only notices some chains that bite their own tail, and follows the others for ever.

    Args:
        file: an open `tifffile.TiffFile`.

    Returns:
        Where each directory begins, in bytes, and what is wrong with the end of the chain; empty where nothing is.

    Raises:
        ValueError: the chain is a circle, or has more than `MOST_PAGES` links.
    """
    tiff, handle = file.tiff, file.filehandle
    offsets = [int(file.pages.first.offset)]
    visited = set(offsets)
    while True:
        handle.seek(offsets[-1])
        try:
            (num_tags,) = struct.unpack(tiff.tagnoformat, handle.read(tiff.tagnosize))
            handle.seek(num_tags * tiff.tagsize, 1)
            (following,) = struct.unpack(tiff.offsetformat, handle.read(tiff.offsetsize))
        except (struct.error, OSError):
            return tuple(offsets), f"the pages after page {len(offsets)}, as the file is damaged or broken off there"
        if not following:
            return tuple(offsets), ""
        if following in visited:
            raise ValueError(f"it is damaged: after page {len(offsets)} its pages lead back to an earlier one")
        if following >= handle.size:
            return tuple(offsets), f"the pages after page {len(offsets)}, which lie beyond the end of the file"
        if len(offsets) == MOST_PAGES:
            raise ValueError(f"it holds more than {MOST_PAGES:,} pages; save the slide in a file of its own")
        visited.add(following)
        offsets.append(following)


def read_page(file: Any, offset: int, *, index: int = 0) -> Any:
    """Read one page's tags.

    Raises:
        ValueError: there is no page directory at `offset`.
    """
    if not 0 < offset < file.filehandle.size:
        raise ValueError("it is damaged: a page lies beyond the end of the file")
    file.filehandle.seek(offset)
    try:
        return tifffile.TiffPage(file, index)
    except tifffile.TiffFileError as error:
        raise ValueError(f"it is damaged: {error}") from error
