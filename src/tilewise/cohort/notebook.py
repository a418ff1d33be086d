"""What notebooks show: a cohort as a table of its classes and thumbnails, and the parts of other such fragments."""

from __future__ import annotations

import base64
from collections.abc import Container, Iterable, Mapping, Sequence

import cv2
from markupsafe import Markup, escape

from tilewise.cohort.slide import Slide
from tilewise.errors import TilewiseError
from tilewise.slides import open_slide
from tilewise.wording import count, with_code

_PER_CLASS = 3
_MOST_THUMBNAILS = 12
_SIDE_PX = 112
_FIGURE = "display:inline-block;margin:4px 8px 4px 0;text-align:center;vertical-align:top;max-width:140px"


def cohort_html(name: str, slides: Sequence[Slide], classes: Sequence[str]) -> str:
    """The table and up to twelve thumbnails, at most three of a class, as one fragment of HTML."""
    members = members_by_label(slides, classes)
    rows = []
    for label, own in members.items():
        groups = {slide.group for slide in own} - {None}
        num_masks = sum(slide.mask_path is not None for slide in own)
        rows.append((label_html(label), len(own), len(groups) or "-", num_masks))
    examples = {slide: label_html(label) for label, own in members.items() for slide in own[:_PER_CLASS]}
    return page_html(
        heading_html(name, count(len(slides), "slide")),
        table_html(("class", "slides", "groups", "masks"), rows),
        thumbnails_html(examples),
    )


def members_by_label(slides: Iterable[Slide], classes: Sequence[str]) -> dict[str | None, list[Slide]]:
    """Slides of each class, those without a label last and only where there are any."""
    members: dict[str | None, list[Slide]] = {label: [] for label in classes}
    for slide in slides:
        members.setdefault(slide.label, []).append(slide)
    unlabelled = members.pop(None, [])
    return members | ({None: unlabelled} if unlabelled else {})


def page_html(*parts: str) -> str:
    """Parts, one below the other."""
    return f"<div>{''.join(parts)}</div>"


def heading_html(name: str, text: str) -> Markup:
    """A name in bold, and what there is to say of it."""
    return Markup("<p><b>{}</b>: {}</p>").format(name, text)


def paragraph_html(text: str) -> Markup:
    """A paragraph; what stands between backticks is code."""
    return Markup("<p>{}</p>").format(with_code(text))


def table_html(head: Sequence[str], rows: Iterable[Sequence[object]], *, words: Container[int] = (0,)) -> Markup:
    """A table. Cells are escaped unless they are Markup.

    Args:
        head: titles of the columns.
        rows: their cells.
        words: positions of the columns that hold words; notebooks align all others, figures, to the right.
    """
    body = Markup("").join(Markup("<tr>{}</tr>").format(_cells("td", row, words)) for row in rows)
    return Markup('<table style="margin:0 0 8px"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>').format(
        _cells("th", head, words), body
    )


def list_html(title: str, sentences: Sequence[str]) -> Markup:
    """Sentences below a title; nothing where there are none."""
    if not sentences:
        return Markup("")
    items = Markup("").join(Markup("<li>{}</li>").format(with_code(sentence)) for sentence in sentences)
    return Markup('<p style="margin-bottom:0">{}</p><ul style="margin-top:0">{}</ul>').format(title, items)


def thumbnails_html(captions: Mapping[Slide, str]) -> Markup:
    """The first twelve slides, each above its name and caption."""
    figures = [
        Markup('<figure style="{}">{}<figcaption style="font-size:smaller">{}<br>{}</figcaption></figure>').format(
            _FIGURE, _thumbnail(slide), slide.slide_id, caption
        )
        for slide, caption in list(captions.items())[:_MOST_THUMBNAILS]
    ]
    return Markup("<div>{}</div>").format(Markup("").join(figures))


def label_html(label: str | None) -> Markup:
    """A class, or that there is none."""
    return Markup("<i>no label</i>") if label is None else escape(label)


def _cells(tag: str, cells: Sequence[object], words: Container[int]) -> Markup:
    aligned = {True: Markup(' style="text-align:left"'), False: ""}
    made = (
        Markup("<{tag}{style}>{cell}</{tag}>").format(tag=tag, style=aligned[index in words], cell=cell)
        for index, cell in enumerate(cells)
    )
    return Markup("").join(made)


def _thumbnail(slide: Slide) -> Markup:
    try:
        with open_slide(slide.path) as reader:
            rgb_HWC = reader.thumbnail(_SIDE_PX)
    except TilewiseError:
        return Markup("<i>cannot be read</i>")  # the audit says why
    _, data = cv2.imencode(".jpg", cv2.cvtColor(rgb_HWC, cv2.COLOR_RGB2BGR))
    source = base64.b64encode(data.tobytes()).decode("ascii")
    return Markup('<img alt="{}" src="data:image/jpeg;base64,{}">').format(slide.slide_id, source)
