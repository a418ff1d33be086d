"""Verbs that take an audit do not make it again, and refuse one that no longer holds."""

import shutil

import pandas as pd
import pytest

import tilewise as tw
from tests.drawn import draw_cohort, draw_slide, recipe
from tilewise import api
from tilewise.errors import ArgumentError

pytestmark = pytest.mark.shared_cache

AUDIT_AGAIN = "tilewise.pipeline.shared_stages.audit_cohort"


@pytest.fixture
def folder(tmp_path):
    """Twelve slides, one of them a copy."""
    folder = draw_cohort(tmp_path / "my_cohort")
    shutil.copyfile(folder / "images/img_0000.png", folder / "images/img_0006.png")
    return folder


def refuse(*args, **kwargs):
    raise AssertionError("audited again")


def test_an_audit_is_trained_on_as_the_cohort_is(folder, tmp_path, monkeypatch):
    decided = tmp_path / "decided.csv"
    tw.audit(folder, out=tmp_path / "audit")
    table = pd.read_csv(tmp_path / "audit/decisions.csv", keep_default_na=False)
    table["decision"] = "keep"
    table.to_csv(decided, index=False)
    by_cohort = tw.train(folder, recipe(), out=tmp_path / "by_cohort", decisions=decided)
    audit = tw.audit(folder, recipe(), decisions=decided)
    assert len(audit.slides) == 12
    with monkeypatch.context() as patch:
        patch.setattr(AUDIT_AGAIN, refuse)
        by_audit = tw.train(audit, recipe(), out=tmp_path / "by_audit")
        assert len(api.tiles(audit, recipe())[0].counts()) == 12
    pd.testing.assert_frame_equal(by_audit.predictions.to_frame(), by_cohort.predictions.to_frame())
    identities = [run.folder.read_identity() for run in (by_audit, by_cohort)]
    assert identities[0]["decisions"] == identities[1]["decisions"] is not None
    assert tw.train(folder, recipe(), out=tmp_path / "by_audit", decisions=decided).was_finished


def test_an_audit_of_other_options_or_files_is_refused_with_the_remedy(folder, tmp_path):
    out = tmp_path / "audit"
    audit = tw.audit(folder, out=out)
    with pytest.raises(ArgumentError, match=r"with audit.copies=drop, the recipe has keep; .*audit\(cohort, recipe\)"):
        tw.train(audit, recipe("audit.copies=keep"), out=tmp_path / "run")
    with pytest.raises(ArgumentError, match="decisions: an audit was made with its own; give them to `audit`"):
        tw.train(audit, recipe(), out=tmp_path / "run", decisions=out / "decisions.csv")
    with pytest.raises(ArgumentError, match="expected the cohort itself, not its audit"):
        api.similar(audit, "img_0001.png")
    path = out / "decisions.csv"
    path.write_text(path.read_text("utf-8").replace(",drop,", ",keep,"), "utf-8")
    with pytest.raises(ArgumentError, match=r"decisions\.csv was edited since the audit; .* with decisions='.*csv'"):
        tw.train(audit, recipe(), out=tmp_path / "run")
    edited = tw.audit(folder, decisions=path)
    path.write_text(path.read_text("utf-8").replace(",keep,", ",drop,"), "utf-8")
    with pytest.raises(ArgumentError, match=r"decisions\.csv was edited since the audit"):
        api.segment(edited, recipe("segment.method=tissue"))
    audit = tw.audit(folder)
    draw_slide(folder / "images/img_0003.png", 77, klass=0)
    with pytest.raises(ArgumentError, match=r"img_0003\.png: slide or mask has changed since the audit"):
        tw.train(audit, recipe(), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_audit_against_other_slides_is_trained_on(folder, tmp_path):
    shutil.copytree(folder / "images", tmp_path / "test_slides")
    for number in range(1, 12):
        (tmp_path / f"test_slides/img_{number:04d}.png").unlink()
    audit = tw.audit(folder, against=tmp_path / "test_slides")
    assert {finding.slide for finding in audit.findings if finding.kind == "in-both"} == {
        "img_0000.png",
        "img_0006.png",
    }
    run = tw.train(audit, recipe(), out=tmp_path / "run")
    assert run.evaluation.out_of_fold.num_slides == 10
    assert "in-both" in (run.folder.audit / "decisions.csv").read_text("utf-8")
