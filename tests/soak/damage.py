"""Small files of every kind that is read, and what may happen to their bytes and cells."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from hypothesis import strategies as st
from PIL import Image

_EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
_ODD_CELLS = (
    "a.png", "b.png", "ü.png", "u\u0308.png", "A", "B", "", " ", "nan", "NA", "None", "-", "1", "1.0", "1e400",
    "\u200bA", "../a.png", "/dev/null", "/", "C:\\a.png", "a.png;b.png", '"', "'", "=1+1", "\x00", "x" * 5000,
    "keep", "drop", "fix-mask", "relabel", "invert", "mask-inverted", "ink", "train", "test", "true",
)  # fmt: skip
_ODD_COLUMNS = ("slide", "label", "mask", "group", "split", "decision", "value", "finding", "", "slide", " Label ", "x")
_ODD_VALUES = (
    "null", "true", "-1", "0", "1e400", ".nan", ".inf", "99999999999999999999", "''", "[]", "{}", "[1, 2]", "{a: 1}",
    "2026-11-30", "!!python/object:os.system x", "&a [*a]", "*missing", "tissue", "default", "'\\0'", "- - -",
)  # fmt: skip


def texture(height: int = 48, width: int = 64) -> np.ndarray[Any, Any]:
    """Tissue of a kind on glass, uint8 (H, W, 3)."""
    generator = np.random.default_rng(0)
    pixels = np.full((height, width, 3), 238, np.uint8)
    inner = pixels[8:-8, 8:-8]
    inner[:] = generator.normal((200, 120, 180), 20, inner.shape).clip(0, 255)
    return pixels


def pictures() -> dict[str, bytes]:
    """Images of every format and layout, by file name."""
    rgb = texture()
    image, grey = Image.fromarray(rgb), Image.fromarray(rgb).convert("L")
    files = {
        "rgb.png": _saved(image, "PNG"),
        "alpha.png": _saved(image.convert("RGBA"), "PNG"),
        "palette.png": _saved(image.convert("P"), "PNG"),
        "one_bit.png": _saved(grey.convert("1"), "PNG"),
        "deep.png": _saved(Image.fromarray(rgb[..., 0].astype(np.uint16) * 257), "PNG"),
        "plain.jpg": _saved(image, "JPEG", quality=90),
        "progressive.jpg": _saved(image, "JPEG", progressive=True, restart_marker_blocks=2),
        "cmyk.jpg": _saved(image.convert("CMYK"), "JPEG"),
        "turned.jpg": _saved(image, "JPEG", exif=_turned()),
        "rgb.bmp": _saved(image, "BMP"),
        "palette.bmp": _saved(image.convert("P"), "BMP"),
        "palette.tif": _saved(image.convert("P"), "TIFF"),
        "fax.tif": _saved(grey.convert("1"), "TIFF", compression="group4"),
        "old.tif": _saved(image, "TIFF", compression="tiff_lzw"),
    }
    tiled: dict[str, Any] = {"tile": (16, 16), "photometric": "rgb"}
    for name, options in {
        "plain": {},
        "tiled": tiled,
        "lzw": {**tiled, "compression": "lzw", "predictor": True},
        "deflate": {**tiled, "compression": "zlib"},
        "jpeg": {**tiled, "compression": "jpeg"},
        "jpeg2000": {**tiled, "compression": "jpeg2000"},
        "big": {"bigtiff": True},
        "ome": {"ome": True, "metadata": {"axes": "YXS"}},
    }.items():
        files[f"{name}.tif"] = _tiff(rgb, **options)
    files["planes.tif"] = _tiff(np.moveaxis(rgb, 2, 0), planarconfig="separate", photometric="rgb")
    files["slide.svs"] = _svs(rgb)
    return files


def masks() -> dict[str, bytes]:
    """Masks of several kinds, by file name."""
    region = np.zeros((48, 64), np.uint8)
    region[10:30, 10:40] = 255
    palette = Image.frombytes("P", (64, 48), (region // 255).tobytes())
    palette.putpalette([255, 255, 255, 200, 0, 0])
    return {
        "mask.png": _saved(Image.fromarray(region), "PNG"),
        "palette.png": _saved(palette, "PNG"),
        "palette.bmp": _saved(palette, "BMP"),
        "palette.tif": _saved(palette, "TIFF"),
        "mask.jpg": _saved(Image.fromarray(region), "JPEG"),
        "bool.tif": _tiff(region > 0),
        "labels.tif": _tiff(region.astype(np.uint16), compression="zlib"),
        "half.png": _saved(Image.fromarray(region[::2, ::2]), "PNG"),
    }


def outlines() -> dict[str, str]:
    """Masks as outlines, as QuPath writes them, by file name."""
    ring = [[10.5, 10], [40, 10], [40, 30], [10, 30], [10.5, 10]]
    hole = [[20, 15], [30, 15], [30, 25], [20, 25], [20, 15]]
    properties = {"objectType": "annotation", "classification": {"name": "Tumor", "color": [200, 0, 0]}}
    one = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring, hole]}, "properties": properties}
    many = one | {"geometry": {"type": "MultiPolygon", "coordinates": [[ring], [hole]]}}
    return {
        "one.geojson": json.dumps({"type": "FeatureCollection", "features": [one]}),
        "many.geojson": json.dumps([one, many]),
    }


@st.composite
def damaged(draw: st.DrawFn, files: dict[str, bytes]) -> tuple[str, bytes]:
    """One of the files, its bytes flipped, zeroed, cut off, moved or set to extreme numbers."""
    name = draw(st.sampled_from(sorted(files)))
    data = bytearray(files[name])
    for _ in range(draw(st.integers(1, 4))):
        data = _once(draw, data)
    return name, bytes(data)


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, bytes]:
    """Tables of odd cells under odd names, in any encoding and with any delimiter, some of them damaged as well."""
    columns = ["slide", draw(st.sampled_from(["label", "decision"]))]
    columns += draw(st.lists(st.sampled_from(_ODD_COLUMNS), max_size=4))
    cell = st.one_of(st.sampled_from(_ODD_CELLS), st.text(max_size=8))
    rows = draw(st.lists(st.lists(cell, max_size=7), max_size=6))
    delimiter = draw(st.sampled_from(",;\t|"))
    text = draw(st.sampled_from(["\n", "\r\n", "\r"])).join(delimiter.join(row) for row in [columns, *rows])
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le"]))
    data = bytearray(text.encode(encoding, errors="replace"))
    return "table.csv", bytes(_once(draw, data) if draw(st.booleans()) else data)


@st.composite
def recipes(draw: st.DrawFn, keys: list[str]) -> tuple[str, bytes]:
    """Recipes in YAML: odd values at known and unknown keys, some of them damaged as well."""
    lines = ["name: odd", draw(st.sampled_from(["extends: default", "extends: recipe.yaml", "extends: [a]", ""]))]
    for key in draw(st.lists(st.sampled_from([*keys, "no.such", ""]), max_size=4)):
        *outer, last = key.split(".")
        value = draw(st.one_of(st.sampled_from(_ODD_VALUES), st.text(max_size=6)))
        lines += ["  " * depth + f"{part}:" for depth, part in enumerate(outer)]
        lines.append("  " * len(outer) + f"{last}: {value}")
    data = bytearray("\n".join(lines).encode("utf-8", errors="replace"))
    return "recipe.yaml", bytes(_once(draw, data) if draw(st.booleans()) else data)


def _once(draw: st.DrawFn, data: bytearray) -> bytearray:
    if not data:
        return bytearray(draw(st.binary(max_size=64)))
    # Most of what a parser trusts stands at the start or at the end.
    last = len(data) - 1
    at = draw(st.one_of(st.integers(0, last), st.integers(0, min(last, 300)), st.integers(max(0, last - 400), last)))
    length = draw(st.integers(1, 64))
    match draw(st.sampled_from(["flip", "zero", "cut", "number", "insert", "remove", "copy", "tail"])):
        case "flip":
            data[at] ^= draw(st.integers(1, 255))
        case "zero":
            data[at : at + length] = bytes(len(data[at : at + length]))
        case "cut":
            data = data[:at]
        case "number":
            order, width = draw(st.sampled_from(["little", "big"])), draw(st.sampled_from([2, 4]))
            number = draw(st.sampled_from(_EXTREMES)) % (1 << 8 * width)
            data[at : at + width] = number.to_bytes(width, order)  # type: ignore[arg-type]
        case "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=32))
        case "remove":
            del data[at : at + length]
        case "copy":
            source = draw(st.integers(0, last))
            data[at : at + length] = data[source : source + length]
        case _:
            data[at:] = bytes(len(data) - at)
    return data


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def _tiff(pixels: np.ndarray[Any, Any], **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **options)
    return buffer.getvalue()


def _svs(rgb: np.ndarray[Any, Any]) -> bytes:
    """As Aperio writes slides: a tiled first page, a thumbnail, a smaller level, a label."""
    buffer = io.BytesIO()
    large = np.tile(rgb, (4, 4, 1))
    description = "Aperio Image Library v11.2.1\n256x192 [0,0 256x192] (64x64) JPEG/RGB Q=70|AppMag = 20|MPP = 0.5"
    tiled: dict[str, Any] = {"tile": (64, 64), "compression": "jpeg", "photometric": "rgb", "metadata": None}
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(large, description=description, **tiled)
        writer.write(rgb, photometric="rgb", description=description, metadata=None)
        writer.write(large[::2, ::2], description=description, subfiletype=1, **tiled)
        writer.write(rgb[:24], photometric="rgb", description="Aperio\nlabel 64x24", subfiletype=1, metadata=None)
    return buffer.getvalue()


def write_beside(folder: Path) -> None:
    """Slides that tables may name."""
    for name in ("a.png", "b.png", "ü.png"):
        (folder / name).write_bytes(_saved(Image.fromarray(texture()), "PNG"))
