"""Warnings of many slides are read in a few lines, the gravest first."""

from tilewise.pipeline.prediction_warnings import copies_of_training, fold_warnings

NO_MASK = "tiles not cut by its mask: it has no mask"


def _copy(twin):
    return f"the same pixels as the training slide {twin}: the classifier has seen it, ignore its prediction"


def test_one_line_for_each_kind_and_copies_before_all_others():
    warnings = {f"{number}.png": [NO_MASK, f"few tiles: {number}, and 9 more"] for number in range(30)}
    warnings["30.png"] = [NO_MASK, "run a: " + _copy("x.png")]
    warnings["31.png"] = [_copy("y.png"), "NOT CLASSIFIED, filled in"]
    assert fold_warnings(warnings) == [
        f"2 slides, as 30.png: run a: {_copy('x.png')}",
        "31.png: NOT CLASSIFIED, filled in",
        f"31 slides, as 0.png: {NO_MASK}",
        "30 slides, as 0.png: few tiles: 0, and 9 more",
    ]
    assert copies_of_training(warnings) == ("30.png", "31.png")


def test_nothing_to_warn_of_makes_no_line():
    assert fold_warnings({}) == []
    assert copies_of_training({"a.png": [NO_MASK]}) == ()
