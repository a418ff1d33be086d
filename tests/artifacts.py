"""Artifacts of the tests' own: other content in a file, as if it had been written so."""

import json
from pathlib import Path
from typing import Any


def rewrite_json(path: Path, changes: dict[str, Any] | None = None, *, without: tuple[str, ...] = ()) -> None:
    """Change keys of a JSON artifact; a file without a digest is compared with nothing but its manifest."""
    data = json.loads(path.read_text("utf-8")) | (changes or {})
    path.write_text(json.dumps({key: value for key, value in data.items() if key not in {"file_digest", *without}}))
