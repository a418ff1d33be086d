"""How sentences are written."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

# An absolute path of at least one folder, of either system; addresses (`https://...`) and shares (`2/3`) are none.
_FOLDERS = re.compile(r"(?<![\w.:/\\~-])(?:~|[A-Za-z]:)?[/\\]{1,2}(?:[^\s/\\:;,'\"`<>|()]+[/\\]+)+(?=[^\s/\\])")


def with_code(sentence: str) -> Markup:
    """A sentence with what stands between backticks set as code; everything is escaped."""
    pieces = sentence.split("`")
    if len(pieces) % 2 == 0:  # an odd backtick is a backtick
        return escape(sentence)
    written = [
        Markup("<code>{}</code>").format(piece) if index % 2 else escape(piece) for index, piece in enumerate(pieces)
    ]
    return Markup("").join(written)


def without_folders(text: str, root: str = "") -> str:
    """The text with absolute paths cut to their last part: a report is passed on, and folders name people.

    `root` is the cohort's folder; what lies below it keeps its path from there.
    """
    if len(root) > 1:
        text = text.replace(root.rstrip("/\\") + "/", "").replace(root.rstrip("/\\") + "\\", "")
    return _FOLDERS.sub("", text)
