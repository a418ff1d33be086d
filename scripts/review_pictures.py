"""The pictures of the review page in docs/pictures: a run is served and looked at in headless Chromium.

Of a drawn cohort, by `tilewise synth cohort --slides 48 --test-slides 0 --faults 1 --difficulty 0.3 --min-side 512
--seed 3` and `tilewise train cohort --out run --recipe texture --set tiles.size_px=64 --set tiles.stride_px=null --set
folds.num_folds=3`; then `python scripts/review_pictures.py run`.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
MOST_BYTES = 400_000
WINDOW = {"width": 1440, "height": 860}
DRAWN = """Boolean(window.review && review.panes()[0]?.number === review.state.number && review.panes().every(
  (pane) => !pane || pane.element.hidden || pane.image?.getFullyLoaded()))"""


def until(page: Page, script: str) -> None:
    """Wait until the page answers with anything but false."""
    while not page.evaluate(script):
        time.sleep(0.05)


def look_at_heat(page: Page) -> None:
    """The slide without findings that has most tiles and is predicted wrong or else least surely, with its heat."""
    page.select_option("#filter-order", "wrong")
    number = page.evaluate("review.state.filtered.find((number) => review.state.slides[number].items.length < 2)")
    page.click(f"#slide-{number}")
    until(page, DRAWN)
    page.keyboard.press("h")
    until(
        page,
        "!document.getElementById('legend').hidden && !document.getElementById('legend').classList.contains('bare')",
    )


def look_at_pair(page: Page) -> None:
    """A copy that was turned and mirrored, beside what it was made from, both a little nearer."""
    page.select_option("#filter-kind", "near-copy")
    page.keyboard.press("ArrowDown")
    until(page, DRAWN)
    count = page.evaluate("review.state.filtered.length")
    for number in range(count):
        page.click(f".slide-row >> nth={number}")
        until(page, DRAWN)
        page.evaluate("document.activeElement?.blur()")
        page.wait_for_timeout(1500)
        until(page, DRAWN)
        if "mirrored and turned" in page.locator("#pane-two .caption").inner_text():
            break
    for _ in range(2):
        page.keyboard.press("+")
    page.wait_for_timeout(1200)
    until(page, DRAWN)
    box = page.locator("#pane-one").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.55 * box["width"], box["y"] + 0.5 * box["height"])


def look_blind(page: Page) -> None:
    """A slide that nobody has seen openly, to be read blind."""
    page.evaluate("localStorage.clear(); review.state.opened.clear()")
    page.keyboard.press("b")
    until(page, DRAWN)


#: Name of a picture -> how the page is brought there, and its colours.
VIEWS: dict[str, tuple[Callable[[Page], None], str]] = {
    "review": (look_at_heat, "light"),
    "review-pair": (look_at_pair, "dark"),
    "review-blind": (look_blind, "light"),
}


def small_png(data: bytes) -> bytes:
    """A PNG of no more than `MOST_BYTES`, by fewer colours where it is larger."""
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    for colours in (0, 256, 160, 96):
        buffer = io.BytesIO()
        (picture.quantize(colours, kmeans=2) if colours else picture).save(buffer, "PNG", optimize=True)
        if buffer.tell() <= MOST_BYTES:
            break
    return buffer.getvalue()


def main() -> None:
    """Take the pictures of a run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    run = parser.parse_args().run
    PICTURES.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tilewise", "serve", str(run), "--no-open", "--quiet", "--reviewer", "ada"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server,  # noqa: S603 - this very program
        sync_playwright() as playwright,
    ):
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for name, (view, scheme) in VIEWS.items():
            page = browser.new_context(viewport=WINDOW, color_scheme=scheme).new_page()
            page.goto(address)
            until(page, DRAWN)
            view(page)
            page.evaluate("document.activeElement?.blur()")
            page.wait_for_timeout(1500)
            (PICTURES / f"{name}.png").write_bytes(small_png(page.screenshot()))
        browser.close()
        server.terminate()


if __name__ == "__main__":
    main()
