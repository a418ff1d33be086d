"""How many tiles a second each engine encodes, and what the default's rule chooses.

    python benchmarks/encoders.py
    python benchmarks/encoders.py --networks resnet50 --rounds 5 --json

Every figure comes from a process of its own, so that no allocator, thread or cache setting leaks from one to the next.
Every figure comes from a process of its own, so that no allocator, thread or cache setting leaks from one to another.
all of them. Weights are random; they do not change the speed.

`eager float32` is what everyone runs: the network called on ready float32 tensors in batches of 32, in inference mode,
with torch's own settings. The other rows go through `Encoder.encode`, from 8-bit tiles to features.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

NETWORKS = ("resnet50", "lunit_vits16_dino", "convnext_tiny", "mobilenet_v3_small")
VARIANTS = {
    "eager float32, default allocator": {},
    "eager float32, tuned allocator": {},
    "torch float32": {"engine": "torch", "precision": "float32"},
    "torch bfloat16": {"engine": "torch", "precision": "bfloat16"},
    "openvino float32": {"engine": "openvino", "precision": "float32"},
    "openvino bfloat16": {"engine": "openvino", "precision": "bfloat16"},
    "default": {},
}
_EAGER_BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="measured per process, after warming up")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument("--child", nargs=2, metavar=("NETWORK", "VARIANT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(*options.child, seconds=options.seconds)))
        return
    results = {name: compare(name, options.rounds, options.seconds) for name in options.networks}
    print(json.dumps(results) if options.json else "\n\n".join(table(name, rows) for name, rows in results.items()))


def compare(network: str, rounds: int, seconds: float) -> dict[str, dict[str, object]]:
    """Variant -> tiles per second (median of the rounds), the rounds, and what was run."""
    found: dict[str, list[dict[str, object]]] = {}
    for number in range(rounds):
        for variant in VARIANTS:
            print(f"{network}: {variant}, round {number + 1} of {rounds}", file=sys.stderr)
            outcome = run_child(network, variant, seconds)
            if outcome is not None:
                found.setdefault(variant, []).append(outcome)
    return {
        variant: {
            "tiles_per_s": statistics.median(float(str(outcome["tiles_per_s"])) for outcome in outcomes),
            "rounds": [outcome["tiles_per_s"] for outcome in outcomes],
            "run": outcomes[0]["run"],
        }
        for variant, outcomes in found.items()
    }


def run_child(network: str, variant: str, seconds: float) -> dict[str, object] | None:
    command = [sys.executable, __file__, "--seconds", str(seconds), "--child", network, variant]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        print(f"  not measured: {result.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    outcome: dict[str, object] = json.loads(result.stdout)
    return outcome


def table(network: str, rows: dict[str, dict[str, object]]) -> str:
    """Markdown: tiles per second, times eager float32, share of the best."""
    speeds = {variant: float(str(row["tiles_per_s"])) for variant, row in rows.items()}
    eager, best = speeds["eager float32, default allocator"], max(speeds.values())
    lines = [f"### {network}", "", "| variant | tiles/s | x eager | of the best | run |", "|---|---:|---:|---:|---|"]
    lines += [
        f"| {variant} | {speed:.1f} | {speed / eager:.2f} | {speed / best:.0%} | {rows[variant]['run']} |"
        for variant, speed in speeds.items()
    ]
    return "\n".join(lines)


def measure(network: str, variant: str, *, seconds: float) -> dict[str, object]:
    """In a process of its own: one variant's speed."""
    call, num_tiles, run = prepare(network, variant)
    for _ in range(2):
        call()
    rates = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(rates) < 3:
        start = time.perf_counter()
        call()
        rates.append(num_tiles / (time.perf_counter() - start))
    return {"tiles_per_s": round(statistics.median(rates), 2), "run": run}


def prepare(network: str, variant: str) -> tuple[Callable[[], object], int, str]:
    import numpy as np

    from tilewise.encoders import EncoderConfig, build_encoder, find_card, prepare_runtime

    if variant.startswith("eager"):
        tuned = "tuned" in variant
        if tuned:
            prepare_runtime()
        return (*prepare_eager(network), f"torch, batch {_EAGER_BATCH}" + ", mallopt" * tuned)
    config = EncoderConfig(name=network, init="random", **VARIANTS[variant])
    encoder = build_encoder(config, offline=True)
    said = encoder.signature
    num_tiles = 2 * max(_EAGER_BATCH, int(said["batch_size"]) * int(said["threads"]))
    side = find_card(network).input_px
    tiles = np.random.default_rng(0).integers(0, 256, (num_tiles, side, side, 3), dtype=np.uint8)
    run = f"{said['engine']} {said['precision']}, batch {said['batch_size']}, {said['threads']} threads"
    return lambda: encoder.encode(tiles), num_tiles, run


def prepare_eager(network: str) -> tuple[Callable[[], object], int]:
    import torch

    from tilewise.encoders import find_card
    from tilewise.encoders.networks import create_network

    card = find_card(network)
    model = create_network(card, seed=0)
    images = torch.randn(_EAGER_BATCH, 3, card.input_px, card.input_px)

    def call() -> object:
        with torch.inference_mode():
            return model(images)

    return call, _EAGER_BATCH


if __name__ == "__main__":
    main()
