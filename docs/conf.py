"""The documentation site: `make docs` builds it, with warnings as errors."""

import sys
from pathlib import Path
from typing import Any

from docutils.nodes import SkipNode
from latex2mathml.converter import convert
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
from tilewise.version import __version__

project = "tilewise"
author = "the tilewise authors"
copyright = "the tilewise authors, Apache-2.0"  # noqa: A001 - Sphinx reads this name
release = version = __version__

extensions = ["myst_nb"]
html_math_renderer = "mathml"
root_doc = "index"
exclude_patterns = ["_build", "pictures/*.md"]
source_suffix = {".md": "myst-nb"}

myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 3
# The tutorial is run whenever its text or the tool has changed since it was last run.
nb_execution_mode = "cache"
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True

html_theme = "furo"
html_title = f"tilewise {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}


def setup(app: Sphinx) -> None:
    """Formulas as MathML, which browsers draw by themselves: the site loads nothing from elsewhere."""
    app.add_html_math_renderer("mathml", (_inline_formula, None), (_formula, None))


def _inline_formula(page: Any, node: Any) -> None:
    page.body.append(convert(node.astext()))
    raise SkipNode


def _formula(page: Any, node: Any) -> None:
    page.body.append(f'<div class="math">{convert(node.astext(), display="block")}</div>')
    raise SkipNode
