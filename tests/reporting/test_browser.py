"""The report in a real browser: it shows what it should, and asks the network for nothing."""

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


@pytest.mark.parametrize("width", [1200, 600])
def test_nothing_runs_out_of_the_window(page, width):
    # The page itself has no script; the check is added to a copy, without the policy that would forbid it.
    text = page.read_text("utf-8")
    start = text.index('<meta http-equiv="Content-Security-Policy"')
    text = text[:start] + text[text.index(">", start) + 1 :]
    script = "<script>document.title = document.documentElement.scrollWidth + ' of ' + innerWidth</script></body>"
    page.write_text(text.replace("</body>", script), encoding="utf-8")
    needed, there = title(look(page, "--dump-dom", f"--window-size={width},900").stdout).split(" of ")
    assert int(needed) <= int(there)
