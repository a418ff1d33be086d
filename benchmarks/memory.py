"""Most memory and processor time of one epoch of each packaged system, with and without a budget of memory.

    python benchmarks/memory.py [--gib 4] [--batches 1] [--recipe NAME ...]

Each row is a process of its own: the recipe's network with random weights, which take the same memory and time, tiles
of noise in batches as large as the recipe says, its augmentation, loss, optimiser and mixing, and one epoch of so many
batches with as much of the encoder trained as the recipe ever trains. Validation has a batch too. Memory is the most
that the process ever held; processor seconds are of the epoch alone, its scoring included.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np

RECIPES = (
    "window-resnet50", "adaptive-patch-resnet50", "dual-branch-convnext", "component-box-convnext", "ten-view-phikon"
)  # fmt: skip
_GIB = 1 << 20  # of the kilobytes that the system counts in


def measure(name: str, gib: float | None, num_batches: int) -> dict[str, Any]:
    from tilewise.inference.slide_tiles import SlideTiles
    from tilewise.models.networks import build_network
    from tilewise.recipe import load_recipe
    from tilewise.training.networks import objective
    from tilewise.training.networks.data import PixelData, TilePart
    from tilewise.training.networks.train import train_network

    recipe = load_recipe(name, ["encoder.init=random", "training.epochs=1", "training.num_threads=1"])
    if recipe.network.input == "dual_branch":
        recipe = recipe.with_(**{"network.mask_init": "random"})
    if recipe.network.trained == "progressive":  # as in its last stage
        whole = {"trained": "all", "blocks_per_stage": None, "epochs_per_stage": None}
        recipe = recipe.with_(**{f"network.{key}": value for key, value in whole.items()})
    recipe = recipe.with_(**{"training.engine.device": "cpu", "training.engine.memory_gib": gib})
    rng, size, num = np.random.default_rng(0), recipe.tiles.size_px, recipe.training.batch_size or 32
    names = [f"slide {number}" for number in range(num * (num_batches + 1))]
    has_mask = recipe.network.input == "dual_branch"
    tiles = {
        slide: SlideTiles(
            slide,
            rng.integers(0, 256, (1, 1, 3, size, size), np.uint8),
            np.full((1, size, size), 255, np.uint8) if has_mask else None,
        )
        for slide in names
    }
    labels = {slide: number % 2 for number, slide in enumerate(names)}
    data = PixelData(("A", "B"), *(TilePart.of(tiles, part, labels) for part in (names[num:], names[:num])))
    network = build_network(recipe.network, recipe.encoder, recipe.head, num_classes=2, seed=0, offline=True)
    plans, plan_memory = [], objective.plan_memory
    objective.plan_memory = lambda *args, **more: plans.append(plan_memory(*args, **more)) or plans[-1]
    start = time.process_time()
    train_network(network, data, recipe.training, recipe.augment, seed=0)
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _GIB
    return {"peak": peak, "seconds": seconds, "parts": plans[0].num_parts, "chunks": plans[0].num_chunks}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gib", type=float, default=4.0, help="the budget")
    parser.add_argument("--batches", type=int, default=1, help="of the epoch")
    parser.add_argument("--recipe", action="append", choices=RECIPES, help="may be repeated; all")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.gib or None, options.batches)))
        return
    print("| recipe | budget | peak GiB | processor s | how |\n|---|---|---|---|---|")
    for name in options.recipe or RECIPES:
        for gib in (0.0, options.gib):
            command = [
                sys.executable,
                __file__,
                "--measure",
                name,
                "--gib",
                str(gib),
                "--batches",
                str(options.batches),
            ]
            made = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            how = f"computed twice, in {made['chunks']} chunks" if made["chunks"] > 1 else ""
            how = f"batches in {made['parts']} parts" if made["parts"] > 1 else how or "whole batches"
            budget = f"{gib:g} GiB" if gib else "none"
            print(f"| {name} | {budget} | {made['peak']:.2f} | {made['seconds']:.0f} | {how} |", flush=True)


if __name__ == "__main__":
    main()
