"""A headless Chromium to look at pages with; where there is none, a counted skip."""

import shutil
import subprocess

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars"]

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium to look at the page with")


def look(page, *arguments):
    """What Chromium prints when it has loaded the page, all its images included."""
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={page.parent / 'profile'}", *arguments, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def title(dom):
    return dom.partition("<title>")[2].partition("</title>")[0]
