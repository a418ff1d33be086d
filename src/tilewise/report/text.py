"""How sentences are written."""

from __future__ import annotations

from markupsafe import Markup, escape


def with_code(sentence: str) -> Markup:
    """A sentence with what stands between backticks set as code; everything is escaped."""
    pieces = sentence.split("`")
    if len(pieces) % 2 == 0:  # an odd backtick is a backtick
        return escape(sentence)
    written = [
        Markup("<code>{}</code>").format(piece) if index % 2 else escape(piece) for index, piece in enumerate(pieces)
    ]
    return Markup("").join(written)
