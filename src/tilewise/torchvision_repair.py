"""The one door through which torchvision, and what needs it, is imported.

Package registries serve torchvision wheels built for another torch than the CPU build beside them. Such a torchvision
cannot register its compiled operators and dies while being imported: `operator torchvision::nms does not exist`.
tilewise needs none of these operators, so that case, and no other, is repaired: the two schemas torchvision looks up at
import are declared, and the import is tried once more.
"""

from __future__ import annotations

import importlib
import logging
import sys
from types import ModuleType
from typing import Any

_log = logging.getLogger(__name__)

_SYMPTOM = "operator torchvision::nms does not exist"
_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)

# A torch library unregisters its schemas when it is collected, so it has to live as long as the process.
_libraries: list[Any] = []


def import_repaired(name: str) -> ModuleType:
    """Import a module that itself imports torchvision, repairing torchvision where its operators are missing.

    Args:
        name: dotted name, such as `timm`, `torchvision.ops` or `lightning.pytorch`.

    Raises:
        ImportError: the module is not installed.
        RuntimeError: it cannot be imported, for another reason than torchvision's missing operators.
    """
    try:
        return importlib.import_module(name)
    except RuntimeError as error:
        if _SYMPTOM not in str(error) or _libraries:
            raise
    _log.debug("torchvision has no compiled operators for this torch; declaring %s", ", ".join(_SCHEMAS))
    _purge(name)
    _declare()
    return importlib.import_module(name)


def import_torchvision() -> ModuleType:
    """Import torchvision; see `import_repaired`."""
    return import_repaired("torchvision")


def import_timm() -> ModuleType:
    """Import timm, which imports torchvision; see `import_repaired`."""
    return import_repaired("timm")


def _purge(name: str) -> None:
    """Forget what the failed import left half done: torchvision, and the package that asked for it."""
    roots = ("torchvision", name.partition(".")[0])
    for module in list(sys.modules):
        if module.partition(".")[0] in roots:
            del sys.modules[module]


def _declare() -> None:
    import torch

    library_class: Any = torch.library.Library
    library = library_class("torchvision", "FRAGMENT")
    for schema in _SCHEMAS:
        library.define(schema)
    _libraries.append(library)
