"""Kinds of findings in a reader's words: what each is, and how it is best shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

CardLayout = Literal["pictures", "mask", "list"]


@dataclass(frozen=True)
class Kind:
    """One kind of finding.

    Attributes:
        name: as in the findings.
        title: as a heading.
        means: what the finding says, in a sentence or two.
        layout: `pictures` of slides, of a slide and its `mask` as the file holds it, or a `list` without pictures.
    """

    name: str
    title: str
    means: str
    layout: CardLayout = "pictures"


_KINDS: Final = (
    Kind("exact-copy", "Exact copies", "Every pixel is equal, whatever the files are called or how they are packed."),
    Kind(
        "near-copy",
        "Near copies",
        "The same tissue again: turned, mirrored, cropped, packed anew, in other colours, or with something on it.",
    ),
    Kind(
        "shared-mask",
        "Shared masks",
        "Two different slides with the same mask: one was probably made from the other, or got the mask by mistake.",
    ),
    Kind("in-both", "In both cohorts", "The slide stands in the other cohort as well; a score on it would be a gift."),
    Kind(
        "not-histology",
        "Not histology",
        "What stands on the glass does not look like stained tissue: a drawing, a photograph, a screen.",
    ),
    Kind("ink", "Ink on the slide", "Saturated ink with its halo, on the tissue or in the mask."),
    Kind("mask-on-ink", "Masks on ink", "The mask marks ink as a region of interest."),
    Kind("unreadable", "Unreadable", "The file cannot be opened or is broken off.", "list"),
    Kind("too-large", "Too large", "The slide holds more pixels than are decoded at once.", "list"),
    Kind(
        "damaged",
        "Damaged pixels",
        "The file's data was damaged, and a decoder went on after the error: a part is flat grey or black, or off in "
        "brightness or colour from some block on.",
    ),
    Kind("blank", "Blank", "No tissue was found."),
    Kind("blurred", "Blurred", "The tissue is out of focus."),
    Kind("dark", "Under-exposed", "The slide is much darker than a bright field should be."),
    Kind(
        "bit-depth",
        "Unused bits",
        "The samples use fewer bits than the file has for them, so the slide looks black (or white).",
    ),
    Kind("left-out", "Image data left out", "The file holds pages, planes or channels beside what was read."),
    Kind("bright", "Over-exposed", "The tissue is washed out."),
    Kind("other-stain", "Another stain", "Tissue whose colours are not those of haematoxylin and eosin."),
    Kind("mask-unreadable", "Masks that cannot be read", "The mask's file cannot be opened.", "list"),
    Kind("mask-size", "Masks of another size", "The mask has not the size of its slide.", "mask"),
    Kind("mask-not-binary", "Masks with other values", "The mask is not plainly black and white.", "mask"),
    Kind("mask-empty", "Empty masks", "The mask marks no pixel."),
    Kind("mask-full", "Full masks", "The mask marks (nearly) the whole slide, so it tells nothing."),
    Kind(
        "mask-inverted",
        "Masks the wrong way round",
        "The mask marks the glass and leaves out the region, as masks on a white background do.",
        "mask",
    ),
    Kind(
        "mask-is-slide",
        "Pictures of the slide in the place of masks",
        "The mask's file shows the slide itself, maybe with a drawing on it, and no region.",
        "mask",
    ),
    Kind("mask-outside-tissue", "Masks beside the tissue", "Much of what the mask marks is empty glass."),
    Kind("mask-missing", "Missing masks", "The slide has no mask.", "list"),
    Kind("mask-fault", "Masks at fault", "The mask cannot be used.", "list"),
    Kind(
        "label-conflict",
        "Several labels in a group",
        "Slides that belong together carry different labels: normal in a tissue block or a patient, a fault in copies.",
    ),
    Kind("tissue-area", "Unusual amount of tissue", "Far more or far less tissue than the other slides have."),
    Kind(
        "magnification",
        "Another magnification",
        "The file gives another scale than most slides have; tiles.size_um cuts tiles by microns, so that they show "
        "equal lengths of tissue.",
        "list",
    ),
    Kind("label-missing", "Missing labels", "Kept, and no part of any fold.", "list"),
    Kind("neighbouring-section", "Neighbouring sections", "Cut from one block: no copies, but one group."),
    Kind("pen", "Pen on the glass", "Marks of a pen beside the tissue. They do no harm."),
    Kind("name-family", "Families of file names", "Names that suggest more than one source or patient.", "list"),
)
KINDS: Final = {kind.name: kind for kind in _KINDS}
MENUS: Final = {
    "Copies": ("exact-copy", "near-copy", "shared-mask", "in-both", "neighbouring-section"),
    "Slides": (
        *("not-histology", "ink", "pen", "blank", "blurred", "dark", "bright", "other-stain", "tissue-area"),
        "magnification",
    ),
    "Masks": tuple(name for name in KINDS if name.startswith("mask-")),
    "Files": ("unreadable", "too-large", "damaged", "bit-depth", "left-out"),
    "Labels": ("label-conflict", "label-missing", "name-family"),
}
"""Menus of the page's navigation, by kind; kinds that stand in none are in `Others`."""
AGAINST: Final = "in-both"
"""Looked for only where there is a second cohort to compare with."""

_OLDER: Final = {"mask-fault"}

UNSEEN: Final = (
    "Whether a label is right. Only copies and groups with different labels give themselves away.",
    "Whether two slides come from one patient, unless the table has a group column or they are neighbouring sections.",
    "Whether a mask marks the right tissue: only masks beside the tissue, on ink, full or empty are noticed.",
    "Ink of the colours of haematoxylin and eosin, and thin marks in the tissue itself.",
    "Folds, air bubbles, and tissue that is well stained and in focus but from the wrong organ.",
)


def kind_of(name: str) -> Kind:
    """The kind of this name; one nobody described here is shown under its own name."""
    return KINDS.get(name) or Kind(name, name.replace("-", " ").capitalize(), "")


def menu_of(name: str) -> str:
    """The menu that a kind of this name stands in."""
    return next((menu for menu, names in MENUS.items() if name in names), "Others")


def looked_for(*, against: bool) -> tuple[Kind, ...]:
    """Every kind the audit looks for; `in-both` only where there was a second cohort."""
    return tuple(kind for kind in _KINDS if kind.name not in _OLDER and (against or kind.name != AGAINST))
