import re
from dataclasses import replace

import pytest

from tilewise.reporting.reliability import abstention_chart, probabilities
from tilewise.reporting.render import render_report


def test_every_bin_is_drawn_where_it_lies(evaluation):
    (out_of_fold, holdout) = probabilities(evaluation)
    assert (out_of_fold.title, holdout.title) == ("Out of fold, pooled", "Hold-out")
    for row, kind in zip(out_of_fold.rows, ("scores", "calibrated"), strict=True):
        bins = evaluation["calibration"]["out_of_fold"][kind]["bins"]
        points = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', row.diagram)
        assert len(points) == len(bins)
        for (x, y), entry in zip(points, bins, strict=True):
            assert float(x) == pytest.approx(34 + 258 * entry["confidence"], abs=0.01)
            assert float(y) == pytest.approx(266 - 258 * entry["right"]["value"], abs=0.01)
        mean = sum(entry["confidence"] * entry["num_slides"] for entry in bins) / 40
        assert row.confidence == pytest.approx(mean)
        assert row.right == pytest.approx(evaluation["out_of_fold"]["accuracy"]["value"])


@pytest.mark.parametrize(
    ("error", "confidence", "words"),
    [(0.05, 0.5, "no error beyond chance"), (0.3, 0.9, "too sure"), (0.3, 0.2, "not sure enough")],
)
def test_the_sentence_holds_the_error_against_chance(evaluation, error, confidence, words):
    estimate = {"value": error, "low": error / 2, "high": 2 * error}
    bins = [{"confidence": confidence, "right": {"value": 0.5, "low": 0.4, "high": 0.6}, "num_slides": 40}]
    chance = {"value": 0.1, "low": 0.05, "high": 0.15}
    scores = evaluation["calibration"]["out_of_fold"]["scores"] | {"ece": estimate, "chance_ece": chance, "bins": bins}
    parts = {"out_of_fold": evaluation["calibration"]["out_of_fold"] | {"scores": scores, "calibrated": None}}
    (part,) = probabilities({"calibration": parts})
    assert words in part.sentence


def test_the_abstention_curve_has_all_points(evaluation):
    chart = abstention_chart(evaluation["abstention"])
    assert len(re.findall(r"[ML]", re.search(r'd="([^"]+)" class="line validation"', chart)[1])) == len(
        evaluation["abstention"]
    )
    assert abstention_chart(evaluation["abstention"][:1]) is None


def test_a_report_has_the_sections_and_one_of_an_earlier_version_has_not(report_input):
    page = render_report(report_input)
    for text in ('id="probabilities"', 'id="sets"', "giving every slide the classes' shares scores"):
        assert text in page
    earlier = {
        key: value for key, value in report_input.evaluation.items() if key not in ("calibration", "sets", "abstention")
    }
    page = render_report(replace(report_input, evaluation=earlier))
    for text in ('id="probabilities"', 'id="sets"', "#sets", "#probabilities"):
        assert text not in page


def test_a_report_says_that_probabilities_are_not_calibrated(report_input):
    parts = report_input.evaluation["calibration"]
    bare = {name: part | {"calibrated": None} for name, part in parts.items()}
    page = render_report(replace(report_input, evaluation=report_input.evaluation | {"calibration": bare}))
    assert "They are not calibrated" in page
