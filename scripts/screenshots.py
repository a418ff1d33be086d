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
from tilewise.recipe import load_recipe

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars")
MOST_BYTES = 400_000
#: Name of a picture -> the window's width and height.
PAGES = {"report": (1200, 1265), "audit": (1200, 1000)}
#: Name of a picture -> part of the page of an explanation, and what is pointed at.
PARTS = {"explanation": (".explained", None), "map": (".plan", ".point:nth-of-type(21) .symbol")}


def make_page(home: Path, name: str) -> Path:
    """The report or the audit of a drawn cohort with planted faults; what is there already is used again."""
    cohort = home / "cohort"
    api.synth(cohort, {"num_slides": 80, "min_side_px": 640, "difficulty": 0.35, "faults": 1})
    make = {"report": api.train, "audit": api.audit}[name]
    make(cohort, out=home / name)
    return home / name / "report.html"


def make_explanation(home: Path) -> Path:
    """The page of an explained run, whose tiles are cut over all tissue; what is there already is used again."""
    cohort, run = home / "tissue-cohort", home / "tissue"
    api.synth(cohort, {"num_slides": 48, "num_test_slides": 6, "min_side_px": 512, "difficulty": 0.25})
    tiles = {"tiles.strategy": "grid", "tiles.size_px": 64, "tiles.stride_px": 64}
    api.train(cohort, load_recipe("texture").with_(**tiles), out=run)
    return api.explain(run).page


def shoot_part(page: str, selector: str, pointed_at: str | None, out: Path) -> None:
    """Write a part of a page, while one of its marks is pointed at."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(FLAGS[1:]))
        tab = browser.new_page(viewport={"width": 1200, "height": 1000}, color_scheme="light")
        tab.goto(page)
        tab.add_style_tag(content="nav { position: static !important; }")  # it would stand over the part
        part = tab.locator(selector).first
        part.evaluate("(element) => { element.style.padding = '16px'; }")
        part.scroll_into_view_if_needed()
        if pointed_at is not None:
            part.locator(pointed_at).first.hover()
        save(Image.open(io.BytesIO(part.screenshot())).convert("RGB"), out)
        browser.close()


def find_chromium() -> str:
    """Its path; the script ends where there is none."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return chromium or sys.exit("there is no Chromium to look at pages with")


def shoot(page: str, out: Path, *, width: int, height: int) -> None:
    """Write what a window of this size shows of a page."""
    chromium = find_chromium()
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "shot.png"
        command = [chromium, *FLAGS, f"--user-data-dir={folder}/profile", f"--window-size={width},{height}"]
        subprocess.run([*command, f"--screenshot={shot}", page], check=True, capture_output=True, timeout=120)  # noqa: S603 - a fixed command
        save(Image.open(shot).convert("RGB"), out)


def save(picture: Image.Image, out: Path) -> None:
    """Write a picture, with few colours where the file would be large."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    if buffer.tell() > MOST_BYTES:
        buffer = io.BytesIO()
        picture.quantize(256).save(buffer, "PNG", optimize=True)
    out.write_bytes(buffer.getvalue())


def main() -> None:
    """Take the pictures that are asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of a picture; default: {', '.join(PAGES | PARTS)}")
    parser.add_argument("--home", type=Path, help="folder for cohort and run; default: one that is deleted")
    options = parser.parse_args()
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        home, names = (options.home or Path(folder)).resolve(), options.names or [*PAGES, *PARTS]
        for name in names:
            if name in PARTS:
                shoot_part(make_explanation(home).as_uri(), *PARTS[name], PICTURES / f"{name}.png")
            else:
                width, height = PAGES[name]
                shoot(make_page(home, name).as_uri(), PICTURES / f"{name}.png", width=width, height=height)


if __name__ == "__main__":
    main()
