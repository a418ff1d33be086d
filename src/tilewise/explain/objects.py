"""The maps of a slide as objects of QuPath."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tilewise.explain.slide import SlideExplained
from tilewise.interchange.qupath import QuPathObject, class_colours, rectangle

_MEASUREMENTS = {"attention": "attention", "activation": "class activation", "left_out": "log odds lost without it"}


def slide_objects(explained: SlideExplained, classes: Sequence[str]) -> Iterator[QuPathObject]:
    """The slide as an annotation with its probabilities, and each tile with what is known of it as measurements.

    In QuPath, `Measure > Show measurement maps` colours the tiles by a measurement.

    Args:
        explained: the slide.
        classes: in the order of their colours.
    """
    name, size, predicted = explained.slide.slide_id, explained.slide.size, explained.predicted
    probabilities = {f"probability {label}": value for label, value in explained.probabilities.items()}
    yield QuPathObject(
        f"{name}/slide",
        "annotation",
        [rectangle(0, 0, size.width, size.height)],
        f"predicted {predicted}",
        (predicted, class_colours(classes)[predicted]),
        probabilities,
        True,
    )
    columns = explained.values.of_tiles()
    named = {
        _MEASUREMENTS.get(key, f"probability {explained.class_name}"): column_T for key, column_T in columns.items()
    }
    for tile, box in enumerate(explained.values.boxes.tolist()):
        measurements = {key: float(column_T[tile]) for key, column_T in named.items()}
        yield QuPathObject(f"{name}/explained/{tile}", "tile", [rectangle(*box)], measurements=measurements)
