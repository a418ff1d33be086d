"""The report in a real browser: it shows what it should, and asks the network for nothing."""

import re

import pytest
from PIL import Image

from tests.browser import look, needs_chromium, title
from tilewise.reporting.render import render_report

pytestmark = needs_chromium


@pytest.fixture
def page(tmp_path, report_input):
    path = tmp_path / "report.html"
    path.write_text(render_report(report_input), encoding="utf-8")
    return path


def test_the_page_is_drawn_and_not_blank(page):
    shot = page.parent / "shot.png"
    look(page, f"--screenshot={shot}", "--window-size=1200,1600")
    picture = Image.open(shot).convert("L")
    assert picture.size == (1200, 1600)
    assert picture.getextrema()[0] < 60
    assert len(set(picture.resize((60, 80)).get_flattened_data())) > 20


def answer(page, expression, *arguments):
    """What an expression comes to in the page; a copy of it, with a policy that lets the question in."""
    text = re.sub("script-src '[^']+'", "script-src 'unsafe-inline'", page.read_text("utf-8"))
    question = f"<script>addEventListener('load', () => document.title = {expression})</script></body>"
    copy = page.parent / "asked.html"
    copy.write_text(text.replace("</body>", question), encoding="utf-8")
    return title(look(copy, "--dump-dom", *arguments).stdout)


@pytest.mark.parametrize("width", [1200, 600])
def test_nothing_runs_out_of_the_window(page, width):
    expression = "document.documentElement.scrollWidth + ' of ' + innerWidth"
    needed, there = answer(page, expression, f"--window-size={width},900").split(" of ")
    assert int(needed) <= int(there)


def test_its_own_script_is_let_in_and_nothing_else(page):
    out = look(page, "--dump-dom", "--enable-logging=stderr")
    assert 'class="tip"' in out.stdout
    assert "CONSOLE" not in out.stderr


FOCUS = "(document.querySelector('.confusion .mark').focus(), document.querySelector('.tip').{})"


def test_a_chart_says_its_value_on_focus_and_arrows_go_on(page, report_input):
    counts, labels = (report_input.evaluation["confusion"][name] for name in ("counts", "labels"))
    first = f"{counts[0][0]} of {sum(counts[0])} slides of {labels[0]}"
    assert answer(page, FOCUS.format("textContent")).startswith(first)
    arrow = FOCUS.format(
        "hidden || (document.activeElement.dispatchEvent("
        "new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true})), document.querySelector('.tip').textContent)"
    )
    assert answer(page, arrow).startswith(f"{counts[0][1]} of {sum(counts[0])} slides of {labels[0]}")
    escape = FOCUS.format(
        "hidden + ' ' + (document.activeElement.dispatchEvent("
        "new KeyboardEvent('keydown', {key: 'Escape', bubbles: true})), document.querySelector('.tip').hidden)"
    )
    assert answer(page, escape) == "false true"


def test_every_mark_of_a_chart_has_words_and_every_chart_one_stop_for_the_keyboard(page):
    marks = "[...document.querySelectorAll('.mark')]"
    assert answer(page, f"{marks}.every(one => one.ariaLabel && one.ariaLabel === one.dataset.words)") == "true"
    charts = f"new Set({marks}.map(one => one.closest('svg, table, .forest, .bins, .stack'))).size"
    stops = "document.querySelectorAll('.mark[tabindex=\"0\"]').length"
    assert answer(page, f"{charts} === {stops} && {charts} > 3") == "true"


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_it_is_dark_where_the_screen_is_and_light_on_paper(page, scheme):
    flag = f"--blink-settings=preferredColorScheme={'0' if scheme == 'dark' else '1'}"
    ink = "getComputedStyle(document.body).color.match(/[0-9]+/)[0]"
    assert (int(answer(page, ink, flag)) > 128) is (scheme == "dark")
    text = page.read_text("utf-8")
    dark = re.findall(r"@media ([^{]*prefers-color-scheme: dark[^{]*)[{]", text)
    assert dark
    assert all("screen" in rule for rule in dark)
    page.write_text(text.replace("@media print", "@media screen"), encoding="utf-8")
    # The rules of paper, looked at on a screen: sections are open, and nothing stands over the text.
    closed = "[...document.querySelectorAll('main details')].filter(one => !one.open)"
    assert (
        answer(page, f"{closed}.length > 0 && {closed}.every(one => one.lastElementChild.offsetHeight > 0)") == "true"
    )
    assert answer(page, "getComputedStyle(document.querySelector('nav')).display") == "none"
