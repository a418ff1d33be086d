"""Names that begin alike: several slides, or several groups, that may be of one patient."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePosixPath

from tilewise.wording import count

_SEPARATOR = re.compile(r"[_\-. ]+")
# One family that holds more of the cohort than this is the naming scheme, not a patient.
_SCHEME_SHARE = 0.5
# What is counted and is no patient: `OSCC_400x_17`, `site2_004`, `TMA1_B3`.
_OTHER_COUNTS = re.compile(
    r"(\d+(\.\d+)?x|(batch|class|cohort|fold|grade|hospital|lab|level|magnification|part|plate|roi|scanner|score|set|"
    r"site|stage|test|tma|train|val|validation)\W?\d+)",
    re.IGNORECASE,
)
_YEAR = re.compile(r"(19|20)?\d\d")
_PATIENT = re.compile(r"(case|id|p|pat|patient|pt|s|subj|subject)\W?\d+", re.IGNORECASE)
# The ending of a patient's part is short (`a`, `12`, `A17`); a longer one is a serial number of all slides.
_LONGEST_ENDING = 3
_LEAST_SHARE = 0.2
_MOST_NAMED = 4


def name_families(stems: Mapping[str, str]) -> dict[str, list[str]]:
    """Names by the longest beginning, up to a separator, that they share and that holds a number.

    A beginning that most names share is the cohort's scheme, and one that counts something else than patients no
    family.

    Args:
        stems: name -> what is compared of it.
    """
    num_tokens = max((len(_SEPARATOR.split(stem)) for stem in stems.values()), default=0)
    families: dict[str, list[str]] = {}
    left = dict(stems)
    for length in range(num_tokens - 1, 0, -1):
        by_prefix = defaultdict(list)
        for name, stem in left.items():
            ends = [match.start() for match in _SEPARATOR.finditer(stem)]
            if len(ends) >= length:
                by_prefix[stem[: ends[length - 1]]].append(name)
        for prefix, names in by_prefix.items():
            if 1 < len(names) <= _SCHEME_SHARE * len(stems) and _counts_patients(prefix):
                families[prefix] = names
                left = {name: stem for name, stem in left.items() if name not in set(names)}
    return families


def family_sentence(names: Iterable[str], *, are_groups: bool) -> str:
    """What a cohort's names say of patients that its table does not name; empty where they say nothing.

    Args:
        names: of all slides where the table has no groups, else of all groups.
        are_groups: whether they are of groups.
    """
    stems = {name: name if are_groups else PurePosixPath(name).stem for name in dict.fromkeys(names)}
    families = name_families(stems)
    members = [(prefix, stems[name]) for prefix, own in families.items() for name in own]
    if len(families) < 2 or len(members) < _LEAST_SHARE * len(stems) or not _are_parts(members):
        return ""
    noun = "group" if are_groups else "slide"
    listed = ", ".join(f"`{prefix}` has {count(len(own), noun)}" for prefix, own in [*families.items()][:_MOST_NAMED])
    more = f", and {len(families) - _MOST_NAMED} more" if len(families) > _MOST_NAMED else ""
    if are_groups:
        return (
            f"Groups are named like parts of {len(families)} larger ones ({listed}{more}). If these are patients, "
            "folds have slides of one on both sides, and the score is too high: name patients in the `group` column."
        )
    return f"Slides are named like several of one patient ({listed}{more}): the names say what to put into that column."


def _counts_patients(prefix: str) -> bool:
    tokens = _SEPARATOR.split(prefix)
    return any(char.isdigit() for char in prefix) and not any(_OTHER_COUNTS.fullmatch(token) for token in tokens)


def _are_parts(members: Collection[tuple[str, str]]) -> bool:
    """Whether what follows the beginnings tells parts of patients, not patients of a site or all slides of a year."""
    endings = [_SEPARATOR.sub("", stem[len(prefix) :], count=1) for prefix, stem in members]
    if sorted(map(len, endings))[len(endings) // 2] > _LONGEST_ENDING:
        return False
    if sum(_PATIENT.fullmatch(ending) is not None for ending in endings) > len(endings) / 2:
        return False
    numbers = [re.sub(r"^.*?(\d+)$", r"\1", prefix) for prefix, _ in members]
    are_years = all(_YEAR.fullmatch(number) for number in numbers)
    return not (are_years and all(ending.isdecimal() and len(ending) == _LONGEST_ENDING for ending in endings))
