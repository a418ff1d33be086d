"""One slide and what is drawn of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from tilewise.auditing.cohort import AuditedSlide
from tilewise.explain.paint import Map, paint
from tilewise.explain.values import TileValues
from tilewise.units import Size

# A logit that moves by less moves no probability by more than 2.5 points.
LEAST_LOGIT = 0.1
_LEAST_LOG_ODDS = 0.01  # of a slide, by one of its tiles
_EVEN = 1.05  # attention that nowhere exceeds an equal share by more tells no tile from another


@dataclass(frozen=True)
class SlideExplained:
    """What a classifier says of one slide and its tiles, about one class.

    Attributes:
        slide: that was looked at.
        class_name: the class that is drawn.
        probability: of this class, of the slide.
        predicted: the class predicted for the slide.
        highest: its probability.
        values: of the tiles.
        warnings: what a person should know of the slide, a sentence each.
        probabilities: class -> probability of the slide.
        label: the slide's class in the table; None of new slides.
    """

    slide: AuditedSlide
    class_name: str
    probability: float
    predicted: str
    highest: float
    values: TileValues
    warnings: tuple[str, ...] = ()
    probabilities: Mapping[str, float] = field(default_factory=dict)
    label: str | None = None

    @property
    def has_map(self) -> bool:
        """Whether `heat_of` has a map of the slide."""
        return len(self.values) > 1 or self.values.activations_THW is not None or self.values.occlusion is not None

    @property
    def is_placed(self) -> bool:
        """Whether it is known where its tiles lie."""
        return bool(self.values.boxes[:, 2:].all())

    @property
    def caption(self) -> str:
        """Class and probability, in words."""
        drawn = f"{self.class_name}, probability {self.probability:.2f}"
        if self.class_name == self.predicted:
            text = f"predicted {drawn}"
        else:
            text = f"drawn for {drawn}; predicted {self.predicted}, probability {self.highest:.2f}"
        return text if self.label is None else f"{text}; labelled {self.label}"

    @property
    def chance(self) -> float | None:
        """Probability of each class if all were as likely; None where classes are not known."""
        return 1.0 / len(self.probabilities) if self.probabilities else None


@dataclass(frozen=True)
class MapScales:
    """Upper ends of the scales, shared by all slides of a page so that slides can be compared.

    Each is the highest value over the slides, the strongest half per cent of a slide's places left out, and not below
    what matters: where nothing reaches that, the map is dark everywhere.

    Attributes:
        attention: times an equal share.
        activation: of the class's logit.
        occlusion: of the slide's log odds; the scale's lower end is its negative.
    """

    attention: float
    activation: float
    occlusion: float

    @classmethod
    def of(cls, explained: Sequence[SlideExplained]) -> Self:
        """Of all slides that stand on one page."""
        values = [one.values for one in explained]
        attention = [one.attention_T * len(one) for one in values if one.attention_T is not None]
        activation = [one.logits_THW for one in values if one.logits_THW is not None]
        occlusion = [np.abs(one.occlusion.falls_KHW) for one in values if one.occlusion is not None]
        return cls(_high(attention, 2.0), _high(activation, LEAST_LOGIT), _high(occlusion, _LEAST_LOG_ODDS))


def _high(arrays: Sequence[np.ndarray], least: float) -> float:
    return max([least, *(float(np.percentile(array, 99.5)) for array in arrays if array.size)])


@dataclass(frozen=True)
class SlideMap:
    """A map in the frame of a slide, with the ends of its scale.

    Attributes:
        title: what it shows.
        unit: of its values, beside the scale.
        values: float32 (H, W), nan where there is no tile or nothing to be seen.
        high: upper end of the scale.
        low: lower end; below 0 colours go both ways from 0.
        mark: a value that is marked on the scale, and its name; None for none.
        note: in place of a scale, where there is nothing to be seen.
    """

    title: str
    unit: str
    values: Map
    high: float
    low: float = 0.0
    mark: tuple[float, str] | None = None
    note: str = ""


def heat_of(values: TileValues, size: Size, canvas: Size) -> dict[str, Map]:
    """Maps of a slide by name, as far as there are any: probability, attention, activation and occlusion.

    A slide of one tile has none but what differs inside the tile: the others would be of one colour.

    Args:
        values: of the slide's tiles.
        size: of the slide.
        canvas: of the maps.
    """
    each = {"probability": values.probabilities_T}
    if values.attention_T is not None:
        each["attention"] = values.attention_T * len(values)
    heat = {
        name: paint(column_T[:, None, None].astype(np.float32), values.boxes, values.boxes, size=size, canvas=canvas)
        for name, column_T in each.items()
        if len(values) > 1
    }
    if values.logits_THW is not None:
        heat["activation"] = paint(values.logits_THW, values.boxes, values.fields, size=size, canvas=canvas)
    if values.occlusion is not None:
        tiles_K, falls_KHW = values.occlusion.tiles_K, values.occlusion.falls_KHW
        heat["occlusion"] = paint(falls_KHW, values.boxes[tiles_K], values.fields[tiles_K], size=size, canvas=canvas)
    return heat


def maps_of(explained: SlideExplained, canvas: Size, scales: MapScales) -> Iterator[SlideMap]:
    """The maps of a slide with their titles and scales; see `heat_of`.

    Args:
        explained: the slide.
        canvas: size of the maps.
        scales: of the page.
    """
    heat, name = heat_of(explained.values, explained.slide.size, canvas), explained.class_name
    if "probability" in heat:
        mark = None if explained.chance is None else (explained.chance, f"chance, {explained.chance:.2g}")
        yield SlideMap(f"probability of {name}, by tile", "", heat["probability"], 1.0, mark=mark)
    if "attention" in heat:
        even = "" if np.nanmax(heat["attention"]) > _EVEN else "nothing here: all tiles count alike"
        title = "attention: how much tiles count"
        yield _map(title, "times an equal share", heat["attention"], scales.attention, even)
    if "activation" in heat:
        low = np.nanmax(heat["activation"]) < LEAST_LOGIT
        note = f"nothing here: no place adds {LEAST_LOGIT} to the logit" if low else ""
        yield _map(f"activation: speaks for {name}", "logit, were all so", heat["activation"], scales.activation, note)
    if "occlusion" in heat:
        low = np.nanmax(np.abs(heat["occlusion"])) < _LEAST_LOG_ODDS
        note = f"nothing here: nothing moves the log odds by {_LEAST_LOG_ODDS}" if low else ""
        title = f"left out: speaks for {name}, or against"
        yield _map(title, "log odds", heat["occlusion"], scales.occlusion, note, signed=True)


def _map(title: str, unit: str, values: Map, high: float, note: str, *, signed: bool = False) -> SlideMap:
    """A map, without colours where there is nothing to be seen."""
    colourless = np.full_like(values, np.nan)
    return SlideMap(title, unit, colourless if note else values, high, -high if signed else 0.0, note=note)
