"""Blind reading in a browser: nothing on the page depends on label, model or audit before the reviewer has decided."""

import json
import shutil

import pandas as pd
import pytest

from tests.browser import needs_chromium
from tests.serving.review.conftest import serve
from tests.serving.review.page import ReviewPage, chromium
from tilewise.auditing.decision_log import DecisionLog
from tilewise.evaluation.doubtful_labels import DoubtfulLabel, write_doubtful_labels

pytestmark = [needs_chromium, pytest.mark.enable_socket, pytest.mark.shared_cache]

OPINIONS = ("prediction", "facts", "notes", "evidence", "repaired")


@pytest.fixture
def run(small_run, tmp_path):
    """A run with a label in doubt, which nobody reviewed."""
    run = tmp_path / "run"
    shutil.copytree(small_run, run, ignore=shutil.ignore_patterns("review"))
    table = pd.read_parquet(run / "predictions.parquet")
    row = table[(table["part"] == "test") & (table["label"] == "A")].iloc[0]
    write_doubtful_labels(
        run / "doubtful_labels.csv", [DoubtfulLabel(row["slide"], "A", "B", 0.2, 0.7, int(row["fold"]))]
    )
    return run


def exchange_opinions(page):
    """Let the page hear of each slide what the server thinks of the one after it; pictures and names stay."""

    def list_slides(route):
        slides = route.fetch().json()
        turned = [*slides[1:], slides[0]]
        route.fulfill(json=[other | {"id": slide["id"]} for slide, other in zip(slides, turned, strict=True)])

    def describe(route):
        address, _, number = route.request.url.rpartition("/")
        own, other = route.fetch().json(), route.fetch(url=f"{address}/{(int(number) + 1) % 12}").json()
        same = {name: value for name, value in own.items() if name not in OPINIONS}
        route.fulfill(json=same | {name: other[name] for name in OPINIONS if name in other})

    page.route("**/api/slides", list_slides)
    page.route("**/api/slides/*", describe)


def walk(page):
    """What the page holds of each slide in the order of the list, with every layer asked for; and that order."""
    for key in ("h", "e", "t", "c"):
        page.press(key)
    order = page.ask("review.state.filtered")
    texts = []
    for number in order:
        page.ask(f"document.getElementById('list').scrollTop = {order.index(number)} * 58")
        page.until(f"Boolean(document.querySelector('#slide-{number}'))")
        page.page.click(f"#slide-{number}")
        page.ask("review.settled()")
        page.until(f"review.shown() === {number} && review.panes()[0].image?.getFullyLoaded()")
        page.page.wait_for_timeout(700)  # the scale bar follows the viewer's last movement
        texts.append(page.ask("document.body.outerHTML"))
    return texts, order


def test_the_page_is_the_same_whatever_label_model_and_audit_say(run):
    with serve(run, "--blind") as served, chromium() as browser:
        plain, exchanged = ReviewPage(browser, served.page), ReviewPage(browser, served.page, prepare=exchange_opinions)
        assert json.dumps(plain.ask("review.state.slides")) != json.dumps(exchanged.ask("review.state.slides"))
        (texts, order), (others, other_order) = walk(plain), walk(exchanged)
        assert order == other_order
        assert sorted(order) == list(range(12))
        assert order != sorted(order)
        for text, other in zip(texts, others, strict=True):
            assert text == other
            assert "img_" not in text
        plain.press("1")
        exchanged.press("Escape")
        number = plain.place()[0]
        assert plain.page.locator(f"#slide-{number} b").inner_text() == f"img_{number:04d}.png"
        assert plain.faults == exchanged.faults == []


def test_the_first_answer_to_a_slide_is_blind_and_brings_what_was_hidden(run):
    with serve(run) as served, chromium() as browser:
        page = ReviewPage(browser, served.page)
        slides = page.ask("review.state.slides")
        doubt = next(n for n, slide in enumerate(slides) if any("doubt" in item["kind"] for item in slide["items"]))
        page.ask("localStorage.clear(); review.state.opened.clear()")  # as if the page were opened blind
        page.press("b")
        page.page.reload()
        page.until("Boolean(window.review?.panes()[0]?.image?.getFullyLoaded())")
        assert page.page.locator("#blind").get_attribute("aria-pressed") == "true"

        def go_to(number):
            page.page.fill("#filter-text", f"Slide {page.ask(f'review.state.places[{number}]')}")
            page.page.keyboard.press("Enter")
            page.page.click(f"#slide-{number}")
            page.until(f"review.shown() === {number}")

        def decision(number):
            return page.ask(f"review.state.decided.get('{number}|label')")

        go_to(doubt)
        for key in ("a", "r"):
            page.press(key)
        assert decision(doubt) is None
        assert page.page.locator("#verdict").inner_text().startswith("Blind reading")
        page.press("2")
        assert (decision(doubt)["value"], decision(doubt)["blind"]) == ("B", True)
        assert "predicted" in page.page.locator("#verdict").inner_text()
        assert page.page.locator("#probabilities .probability").count() == 2
        page.press("u")
        assert "predicted" in page.page.locator("#verdict").inner_text()
        page.page.fill("#filter-text", "")
        page.page.keyboard.press("Enter")

        # A slide that was shown openly is hidden again, but no answer to it is blind.
        page.press("n", "b")
        number = page.place()[0]
        assert number != doubt
        page.press("b")
        go_to(number)
        assert "does not count as blind" in page.page.locator("#verdict").inner_text()
        page.press("1")
        assert decision(number)["blind"] is False
        assert page.faults == []
    with DecisionLog(run / "review/decisions.sqlite") as log:
        assert log.blind_readings() == ()  # the only one was taken back


def test_a_review_that_was_started_blind_has_no_switch(run):
    with serve(run, "--blind") as served, chromium() as browser:
        page = ReviewPage(browser, served.page)
        page.press("b")
        assert page.ask("review.state.blind") is True
        assert "--blind" in page.page.locator("#toast").inner_text()
