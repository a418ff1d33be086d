"""A 40,000 x 40,000 px pyramid: audited, tiled and encoded; time and memory, and tiles beside other readers.

The pyramid is written band by band, in JPEG tiles, and removed at the end. Other readers take part where they can be
imported (`--python` names an interpreter that has them).
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt
import tifffile

TILE, MPP = 256, 0.25
_CELL = 2048


def tiles_of(side: int, factor: int, seed: int = 0) -> Iterator[bytes]:
    """JPEG tiles of a level, row by row: a disc of stained texture on glass, the same at every level but reduced.

    The texture repeats itself, so that each of its tiles is encoded once.
    """
    rng = np.random.default_rng(seed)
    cell = rng.integers(0, 255, (_CELL, _CELL), dtype=np.uint8)
    fine = cv2.normalize(cv2.GaussianBlur(cell, (0, 0), 2.0), None, 0, 255, cv2.NORM_MINMAX)
    colour = np.stack([235 - fine // 4, 205 - fine // 2, 225 - fine // 4], axis=-1).astype(np.uint8)
    texture = cv2.resize(colour, (_CELL // factor,) * 2, interpolation=cv2.INTER_AREA)
    texture = np.tile(texture, (max(1, TILE * factor // _CELL),) * 2 + (1,))
    repeats = len(texture) // TILE
    encoded = {
        (row, column): encode_tile(texture[TILE * row : TILE * (row + 1), TILE * column : TILE * (column + 1)])
        for row in range(repeats)
        for column in range(repeats)
    }
    glass = encode_tile(np.full((TILE, TILE, 3), (243, 242, 244), dtype=np.uint8))
    num = -(-side // (factor * TILE))
    for row in range(num):
        for column in range(num):
            is_tissue = np.hypot(row + 0.5 - num / 2, column + 0.5 - num / 2) < 0.35 * num
            yield encoded[row % repeats, column % repeats] if is_tissue else glass


def encode_tile(rgb: npt.NDArray[np.uint8]) -> bytes:
    """JPEG as scanners write it: YCbCr, colours at half the resolution."""
    return bytes(imagecodecs.jpeg_encode(np.ascontiguousarray(rgb), level=80, colorspace="RGB", subsampling="420"))


def write_pyramid(path: Path, side: int) -> None:
    """Levels reduced by 1, 4, 16 and 64, as Aperio's; one tile in memory at a time."""
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        for factor in (1, 4, 16, 64):
            length = -(-side // factor)
            file.write(
                tiles_of(side, factor),
                shape=(length, length, 3),
                dtype=np.uint8,
                tile=(TILE, TILE),
                photometric="ycbcr",
                subsampling=(2, 2),
                compression="jpeg",
                resolution=(1e4 / (MPP * factor),) * 2,
                resolutionunit="centimeter",
                subfiletype=int(factor > 1),
                metadata=None,
            )


def stages(cohort: Path, out: Path, size_px: int, most: int) -> None:
    """Audit, tile and encode in this process; prints seconds of each and the most memory held so far."""
    import tilewise as tw
    from tilewise.auditing.audit_cohort import AuditOptions, audit_cohort
    from tilewise.auditing.config import AuditConfig
    from tilewise.encoders import EncoderConfig, build_encoder
    from tilewise.extraction.config import FeaturesConfig
    from tilewise.extraction.extract_features import extract_features
    from tilewise.tiles.config import TileConfig
    from tilewise.tiles.tile_cohort import tile_cohort

    def report(stage: str, start: float, **more: Any) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            json.dumps(
                {"stage": stage, "seconds": round(time.perf_counter() - start, 1), "peak_mib": round(peak)} | more
            )
        )

    start = time.perf_counter()
    slides = tw.Cohort.discover(cohort, purpose="predict")
    encoder = build_encoder(EncoderConfig(name="texture"))
    report("start", start)
    start = time.perf_counter()
    audited = audit_cohort(slides, AuditConfig(), AuditOptions(out=out, drop=False, workers=1))
    report("audit", start, size=list(audited.slides[0].size), notes=list(audited.slides[0].notes))
    start = time.perf_counter()
    config = TileConfig(size_px=size_px, strategy="grid")
    tiles, failures = tile_cohort(audited, config, out=None, workers=1)
    report("tiles", start, tiles=len(tiles.table), failures=len(failures))
    start = time.perf_counter()
    config = config.model_copy(update={"max_tiles": most})
    tiles, failures = tile_cohort(audited, config, out=None, workers=1)
    bags, failures = extract_features(audited, tiles, encoder, FeaturesConfig(cache=False), config)
    report("encode", start, vectors=sum(len(bag.boxes) for bag in bags.values()), failures=len(failures))


_READ = """
import sys, time, json
path, reader, side, boxes = sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])
import numpy as np
if reader == "tilewise":
    from pathlib import Path
    from tilewise.slides import open_slide
    from tilewise.units import Box
    slide = open_slide(Path(path))
    read = lambda x, y: slide.read_region(Box(x, y, side, side))
elif reader == "openslide":
    import openslide
    slide = openslide.OpenSlide(path)
    read = lambda x, y: np.asarray(slide.read_region((x, y), 0, (side, side)).convert("RGB"))
elif reader == "fastslide":
    import fastslide
    slide = fastslide.FastSlide.from_file_path(path)
    read = lambda x, y: np.asarray(slide.read_region((x, y), 0, (side, side)))
elif reader == "hs2p":
    from hs2p.wsi.reader import open_slide
    slide = open_slide(path, require_spacing=False)
    read = lambda x, y: np.asarray(slide.read_region((x, y), 0, (side, side)))
elif reader == "wsistream":
    from wsistream import OpenSlideBackend, SlideHandle
    slide = SlideHandle(path, OpenSlideBackend())
    read = lambda x, y: np.asarray(slide.read_region(x, y, side, side))
elif reader == "tiatoolbox":
    from tiatoolbox.wsicore.wsireader import WSIReader
    slide = WSIReader.open(path)
    read = lambda x, y: np.asarray(slide.read_rect((x, y), (side, side), resolution=0, units="level"))
read(*boxes[0])
start, processor = time.perf_counter(), time.process_time()
for x, y in boxes:
    read(x, y)
seconds = {"seconds": time.perf_counter() - start, "processor seconds": time.process_time() - processor}
print(json.dumps({name: len(boxes) / value for name, value in seconds.items()}))
"""


def compare(path: Path, side: int, readers: list[str], python: str, rounds: int) -> None:
    """Tiles in random places and one after another, each reader in a process of its own, taking turns.

    Prints medians over rounds of tiles a second, and of tiles a second of processor time, which other work on the
    machine leaves alone.
    """
    with tifffile.TiffFile(path) as file:
        length = int(file.pages.first.imagewidth)
    rng = np.random.default_rng(0)
    start = length // 3 // side * side
    orders = {
        "random places": (rng.integers(0, (length - side) // side, (400, 2)) * side).tolist(),
        "row by row": [[start + side * x, start + side * y] for y in range(20) for x in range(20)],
        "row by row, half a tile off": [
            [start + side * x + side // 2, start + side * y + side // 2] for y in range(20) for x in range(20)
        ],
        "across tiles": rng.integers(0, length - side, (400, 2)).tolist(),
    }
    for name, boxes in orders.items():
        speeds: dict[str, list[dict[str, float]]] = {}
        for _ in range(rounds):
            for reader in readers:
                program = [sys.executable if reader == "tilewise" else python, "-c", _READ]
                command = [*program, str(path), reader, str(side), json.dumps(boxes)]
                run = subprocess.run(command, capture_output=True, text=True, check=False)
                if run.returncode:
                    print(f"{reader}: {run.stderr.strip().splitlines()[-1]}")
                    continue
                speeds.setdefault(reader, []).append(json.loads(run.stdout.splitlines()[-1]))
        for clock in ("seconds", "processor seconds"):
            medians = {reader: round(statistics.median(one[clock] for one in each)) for reader, each in speeds.items()}
            print(json.dumps({"order": name, "tiles per": clock, "medians": medians}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=40_000)
    parser.add_argument("--size-px", type=int, default=256)
    parser.add_argument("--most", type=int, default=2000, help="tiles that are encoded")
    parser.add_argument("--readers", default="tilewise,openslide")
    parser.add_argument("--python", default=sys.executable, help="interpreter of the other readers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--skip-stages", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tilewise-wsi") as temporary:
        folder = Path(temporary) / "cohort"
        folder.mkdir()
        path = folder / "pyramid.tif"
        start = time.perf_counter()
        write_pyramid(path, arguments.side)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        seconds, megabytes = round(time.perf_counter() - start, 1), round(path.stat().st_size / 1e6)
        print(json.dumps({"stage": "write", "seconds": seconds, "peak_mib": round(peak), "megabytes": megabytes}))
        if not arguments.skip_stages:
            code = (
                f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import whole_slides as w; "
                f"from pathlib import Path; w.stages(Path({str(folder)!r}), Path({temporary!r}) / 'audit', "
                f"{arguments.size_px}, {arguments.most})"
            )
            subprocess.run([sys.executable, "-c", code], check=True)
        compare(path, arguments.size_px, arguments.readers.split(","), arguments.python, arguments.rounds)


if __name__ == "__main__":
    main()
