"""What this machine has for tilewise, what it lacks, and how to get it."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Literal

from tilewise.compute import computes_bfloat16, instruction_set, num_processors
from tilewise.encoders import EncoderConfig, encoder_table, find_card
from tilewise.encoders.find_weights import weights_folders
from tilewise.errors import PluginError
from tilewise.pipeline.environment import processor_name
from tilewise.plugins import GROUPS, installed_plugins
from tilewise.recipe import load_recipe
from tilewise.store import cache_dir
from tilewise.version import __version__

State = Literal["ok", "missing", "fault"]

# What the extras of pyproject.toml that users install are for.
EXTRAS = {
    "fast": "networks on processors by OpenVINO, several times faster than torch",
    "segment": "masks learnt by a U-Net (segment.method: unet)",
    "hub": "masks by Segment Anything (segment.method: sam)",
    "lite2": "the larger network whose weights come as a package (encoder efficientnet_lite2)",
    "wsi": "slides of scanners' vendors, by OpenSlide",
    "ensemble": "boosted trees over several runs (ensemble --method stack-boosting)",
    "explain": "Grad-CAM of networks on pixels (tilewise explain)",
    "doubts": "labels in doubt (doubtful_labels.csv of a run)",
    "h5": "features of TRIDENT, CLAM, STAMP and torchmil in and out",
    "zarr": "slides as OME-Zarr",
    "serve": "the review page and predictions over HTTP (tilewise serve)",
    "tune": "settings searched by Optuna (tilewise tune)",
    "ray": "work over slides, folds and trials on a cluster (--executor ray)",
    "mlflow": "histories for MLflow (training.engine.log: mlflow)",
}
_LEAST_FREE_GIB = 2.0
_NUM_TILES, _TILE_PX = 64, 224


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        topic: `machine`, `packages`, `plugins`, `weights` or `speed`.
        name: of the thing.
        state: `fault` is what no training can do without.
        text: what is there, or what it would be for.
        advice: how to get it, or mend it; empty where nothing is to be done.
    """

    topic: str
    name: str
    state: State
    text: str
    advice: str = ""


def examine_machine(*, measure: bool = False) -> tuple[Check, ...]:
    """Look at processors, memory, cache, extras, plugins and weights; nothing is fetched or changed.

    Args:
        measure: time the default recipe's network with every engine, which takes seconds and imports torch.
    """
    return (*_machine(), *_cache(), *_extras(), *_plugins(), *_weights(), *(_speed() if measure else ()))


def _machine() -> Iterator[Check]:
    python = sys.version.split()[0]
    yield Check("machine", "tilewise", "ok", f"{__version__}, Python {python}")
    bfloat16 = ", computes in bfloat16" if computes_bfloat16() else ""
    processors = f"{num_processors()} x {processor_name()}, {instruction_set()}{bfloat16}"
    yield Check("machine", "processors", "ok", processors)
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
        yield Check("machine", "memory", "ok", f"{memory:.1f} GiB")
    nvidia = shutil.which("nvidia-smi") is not None
    text = "an NVIDIA driver is installed" if nvidia else "none found; everything runs on processors"
    yield Check("machine", "graphics card", "ok", text)


def _cache() -> Iterator[Check]:
    folder = cache_dir()
    place = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(place).free / 2**30
    advice = "set TILEWISE_CACHE to a folder that can be written to, with some space"
    if not os.access(place, os.W_OK):
        yield Check("machine", "cache", "fault", f"{folder} cannot be written to", advice)
    elif free < _LEAST_FREE_GIB:
        yield Check("machine", "cache", "fault", f"{folder}: {free:.1f} GiB free", advice)
    else:
        yield Check("machine", "cache", "ok", f"{folder}, {free:.0f} GiB free")


def _extras() -> Iterator[Check]:
    wanted: dict[str, list[str]] = {}
    for requirement in metadata.requires("tilewise") or ():
        match = re.match(r"([A-Za-z0-9._-]+).*extra == ['\"]([^'\"]+)", requirement)
        if match:
            wanted.setdefault(match[2], []).append(match[1])
    for extra, purpose in EXTRAS.items():
        versions = {name: _version(name) for name in wanted.get(extra, ())}
        lacking = [name for name, version in versions.items() if version is None]
        if versions and not lacking:
            text = ", ".join(f"{name} {version}" for name, version in versions.items())
            yield Check("packages", extra, "ok", f"{purpose}: {text}")
        else:
            yield Check("packages", extra, "missing", purpose, f"pip install 'tilewise[{extra}]'")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _plugins() -> Iterator[Check]:
    for group in GROUPS:
        for name, plugin in installed_plugins(group).items():
            kind, advice = group.partition(".")[2].replace("_", " "), f"mend, update or uninstall {plugin.package}"
            if "." not in name:
                yield Check("plugins", name, "fault", f"{plugin} ({kind}): its name holds no dot", advice)
                continue
            try:
                find_card(name) if group == "tilewise.encoders" else plugin.load()
            except PluginError as error:
                yield Check("plugins", name, "fault", str(error), advice)
            else:
                yield Check("plugins", name, "ok", f"{kind}, of {plugin.package} {plugin.version}")


def _weights() -> Iterator[Check]:
    rows = encoder_table()
    default = load_recipe().encoder.name
    own = next(row for row in rows if row["name"] == default)
    if own["weights"] in ("here", "embedded"):
        yield Check("weights", default, "ok", f"of the default recipe: {own['weights_path'] or 'needs none'}")
    else:
        advice = f"pip install --force-reinstall tilewise, or put them where `tilewise encoders show {default}` says"
        yield Check("weights", default, "fault", "of the default recipe: not on this machine", advice)
    here = [row["name"] for row in rows if row["weights"] == "here" and row["name"] != default]
    missing = [row["name"] for row in rows if row["weights"] == "missing"]
    if here:
        yield Check("weights", "others here", "ok", ", ".join(here))
    if missing:
        places = ", ".join(map(str, weights_folders()))
        advice = f"`tilewise encoders fetch NAME` where there is internet; files are looked for in {places}"
        yield Check("weights", f"{len(missing)} not here", "missing", ", ".join(missing), advice)


def _speed() -> Iterator[Check]:
    """The default recipe's network by each engine, in tiles per second; the first call is not counted."""
    import numpy as np

    from tilewise.encoders import build_encoder

    config: dict[str, Any] = load_recipe().encoder.model_dump(exclude={"engine"}) | {"with_texture": False}
    tiles_NHWC = np.random.default_rng(0).integers(0, 256, (_NUM_TILES, _TILE_PX, _TILE_PX, 3), np.uint8)
    speeds = {}
    for engine in ("torch", "openvino"):
        if engine == "openvino" and _version("openvino") is None:
            continue
        encoder = build_encoder(EncoderConfig(engine=engine, **config), offline=True)
        encoder.encode(tiles_NHWC)
        start = time.perf_counter()
        encoder.encode(tiles_NHWC)
        speeds[engine] = _NUM_TILES / (time.perf_counter() - start)
    fastest = max(speeds, key=speeds.__getitem__)
    for engine, speed in speeds.items():
        best = ", the fastest here" if engine == fastest and len(speeds) > 1 else ""
        yield Check("speed", engine, "ok", f"{speed:.0f} tiles of {_TILE_PX} px a second by {config['name']}{best}")
