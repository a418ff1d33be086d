"""Sections that another stain than haematoxylin and eosin has coloured."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from tilewise.auditing.finding import Finding
from tilewise.auditing.histology.facts import HistologyFacts
from tilewise.auditing.histology.judge import not_histology, percent

# Of the density in the stain plane; sections of haematoxylin and eosin in nine public sets stay beyond these.
_BROWN, _NEARLY_BROWN, _NO_EOSIN, _ONE_DYE, _WHITE_LIGHT, _MOSTLY = 0.095, 0.125, 0.053, 0.0085, 0.05, 0.5
_LONE_SHARE: Final = 0.2
# Of the light; sections of haematoxylin and eosin under a green one, of 0.14, pass for brown.
_TINTED: Final = 0.12


def other_stain(facts: Mapping[str, HistologyFacts], inked: Collection[str] = ()) -> Iterator[Finding]:
    """Name sections that another stain than haematoxylin and eosin has coloured.

    A few of them in a cohort of something else are proposed for dropping; where they are common, the cohort is of that
    stain, and they are kept, as is what tinted light makes uncertain. Slides that are not histology at all are left to
    `not_histology`.

    Args:
        facts: slide -> what its tissue looks like.
        inked: as for `not_histology`.
    """
    reasons = {name: _other_stain(fact) for name, fact in sorted(facts.items())}
    reasons = {name: words for name, words in reasons.items() if words}
    if not reasons:
        return
    unfit = {finding.slide for finding in not_histology(facts, inked) if finding.proposal == "drop"}
    lone = len(reasons) <= _LONE_SHARE * len(facts)
    for name, words in reasons.items():
        if name in unfit:
            continue
        colour = facts[name].colour
        if colour is not None and colour.tint >= _TINTED:
            words += f"; its light is tinted ({percent(colour.tint)}), which may be all there is to it"  # noqa: PLW2901
            yield Finding(name, "other-stain", "", "keep", 0.4, words)
        else:
            yield Finding(name, "other-stain", "", "drop" if lone else "keep", 0.8 if lone else 0.6, words)


def _other_stain(facts: HistologyFacts) -> str:
    colour = facts.colour
    if colour is None or colour.grey > _MOSTLY or facts.ink > _MOSTLY:
        return ""
    if colour.blueness < _BROWN:
        return (
            f"it takes blue light almost as green ({colour.blueness:+.2f}; with eosin +0.11 or more), as brown dyes do"
        )
    if colour.off_plane > _MOSTLY:
        return f"{percent(colour.off_plane)} of it has colours that haematoxylin and eosin do not mix to"
    narrow = colour.across < _ONE_DYE or colour.blueness < _NEARLY_BROWN
    if colour.eosin < _NO_EOSIN and colour.tint < _WHITE_LIGHT and narrow:
        return f"no part of it shows eosin (green over red light at most {colour.eosin:+.2f}; with eosin +0.06 or more)"
    return ""
