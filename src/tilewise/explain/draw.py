"""The picture of one slide: its thumbnail beside the same thumbnail under each map."""

from __future__ import annotations

import contextlib
import functools
import unicodedata
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from tilewise.auditing.cohort import AuditedSlide
from tilewise.cohort import read_mask
from tilewise.explain.slide import MapScales, SlideExplained, SlideMap, maps_of
from tilewise.reporting.pictures import outline
from tilewise.slides import open_slide
from tilewise.units import Size

RGB = npt.NDArray[np.uint8]

# Wide slides stand below each other, others side by side; each fits into so many pixels.
_ELONGATED = 1.8
_FRAMES = {True: Size(1500, 640), False: Size(620, 760)}
_GAP, _MARGIN = 28, 28
_BAR = Size(260, 20)
_TEXT, _SMALL = 25, 21
_INK, _SOFT, _PAPER = (24, 34, 44), (90, 104, 115), (255, 255, 255)
_EMPTY = 245  # grey of a slide without pixels
_OUTLINE, _HALO = (16, 32, 42), (255, 255, 255)
_OPAQUE = 0.7  # of a map over the slide
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
_NO_CHARACTER = "\U0010ffff"  # every font draws its box for it
HEAD = _MARGIN + 2 * _TEXT + 30
# Against, nothing, for: told apart with red-green blindness, too (Okabe and Ito, 2008).
_DIVERGING = np.array([(0, 114, 178), (240, 240, 240), (213, 94, 0)], np.float64)


@dataclass(frozen=True)
class _Panel:
    title: str
    picture: RGB
    scale: SlideMap | None = None


def draw_slide(explained: SlideExplained, scales: MapScales) -> RGB:
    """Draw the maps of a slide, uint8 (H, W, 3), under `HEAD` rows with its name and prediction.

    Args:
        explained: the slide.
        scales: of all slides that it is to be compared with.

    Raises:
        SlideError: the slide or its mask cannot be read.
    """
    item = explained.slide
    canvas = _canvas(item.size)
    small = _thumbnail(item, canvas) if item.has_pixels else _blank(explained, canvas)
    regions = _regions(explained, canvas)
    title = "slide, with its region" if regions else "slide" if item.has_pixels else "tiles; no pixels were at hand"
    # Dark on a light halo is seen on pink tissue, on blue nuclei and on white glass.
    panels = [_Panel(title, _outlined(_outlined(small, regions, _HALO, 6), regions, _OUTLINE, 2))]
    panels += [
        _Panel(one.title, _outlined(_under(small, one), regions, _OUTLINE, 2), one)
        for one in maps_of(explained, canvas, scales)
    ]
    return _page(explained, panels, canvas)


def _thumbnail(item: AuditedSlide, canvas: Size) -> RGB:
    with open_slide(item.slide.path, max_pixels=item.size.area) as reader:  # the audit has let this size pass
        thumbnail = reader.thumbnail(max(canvas))
    interpolation = cv2.INTER_AREA if thumbnail.shape[1] > canvas.width else cv2.INTER_LINEAR
    small: RGB = cv2.resize(thumbnail, canvas, interpolation=interpolation)
    return small


def _blank(explained: SlideExplained, canvas: Size) -> RGB:
    """An empty slide with its tiles as rectangles."""
    blank = np.full((canvas.height, canvas.width, 3), _EMPTY, dtype=np.uint8)
    scale = canvas.width / explained.slide.size.width
    corners_N22 = np.stack(
        [explained.values.boxes[:, :2], explained.values.boxes.reshape(-1, 2, 2).sum(axis=1)], axis=1
    )
    for first, last in (corners_N22 * scale).round().astype(int).tolist():
        cv2.rectangle(blank, first, last, _SOFT, 1)
    return blank


def _canvas(size: Size) -> Size:
    """The slide scaled to fit its frame, enlarged where it is smaller: the text is beside it."""
    frame = _FRAMES[_is_elongated(size)]
    scale = min(frame.width / size.width, frame.height / size.height)
    return Size(max(1, round(size.width * scale)), max(1, round(size.height * scale)))


def _is_elongated(size: Size) -> bool:
    return size.width >= _ELONGATED * size.height


def _regions(explained: SlideExplained, canvas: Size) -> list[npt.NDArray[np.int32]]:
    """Outlines of the region, in sixteenths of a pixel of the canvas; none where no mask is used."""
    item = explained.slide
    if not item.use_mask:
        return []
    mask_HW, _ = read_mask(item.slide, item.size)
    small_HW = cv2.resize(mask_HW.astype(np.float32), canvas, interpolation=cv2.INTER_AREA) >= 0.5
    return [(np.array(polygon) * 16).round().astype(np.int32) for polygon in outline(small_HW)]


def _outlined(rgb_HWC: RGB, regions: list[npt.NDArray[np.int32]], colour: tuple[int, int, int], thickness: int) -> RGB:
    drawn = rgb_HWC.copy()
    cv2.polylines(drawn, regions, isClosed=True, color=colour, thickness=thickness, lineType=cv2.LINE_AA, shift=4)
    return drawn


def _under(rgb_HWC: RGB, one: SlideMap) -> RGB:
    """The slide in grey, and the map's colours over it where there are tiles."""
    grey_HW = cv2.cvtColor(rgb_HWC, cv2.COLOR_RGB2GRAY)
    grey_HWC = cv2.cvtColor(grey_HW, cv2.COLOR_GRAY2RGB)
    colours_HWC = _colours(np.nan_to_num(one.values), one)
    blended_HWC: RGB = cv2.addWeighted(colours_HWC, _OPAQUE, grey_HWC, 1 - _OPAQUE, 0.0)
    return np.where(np.isnan(one.values)[:, :, None], grey_HWC, blended_HWC)


def _colours(values_HW: npt.NDArray[np.float32], one: SlideMap) -> RGB:
    """Colours of values on a map's scale.

    From 0 up viridis, in which equal steps look equal, also in grey and to the colour-blind.
    """
    shares_HW = ((values_HW - one.low) / (one.high - one.low)).clip(0, 1)
    if one.low < 0:
        channels = [np.interp(shares_HW, (0.0, 0.5, 1.0), ends) for ends in _DIVERGING.T]
        return np.stack(channels, axis=2).round().astype(np.uint8)
    levels_HW = (shares_HW * 255).round().astype(np.uint8)
    colours: RGB = cv2.cvtColor(cv2.applyColorMap(levels_HW, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
    return colours


def _page(explained: SlideExplained, panels: list[_Panel], canvas: Size) -> RGB:
    stacked = _is_elongated(explained.slide.size)
    below = _TEXT + _BAR.height + _SMALL + 34
    cell = Size(max(canvas.width, _FRAMES[False].width), canvas.height + below)
    columns, rows = (1, len(panels)) if stacked else (len(panels), 1)
    side = Size(
        2 * _MARGIN + columns * cell.width + (columns - 1) * _GAP,
        HEAD + rows * cell.height + (rows - 1) * _GAP + _MARGIN // 2,
    )
    sheet = Image.new("RGB", side, _PAPER)
    pen = ImageDraw.Draw(sheet)
    text_width = side.width - 2 * _MARGIN
    _write(pen, (_MARGIN, _MARGIN - 6), explained.slide.slide_id, text_width, bold=True)
    _write(pen, (_MARGIN, _MARGIN + _TEXT + 6), explained.caption, text_width)
    for number, panel in enumerate(panels):
        left = _MARGIN + (0 if stacked else number * (cell.width + _GAP))
        top = HEAD + (number * (cell.height + _GAP) if stacked else 0)
        sheet.paste(Image.fromarray(panel.picture), (left, top))
        _write(pen, (left, top + canvas.height + 8), panel.title, cell.width)
        if panel.scale is not None:
            _draw_scale(sheet, pen, (left, top + canvas.height + _TEXT + 20), panel.scale, cell.width)
    return np.asarray(sheet)


def _draw_scale(sheet: Image.Image, pen: ImageDraw.ImageDraw, at: tuple[int, int], one: SlideMap, width: int) -> None:
    """The colour bar with its ends, what is marked on it, and the unit."""
    left, top = at
    if one.note:
        _write(pen, at, one.note, width, size=_SMALL, colour=_SOFT)
        return
    ramp = np.repeat(np.linspace(one.low, one.high, _BAR.width, dtype=np.float32)[None], _BAR.height, axis=0)
    sheet.paste(Image.fromarray(_colours(ramp, one)), (left, top))
    font, below = _font(_SMALL), top + _BAR.height
    taken: list[tuple[float, float]] = []
    for value in (one.low, one.high, (one.low + one.high) / 2):
        share = (value - one.low) / (one.high - one.low)
        x, text = left + share * (_BAR.width - 1), f"{value:.2g}".replace("-", "\N{MINUS SIGN}")
        start = x - share * font.getlength(text)
        end = start + font.getlength(text)
        if any(start < other_end + 12 and other_start < end + 12 for other_start, other_end in taken):
            continue  # the middle, between ends that leave no room for it
        taken.append((start, end))
        pen.line([(x, below), (x, below + 4)], fill=_SOFT, width=2)
        pen.text((start, below + 4), text, fill=_INK, font=font)
    beside = one.unit
    if one.mark is not None:
        value, beside = one.mark
        x = left + value / one.high * (_BAR.width - 1)
        pen.polygon([(x - 7, top - 9), (x + 7, top - 9), (x, top + 2)], fill=_INK)
        pen.line([(x, top), (x, below)], fill=_PAPER, width=2)
        at = (left + _BAR.width + 16, top + 1)
        pen.polygon([(at[0], at[1] + 4), (at[0] + 14, at[1] + 4), (at[0] + 7, at[1] + 15)], fill=_INK)
        _write(pen, (at[0] + 20, top - 4), beside, width - _BAR.width - 36, size=_SMALL, colour=_SOFT)
        return
    _write(pen, (left + _BAR.width + 14, top - 4), beside, width - _BAR.width - 14, size=_SMALL, colour=_SOFT)


def _write(
    pen: ImageDraw.ImageDraw,
    at: tuple[int, int],
    text: str,
    width: int,
    *,
    size: int = _TEXT,
    bold: bool = False,
    colour: tuple[int, int, int] = _INK,
) -> None:
    """One line of text, cut where there is no room for it."""
    font = _font(size, bold=bold)
    text = _legible(text, font)
    if font.getlength(text) > width:
        num_fitting = len(text)
        while num_fitting and font.getlength(text[:num_fitting] + _ELLIPSIS) > width:
            num_fitting -= 1
        text = text[:num_fitting] + _ELLIPSIS
    pen.text(at, text, fill=colour, font=font)


@functools.cache
def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu, which has most alphabets, of matplotlib or of the system; else Pillow's own, which has Latin letters."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    matplotlib = find_spec("matplotlib")  # found and not imported: only its file is wanted
    folders = (matplotlib.submodule_search_locations or []) if matplotlib else []
    for path in [*(str(Path(folder) / "mpl-data" / "fonts" / "ttf" / name) for folder in folders), name]:
        with contextlib.suppress(OSError):
            return ImageFont.truetype(path, size)
    return cast("ImageFont.FreeTypeFont", ImageFont.load_default(size))


def _legible(text: str, font: ImageFont.FreeTypeFont) -> str:
    """The text with characters that the font lacks as their base letter or their number: boxes all look alike."""
    box = bytes(font.getmask(_NO_CHARACTER))

    def has(character: str) -> bool:
        return bytes(font.getmask(character)) != box

    def drawn(character: str) -> str:
        if character.isspace():  # a line break in a name is refused by some of Pillow's layout engines
            return " "
        if has(character):
            return character
        base = "".join(part for part in unicodedata.normalize("NFKD", character) if not unicodedata.combining(part))
        return base if base and all(map(has, base)) else f"<{ord(character):X}>"

    return "".join(map(drawn, unicodedata.normalize("NFC", text)))
