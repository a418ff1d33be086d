"""Tiatoolbox's sliding window over lists of files, one JSON list per line of stdin; run by tiles.py in its own Python.

python benchmarks/tiles_others.py SIZE

That Python needs tiatoolbox and what it imports. It asks for a torch below 2.13; it cuts tiles with a newer one too:
install it with `pip install --no-deps tiatoolbox`, then the packages it names, without their upper bounds.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))


def cut(files: list[list[str]], size: int) -> int:
    """Every tile that the mask covers by at least 0.025, as arrays; returns their number."""
    from tiatoolbox.tools.patchextraction import get_patch_extractor
    from tiatoolbox.wsicore.wsireader import VirtualWSIReader, WSIReader

    num = 0
    for path, mask in files:
        # A pyramid says itself what its scale is; a flat picture has to be told.
        scale = {} if path.endswith(".tif") else {"mpp": 0.5, "power": 20}
        extractor = get_patch_extractor(
            "slidingwindow",
            input_img=WSIReader.open(path, **scale),
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


def main() -> None:
    import cv2

    from tilewise.torchvision_repair import import_torchvision

    import_torchvision()

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
