"""What cleanvision and imagededup find in a folder of pictures, as JSON; run by audit.py in their own environment.

python benchmarks/audit_others.py FOLDER > found.json
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

# This environment has no tilewise, but the module that mends torchvision needs nothing of it.
sys.path.append(str(Path(__file__).parents[1] / "src/tilewise"))


def cleanvision(folder: Path) -> dict[str, Any]:
    """Exact and near duplicates, and slides it calls blurry, dark, light or without information."""
    from cleanvision import Imagelab

    start = time.perf_counter()
    lab = Imagelab(data_path=str(folder))
    lab.find_issues(n_jobs=2, verbose=False)
    seconds = time.perf_counter() - start
    sets: dict[str, Any] = {"seconds": seconds, "version": importlib.import_module("cleanvision").__version__}
    for kind in ("exact_duplicates", "near_duplicates"):
        sets[kind] = [[Path(name).name for name in names] for names in lab.info[kind]["sets"]]
    for kind in ("blurry", "dark", "light", "low_information"):
        flagged = lab.issues.index[lab.issues[f"is_{kind}_issue"]]
        sets[kind] = sorted(Path(name).name for name in flagged)
    return sets


def imagededup(folder: Path) -> dict[str, Any]:
    """Near duplicates by perceptual hash, as it is set by default."""
    from imagededup.methods import PHash

    start = time.perf_counter()
    pairs = PHash(verbose=False).find_duplicates(
        image_dir=str(folder), max_distance_threshold=10, num_enc_workers=2, num_dist_workers=2
    )
    seconds = time.perf_counter() - start
    sets = [[name, *others] for name, others in pairs.items() if others]
    return {"seconds": seconds, "near_duplicates": sets, "version": importlib.import_module("imagededup").__version__}


if __name__ == "__main__":
    root = Path(sys.argv[1])
    with contextlib.redirect_stdout(sys.stderr):
        report: dict[str, Any] = {}
        for name, tool in (("cleanvision", cleanvision), ("imagededup", imagededup)):
            try:
                if name == "imagededup":
                    # It imports torchvision, whose wheel may fail beside a CPU-only torch.
                    importlib.import_module("torchvision_repair").import_torchvision()
                report[name] = tool(root)
            except Exception as error:  # noqa: BLE001 - a tool that fails on these files is a result
                report[name] = {"failed": f"{type(error).__name__}: {error}"}
    json.dump(report, sys.stdout)
