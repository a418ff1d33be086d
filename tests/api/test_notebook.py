"""What a notebook shows, and how the nouns print themselves."""

import pytest

import tilewise as tw
from tests.drawn import SETTINGS, draw_cohort
from tilewise.errors import RecipeError, UsageError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return draw_cohort(tmp_path_factory.mktemp("library") / "my_cohort")


def test_a_cohort_is_short_in_print_and_a_table_with_thumbnails_in_a_notebook(folder, tmp_path):
    cohort = tw.Cohort.discover(folder)
    assert repr(cohort) == "<Cohort my_cohort: 12 slides (A 6, B 6)>"
    html = cohort._repr_html_()
    assert html.count("data:image/jpeg;base64,") == 6, "three of each class"
    assert "<td>A</td><td>6</td><td>-</td><td>6</td>" in html
    broken = draw_cohort(tmp_path / "b<", num_slides=4)
    (broken / "images/img_0000.png").write_bytes(b"no picture")
    html = tw.Cohort.discover(broken)._repr_html_()
    assert html.count("cannot be read") == 1
    assert "b&lt;" in html


def test_the_findings_of_an_audit_are_a_table(folder):
    audit = tw.audit(tw.Cohort.discover(folder))
    table = audit.findings.to_frame()
    assert table.columns.tolist() == ["slide", "kind", "other", "proposal", "confidence", "evidence", "value"]
    assert len(table) == len(audit.findings)
    assert repr(audit) == f"<AuditedCohort: 12 of 12 slides kept, {len(table)} findings>"


def test_a_recipe_with_other_values_is_what_set_makes_of_it():
    recipe = tw.load_recipe("default")
    values = {"tiles.size_px": 256, "training.loss.class_weights": "sqrt", "tiles.stride_px": None}
    overrides = ["tiles.size_px=256", "training.loss.class_weights=sqrt", "tiles.stride_px=null"]
    assert recipe.with_(**values) == tw.load_recipe("default", overrides) != recipe
    with pytest.raises(RecipeError, match=r"tiles\.sizepx: unknown key .did you mean 'size_px'"):
        recipe.with_(**{"tiles.sizepx": 256})
    with pytest.raises(RecipeError, match="'size_px' holds a value, not keys"):
        recipe.with_(**{"tiles.size_px.more": 1})


def test_a_run_is_opened_again_with_scores_and_predictions(folder, tmp_path):
    recipe = tw.load_recipe("default", SETTINGS)
    made = tw.train(tw.Cohort.discover(folder), recipe, out=tmp_path / "first")
    run = tw.Run.open(tmp_path / "first")
    assert run.evaluation == made.evaluation == tw.evaluate(run) == tw.evaluate(tmp_path / "first")
    assert isinstance(run.evaluation.macro_f1, tw.Estimate)
    assert repr(run) == f"<Run {tmp_path / 'first'}: macro_f1 {run.evaluation.macro_f1}>"
    assert any("counts as its own patient" in text for text in run.warnings)
    table = run.predictions.to_frame()
    assert set(table["part"]) == {"validation", "test"}
    table.loc[:, "part"] = "changed"
    assert set(run.predictions.to_frame()["part"]) == {"validation", "test"}
    assert tw.verify(run) == []
    assert tw.report(run, out=tmp_path / "report.html").read_bytes() == run.folder.report.read_bytes()
    assert tw.predict(run, folder).table["slide"].nunique() == 12
    with pytest.raises(UsageError, match="holds no run"):
        tw.Run.open(tmp_path)
