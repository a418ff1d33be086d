"""A page of slides before and after: the mask that was there, and the one that was made, for a person to look at."""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from tilewise.auditing.cohort import AuditedSlide
from tilewise.cohort import read_mask
from tilewise.execution import run_each
from tilewise.segment.segment_cohort import Segmentation, SlideMask
from tilewise.slides import open_slide, read_samples
from tilewise.store import write_text

_SIDE, _QUALITY = 320, 75
_MOST = 120
_BEFORE, _AFTER = (0, 170, 90), (230, 0, 160)
_STYLE = """body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1400px;padding:0 1rem;color:#222}
main{display:grid;grid-template-columns:repeat(auto-fill,minmax(420px,1fr));gap:1.5rem}
figure{margin:0}figure div{display:flex;gap:4px}img{width:50%;object-fit:contain;background:#eee}
figcaption{overflow-wrap:anywhere}.before{color:#007a41}.after{color:#b3007d}.note{color:#a33}"""


@dataclass(frozen=True)
class _Request:
    before: AuditedSlide
    made: SlideMask


def write_sheet(path: Path, segmentation: Segmentation, *, workers: int | None = None) -> None:
    """Write one HTML file that loads nothing. The slides that agree least with their own masks come first.

    Of more than 120 slides those of the lowest, and then evenly chosen ones are shown.

    Args:
        path: of the page.
        segmentation: what was made.
        workers: processes that draw; None takes every processor.
    """
    before = {item.slide_id: item for item in segmentation.before.slides}
    ranked = sorted(segmentation.slides, key=lambda one: 2.0 if one.mask.dice is None else one.mask.dice)
    chosen = _chosen(ranked)
    requests = {one.slide_id: _Request(before[one.slide_id], one) for one in chosen}
    pictures = run_each(_draw, requests, stage="pictures", workers=workers).results
    figures = "\n".join(_figure(one, pictures.get(one.slide_id)) for one in chosen)
    left_out = f" {len(chosen)} of {len(ranked)} slides are shown." if len(chosen) < len(ranked) else ""
    write_text(
        path,
        f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Masks before and after</title><style>{_STYLE}</style></head><body>
<h1>Masks before and after</h1>
<p>{html.escape(" ".join(summary(segmentation)))}</p>
<p>Left, in <span class="before">green</span>: the mask that was there. Right, in <span class="after">pink</span>: the
mask that was made. What agrees least comes first.{left_out}</p>
<main>
{figures}
</main></body></html>
""",
    )


def summary(segmentation: Segmentation) -> list[str]:
    """What came of it, in sentences."""
    sentences = [
        f"{sum(one.used for one in segmentation.slides)} of {len(segmentation.before.slides)} slides got a new mask."
    ]
    for name, what in (("dice", "Dice"), ("boundary_f", "Boundary F")):
        score = segmentation.scores[name]
        if score["value"] is not None:
            sentences.append(
                f"{what} with the masks that were there: {score['value']:.3f} ({score['low']:.3f} to "
                f"{score['high']:.3f}, {score['num_slides']} slides)."
            )
    fallbacks = [one.slide_id for one in segmentation.slides if one.mask.fallback]
    if fallbacks:
        sentences.append(f"{len(fallbacks)} fell back to tissue, {fallbacks[0]} for one.")
    empty = [one.slide_id for one in segmentation.slides if one.mask.share == 0]
    if empty:
        sentences.append(f"On {len(empty)} not even tissue was found, {empty[0]} for one.")
    return sentences


def _chosen(ranked: list[SlideMask]) -> list[SlideMask]:
    if len(ranked) <= _MOST:
        return ranked
    half = _MOST // 2
    rest = ranked[half:]
    return ranked[:half] + [rest[index] for index in np.linspace(0, len(rest) - 1, _MOST - half).astype(int).tolist()]


def _figure(one: SlideMask, pictures: tuple[str, str] | None) -> str:
    mask = one.mask
    score = "" if mask.dice is None else f"Dice {mask.dice:.2f}, boundary F {mask.boundary_f:.2f}, "
    used = "" if one.used else ", not used"
    notes = "; ".join(text for text in (mask.fallback, one.note) if text)
    images = "".join(
        f'<img src="{address}" alt="{html.escape(one.slide_id)}, {when}">'
        for address, when in zip(pictures or (), ("before", "after"), strict=False)
    )
    return (
        f"<figure><div>{images or 'cannot be drawn'}</div><figcaption><b>{html.escape(one.slide_id)}</b><br>{score}"
        f"{mask.share:.0%} of the slide, by {html.escape(one.made_by)}{used}"
        f"{f'<br><span class=note>{html.escape(notes)}</span>' if notes else ''}</figcaption></figure>"
    )


def _draw(request: _Request) -> tuple[str, str]:
    item = request.before
    with open_slide(item.slide.path, max_pixels=item.size.area) as reader:
        small = reader.thumbnail(_SIDE)
    own = read_mask(item.slide, item.size)[0] if item.use_mask else None
    plane = read_samples(request.made.mask.path).pixels
    made = plane.reshape(plane.shape[:2]) > 0
    return _picture(small, own, _BEFORE), _picture(small, made, _AFTER)


def _picture(rgb: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_] | None, colour: tuple[int, int, int]) -> str:
    drawn = rgb.copy()
    if mask is not None:
        height, width = rgb.shape[:2]
        small = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) >= 0.5
        outlines, _ = cv2.findContours(small.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, outlines, -1, colour, 2, cv2.LINE_AA)
    buffer = io.BytesIO()
    Image.fromarray(drawn).save(buffer, "WEBP", quality=_QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
