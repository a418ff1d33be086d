"""What the reader of a slide did not take, and slides whose samples use less than their files have room for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from tilewise.auditing.finding import Finding
from tilewise.slides import SampleRange, omissions

# Findings of light that samples of fewer bits explain: dark, or washed out where white is zero.
_LIGHT: Final = frozenset({"dark", "bright", "blank"})
# No slide is so dark that its glass lies below an eighth of full scale; a cohort of few says nothing by itself.
_HARDLY_ANY: Final = 8
_FEWEST: Final = 3


def left_out_findings(notes: Mapping[str, Iterable[str]]) -> Iterator[Finding]:
    """Name slides whose files, or whose masks' files, hold image data that was not read.

    Args:
        notes: slide -> what its reader noted.
    """
    for name, own in sorted(notes.items()):
        if parts := omissions(own):
            yield Finding(name, "left-out", "", "keep", 0.9, f"not read: {'; '.join(parts)}")


def unused_bits(quality: Iterable[Finding], ranges: Mapping[str, SampleRange | None]) -> list[Finding]:
    """Findings of quality, where those of light are called by their cause: samples of 10, 12 or 14 bits in 16.

    A single slide is named when its samples reach no more than an eighth of full scale, the slides of a cohort when all
    that are deeper than 8 bits stop at one and the same 2^n - 1.

    Args:
        quality: findings that may be about light.
        ranges: slide -> how far its samples reach; None of slides of 8 bits.
    """
    evidence = dict(_shallow({name: samples for name, samples in sorted(ranges.items()) if samples is not None}))
    quality = list(quality)
    named = [
        replace(item, kind="bit-depth", evidence=evidence[item.slide])
        for item in quality
        if item.kind in _LIGHT and item.slide in evidence
    ]
    others = [item for item in quality if not (item.kind in _LIGHT and item.slide in evidence)]
    alone = sorted(set(evidence) - {item.slide for item in named})
    return [*others, *named, *(Finding(name, "bit-depth", "", "keep", 0.9, evidence[name]) for name in alone)]


def _shallow(ranges: Mapping[str, SampleRange]) -> Iterator[tuple[str, str]]:
    for full_scale in sorted({samples.full_scale for samples in ranges.values()}):
        deep = {name: samples.highest for name, samples in ranges.items() if samples.full_scale == full_scale}
        bits = max(deep.values()).bit_length()
        if len(deep) >= _FEWEST and 0 < bits < full_scale.bit_length():
            which = f", and those of all {len(deep)} such slides stop at {_top(bits)} (2^{bits} - 1)"
            yield from ((name, _words(highest, full_scale, bits, which)) for name, highest in deep.items())
            continue
        for name, highest in deep.items():
            if 0 < highest * _HARDLY_ANY <= full_scale:
                yield name, _words(highest, full_scale, highest.bit_length(), "")


def _words(highest: int, full_scale: int, bits: int, which: str) -> str:
    factor = 1 << (full_scale.bit_length() - bits)
    return (
        f"its samples reach {highest} of {full_scale}{which}: they seem to have {bits} bits. Multiply them by "
        f"{factor}, or write the tag MaxSampleValue {_top(bits)} into the TIFF"
    )


def _top(bits: int) -> int:
    return (1 << bits) - 1
