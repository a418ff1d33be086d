"""Megapixels per second of each stain normaliser, and how far the results lie from torchstain's and tiatoolbox's.

    python benchmarks/stain.py [--others PYTHON] [--repeats 2] [--threads 2]

Slides are the sources of `$TILEWISE_DATA/stain/normalizer_reference`, repeated to 2 Mpx, and a few of other sets as
they are; all are brought to that set's target. `--others` is the interpreter of an environment that has torchstain and
tiatoolbox; they run in the same minute. "In all" finds tissue, fits the slide and normalises it, as one call of the
others does (torchstain looks for no tissue); "apply" is the last of these.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tilewise.slides import read_image
from tilewise.stain import Normaliser, StainConfig, StainProfile, TrustConfig, fit_picture, fit_profile, trust

DATA = Path(os.environ.get("TILEWISE_DATA", "../shared/data"))
REFERENCE = DATA / "stain/normalizer_reference"
FURTHER = (
    "osteosarcoma/images/img_0005.png",
    "stain/serial_sections_lung/29-041-Izd2-w35-He-les3.jpg",
)
METHODS = ("macenko", "vahadane", "reinhard")
TOOLS = ("torchstain", "tiatoolbox")
Picture = np.ndarray[Any, np.dtype[np.uint8]]
Row = dict[str, Any]


def pictures() -> dict[str, Picture]:
    """The slides by name; the first two have 2 Mpx."""
    pictures = {
        name: np.ascontiguousarray(np.tile(read_image(REFERENCE / f"{name}.png"), (3, 3, 1))[:1400, :1500])
        for name in ("source_a", "source_b")
    }
    return pictures | {Path(name).stem[-12:]: read_image(DATA / name) for name in FURTHER}


def median_seconds(call: Callable[[], Any], repeats: int) -> float:
    call()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def measure(method: Any, target: Picture, slide: Picture, repeats: int) -> Row:
    """Seconds in all and of `apply`, and mean colour and dyes: fitted to tissue, and to all pixels as others fit."""
    # Speed and agreement are asked of estimates that are not to be believed as well.
    bounds = TrustConfig(max_from_published=180, min_angle=0, max_angle=90, max_off_plane=1)
    config = StainConfig(method=method, trust=bounds)

    def fitted(rgb: Picture, *, everything: bool = False) -> StainProfile:
        return fit_profile(rgb, np.ones(rgb.shape[:2], bool), method) if everything else fit_picture(rgb, method)

    goal, own = fitted(target), fitted(slide)
    normaliser = Normaliser(own, goal, method, config=config)
    whole, whole_goal = fitted(slide, everything=True), fitted(target, everything=True)
    same_pixels = Normaliser(whole, whole_goal, method, config=config).apply(slide)
    return {
        "seconds": median_seconds(lambda: Normaliser(fitted(slide), goal, method, config=config).apply(slide), repeats),
        "apply": median_seconds(lambda: normaliser.apply(slide), repeats),
        "mean": normaliser.apply(slide).reshape(-1, 3).mean(axis=0),
        "mean_of_all": same_pixels.reshape(-1, 3).mean(axis=0),
        "vectors": own.matrix,
        "vectors_of_all": whole.matrix,
        "trust": trust(own, StainConfig(method=method)),
    }


def run_others(python: str, target: Picture, slides: dict[str, Picture], repeats: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, rgb in {"target": target, **slides}.items():
            paths.append(f"{folder}/{name}.npy")
            np.save(paths[-1], rgb)
        script = str(Path(__file__).with_name("stain_others.py"))
        command = [python, script, paths[0], str(repeats), *paths[1:]]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    results: dict[str, Any] = json.loads(done.stdout)
    return results


def degrees(first: Any, second: Any) -> str:
    """Angles between the haematoxylins and between the eosins; where a dye would give off light, that is said."""
    if second is None:
        return "–"
    a, b = np.asarray(first), np.asarray(second)
    b = b / np.linalg.norm(b, axis=1, keepdims=True)
    angles = " / ".join(f"{np.degrees(np.arccos(np.clip(x @ y, -1, 1))):.1f}" for x, y in zip(a, b, strict=True))
    return f"{angles} (no dyes: {b.min():.2f})" if b.min() < -0.1 else angles


def speed_table(rows_of: dict[str, list[Row]], others: dict[str, Any], sizes: list[float]) -> None:
    """Megapixels per second over the slides of 2 Mpx, and the ratio to the faster of the others."""
    print(
        "| method | in all | apply | torchstain | tiatoolbox | in all, ratio to the faster |\n|---|---|---|---|---|---|"
    )
    for method in METHODS:
        speeds = {
            key: sum(sizes) / sum(row[key] for row in rows_of[method][: len(sizes)]) for key in ("seconds", "apply")
        }
        rates = [
            sum(sizes) / sum(row["seconds"] for row in rows[: len(sizes)]) if rows else None
            for rows in (others.get(tool, {}).get(method) for tool in TOOLS)
        ]
        faster = max((rate for rate in rates if rate), default=None)
        cells = [f"{rate:.1f}" if rate else "–" for rate in (speeds["seconds"], speeds["apply"], *rates)]
        ratio = f"{speeds['seconds'] / faster:.1f}" if faster else "–"
        print(f"| {method} | {' | '.join(cells)} | {ratio} |")


def agreement_table(rows_of: dict[str, list[Row]], others: dict[str, Any], names: list[str]) -> None:
    """Angles between dyes in degrees, and the largest difference of a channel's mean in grey levels."""
    print(
        "\n| slide | method | other | H / E degrees, all pixels | tissue | mean RGB, all pixels | tissue | believed |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for index, name in enumerate(names):
        for method in METHODS:
            mine = rows_of[method][index]
            for tool in TOOLS:
                if method not in others.get(tool, {}):
                    continue
                row = others[tool][method][index]
                angles = [degrees(mine[key], row["vectors"]) for key in ("vectors_of_all", "vectors")]
                levels = [f"{np.abs(mine[key] - row['mean']).max():.1f}" for key in ("mean_of_all", "mean")]
                believed = mine["trust"] or "yes"
                print(f"| {name} | {method} | {tool} | {' | '.join(angles)} | {' | '.join(levels)} | {believed} |")


def histolab_table(rows_of: dict[str, list[Row]], target: Picture) -> None:
    """Mean colour of the set's own sources beside what histolab made of them."""
    print("\n| source | method | expected (histolab) | all pixels | tissue |\n|---|---|---|---|---|")
    for letter in "ab":
        slide = read_image(REFERENCE / f"source_{letter}.png")
        for method in ("macenko", "reinhard"):
            expected = read_image(REFERENCE / f"expected_{letter}_{method}.png").reshape(-1, 3).mean(axis=0)
            mine = measure(method, target, slide, 1)
            cells = [
                " ".join(f"{level:.1f}" for level in mean) for mean in (expected, mine["mean_of_all"], mine["mean"])
            ]
            print(f"| {letter} | {method} | {' | '.join(cells)} |")


def main() -> None:
    """Measure ours, then the others, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--others", help="interpreter of an environment with torchstain and tiatoolbox")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2, help="of OpenCV and of the others' libraries")
    arguments = parser.parse_args()
    cv2.setNumThreads(arguments.threads)
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    target, slides = read_image(REFERENCE / "target.png"), pictures()
    rows_of = {
        method: [measure(method, target, slide, arguments.repeats) for slide in slides.values()] for method in METHODS
    }
    others = run_others(arguments.others, target, slides, arguments.repeats) if arguments.others else {}
    for tool, answer in others.items():
        if "failed" in answer:
            print(f"{tool} failed: {answer['failed']}", file=sys.stderr)
    sizes = [slide[:, :, 0].size / 1e6 for slide in list(slides.values())[:2]]
    speed_table(rows_of, others, sizes)
    agreement_table(rows_of, others, list(slides))
    histolab_table(rows_of, target)


if __name__ == "__main__":
    main()
