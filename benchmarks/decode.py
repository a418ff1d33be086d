"""Megapixels per second from file to RGB array, for every decoder that is installed and for ours.

One thread, files in the page cache, 2-megapixel images; decoders take turns and the median of the rounds counts, so
that a busy machine slows all of them alike. Prints a Markdown table.

    python benchmarks/decode.py [--rounds 15]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ["VIPS_CONCURRENCY"] = "1"  # read when the library is loaded

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from tilewise.slides import read_image

RGB = npt.NDArray[np.uint8]
Decoder = Callable[[Path], RGB]
SIDE = 1440


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    cv2.setNumThreads(1)
    rows, names = [], [*decoders("")]
    with tempfile.TemporaryDirectory() as folder:
        for source, picture in pictures():
            for path in files(picture, Path(folder)):
                rows.append((source, path.name, measure(path, rounds)))
                path.unlink()
    print("| image | file | " + " | ".join(names) + " |")
    print("|---|---|" + "---:|" * len(names))
    for source, name, speeds in rows:
        cells = [f"{speeds[decoder]:.0f}" if decoder in speeds else "" for decoder in names]
        print(f"| {source} | {name} | " + " | ".join(cells) + " |")


def pictures() -> Iterator[tuple[str, RGB]]:
    """Real tissue where it is there; grey-white glass with a strip of texture, without and with sensor noise."""
    data = Path(os.environ.get("TILEWISE_DATA", "../shared/data"))
    section = data / "her2st_slides" / "images" / "C3.jpg"
    if section.is_file():
        whole = read_image(section)
        yield "real tissue", np.ascontiguousarray(whole[4000 : 4000 + SIDE, 4000 : 4000 + SIDE])
        yield "real section, 1:6", cv2.resize(whole, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    rng = np.random.default_rng(0)
    glass = np.full((SIDE, SIDE, 3), (236, 234, 238), np.uint8)
    tissue = cv2.GaussianBlur(rng.integers(60, 255, (SIDE, SIDE // 4, 3), np.uint8), (0, 0), 1.5)
    glass[:, SIDE // 3 : SIDE // 3 + SIDE // 4] = tissue
    yield "synthetic, clean glass", glass
    yield "synthetic, noisy glass", np.clip(glass + rng.normal(0, 1.5, glass.shape), 0, 255).astype(np.uint8)


def files(picture: RGB, folder: Path) -> Iterator[Path]:
    image = Image.fromarray(picture)
    image.save(folder / "a.png")
    cv2.imwrite(str(folder / "opencv.png"), picture[:, :, ::-1])  # with row filters of its own choice
    image.save(folder / "a.jpg", quality=90)
    image.save(folder / "a.bmp")
    tifffile.imwrite(folder / "a.tif", picture, photometric="rgb", compression="zlib", rowsperstrip=64)
    yield from sorted(folder.iterdir())


def decoders(suffix: str) -> dict[str, Decoder]:
    """Decoders of this suffix (all of them for none), ours first."""
    codecs = {".png": imagecodecs.png_decode, ".jpg": imagecodecs.jpeg8_decode, ".bmp": imagecodecs.bmp_decode}
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    decoders: dict[str, Decoder] = {"tilewise": read_image}
    if suffix in codecs or not suffix:
        decoders["imagecodecs"] = lambda path: codecs[suffix](path.read_bytes())
    if suffix == ".tif" or not suffix:
        decoders["tifffile"] = lambda path: tifffile.imread(path, maxworkers=1)
    decoders["OpenCV"] = lambda path: cv2.imread(str(path), flags)
    decoders["Pillow"] = lambda path: np.asarray(Image.open(path))
    try:
        import pyvips
    except ImportError:
        return decoders
    if suffix != ".bmp":
        pyvips.cache_set_max(0)
        decoders["pyvips"] = lambda path: pyvips.Image.new_from_file(str(path), access="sequential").numpy()
    return decoders


def measure(path: Path, rounds: int) -> dict[str, float]:
    candidates = decoders(path.suffix)
    expected = read_image(path)
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, decode in candidates.items():
            start = time.perf_counter()
            pixels = decode(path)
            seconds[name].append(time.perf_counter() - start)
            if not np.array_equal(pixels, expected):
                raise SystemExit(f"{name} reads other pixels from {path.name} than tilewise")
    num_megapixels = expected.shape[0] * expected.shape[1] / 1e6
    return {name: num_megapixels / statistics.median(values) for name, values in seconds.items()}


if __name__ == "__main__":
    main()
