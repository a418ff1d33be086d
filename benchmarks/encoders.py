"""How many tiles a second each engine encodes, and what the default's rule chooses.

    python benchmarks/encoders.py
    python benchmarks/encoders.py --networks resnet50 efficientnet_lite0:stages --rounds 5 --json
    python benchmarks/encoders.py --instructions AVX2 --processor-time

Every figure comes from a process of its own, so that no allocator, thread or cache setting leaks from one to another.
Rounds take the variants in turn, so that a machine that slows down slows all of them. Weights are random; they do not
change the speed. `--instructions` caps what the networks may compute with, to see what another processor gains.
`--processor-time` counts the seconds of one thread instead of the clock's: on a busy machine, its ratios hold still.

`eager float32` is what everyone runs: the network called on ready float32 tensors in batches of 32, in inference mode,
with torch's own settings. The other rows go through `Encoder.encode`, from 8-bit tiles to features. NAME:stages pools
the stages of a network (encoder.pooling); eager, without the layers behind the last of them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

NETWORKS = ("resnet50", "lunit_vits16_dino", "convnext_tiny", "mobilenet_v3_small", "efficientnet_lite0",
            "efficientnet_lite0:stages")  # fmt: skip
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
    parser.add_argument("--instructions", default="", help="cap as ONEDNN_MAX_CPU_ISA has it, such as AVX2")
    parser.add_argument("--processor-time", action="store_true", help="one thread, its own seconds")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--child", nargs=2, metavar=("NETWORK", "VARIANT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        clock = time.process_time if options.processor_time else time.perf_counter
        print(json.dumps(measure(*options.child, seconds=options.seconds, clock=clock)))
        return
    results = {name: compare(name, options) for name in options.networks}
    print(json.dumps(results) if options.json else "\n\n".join(table(name, rows) for name, rows in results.items()))


def compare(network: str, options: argparse.Namespace) -> dict[str, dict[str, object]]:
    """Variant -> tiles per second (median of the rounds), the rounds, and what was run."""
    outcomes_of: dict[str, list[dict[str, object]]] = {}
    for number in range(options.rounds):
        for variant in options.variants:
            print(f"{network}: {variant}, round {number + 1} of {options.rounds}", file=sys.stderr)
            outcome = run_child(network, variant, options)
            if outcome is not None:
                outcomes_of.setdefault(variant, []).append(outcome)
    return {
        variant: {
            "tiles_per_s": statistics.median(float(str(outcome["tiles_per_s"])) for outcome in outcomes),
            "rounds": [outcome["tiles_per_s"] for outcome in outcomes],
            "run": outcomes[0]["run"],
        }
        for variant, outcomes in outcomes_of.items()
    }


def run_child(network: str, variant: str, options: argparse.Namespace) -> dict[str, object] | None:
    command = [sys.executable, __file__, "--seconds", str(options.seconds), "--child", network, variant]
    environment = dict(os.environ)
    if options.processor_time:
        command.append("--processor-time")
        environment["OMP_NUM_THREADS"] = "1"
    if options.instructions:
        # ATen's own kernels know only whole steps.
        aten = options.instructions.partition("_")[0].lower()
        environment |= {"ONEDNN_MAX_CPU_ISA": options.instructions, "ATEN_CPU_CAPABILITY": aten}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
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


def measure(network: str, variant: str, *, seconds: float, clock: Callable[[], float]) -> dict[str, object]:
    """In a process of its own: one variant's speed."""
    call, num_tiles, run = prepare(network, variant)
    for _ in range(2):
        call()
    rates = []
    end = clock() + seconds
    while clock() < end or len(rates) < 3:
        start = clock()
        call()
        rates.append(num_tiles / (clock() - start))
    return {"tiles_per_s": round(statistics.median(rates), 2), "run": run}


def prepare(network: str, variant: str) -> tuple[Callable[[], object], int, str]:
    import numpy as np

    from tilewise.compute import computes_bfloat16, prepare_runtime
    from tilewise.encoders import EncoderConfig, build_encoder, find_card

    if variant.startswith("eager"):
        tuned = "tuned" in variant
        if tuned:
            prepare_runtime()
        return (*prepare_eager(network), f"torch, batch {_EAGER_BATCH}" + ", mallopt" * tuned)
    name, pooling = parse(network)
    config = EncoderConfig(name=name, pooling=pooling, init="random", **VARIANTS[variant])
    if config.precision == "bfloat16" and not computes_bfloat16():
        sys.exit("there is no bfloat16 here")
    encoder = build_encoder(config, offline=True)
    signature = encoder.signature
    num_tiles = 2 * max(_EAGER_BATCH, int(signature["batch_size"]) * int(signature["threads"]))
    side = find_card(name).input_px
    tiles = np.random.default_rng(0).integers(0, 256, (num_tiles, side, side, 3), dtype=np.uint8)
    run = "{engine} {precision}, batch {batch_size}, {threads} threads".format_map(signature)
    return lambda: encoder.encode(tiles), num_tiles, run


def parse(network: str) -> tuple[str, str]:
    name, _, pooling = network.partition(":")
    return name, pooling or "last"


def prepare_eager(network: str) -> tuple[Callable[[], object], int]:
    import torch

    from tilewise.encoders import find_card
    from tilewise.encoders.networks import create_network
    from tilewise.encoders.pooling import remove_unused

    name, pooling = parse(network)
    card = find_card(name).pooled(pooling)
    model = create_network(card, seed=0)
    if pooling == "stages":
        remove_unused(model, card.input_px)
    images = torch.randn(_EAGER_BATCH, 3, card.input_px, card.input_px)

    def call() -> object:
        with torch.inference_mode():
            return model(images)

    return call, _EAGER_BATCH


if __name__ == "__main__":
    main()
