"""Slides and tiles per second from files with masks to arrays of tiles, beside decoding each slide once.

    python benchmarks/tiles.py [--slides 1200] [--rounds 6] [--size 512] [--png pillow|opencv] [--others PYTHON]

Flat slides are PNG files of 1024 x 1500 px; pyramids are JPEG tiles of 256 px in three levels. One process on one core
each, files in the page cache. Decoding, every strategy, pyvips and, with `--others`, tiatoolbox's sliding window take
turns in small batches; processor seconds are counted, and medians over the batches, so that a busy machine does not
count. PYTHON is an interpreter with tiatoolbox installed (see tiles_others.py). Masks of pyramids are as large as the
slide for tilewise, and 16 times smaller for tiatoolbox; pyvips gets no mask, only the boxes to read.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["VIPS_CONCURRENCY"] = "1"  # read when the library is loaded

import cv2
import numpy as np
import tifffile
from PIL import Image

from tilewise import api
from tilewise.auditing.cohort import AuditedSlide
from tilewise.cohort import Slide
from tilewise.slides import open_slide, read_header, read_image, read_samples
from tilewise.tiles.config import TileConfig
from tilewise.tiles.cut_tiles import cut_tiles, tile_masks
from tilewise.tiles.plan import plan_tiles
from tilewise.tiles.strategies import TileRequest
from tilewise.units import Size

SIZE = Size(1500, 1024)
DISTINCT = 24
BATCH = 12
# Pyramids are mosaics of so many slides across and down.
MOSAIC = (4, 4)
NUM_PYRAMIDS = 4
MASK_SCALE = 16

Pair = tuple[Path, Path]


def draw(folder: Path, encoder: str) -> list[Pair]:
    """Slides and masks of one size, as PNG files of this encoder: they filter rows differently, which costs time."""
    root = folder / "cohort"
    if not (root / "train_labels.csv").is_file():
        api.synth(root, {"num_slides": DISTINCT, "seed": 7})
    written = folder / encoder
    written.mkdir(exist_ok=True)
    pairs = []
    for path in sorted((root / "train_data").glob("img_*.png")):
        mask = path.with_name(path.name.replace("img", "mask"))
        pairs.append((written / path.name, written / mask.name))
        for source, target in zip((path, mask), pairs[-1], strict=True):
            if target.is_file():
                continue
            picture = np.asarray(Image.open(source))
            if picture.shape[0] > picture.shape[1]:
                picture = np.ascontiguousarray(picture.swapaxes(0, 1))
            picture = cv2.resize(picture, SIZE, interpolation=cv2.INTER_LINEAR if source == path else cv2.INTER_NEAREST)
            if encoder == "pillow":
                Image.fromarray(picture).save(target)
            else:
                cv2.imwrite(str(target), picture[:, :, ::-1] if picture.ndim == 3 else picture)
    return pairs


def draw_pyramids(folder: Path, pairs: list[Pair]) -> list[tuple[Pair, Path]]:
    """Mosaics of slides as JPEG pyramids, with their masks in full and in small."""
    across, down = MOSAIC
    drawn = []
    for number in range(NUM_PYRAMIDS):
        slide = folder / f"pyramid_{number}.tif"
        mask, small = folder / f"full_{number}.png", folder / f"small_{number}.png"
        drawn.append(((slide, mask), small))
        if small.is_file():
            continue
        chosen = [pairs[(number * 5 + index) % len(pairs)] for index in range(across * down)]
        slides, masks = zip(*((read_image(one), read_samples(two).pixels) for one, two in chosen), strict=True)
        whole, marked = (
            np.vstack([np.hstack(parts[row * across : (row + 1) * across]) for row in range(down)])
            for parts in (slides, masks)
        )
        with tifffile.TiffWriter(slide) as file:
            for level in range(3):
                file.write(
                    whole if not level else cv2.resize(whole, None, fx=0.25**level, fy=0.25**level, interpolation=3),
                    photometric="rgb",
                    tile=(256, 256),
                    compression="jpeg",
                    compressionargs={"level": 85},
                    subfiletype=int(level > 0),
                    resolution=(20_000, 20_000),
                    resolutionunit="centimeter",
                    metadata=None,
                )
        Image.fromarray(marked).save(mask)
        Image.fromarray(marked[MASK_SCALE // 2 :: MASK_SCALE, MASK_SCALE // 2 :: MASK_SCALE]).save(small)
    return drawn


def audited(path: Path, mask: Path) -> AuditedSlide:
    slide = Slide(path.name, path, mask)
    return AuditedSlide(slide, read_header(path).size, 0.5, path.name, True, path.name, path.name, ())


def cut(slides: list[AuditedSlide], config: TileConfig) -> int:
    """Plan, decode once and read every tile; returns their number."""
    num = 0
    for slide in slides:
        with open_slide(slide.slide.path) as reader:
            rows = plan_tiles(TileRequest(slide, config), reader=reader).rows
            num += len(cut_tiles(reader, rows, config, tile_masks(reader, slide, rows, config)))
    return num


def decode(slides: list[AuditedSlide]) -> int:
    for slide in slides:
        with open_slide(slide.slide.path) as reader:
            reader.read_whole()
    return 0


def decode_both(slides: list[AuditedSlide]) -> int:
    for slide in slides:
        read_image(slide.slide.path)
        read_samples(slide.slide.mask_path)
    return 0


def strategies(size: int) -> dict[str, TileConfig]:
    half = {"size_px": size // 2}
    return {
        f"window {size}, ratio 0.025": TileConfig(size_px=size, min_mask_ratio=0.025),
        "window 128, step 64 (default)": TileConfig(stride_px=64),
        "component_center": TileConfig(strategy="component_center", component_center_most=4, **half),
        "component_box": TileConfig(strategy="component_box", component_box_min=0, **half),
        "random_views": TileConfig(strategy="random_views", min_mask_ratio=0.0, **half),
        "whole": TileConfig(strategy="whole", **half),
        "grid": TileConfig(strategy="grid", **half),
        "window, outside black": TileConfig(min_mask_ratio=0.025, mask_filter="black", **half),
        "window, 3 scales": TileConfig(min_mask_ratio=0.025, field_scales=(1.0, 2.0, 4.0), **half),
        "window, all filters": TileConfig(
            min_mask_ratio=0.025, min_tissue_ratio=0.1, min_sharpness=0.3, max_similarity=0.98, **half
        ),
    }


class Other:
    """Tiatoolbox in its own interpreter; it answers each list of files with seconds and number of tiles."""

    def __init__(self, python: str, size: int) -> None:
        script = str(Path(__file__).with_name("tiles_others.py"))
        self._process = subprocess.Popen(
            [python, script, str(size)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.version = self._ask([])["version"]

    def _ask(self, files: list[list[str]]) -> dict[str, object]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(files), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def __call__(self, slides: list[AuditedSlide]) -> tuple[float, int]:
        """Seconds and tiles of these slides."""
        return self.of_pairs([(item.slide.path, item.slide.mask_path) for item in slides])

    def of_pairs(self, pairs: list[Pair]) -> tuple[float, int]:
        """Seconds and tiles of these slides and masks."""
        answer = self._ask([[str(path), str(mask)] for path, mask in pairs])
        return float(answer["seconds"]), int(answer["tiles"])

    def close(self) -> None:
        """Let the other interpreter end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def timed(work: Callable[[list[AuditedSlide]], int], slides: list[AuditedSlide]) -> tuple[float, int]:
    start = time.process_time()
    num = work(slides)
    return time.process_time() - start, num


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slides", type=int, default=1200, help="slides that the default strategy is cut from")
    parser.add_argument("--rounds", type=int, default=6, help="batches of 12 slides for each of the others")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--png", choices=("pillow", "opencv"), default="pillow", help="what writes the flat slides")
    parser.add_argument("--others", metavar="PYTHON")
    parser.add_argument("--keep", type=Path, help="folder to draw into and keep; default: a temporary one")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    folder = arguments.keep or Path(tempfile.mkdtemp())
    pairs = draw(folder, arguments.png)
    pool = [audited(*pair) for pair in pairs]
    pyramids = draw_pyramids(folder, pairs)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # inherited by the other interpreter
    other = Other(arguments.others, arguments.size) if arguments.others else None

    configs = strategies(arguments.size)
    contestants: dict[str, Callable[[list[AuditedSlide]], tuple[float, int]]] = {
        "decode slides once": lambda slides: timed(decode, slides),
        "decode slides and masks once": lambda slides: timed(decode_both, slides),
    }
    for name, config in configs.items():
        contestants[name] = lambda slides, config=config: timed(lambda batch: cut(batch, config), slides)
    if other is not None:
        contestants[f"tiatoolbox {other.version}, window {arguments.size}"] = other
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    tiles = dict.fromkeys(contestants, 0)
    for number in range(arguments.rounds + 1):
        batch = [pool[(number * BATCH + index) % len(pool)] for index in range(BATCH)]
        for name, work in contestants.items():
            taken, num = work(batch)
            if number:  # the first round warms up
                seconds[name].append(taken)
                tiles[name] += num
    base, both = seconds["decode slides once"], seconds["decode slides and masks once"]
    print(
        f"{SIZE.width} x {SIZE.height} px PNG ({arguments.png}) with masks, one core, medians of {arguments.rounds} "
        f"batches of {BATCH}\n"
    )
    print("| | slides per s | tiles per s | times decoding slides | times decoding slides and masks |")
    print("|---|---:|---:|---:|---:|")
    for name, values in seconds.items():
        per_tile = f"{tiles[name] / sum(values):.0f}" if tiles[name] else ""
        ratios = [
            statistics.median(one / two for one, two in zip(values, whole, strict=True)) for whole in (base, both)
        ]
        print(f"| {name} | {BATCH / statistics.median(values):.1f} | {per_tile} | {ratios[0]:.2f} | {ratios[1]:.2f} |")
    if other is not None:
        ours, theirs = seconds[f"window {arguments.size}, ratio 0.025"], seconds[list(seconds)[-1]]
        times = statistics.median(their / our for their, our in zip(theirs, ours, strict=True))
        print(f"\n{times:.2f} times as fast as tiatoolbox on the same slides")
    of_pyramids(pyramids, other, arguments)
    if other is not None:
        other.close()
    many(pool, arguments.slides, configs["window 128, step 64 (default)"])
    if arguments.keep is None:
        shutil.rmtree(folder)


def vips_cutter(boxes: dict[Path, list[list[int]]]) -> Callable[[list[Path]], int] | None:
    """Reads boxes of a pyramid with pyvips, where it is installed."""
    try:
        import pyvips
    except ImportError:
        return None
    pyvips.cache_set_max(0)

    def read(paths: list[Path]) -> int:
        num = 0
        for path in paths:
            region = pyvips.Region.new(pyvips.Image.new_from_file(str(path)))
            for x, y, width, height in boxes[path]:
                tile = np.frombuffer(region.fetch(x, y, width, height), np.uint8).reshape(height, width, 3)
                num += tile.shape[2] == 3
        return num

    return read


def of_pyramids(drawn: list[tuple[Pair, Path]], other: Other | None, arguments: argparse.Namespace) -> None:
    """Tiles per second of pyramids."""
    config = TileConfig(size_px=arguments.size, min_mask_ratio=0.025)
    slides = [audited(*pair) for pair, _ in drawn]
    small = {pair[0]: small for pair, small in drawn}
    boxes = {item.slide.path: plan_tiles(TileRequest(item, config)).rows.boxes.tolist() for item in slides}
    contestants: dict[str, Callable[[list[AuditedSlide]], tuple[float, int]]] = {
        "tilewise": lambda batch: timed(lambda some: cut(some, config), batch)
    }
    vips = vips_cutter(boxes)
    if vips is not None:
        contestants["pyvips, boxes given"] = lambda batch: timed(lambda some: vips([i.slide.path for i in some]), batch)
    if other is not None:
        contestants[f"tiatoolbox {other.version}"] = lambda batch: other.of_pairs(
            [(item.slide.path, small[item.slide.path]) for item in batch]
        )
    speeds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(arguments.rounds + 1):
        for name, work in contestants.items():
            seconds, num = work([slides[number % len(slides)]])
            if number:
                speeds[name].append(num / seconds)
    size = slides[0].size
    print(f"\n{size.width} x {size.height} px JPEG pyramids, tiles of {arguments.size} px, one core\n")
    print("| | tiles per s | tilewise is faster |")
    print("|---|---:|---:|")
    for name, values in speeds.items():
        times = statistics.median(our / their for our, their in zip(speeds["tilewise"], values, strict=True))
        print(f"| {name} | {statistics.median(values):.0f} | {times:.2f} |")


def many(pool: list[AuditedSlide], num: int, config: TileConfig) -> None:
    """Cost and memory over a whole cohort, decoding and cutting in turn."""
    spent = {"slides": 0.0, "both": 0.0, "cut": 0.0}
    tiles, early = 0, 0.0
    for start in range(0, num, BATCH):
        batch = [pool[(start + index) % len(pool)] for index in range(min(BATCH, num - start))]
        spent["slides"] += timed(decode, batch)[0]
        spent["both"] += timed(decode_both, batch)[0]
        taken, cut_tiles = timed(lambda slides: cut(slides, config), batch)
        spent["cut"] += taken
        tiles += cut_tiles
        if start == BATCH * 4:
            early = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"\n{num} slides, {tiles} tiles: cutting took {spent['cut'] / spent['slides']:.2f} times decoding slides once,"
    )
    print(f"{spent['cut'] / spent['both']:.2f} times decoding slides and masks once; most memory {early:.2f} GiB after")
    print(f"60 slides, {peak:.2f} GiB at the end")


if __name__ == "__main__":
    sys.exit(main())
