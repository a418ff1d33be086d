"""What the pages of a TIFF file are: the slide, its levels and thumbnails, pictures beside it, or images left out.

Told by their tags (NewSubfileType, SubIFDs, descriptions) and by whether their pixels are the slide's reduced; never by
their shape alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tilewise.slides.header import OMITTED
from tilewise.slides.tiff_colours import decodes_to_rgb
from tilewise.slides.tiff_copies import is_reduced_copy, page_size
from tilewise.slides.tiff_directory import directory_offsets, read_page
from tilewise.slides.tiff_planes import num_channels, num_hidden

_RGB, _YCBCR, _TRANSPARENCY = 2, 6, 4
_GREYS: Final = frozenset({0, 1})
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
# Aperio names label and macro in the second line of their description, and scales its thumbnail "from -> to".
_BESIDE: Final = re.compile(r"(?i)^\s*(?:.*\r?\n)?\s*(label|macro|thumbnail)\b")
_SCALED_APERIO: Final = re.compile(r"\A\s*Aperio.*->\s*\d+\s*x\s*\d+", re.DOTALL)
_OME_IMAGE: Final = re.compile(r"<Image\b")
_LEVEL, _THUMBNAIL, _OTHER = "level", "thumbnail", "other"
_MOST_COMPARED: Final = 40
_MOST_NAMED: Final = 4


@dataclass(frozen=True)
class TiffLayout:
    """What was made of a file's pages.

    Attributes:
        slide: the page that is the slide.
        levels: pages of 8-bit RGB tiles from the slide's on, finest first; empty where the slide has no such tiles.
        num_pages: in the file's chain.
        notes: which page was taken, what the others are, and what was left out, in words.
    """

    slide: Any
    levels: tuple[Any, ...]
    num_pages: int
    notes: tuple[str, ...]


def read_layout(file: Any) -> TiffLayout:
    """Tell the pages of a file apart.

    Args:
        file: an open `tifffile.TiffFile`.

    Raises:
        ValueError: the chain of pages is damaged, or it is not clear which page is the slide, or what it is a part of.
    """
    offsets, broken = directory_offsets(file)
    chain = [file.pages.first, *(read_page(file, offset, index=index) for index, offset in enumerate(offsets) if index)]
    below = _pages_below(file, chain[0])
    beside = _pictures_beside(file, [*chain, *below])
    slide = _slide(file, [*chain, *below], beside)
    if slide is not chain[0]:
        below += _pages_below(file, slide)
    roles = _Roles(file, slide, {page.offset for page in below}, beside)
    others = {page.offset: page for page in [*chain, *below] if page.offset != slide.offset}
    named = {page.offset: roles.role(page) for page in sorted(others.values(), key=lambda page: -int(page.imagewidth))}
    other_pages = [page for page in chain if named.get(page.offset) == _OTHER]
    _require_one_image(file, chain, slide, other_pages)
    notes = _notes(chain, slide, named, bool(roles.levels))
    hidden = num_hidden(file, chain)
    if hidden:
        notes.append(f"{OMITTED}{hidden} further images in the same page, as its description says")
    if broken:
        notes.append(f"{OMITTED}{broken}")
    return TiffLayout(slide, tuple(roles.levels), len(chain), tuple(notes))


def has_rgb_tiles(page: Any) -> bool:
    """Whether a page is stored in tiles that decode to 8-bit RGB."""
    photometric = None if page.photometric is None else int(page.photometric)
    return bool(
        page.is_tiled
        and page.imagedepth == page.tiledepth == 1
        and int(page.planarconfig) == 1
        and page.dtype == np.uint8
        and page.samplesperpixel == 3
        and page.bitspersample == 8
        and (photometric == _RGB or (photometric == _YCBCR and decodes_to_rgb(page)))
    )


def orientation(page: Any) -> Any:
    """Of the tag; 1 where there is none."""
    return page.tags["Orientation"].value if "Orientation" in page.tags else 1


class _Roles:
    """Names the role of one page after another, the widest first; gathers the levels."""

    def __init__(self, file: Any, slide: Any, below: set[int], beside: dict[int, str]) -> None:
        self._file = file
        self._below = below
        self._beside = beside
        self._finer = slide
        self._num_comparisons = _MOST_COMPARED
        self.slide = slide
        self.levels = [slide] if has_rgb_tiles(slide) and orientation(slide) == 1 else []

    def role(self, page: Any) -> str:
        flags = int(page.subfiletype)
        if flags & _MASK or page.photometric == _TRANSPARENCY:
            return "transparency mask"
        if beside := self._beside.get(page.offset):
            return beside
        if self._is_copy(page):
            if self.levels and not (has_rgb_tiles(page) and _is_smaller(page, self.levels[-1])):
                return _THUMBNAIL
            if self.levels:
                self.levels.append(page)
            self._finer = page
            return _LEVEL
        return "picture marked as reduced" if flags & _REDUCED or page.offset in self._below else _OTHER

    def _is_copy(self, page: Any) -> bool:
        larger = [one for one in (self._finer, self.slide) if _is_smaller(page, one)]
        if not larger or not self._num_comparisons:
            return False
        self._num_comparisons -= 1
        verdict = is_reduced_copy(self._file, page, larger[0])
        if verdict is None:
            return bool(int(page.subfiletype) & _REDUCED) or page.offset in self._below
        return verdict


def _slide(file: Any, pages: Sequence[Any], beside: dict[int, str]) -> Any:
    """The first page that no tag calls reduced, a mask or a picture beside the slide; or the one it is a copy of."""
    plain = [page for page in pages if not int(page.subfiletype) & (_REDUCED | _MASK) and page.offset not in beside]
    slide = plain[0] if plain else pages[0]
    larger = [page for page in pages if _is_smaller(slide, page) and page.offset not in beside]
    for page in sorted(larger, key=lambda page: -int(page.imagewidth))[:_MOST_NAMED]:
        if is_reduced_copy(file, slide, page):
            return page
    return slide


def _is_smaller(page: Any, other: Any) -> bool:
    return bool(page.imagewidth < other.imagewidth and page.imagelength < other.imagelength)


def _pages_below(file: Any, page: Any) -> list[Any]:
    """The pages that a page's SubIFDs tag lists."""
    offsets = dict.fromkeys(int(offset) for offset in page.subifds or ())
    return [read_page(file, offset) for offset in list(offsets)[:_MOST_COMPARED] if offset != page.offset]


def _pictures_beside(file: Any, pages: Sequence[Any]) -> dict[int, str]:
    """Pages that are called `label`, `macro` or `thumbnail` by their description or by OME-XML, by offset."""
    roles: dict[int, str] = {}
    named = _named_by_ome(str(pages[0].description or "")) if file.is_ome else {}
    for index, page in enumerate(pages):
        description = "" if file.is_ome else str(page.description or "")
        if match := _BESIDE.match(description):
            roles[page.offset] = match[1].lower()
        elif not page.is_tiled and _SCALED_APERIO.match(description):
            roles[page.offset] = _THUMBNAIL
        elif index in named:
            roles[page.offset] = named[index]
    return roles


def _named_by_ome(xml: str) -> dict[int, str]:
    """The numbers of the pages, from 0, of images whose names say what they are."""
    roles: dict[int, str] = {}
    for image in _OME_IMAGE.split(xml)[1:]:
        name = re.search(r"\bName=\"[^\"]*\b(label|macro|thumbnail)\b", image.partition(">")[0], re.IGNORECASE)
        if name is not None:
            roles |= {int(match[1]): name[1].lower() for match in re.finditer(r'<TiffData[^>]*\bIFD="(\d+)"', image)}
    return roles


def _require_one_image(file: Any, chain: Sequence[Any], slide: Any, other_pages: Sequence[Any]) -> None:
    """Refuse what may be parts of one picture, and a slide beside a larger picture that is another one."""
    larger = [page for page in other_pages if page_size(page).area > page_size(slide).area]
    if larger:
        raise ValueError(
            f"its {_place(chain, slide)} and its {_place(chain, larger[0])} are different pictures, and nothing tells "
            "which is the slide; save the slide in a file of its own"
        )
    if slide.photometric is None or int(slide.photometric) not in _GREYS:
        return
    alike = [
        page for page in other_pages if page_size(page) == page_size(slide) and page.photometric == slide.photometric
    ]
    num = 1 + max(len(alike), num_hidden(file, chain))
    if num == 1:
        return
    if num_channels(file, chain[0]) > 1:
        raise ValueError(
            f"it keeps its {num_channels(file, chain[0])} channels in separate pages; save it as RGB (ImageJ: Image, "
            "Type, RGB Color)"
        )
    raise ValueError(
        f"it holds {num} grey pages of one size, which may be the channels of one picture or pictures of their own; "
        "save the one you mean, or all as RGB, in a file of its own"
    )


def _notes(chain: Sequence[Any], slide: Any, named: dict[int, str], has_levels: bool) -> list[str]:
    notes = []
    number = _number(chain, slide)
    roles = Counter(named.values())
    copies = roles[_LEVEL] + (roles[_THUMBNAIL] if not has_levels else 0)
    if number > 1 or any(role not in {_LEVEL, _OTHER} for role in named.values()):
        # One order, so that slides of one kind have one note.
        listed = sorted(roles.items(), key=lambda item: (item[0] != _LEVEL, item[0]))
        others = ", ".join(_counted(num, role) for role, num in listed if role != _OTHER)
        notes.append(f"took page {number} of {len(chain)}: beside it {others or 'other pictures'}")
    elif roles[_OTHER]:
        notes.append(f"took page {number} of {len(chain)}")
    if copies and not has_levels:
        notes.append(f"level 0 of a pyramid of {1 + copies} levels taken as a flat image")
    other_pages = [page for page in chain if named.get(page.offset) == _OTHER]
    if other_pages:
        places = ", ".join(_place(chain, page) for page in other_pages[:_MOST_NAMED])
        more = f" and {len(other_pages) - _MOST_NAMED} more" if len(other_pages) > _MOST_NAMED else ""
        notes.append(f"{OMITTED}{places}{more}; not the slide at another size")
    return notes


def _counted(num: int, role: str) -> str:
    if num > 1:
        return f"{num} {role.replace('picture', 'pictures', 1) if ' ' in role else role + 's'}"
    return f"a {role}"


def _place(chain: Sequence[Any], page: Any) -> str:
    return f"page {_number(chain, page)} of {len(chain)} ({page.imagewidth} x {page.imagelength})"


def _number(chain: Iterable[Any], page: Any) -> int:
    """The page's number, from 1; a page below another has that one's."""
    return next((place for place, one in enumerate(chain, start=1) if one.offset == page.offset), 1)
