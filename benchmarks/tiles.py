"""Slides and tiles per second from PNG files with masks to arrays of tiles, beside decoding each slide once.

    python benchmarks/tiles.py [--slides 1200] [--rounds 3] [--size 512] [--others PYTHON] [--keep FOLDER]

Slides are 1024 x 1500 px; one process on one core each, files in the page cache. Decoding, every strategy and, with
`--others`, tiatoolbox's sliding window take turns in small batches; processor seconds are counted, and medians over the
batches, so that a busy machine does not count. PYTHON is an interpreter with tiatoolbox installed.
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

import cv2
import numpy as np

from tilewise import api
from tilewise.audit.cohort import AuditedSlide
from tilewise.cohort import Slide
from tilewise.slides import open_slide, read_image, read_samples
from tilewise.tiles.config import TileConfig
from tilewise.tiles.plan import TileRequest, plan_tiles
from tilewise.tiles.read import read_tiles, tile_masks
from tilewise.units import Size

SIZE = Size(1500, 1024)
DISTINCT = 24
BATCH = 12


def draw(folder: Path) -> list[tuple[Path, Path]]:
    """Slides and masks of one size."""
    root = folder / "cohort"
    if not (root / "train_labels.csv").is_file():
        api.synth(root, {"num_slides": DISTINCT, "seed": 7})
    pairs = []
    for path in sorted((root / "train_data").glob("img_*.png")):
        mask = path.with_name(path.name.replace("img", "mask"))
        for file, flags in ((path, cv2.IMREAD_COLOR), (mask, cv2.IMREAD_GRAYSCALE)):
            picture = cv2.imread(str(file), flags)
            if (picture.shape[1], picture.shape[0]) == SIZE:
                continue
            if picture.shape[0] > picture.shape[1]:
                picture = np.ascontiguousarray(picture.swapaxes(0, 1))
            how = cv2.INTER_LINEAR if flags else cv2.INTER_NEAREST
            cv2.imwrite(str(file), cv2.resize(picture, SIZE, interpolation=how))
        pairs.append((path, mask))
    return pairs


def audited(path: Path, mask: Path) -> AuditedSlide:
    slide = Slide(path.name, path, mask)
    return AuditedSlide(slide, SIZE, 0.5, path.name, True, path.name, path.name, ())


def cut(slides: list[AuditedSlide], config: TileConfig) -> int:
    """Plan, decode once and read every tile; returns their number."""
    num = 0
    for slide in slides:
        with open_slide(slide.slide.path) as reader:
            rows = plan_tiles(TileRequest(slide, config), reader=reader).rows
            num += len(read_tiles(reader, rows, config, tile_masks(reader, slide, rows, config)))
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
        answer = self._ask([[str(item.slide.path), str(item.slide.mask_path)] for item in slides])
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
    parser.add_argument("--others", metavar="PYTHON")
    parser.add_argument("--keep", type=Path, help="folder to draw into and keep; default: a temporary one")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    folder = arguments.keep or Path(tempfile.mkdtemp())
    pool = [audited(*pair) for pair in draw(folder)]
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
        f"{SIZE.width} x {SIZE.height} px PNG with masks, one core, medians of {arguments.rounds} batches of {BATCH}\n"
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
        other.close()
    many(pool, arguments.slides, configs["window 128, step 64 (default)"])
    if arguments.keep is None:
        shutil.rmtree(folder)


def many(pool: list[AuditedSlide], num: int, config: TileConfig) -> None:
    """Cost and memory over a whole cohort, decoding and cutting in turn."""
    spent = {"slides": 0.0, "both": 0.0, "cut": 0.0}
    tiles, early = 0, 0.0
    for start in range(0, num, BATCH):
        batch = [pool[(start + index) % len(pool)] for index in range(min(BATCH, num - start))]
        spent["slides"] += timed(decode, batch)[0]
        spent["both"] += timed(decode_both, batch)[0]
        taken, found = timed(lambda slides: cut(slides, config), batch)
        spent["cut"] += taken
        tiles += found
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
