"""How fast a reviewer gets on with the review page: decisions per minute, and the first slide of a long list.

A simulated reviewer drives the real page in a headless Chromium: it waits until the slide of a finding, or both of a
pair, are drawn in full, and only then decides. People add the time they think; what is left to the page is measured.
The long list is the same run with every slide many times over.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from playwright.sync_api import Browser, Page, sync_playwright

from tilewise import api
from tilewise.auditing.table import read_findings, read_slides
from tilewise.inference.predictions import Predictions
from tilewise.recipe import load_recipe
from tilewise.run_folder import RunFolder
from tilewise.store import write_json, write_table

_SETTINGS = ("tiles.size_px=64", "tiles.stride_px=null", "folds.num_folds=3", "evaluation.num_resamples=100")
_COHORT = {"num_slides": 48, "faults": 1, "min_side_px": 512, "difficulty": 0.3, "seed": 3}
_LONG = 5000
_WINDOW = {"width": 1500, "height": 900}
# Of a slide that cannot be read the page says so.
_DRAWN = """Boolean(window.review && (document.getElementById("stage-message").textContent
  || review.panes()[0]?.number === review.state.number && review.panes().every(
    (pane) => !pane || pane.element.hidden || pane.image?.getFullyLoaded())))"""


def serve(run: Path) -> tuple[subprocess.Popen, str]:
    command = [sys.executable, "-m", "tilewise", "serve", str(run), "--no-open", "--quiet"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


def until(page: Page, script: str) -> None:
    while not page.evaluate(script):
        time.sleep(0.005)


def first_slide(browser: Browser, address: str) -> float:
    """Seconds from the navigation to the first slide drawn in full, by the page's own clock."""
    page = browser.new_page(viewport=_WINDOW)
    page.goto(address)
    until(page, _DRAWN)
    seconds = page.evaluate("performance.now()") / 1000
    page.close()
    return float(seconds)


def decide_all(browser: Browser, address: str) -> list[float]:
    """Seconds of each decision, the drawing of what follows it included."""
    page = browser.new_page(viewport=_WINDOW)
    page.goto(address)
    until(page, _DRAWN)
    num_items = page.evaluate(
        "review.state.slides.flatMap((slide) => slide.items).filter((item) => !item.is_note).length"
    )
    seconds = []
    while page.evaluate("Number(document.body.dataset.decided)") < num_items:
        start = time.perf_counter()
        page.keyboard.press("a")
        page.evaluate("review.settled()")
        until(page, _DRAWN)
        seconds.append(time.perf_counter() - start)
    page.close()
    return seconds


def multiply(home: Path) -> Path:
    """The run with every slide many times over, under other names; pictures are linked."""
    run, out, cohort = RunFolder(home / "run"), RunFolder(home / "long"), home / "long-cohort"
    shutil.copytree(run.root, out.root)
    names = sorted(path.name for path in (home / "cohort/train_data").iterdir())
    labels = pd.read_csv(home / "cohort/train_labels.csv")
    times = range(-(-_LONG // len(labels)))

    def repeated(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
        copies = [
            table.assign(**{name: f"{number:03d}_" + table[name].astype(str) for name in columns}) for number in times
        ]
        return pd.concat(copies, ignore_index=True)

    (cohort / "train_data").mkdir(parents=True)
    for number in times:
        for name in names:
            os.link(home / "cohort/train_data" / name, cohort / "train_data" / f"{number:03d}_{name}")
    repeated(labels, labels.columns[0]).to_csv(cohort / "train_labels.csv", index=False)
    slides, head = read_slides(run.slides)
    head = {key: head[key] for key in ("leakage", "inverted_masks", "has_groups", "dropped", "notes")}
    write_table(out.slides, repeated(slides, "slide"), schema="tilewise.slides", version=2, metadata=head)
    findings = read_findings(run.audit / "findings.parquet")
    write_table(out.audit / "findings.parquet", repeated(findings, "slide"), schema="tilewise.findings", version=2)
    predictions = Predictions.read(run.predictions)
    Predictions(repeated(predictions.table, "slide"), predictions.classes).write(out.predictions, inputs="")
    identity = {key: value for key, value in run.read_identity().items() if not key.startswith(("schema", "tilewise"))}
    identity["cohort"] = {"root": str(cohort), "layout": identity["cohort"]["layout"]}
    identity = {key: identity[key] for key in ("cohort", "recipe", "seed", "decisions", "notes", "warnings")}
    write_json(out.identity, identity, schema="tilewise.run", version=1)
    (out.audit / "decisions.csv").write_text("slide,finding,proposal,decision,value,reason,author,time\n", "utf-8")
    return out.root


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        home = Path(sys.argv[1] if len(sys.argv) > 1 else folder)  # a folder in which cohort and run stay
        os.environ["TILEWISE_CACHE"] = f"{folder}/cache"
        if not (home / "run").is_dir():
            api.synth(home / "cohort", _COHORT)
            api.train(home / "cohort", load_recipe("texture", _SETTINGS), out=home / "run")
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        print("| run | slides | page listens after s | first slide s, cold | again s |\n|---|---|---|---|---|")
        for run in (home / "run", multiply(home)):
            start = time.perf_counter()
            process, address = serve(run)
            listening = time.perf_counter() - start
            cold, again = (first_slide(browser, address) for _ in range(2))
            num = len(read_slides(run / "audit/slides.parquet")[0])
            print(f"| {run.name} | {num} | {listening:.1f} | {cold:.2f} | {again:.2f} |", flush=True)
            if run.name == "run":
                seconds = decide_all(browser, address)
            process.terminate()
            process.wait()
        median, p95 = np.percentile(seconds, [50, 95])
        rate = 60 * len(seconds) / sum(seconds)
        print(f"\n{len(seconds)} decisions, {rate:.0f} a minute: {median:.2f} s each, 95 % {p95:.2f}")


if __name__ == "__main__":
    main()
