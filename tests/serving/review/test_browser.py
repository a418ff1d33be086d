"""The whole loop in a browser: open, filter, zoom, look, decide, take back, train again, and see another number."""

import json
import shutil
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from tests.browser import needs_chromium
from tests.serving.review.conftest import serve
from tests.serving.review.page import ReviewPage, chromium
from tilewise import api
from tilewise.auditing.decision_log import read_log
from tilewise.auditing.decisions import Names, read_decisions
from tilewise.cli.main import run as command
from tilewise.cohort import Cohort
from tilewise.evaluation.doubtful_labels import DoubtfulLabel, write_doubtful_labels
from tilewise.recipe import load_recipe
from tilewise.store import verify

pytestmark = [needs_chromium, pytest.mark.enable_socket, pytest.mark.shared_cache]

PAINTED = """(() => {
  const { canvas } = review.panes()[0];
  return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value > 0);
})()"""
SETTINGS = ("tiles.size_px=64", "tiles.stride_px=null", "folds.num_folds=3", "evaluation.num_resamples=100")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A drawn cohort with a planted fault of each kind, and a run on it."""
    home = tmp_path_factory.mktemp("loop")
    drawing = {"num_slides": 24, "faults": 1, "min_side_px": 256, "difficulty": 0.3, "seed": 3}
    api.synth(home / "cohort", drawing, workers=1)
    api.train(home / "cohort", load_recipe("texture", SETTINGS), out=home / "run", workers=1)
    return home


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def served(home):
    """The run, for tests that decide nothing."""
    with serve(home / "run") as served:
        yield served


def correlation(one, two):
    """Of two pictures of one size, in grey."""
    return np.corrcoef(one.mean(axis=2).ravel(), two.mean(axis=2).ravel())[0, 1]


def score(run):
    return json.loads((run / "evaluation.json").read_text())["out_of_fold"]


@dataclass
class Loop:
    """A page on a run, and what its list said when it was opened."""

    page: ReviewPage
    slides: list[dict]

    def search(self, number):
        """Filter by the name of a slide, which is then the one shown."""
        self.page.page.fill("#filter-text", self.slides[number]["id"])
        self.page.page.keyboard.press("Enter")
        self.page.until(f"review.state.number === {number} && review.shown() === {number}")

    def clear(self):
        self.page.page.select_option("#filter-kind", "")
        self.page.page.fill("#filter-text", "")
        self.page.page.keyboard.press("Enter")

    def label(self, number):
        return self.page.page.locator(f"#slide-{number} .label").inner_text()


def look_at_a_pair(loop, planted):
    """Filter, and zoom into a copy that was mirrored or turned: both panes show the same tissue the same way round."""
    page = loop.page
    copies = [n for n, slide in enumerate(loop.slides) if any(item["kind"] == "near-copy" for item in slide["items"])]
    page.page.select_option("#filter-kind", "near-copy")
    assert sorted(page.ask("review.state.filtered")) == copies
    assert page.page.locator("#list-count").inner_text() == f"{len(copies)} of {len(loop.slides)} slides"
    turned = next(number for number in copies if loop.slides[number]["id"] in planted)
    loop.search(turned)
    page.until(f"document.body.dataset.pair?.startsWith('{turned} ')")
    assert page.ask("document.body.dataset.pair").endswith("copy")
    before = page.ask("review.panes()[0].viewer.viewport.getZoom()")
    page.press("+", "+")
    assert page.ask("review.panes()[0].viewer.viewport.getZoom()") > 2 * before
    page.until(
        "review.panes().every((pane) => pane.image.getFullyLoaded()"
        " && Math.abs(pane.viewer.viewport.getZoom(true) / review.panes()[0].viewer.viewport.getZoom() - 1) < 1e-3)"
    )
    page.page.wait_for_timeout(500)
    one, two = page.pixels("#pane-one .openseadragon-canvas"), page.pixels("#pane-two .openseadragon-canvas")
    width, middle = min(one.shape[1], two.shape[1]), slice(one.shape[0] // 4, one.shape[0] // 2)
    assert correlation(one[middle, :width], two[middle, :width]) > 0.6
    loop.clear()


def look_at_the_heat(loop, number):
    loop.search(number)
    assert not loop.page.ask(PAINTED)
    loop.page.press("h")
    loop.page.until(PAINTED)
    assert "did not learn from this slide" in loop.page.page.locator("#legend-models").inner_text()
    loop.page.press("h")
    loop.page.until(f"!{PAINTED}")


def reject_a_copy(loop):
    dropped = next(
        number
        for number, slide in enumerate(loop.slides)
        if [item["proposal"] for item in slide["items"] if item["kind"] == "near-copy"] == ["drop"]
        and not any(item["proposal"] == "drop" and item["kind"] != "near-copy" for item in slide["items"])
    )
    loop.search(dropped)
    while loop.page.place() != (dropped, "near-copy"):
        loop.page.press("ArrowRight")
    loop.page.press("r")
    assert loop.page.decided() == 1


def correct_a_label(loop, number, log):
    """Correct it, take that back, and do it again; returns the new label."""
    page, before = loop.page, loop.slides[number]["label"]
    loop.search(number)
    classes = page.ask("review.state.run.classes")
    label = next(name for name in classes if name != before)
    page.press(str(1 + classes.index(label)))
    assert loop.label(number) == f"{before} → {label}"
    page.press("u")
    assert loop.label(number) == before
    assert [one.decision for one in read_log(log)] == ["keep"]
    page.press("Shift+U")
    assert loop.label(number) == f"{before} → {label}"
    loop.clear()
    return label


def decide_twenty(loop):
    """Without a mouse; accepting leaves the cohort as the audit proposed."""
    loop.page.press("n")
    for number in range(1, 21):
        before = loop.page.decided()
        loop.page.press("a")
        assert loop.page.decided() > before
        assert loop.page.ask("review.state.acts") == 4 + number


def look_from_another_browser(loop, browser, address):
    """Another session sees everything, takes none of it back, and fetches the table."""
    other = ReviewPage(browser, address)
    assert other.decided() == loop.page.decided()
    other.press("u")
    assert other.decided() == loop.page.decided()
    with other.page.expect_download() as download:
        other.page.click("#export")
    assert other.faults == []
    return pd.read_csv(download.value.path(), keep_default_na=False)


def test_from_the_first_look_to_another_number(home, browser, capsys):
    run, log = home / "run", home / "run/review/decisions.sqlite"
    faults = pd.read_csv(home / "cohort/truth/faults.csv")
    planted = set(faults[(faults["kind"] == "near-copy") & faults["family"].isin(["flipped", "rotated"])]["slide"])
    with serve(run) as served:
        page = ReviewPage(browser, served.page)
        loop = Loop(page, page.ask("review.state.slides"))
        plain = next(n for n, slide in enumerate(loop.slides) if slide.get("predicted") and not slide["items"])
        look_at_a_pair(loop, planted)
        look_at_the_heat(loop, plain)
        reject_a_copy(loop)
        label = correct_a_label(loop, plain, log)
        decide_twenty(loop)
        table = look_from_another_browser(loop, browser, served.page)
        assert page.faults == []
    assert verify(run) == []
    assert len(table) == 22

    # The log and the table that was exported from it hold the same decisions.
    table.to_csv(home / "decisions.csv", index=False)
    names = Names.of(Cohort.discover(home / "cohort"))
    assert read_decisions(home / "decisions.csv", names) == read_decisions(log, names)

    # They make another run, and another number.
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    out = ["--out", str(home / "again"), "--decisions", str(log), "--recipe", "texture", "--workers", "1"]
    assert command(["train", str(home / "cohort"), *out, "--quiet", *settings]) == 1  # some slides cannot be read
    assert score(home / "again")["num_slides"] == score(run)["num_slides"] + 1
    assert score(home / "again")["macro_f1"] != score(run)["macro_f1"]
    assert "relabelled" in (home / "again/report.html").read_text("utf-8")
    capsys.readouterr()

    # The next review begins with what was decided before.
    with serve(home / "again") as served, served.client() as client:
        decided = client.get("/api/decisions").json()["decided"]
    assert [plain, "label", "relabel", label, "ada"] in [row[:5] for row in decided]
    assert len(decided) == 22


def test_a_label_in_doubt_is_kept_by_the_key_that_goes_on(home, browser, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(home / "run", run, ignore=shutil.ignore_patterns("review"))  # what other tests decided
    table = pd.read_parquet(run / "predictions.parquet")
    row = table[(table["part"] == "test") & table["label"].notna()].iloc[0]
    other = next(name for name in sorted(set(table["label"].dropna())) if name != row["label"])
    doubt = DoubtfulLabel(row["slide"], row["label"], other, 0.2, 0.7, int(row["fold"]))
    write_doubtful_labels(run / "doubtful_labels.csv", [doubt])
    with serve(run) as served:
        page = ReviewPage(browser, served.page)
        loop = Loop(page, page.ask("review.state.slides"))
        number = next(n for n, slide in enumerate(loop.slides) if slide["id"] == row["slide"])

        def buttons():
            loop.search(number)
            while page.place() != (number, "doubtful-label"):
                page.press("ArrowRight")
            return page.page.locator("#actions button")

        key = str(1 + page.ask("review.state.run.classes").index(other))
        assert buttons().all_inner_texts()[:2] == [f"aKeep {row['label']}", f"{key}Change to {other}"]
        assert "accept" in (buttons().first.get_attribute("class") or "")
        assert "most such labels are right" in page.page.locator("#items .current").inner_text()
        buttons().first.click()
        page.until("review.state.acts === 1")
        assert loop.label(number) == row["label"]
        for keep in ("a", "r"):
            page.press("u")
            buttons()
            page.press(keep)
            assert page.ask("review.state.decided.get(`${review.state.number}|label`).decision") == "keep"
        for change in (lambda: page.press(key), lambda: buttons().nth(1).click()):
            page.press("u")
            buttons()
            change()
            page.until(f"review.state.decided.get('{number}|label')?.decision === 'relabel'")
            assert loop.label(number) == f"{row['label']} → {other}"
        page.press(key)  # the class that it has by now: confirmed, not corrected again
        assert page.ask(f"review.state.decided.get('{number}|label').value") == other
        assert page.faults == []


def test_software_is_drawn_without_webgl_unless_the_address_asks_for_it(served, browser):
    drawer = "review.panes()[0].viewer.drawer.getType()"
    assert ReviewPage(browser, served.page).ask(drawer) == "canvas"  # the tests' browser has no graphics card
    assert ReviewPage(browser, f"{served.page}&drawer=webgl").ask(drawer) == "webgl"


def test_notes_are_no_work_and_no_menu_is_wider_than_a_small_window(served, browser):
    page = ReviewPage(browser, served.page)
    items = page.ask("review.state.slides.flatMap((slide) => slide.items)")
    work = [item for item in items if not item["is_note"]]
    assert {item["proposal"] for item in items if item["is_note"]} == {"keep"}
    assert len(work) < len(items)
    assert page.page.locator("#progress-text").inner_text() == f"{page.decided()} of {len(work)} findings decided"
    page.page.set_viewport_size({"width": 800, "height": 700})
    for name in ("kind", "class", "fold", "order"):
        box = page.page.locator(f"#filter-{name}").bounding_box()
        assert box["width"] > 150
    stage = page.page.locator("#stage").bounding_box()
    assert stage["width"] > 550


def test_a_long_list_has_few_rows_and_the_first_slide_at_once(served, browser):
    with served.client() as client:
        slides = client.get("/api/slides").json()
    long = [slides[number % len(slides)] | {"id": f"{number}.png"} for number in range(5000)]
    page = browser.new_page()
    page.route("**/api/slides", lambda route: route.fulfill(json=long))
    page.goto(served.page)
    page.wait_for_selector(".slide-row")
    assert page.locator(".slide-row").count() < 40
    page.select_option("#filter-order", "cohort")
    page.locator("#list").evaluate("(list) => { list.scrollTop = list.scrollHeight }")
    page.wait_for_selector("#slide-4999")
    assert page.locator(".slide-row").count() < 40
