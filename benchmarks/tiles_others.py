"""Tiatoolbox's sliding window over lists of files, one JSON list per line of stdin; run by tiles.py in its own Python.

python benchmarks/tiles_others.py SIZE
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import json
import sys
import time


def cut(files: list[list[str]], size: int) -> int:
    """Every tile that the mask covers by at least 0.025, as arrays; returns their number."""
    from tiatoolbox.tools.patchextraction import get_patch_extractor
    from tiatoolbox.wsicore.wsireader import VirtualWSIReader, WSIReader

    num = 0
    for path, mask in files:
        extractor = get_patch_extractor(
            "slidingwindow",
            input_img=WSIReader.open(path, mpp=0.5, power=20),
            input_mask=VirtualWSIReader(mask, mode="bool", mpp=0.5, power=20),
            patch_size=(size, size),
            stride=(size, size),
            resolution=0,
            units="level",
            min_mask_ratio=0.025,
            within_bound=False,
        )
        num += sum(tile.shape == (size, size, 3) for tile in extractor)
    return num


def repair_torchvision() -> None:
    """Tiatoolbox imports torchvision, whose wheel fails beside a CPU-only torch."""
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        import torch

        for name in [name for name in sys.modules if name.startswith("torchvision")]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):
            with contextlib.suppress(RuntimeError):
                library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        globals()["_kept"] = library
        importlib.import_module("torchvision")


def main() -> None:
    import cv2

    repair_torchvision()

    cv2.setNumThreads(1)
    size = int(sys.argv[1])
    version = importlib.metadata.version("tiatoolbox")
    for line in sys.stdin:
        with contextlib.redirect_stdout(sys.stderr):
            start = time.process_time()
            num = cut(json.loads(line), size)
            seconds = time.process_time() - start
        print(json.dumps({"seconds": seconds, "tiles": num, "version": version}), flush=True)


if __name__ == "__main__":
    main()
