"""On what a run was made: enough to make it again, or to see why it cannot be."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from typing import Any

from tilewise.compute import num_processors

_PACKAGES = (
    "tilewise", "torch", "torchvision", "timm", "numpy", "scipy", "pandas", "pillow",
    "opencv-python-headless", "imagecodecs", "tifffile", "safetensors", "openvino",
)  # fmt: skip


def describe_environment(encoder: dict[str, Any]) -> dict[str, Any]:
    """Versions, machine, and how the encoder was run; no names of users, hosts or folders."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processor": processor_name(),
        "processors": num_processors(),
        "packages": versions,
        "encoder": encoder,
    }


def processor_name() -> str:
    """The processor's model, or its architecture."""
    if os.path.exists("/proc/cpuinfo"):  # noqa: PTH110 - a pseudo file, not an artifact
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as stream:  # noqa: PTH123
            for line in stream:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
