"""Where content-addressed files live: `$TILEWISE_CACHE`, else the user's cache folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_dir() -> Path:
    """The cache folder (not made here). `$TILEWISE_CACHE` wins, then the platform's convention."""
    chosen = os.environ.get("TILEWISE_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
        return (Path(base) if base else Path.home() / "AppData" / "Local") / "tilewise"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tilewise"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tilewise"
