"""One spelling of the names that people and programs write: what looks the same is the same."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Final

# Characters that are drawn as nothing: soft hyphen, zero-width, direction marks, variation selectors, tags.
_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]"
)
_SPACE: Final = re.compile("[\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")
# Letters of other alphabets that are drawn as Latin ones.
_LOOKALIKE: Final = str.maketrans(
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u0405\u0406\u0408\u0423"
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0455\u0456\u0458"
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bf",
    "ABEKMHOPCTXSIJYaeopcyxsijABEZHIKMNOPTYXo",
)
_WHOLE: Final = re.compile(r"(-?(?:0|[1-9]\d*))\.0+")
_FRACTION: Final = re.compile(r"-?\d+\.\d*[1-9]\d*")
# What programs write into cells that are empty.
_MISSING: Final = frozenset(
    {"nan", "na", "n/a", "n.a.", "#n/a", "<na>", "nat", "none", "null", "nil", "-", "--", "?", "."}
    # Further ones that pandas, with which STAMP reads its tables, takes for missing.
    | {"#n/a n/a", "#na", "-nan", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"}
)


def identifier(text: str) -> str:
    """The text in Unicode NFC, without invisible characters, every space a plain one; spaces around it stay."""
    if text.isascii() and text.isprintable():
        return text
    return unicodedata.normalize("NFC", _SPACE.sub(" ", _INVISIBLE.sub("", text)))


def same_name(text: str) -> str:
    """The identifier without spaces around it: equal for names that look the same."""
    return identifier(text).strip()


def slides_named(text: str, slide_ids: Iterable[str]) -> list[str]:
    """The slides that a person may mean: the one of this id, else those that look the same, else of this file name.

    One is meant, several are ambiguous.
    """
    ids, wanted = list(slide_ids), same_name(text)
    if text in ids:
        return [text]
    alike = [slide_id for slide_id in ids if same_name(slide_id) == wanted]
    return alike or [slide_id for slide_id in ids if same_name(slide_id).rpartition("/")[2] == wanted]


def typed_alike(text: str) -> str:
    """A key that is equal for identifiers that differ in case, spaces, zeros in front or letters that look alike."""
    plain = " ".join(identifier(text).translate(_LOOKALIKE).split()).casefold()
    return (plain.lstrip("0") or "0") if plain.isdecimal() else plain


def integers(texts: Collection[str]) -> dict[str, str]:
    """Spelling -> integer, for the texts of one column that are integers written with decimals (`1.0`).

    Where the column holds other decimal numbers, only those whose integer also stands there.
    """
    fractions = any(_FRACTION.fullmatch(text) for text in texts)
    matches = ((text, _WHOLE.fullmatch(text)) for text in texts)
    return {text: match[1] for text, match in matches if match and (not fractions or match[1] in texts)}


def means_missing(text: str) -> bool:
    """Whether the text is how some program spells that there is no value."""
    return text.strip().casefold() in _MISSING


def visible(text: str) -> str:
    """The text with escapes for what cannot be seen or told apart: invisible, combining and unusual spaces."""
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.combining(character) or _INVISIBLE.match(character) or _SPACE.match(character)
        else character
        for character in text
    )


class Spellings:
    """Identifiers of one column, each in one spelling, and what was changed on the way.

    Args:
        column: its name, for messages.
        texts: its cells.
        strip: whether spaces around an identifier are no part of it.
    """

    def __init__(self, column: str, texts: Iterable[str], *, strip: bool) -> None:
        texts = list(texts)
        self._column = column
        self._plain = same_name if strip else identifier
        self._integers = integers({self._plain(text) for text in texts})
        self._written: dict[str, list[str]] = defaultdict(list)
        for text in texts:
            spellings = self._written[self.of(text)]
            if text not in spellings:
                spellings.append(text)

    def of(self, text: str) -> str:
        """The one spelling."""
        plain = self._plain(text)
        return self._integers.get(plain, plain)

    def warnings(self) -> list[str]:
        """A sentence for each identifier that the column spells in several ways."""
        return [
            f"{self._column} {' and '.join(f'`{visible(text)}`' for text in written)} are spellings of one "
            f"{self._column} and read as `{name}`"
            for name, written in self._written.items()
            if len(written) > 1
        ]

    def notes(self) -> list[str]:
        """What was changed: identifiers that are spelled in one way, but not in the usual one."""
        changed = [
            f"`{visible(written[0])}` as `{name}`"
            for name, written in self._written.items()
            if len(written) == 1 and written[0] != name
        ]
        if not changed:
            return []
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        return [f"spelling of {self._column}: {', '.join(changed[:3])}{more}"]
