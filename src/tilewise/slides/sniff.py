"""Tell a file's format by its first bytes."""

from __future__ import annotations

from typing import Final

HEAD_BYTES: Final = 512
SUFFIXES: Final = (
    ".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".dib", ".tif", ".tiff", ".svs",
    ".ndpi", ".scn", ".bif", ".mrxs", ".vms", ".vmu", ".svslide",
)  # fmt: skip
"""Suffixes, lower case, that discovery takes for slides; what a file really is, its bytes say."""

_SUFFIX_FORMATS: Final = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".bmp": "BMP", ".dib": "BMP",
    ".tif": "TIFF", ".tiff": "TIFF", ".svs": "TIFF", ".ndpi": "TIFF", ".scn": "TIFF", ".bif": "TIFF",
}  # fmt: skip
# Slides of several files or in containers, whose own bytes tell nothing (a .mrxs file may even be a small JPEG).
_OPENSLIDE: Final = frozenset({".mrxs", ".vms", ".vmu", ".svslide", ".dcm"})
_READABLE: Final = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)
_FOREIGN: Final = (
    (b"GIF8", "a GIF image"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x89HDF", "an HDF5 file"),
    (b"version https://git-lfs", "a Git LFS pointer (fetch the file with `git lfs pull`)"),
)


def sniff(head: bytes, suffix: str) -> tuple[str, tuple[str, ...]]:
    """Name the format of a file that starts with `head`.

    Args:
        head: the first `HEAD_BYTES` bytes.
        suffix: of its name; where it says something else, that is noted.

    Returns:
        `PNG`, `JPEG`, `BMP`, `TIFF` or `OpenSlide`, and notes.

    Raises:
        ValueError: it is none of these; says what it is instead where that can be told.
    """
    if suffix.lower() in _OPENSLIDE:
        return "OpenSlide", ()
    for magic, name in _READABLE:
        if head.startswith(magic):
            expected = _SUFFIX_FORMATS.get(suffix.lower())
            return name, () if expected in {name, None} else (f"named {suffix} but holds {name}",)
    raise ValueError(f"it is {_foreign(head)}, not PNG, JPEG, BMP or TIFF")


def _foreign(head: bytes) -> str:
    for magic, name in _FOREIGN:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "a WebP image"
    if head[128:132] == b"DICM":
        return "a DICOM file"
    start = head.lstrip()[:14].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "an HTML page (a download that failed?)"
    if not head.strip(b"\0"):
        return "a file of zeros (a copy that was broken off?)"
    return "of an unknown format"
