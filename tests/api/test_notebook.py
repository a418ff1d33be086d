"""What a notebook shows, and how the nouns print themselves."""

import shutil

import pytest

import tilewise as tw
from tests.drawn import SETTINGS, draw_cohort
from tilewise.errors import RecipeError, UsageError

pytestmark = pytest.mark.shared_cache


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return draw_cohort(tmp_path_factory.mktemp("library") / "my_cohort")


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    return tw.train(folder, tw.load_recipe("texture", SETTINGS), out=tmp_path_factory.mktemp("runs") / "first")


def test_a_cohort_is_short_in_print_and_a_table_with_thumbnails_in_a_notebook(folder, tmp_path):
    cohort = tw.Cohort.discover(folder)
    assert repr(cohort) == "<Cohort my_cohort: 12 slides (A 6, B 6)>"
    html = cohort._repr_html_()
    assert html.count("data:image/jpeg;base64,") == 6, "three of each class"
    assert '<td style="text-align:left">A</td><td>6</td><td>-</td><td>6</td>' in html
    table = cohort.to_frame()
    assert table.columns.tolist() == ["slide", "path", "mask", "label", "group", "split"]
    assert table["label"].value_counts().to_dict() == {"A": 6, "B": 6}
    broken = draw_cohort(tmp_path / "b<", num_slides=4)
    (broken / "images/img_0000.png").write_bytes(b"no picture")
    html = tw.Cohort.discover(broken)._repr_html_()
    assert html.count("cannot be read") == 1
    assert "b&lt;" in html


@pytest.fixture(scope="module")
def audit(tmp_path_factory):
    """Of twelve slides, one of them a copy."""
    folder = draw_cohort(tmp_path_factory.mktemp("audited") / "my_cohort")
    shutil.copyfile(folder / "images/img_0000.png", folder / "images/img_0006.png")
    return tw.audit(tw.Cohort.discover(folder))


def test_findings_and_decisions_of_an_audit_are_tables(audit):
    findings, decisions = audit.findings.to_frame(), audit.decisions.to_frame()
    assert findings.columns.tolist() == ["slide", "kind", "other", "proposal", "confidence", "evidence", "value"]
    assert set(findings["kind"]) == {"exact-copy"}
    assert sorted(findings["proposal"]) == ["drop", "keep"]
    assert decisions["slide"].tolist() == findings["slide"].tolist() == ["img_0000.png", "img_0006.png"]
    assert repr(audit) == "<AuditedCohort: 11 of 12 slides kept, 2 findings>"
    assert repr(audit.findings) == "<Findings: 2 (exact-copy 2)>"
    assert repr(audit.decisions) in {"<Decisions: 2 (drop 1, keep 1)>", "<Decisions: 2 (keep 1, drop 1)>"}
    assert audit.findings._repr_html_().count("<tr") == audit.decisions._repr_html_().count("<tr") == 3


def test_an_audit_in_a_notebook_says_what_was_decided_and_shows_examples(audit):
    html = audit._repr_html_()
    assert "<b>Audit of my_cohort</b>: 11 of 12 slides kept" in html
    assert 'left">A</td><td>6</td><td>5</td><td>0</td><td>5</td><td>5</td>' in html
    assert 'left">drop</td><td>1</td><td style="text-align:left">exact-copy 1</td>' in html
    assert html.count("data:image/jpeg;base64,") == html.count("drop: exact-copy") == 1
    assert "add a <code>group</code> column" in html


def test_a_run_in_a_notebook_shows_its_score_beside_guessing(trained):
    html, evaluation = trained._repr_html_(), trained.evaluation
    assert f"<b>Run {trained.folder.root}</b>: Macro F1 {evaluation.macro_f1}" in html
    assert f"<td>{evaluation.out_of_fold.per_class['B'].f1}</td>" in html
    assert html.count("<svg") == 4, "pooled, folds, commonest class, guessing"
    assert html.count("<circle") == 3 + len(evaluation.folds)
    for text in ("Always the commonest class", "add a <code>group</code> column", str(trained.folder.report)):
        assert text in html


def test_a_recipe_with_other_values_is_what_set_makes_of_it():
    recipe = tw.load_recipe("default")
    values = {"tiles.size_px": 256, "training.loss.class_weights": "sqrt", "tiles.stride_px": None}
    overrides = ["tiles.size_px=256", "training.loss.class_weights=sqrt", "tiles.stride_px=null"]
    assert repr(recipe) == "<Recipe default: encoder efficientnet_lite0, lda head, trains a head on features>"
    assert recipe.with_(**values) == tw.load_recipe("default", overrides) != recipe
    with pytest.raises(RecipeError, match=r"tiles\.sizepx: unknown key .did you mean 'size_px'"):
        recipe.with_(**{"tiles.sizepx": 256})
    with pytest.raises(RecipeError, match="'size_px' holds a value, not keys"):
        recipe.with_(**{"tiles.size_px.more": 1})


def test_scores_are_one_table(trained):
    evaluation = trained.evaluation
    table = evaluation.to_frame().set_index(["slides", "class", "metric"])
    row = table.loc["out_of_fold", None, "macro_f1"]
    assert row[["value", "low", "high"]].tolist() == list(evaluation.macro_f1)
    assert row["commonest"] == evaluation.out_of_fold.baselines.commonest.macro_f1.value
    recall = evaluation.folds[1].per_class["B"].recall
    assert table.loc["fold_1", "B", "recall"]["value"] == recall.value
    assert set(table.index.get_level_values("slides")) == {"out_of_fold", "fold_0", "fold_1", "fold_2"}


def test_a_run_is_opened_again_with_scores_and_predictions(folder, trained, tmp_path):
    run = tw.Run.open(trained.folder)
    assert run.evaluation == trained.evaluation == tw.evaluate(run) == tw.evaluate(trained.folder.root)
    assert isinstance(run.evaluation.macro_f1, tw.Estimate)
    assert repr(run) == f"<Run {trained.folder.root}: macro_f1 {run.evaluation.macro_f1}>"
    assert any("counts as its own patient" in text for text in run.warnings)
    assert repr(run.evaluation).startswith("<Evaluation of 12 slides in 3 folds: macro_f1 ")
    assert repr(run.evaluation.out_of_fold).startswith("<Scores of 12 slides: macro_f1 ")
    assert repr(run.predictions) == "<Predictions of 12 slides: validation 6, test 12>"
    table = run.predictions.to_frame()
    assert set(table["part"]) == {"validation", "test"}
    out_of_fold = run.predictions.out_of_fold.to_frame()
    assert sorted(out_of_fold["slide"]) == sorted(slide.slide_id for slide in tw.Cohort.discover(folder).slides)
    assert set(out_of_fold["part"]) == {"test"}
    table.loc[:, "part"] = "changed"
    assert set(run.predictions.to_frame()["part"]) == {"validation", "test"}
    assert tw.verify(run) == []
    assert tw.report(run, out=tmp_path / "report.html").read_bytes() == run.folder.report.read_bytes()
    result = tw.predict(run.folder, folder)
    assert result.to_frame()["slide"].nunique() == 12
    counts = ", ".join(f"{name} {num}" for name, num in result.counts().items())
    assert repr(result).startswith(f"<PredictionResult: 12 slides ({counts})")
    with pytest.raises(UsageError, match="holds no run"):
        tw.Run.open(tmp_path)
