"""A cohort as a notebook shows it: a table of its classes, and thumbnails."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from html import escape

import cv2

from tilewise.cohort.slide import Slide
from tilewise.errors import TilewiseError
from tilewise.slides import open_slide
from tilewise.wording import count

_PER_CLASS = 3
_MOST_THUMBNAILS = 12
_SIDE_PX = 112


def cohort_html(name: str, slides: Sequence[Slide], classes: Sequence[str]) -> str:
    """The table and up to twelve thumbnails, at most three of a class, as one fragment of HTML."""
    labels: list[str | None] = [*classes]
    if any(slide.label is None for slide in slides):
        labels.append(None)
    members = {label: [slide for slide in slides if slide.label == label] for label in labels}
    rows = "".join(_row(label, members[label]) for label in labels)
    examples = [slide for label in labels for slide in members[label][:_PER_CLASS]][:_MOST_THUMBNAILS]
    return (
        f"<div><p><b>{escape(name)}</b>: {count(len(slides), 'slide')}</p>"
        "<table><thead><tr><th>class</th><th>slides</th><th>groups</th><th>masks</th></tr></thead>"
        f"<tbody>{rows}</tbody></table><div>{''.join(_figures(examples))}</div></div>"
    )


def _row(label: str | None, slides: Sequence[Slide]) -> str:
    groups = {slide.group for slide in slides} - {None}
    num_masks = sum(slide.mask_path is not None for slide in slides)
    cells = (_name(label), len(slides), len(groups) or "-", num_masks)
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _figures(slides: Sequence[Slide]) -> Iterator[str]:
    for slide in slides:
        caption = f"{escape(slide.slide_id)}<br>{_name(slide.label)}"
        yield (
            '<figure style="display:inline-block;margin:4px;text-align:center;vertical-align:top">'
            f'{_thumbnail(slide)}<figcaption style="font-size:smaller">{caption}</figcaption></figure>'
        )


def _name(label: str | None) -> str:
    return "<i>no label</i>" if label is None else escape(label)


def _thumbnail(slide: Slide) -> str:
    try:
        with open_slide(slide.path) as reader:
            rgb_HWC = reader.thumbnail(_SIDE_PX)
    except TilewiseError:
        return "<i>cannot be read</i>"  # the audit says why
    _, data = cv2.imencode(".jpg", cv2.cvtColor(rgb_HWC, cv2.COLOR_RGB2BGR))
    source = base64.b64encode(data.tobytes()).decode("ascii")
    return f'<img alt="{escape(slide.slide_id)}" src="data:image/jpeg;base64,{source}">'
