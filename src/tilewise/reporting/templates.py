"""The pages' templates, style and script, as they lie beside this file."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from tilewise.reporting import text
from tilewise.reporting.pictures import picture_svg
from tilewise.wording import with_code


@functools.cache  # what has been compiled is kept: a sweep writes a report for each variant
def environment(**filters: Callable[[Any], str]) -> jinja2.Environment:
    """Templates that escape everything, and stop at a name nobody gave.

    Args:
        filters: that one page has beside those of all.
    """
    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(read),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(
        number=text.number,
        signed=text.signed,
        p_value=text.p_value,
        value=text.value_of,
        interval=text.interval,
        mean_and_spread=text.mean_and_spread,
        percent=text.percent,
        with_code=with_code,
        **filters,
    )
    made.tests.update(says_nothing=text.says_nothing)
    script = read("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    made.globals.update(
        count=text.count, picture_svg=picture_svg, page_script=script, page_script_digest=f"sha256-{digest}"
    )
    return made


def is_page_of(command: str) -> Callable[[Path], bool]:
    """Whether a file is a page that a command of this name wrote."""

    def is_page(path: Path) -> bool:
        try:
            page = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            return False
        return '<meta name="generator" content="tilewise">' in page and f'class="maker">tilewise {command}<' in page

    return is_page


def read(name: str) -> str:
    """The text of a template or style sheet."""
    return (resources.files("tilewise.reporting") / name).read_text("utf-8")
