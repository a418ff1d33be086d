"""The pictures in docs/pictures: a cohort is drawn, trained on, and its pages are looked at in headless Chromium.

    python scripts/screenshots.py [--home FOLDER] [NAME...]

With `--home` the cohort and its run stay there, and a second call only takes the pictures again.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tilewise import api

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars")
MOST_BYTES = 400_000
#: Name of a picture -> page of the run, and the window's width and height.
PAGES = {"report": ("report.html", 1200, 1265), "audit": ("audit/report.html", 1200, 1000)}


def make_run(home: Path) -> Path:
    """A drawn cohort with planted faults, and a run on it; what is there already is used again."""
    cohort, run = home / "cohort", home / "run"
    api.synth(cohort, {"num_slides": 80, "min_side_px": 640, "difficulty": 0.35, "faults": 1})
    api.train(cohort, out=run)
    return run


def shoot(page: str, out: Path, *, width: int, height: int) -> None:
    """Write what a window of this size shows of a page, with few colours where the file would be large."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("there is no Chromium to look at pages with")
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "shot.png"
        command = [chromium, *FLAGS, f"--user-data-dir={folder}/profile", f"--window-size={width},{height}"]
        subprocess.run([*command, f"--screenshot={shot}", page], check=True, capture_output=True, timeout=120)  # noqa: S603 - a fixed command
        picture = Image.open(shot).convert("RGB")
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    if buffer.tell() > MOST_BYTES:
        buffer = io.BytesIO()
        picture.quantize(256).save(buffer, "PNG", optimize=True)
    out.write_bytes(buffer.getvalue())


def main() -> None:
    """Take the pictures that are asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of a picture; default: {', '.join(PAGES)}")
    parser.add_argument("--home", type=Path, help="folder for cohort and run; default: one that is deleted")
    options = parser.parse_args()
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        run = make_run((options.home or Path(folder)).resolve())
        for name in options.names or PAGES:
            page, width, height = PAGES[name]
            shoot((run / page).as_uri(), PICTURES / f"{name}.png", width=width, height=height)


if __name__ == "__main__":
    main()
