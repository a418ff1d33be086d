"""The lines of a CSV file as people's programs write it: any usual encoding, delimiter and line end."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tilewise.errors import CohortError

_DELIMITERS: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


@dataclass(frozen=True)
class CsvLines:
    """Cells of a CSV file, blank lines left out.

    Attributes:
        lines: number of the line in the file, and its cells; the first holds the names of the columns.
        remarks: what is unusual about the file.
    """

    lines: list[tuple[int, list[str]]]
    remarks: list[str]


def read_csv_lines(path: Path) -> CsvLines:
    """Read a CSV file.

    Raises:
        CohortError: it cannot be read, is a spreadsheet or Parquet, or its quotes do not match.
    """
    text, remarks = _decoded(path)
    text, delimiter = _delimiter(text)
    if delimiter != ",":
        remarks.append(f"{_DELIMITERS[delimiter]}-separated")
    if "\r\n" in text:
        remarks.append("Windows line ends")
    return CsvLines(_split(path, text, delimiter), remarks)


def read_text(path: Path) -> str:
    """The text of a file in any usual encoding.

    Raises:
        CohortError: it cannot be read.
    """
    return _decoded(path)[0]


def _split(path: Path, text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    lines: list[tuple[int, list[str]]] = []
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                lines.append((reader.line_num, list(cells)))  # noqa: PERF401 - line_num moves with the reader
    except csv.Error as error:
        raise CohortError(f"{path}, line {reader.line_num}: {error}; check the quotes there") from error
    return lines


def _decoded(path: Path) -> tuple[str, list[str]]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CohortError(
            f"{path}: cannot be read ({error.strerror or error}); check the path and its rights"
        ) from error
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise CohortError(f"{path}: this is a spreadsheet, not a CSV file; save it as CSV (UTF-8) or Parquet")
    if data.startswith(b"PAR1"):
        raise CohortError(f"{path}: this is a Parquet file; give it the suffix .parquet")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace"), ["UTF-16"]
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Older spreadsheets write the code page of Western Windows; five of its bytes mean nothing.
        return data.decode("cp1252", errors="replace"), ["read as Windows-1252, for it is not UTF-8"]
    return text, ["UTF-8 with a byte order mark"] if data.startswith(b"\xef\xbb\xbf") else []


def _delimiter(text: str) -> tuple[str, str]:
    """The text below an Excel `sep=` line, and the delimiter that occurs most in the line of column names."""
    match = re.match(r"\s*\"?sep=([,;\t|])\"?\r?\n", text)
    if match:
        return text[match.end() :], match[1]
    first = next((line for line in text.splitlines() if line.strip()), "")
    unquoted = re.sub(r'"[^"]*"', "", first)
    return text, max(_DELIMITERS, key=unquoted.count)
