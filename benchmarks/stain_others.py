"""What torchstain and tiatoolbox make of pictures, and how fast, as JSON; run by stain.py in their own environment.

python benchmarks/stain_others.py TARGET.npy REPEATS SOURCE.npy... > found.json

The first two sources are timed; of the others only the result is of interest. An environment with both tools:

    python -m venv VENV && VENV/bin/pip install torch torchvision torchstain scikit-learn scikit-image
    VENV/bin/pip install --no-deps tiatoolbox     # and, the same way, each package that its import says is missing
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

# This environment has no tilewise, but the module that mends torchvision needs nothing of it.
sys.path.append(str(Path(__file__).parents[1] / "src/tilewise"))

Picture = np.ndarray[Any, np.dtype[np.uint8]]
TIMED = 2


def timed(call: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Median seconds of a call after a first one, and what it gave; the first counts where there is no second."""
    start = time.perf_counter()
    result = call()
    if not repeats:
        return time.perf_counter() - start, result
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = call()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds)), result


def torchstain(target: Picture, sources: list[Picture], repeats: int) -> dict[str, Any]:
    """Its torch backend, without the separate pictures of the dyes that it can make as well."""
    import torch
    from torchstain.torch.normalizers import TorchMacenkoNormalizer, TorchReinhardNormalizer

    def tensor(rgb: Picture) -> torch.Tensor:
        return torch.from_numpy(rgb.copy()).permute(2, 0, 1)

    results: dict[str, Any] = {"macenko": [], "reinhard": []}
    macenko, reinhard, own = TorchMacenkoNormalizer(), TorchReinhardNormalizer(), TorchMacenkoNormalizer()
    macenko.fit(tensor(target))
    reinhard.fit(tensor(target))
    for index, rgb in enumerate(sources):
        source, times = tensor(rgb), repeats if index < TIMED else 0
        own.fit(source)
        seconds, result = timed(lambda source=source: macenko.normalize(source, stains=False)[0], times)
        results["macenko"].append(row(seconds, result.numpy(), own.HERef.T.numpy()))
        seconds, result = timed(lambda source=source: reinhard.normalize(source), times)
        results["reinhard"].append(row(seconds, result.numpy()))
    return results


def tiatoolbox(target: Picture, sources: list[Picture], repeats: int) -> dict[str, Any]:
    """Its three normalisers, as `transform` runs them."""
    logging.disable(logging.WARNING)
    norm = importlib.import_module("tiatoolbox.tools.stainnorm")
    results: dict[str, Any] = {}
    for name in ("Macenko", "Reinhard", "Vahadane"):
        normaliser = getattr(norm, f"{name}Normalizer")()
        vectors = _keep_vectors(normaliser)
        normaliser.fit(target.copy())
        rows = results.setdefault(name.lower(), [])
        for index, rgb in enumerate(sources):
            times = repeats if index < TIMED else 0
            seconds, result = timed(lambda rgb=rgb, do=normaliser: do.transform(rgb.copy()), times)
            rows.append(row(seconds, result, vectors[-1] if vectors else None))
    return results


def _keep_vectors(normaliser: Any) -> list[Any]:
    """A list that fills with the dyes it fits, which it does not give away."""
    vectors: list[Any] = []
    extractor = getattr(normaliser, "extractor", None)
    if extractor is not None:
        original = extractor.get_stain_matrix

        def get(rgb: Picture) -> Any:
            vectors.append(original(rgb))
            return vectors[-1]

        extractor.get_stain_matrix = get
    return vectors


def row(seconds: float, result: Any, vectors: Any = None) -> dict[str, Any]:
    mean = np.asarray(result).reshape(-1, 3).mean(axis=0)
    return {
        "seconds": seconds,
        "mean": mean.tolist(),
        "vectors": None if vectors is None else np.asarray(vectors).tolist(),
    }


def main() -> None:
    """Run both libraries and print one JSON object; a library that is missing says so in it."""
    target, repeats = np.load(sys.argv[1]), int(sys.argv[2])
    sources = [np.load(Path(path)) for path in sys.argv[3:]]
    # tiatoolbox imports torchvision, whose wheel may fail beside a CPU-only torch.
    importlib.import_module("torchvision_repair").import_torchvision()
    results: dict[str, Any] = {}
    for tool in (torchstain, tiatoolbox):
        output = io.StringIO()
        try:
            with contextlib.redirect_stdout(output):
                results[tool.__name__] = tool(target, sources, repeats)
        except ImportError as error:
            results[tool.__name__] = {"failed": str(error)}
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
