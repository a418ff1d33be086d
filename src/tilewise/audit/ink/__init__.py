"""Ink on slides: find it, say where it lies, and repair the picture and its mask."""

from tilewise.audit.ink.extent import InkMap, ink_map
from tilewise.audit.ink.facts import Colour, InkFacts, InkSpot
from tilewise.audit.ink.findings import ink_findings
from tilewise.audit.ink.measure import measure_ink
from tilewise.audit.ink.picture import before_after
from tilewise.audit.ink.repair import Repaired, repair

__all__ = [
    "Colour",
    "InkFacts",
    "InkMap",
    "InkSpot",
    "Repaired",
    "before_after",
    "ink_findings",
    "ink_map",
    "measure_ink",
    "repair",
]
