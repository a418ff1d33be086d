"""One slide and what is drawn of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tilewise.auditing.cohort import AuditedSlide
from tilewise.explain.paint import Map, paint
from tilewise.explain.values import TileValues
from tilewise.units import Size


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
    """

    slide: AuditedSlide
    class_name: str
    probability: float
    predicted: str
    highest: float
    values: TileValues
    warnings: tuple[str, ...] = ()

    @property
    def caption(self) -> str:
        """Class and probability, in words."""
        drawn = f"{self.class_name}, probability {self.probability:.2f}"
        if self.class_name == self.predicted:
            return f"predicted {drawn}"
        return f"drawn for {drawn}; predicted {self.predicted}, probability {self.highest:.2f}"


@dataclass(frozen=True)
class SlideMap:
    """A map in the frame of a slide, with the ends of its scale.

    Attributes:
        title: what it shows.
        unit: of its values, beside the scale.
        values: float32 (H, W), nan where there is no tile.
        high: upper end of the scale; the lower one is 0.
        note: in place of a scale, where there is nothing to be seen.
    """

    title: str
    unit: str
    values: Map
    high: float
    note: str = ""


def maps_of(explained: SlideExplained, canvas: Size) -> Iterator[SlideMap]:
    """The maps of a slide: of probabilities, then of attention or of activation, as far as there are any.

    Each has one scale for the whole slide, so that its tiles can be compared. Probabilities go from 0 to 1 on every
    slide, the others up to their highest value on this one.

    Args:
        explained: the slide.
        canvas: size of the maps.
    """
    values, size = explained.values, explained.slide.size
    boxes = values.boxes
    column_T = values.probabilities_T[:, None, None].astype(np.float32)
    painted = paint(column_T, boxes, boxes, size=size, canvas=canvas)
    yield SlideMap("probability of the class, tile by tile", "", painted, 1.0)
    if values.attention_T is not None:
        column_T = (values.attention_T * len(values))[:, None, None].astype(np.float32)
        painted = paint(column_T, boxes, boxes, size=size, canvas=canvas)
        yield SlideMap("attention: how much tiles count", "times an equal share", painted, float(np.nanmax(painted)))
    if values.activations_THW is not None:
        painted = paint(values.activations_THW, boxes, values.fields, size=size, canvas=canvas)
        high = float(np.nanmax(painted))
        note = "" if high > 0 else "nothing on the tiles speaks for the class"
        yield SlideMap("class activation: what speaks for the class", "of its logit", painted, high or 1.0, note)
