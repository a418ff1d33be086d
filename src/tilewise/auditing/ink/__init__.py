"""Ink on slides: find it, say where it lies, and repair the picture and its mask."""

from tilewise.auditing.ink.extent import InkMap, ink_map
from tilewise.auditing.ink.facts import Colour, InkFacts, InkSpot
from tilewise.auditing.ink.findings import ink_findings
from tilewise.auditing.ink.measure import measure_ink
from tilewise.auditing.ink.remove_ink import RepairedImage, before_after, remove_ink

__all__ = [
    "Colour",
    "InkFacts",
    "InkMap",
    "InkSpot",
    "RepairedImage",
    "before_after",
    "ink_findings",
    "ink_map",
    "measure_ink",
    "remove_ink",
]
