import re
from dataclasses import replace

import pytest

from tilewise.evaluation.doubtful_labels import DoubtfulLabel
from tilewise.reporting.reliability import abstention_chart, probabilities
from tilewise.reporting.render import render_report

DOUBT = DoubtfulLabel("s0", "A", "B", 0.1, 0.9, 0)


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
    changed = report_input.evaluation | {"calibration": bare}
    page = render_report(replace(report_input, evaluation=changed, doubtful_labels=(DOUBT,)))
    assert "They are not calibrated" in page
    assert "Score <code>p_</code><br>of the label</th>" in page


def test_a_report_says_what_decides_and_which_probability_a_table_shows(report_input):
    parts = report_input.evaluation["calibration"]
    counted = {name: part | {"num_overruled": num} for (name, part), num in zip(parts.items(), (3, 1), strict=True)}
    changed = report_input.evaluation | {"calibration": counted}
    page = render_report(replace(report_input, evaluation=changed, doubtful_labels=(DOUBT,)))
    assert "another class's: 3 slides (out of fold, pooled), 1 slide (hold-out).</p>" in page
    assert "Calibrated probability<br>of the label</th>" in page
    assert "Score <code>p_</code><br>of the truth</th>" in page
    earlier = {name: dict(part) for name, part in parts.items()}
    for part in earlier.values():
        del part["num_overruled"]
    page = render_report(replace(report_input, evaluation=report_input.evaluation | {"calibration": earlier}))
    assert "even where the highest calibrated probability is another class's.</p>" in page
