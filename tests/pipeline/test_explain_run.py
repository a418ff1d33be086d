"""A run's own slides explained: by the models of their folds, from stored features, with checks."""

import csv
import json
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from tests.drawn import draw_cohort
from tests.pipeline.conftest import train
from tilewise import api
from tilewise.encoders.texture_encoder import TextureEncoder
from tilewise.errors import UsageError
from tilewise.explain.config import ExplainConfig
from tilewise.pipeline.explain import slides_to_explain
from tilewise.pipeline.explain_run import choose_slides
from tilewise.pipeline.finished_run import Run

pytestmark = pytest.mark.shared_cache


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    home = tmp_path_factory.mktemp("explained")
    draw_cohort(home / "cohort", num_slides=15)
    train(home / "cohort", home / "run", "head.aggregate=attention", "head.attention_size=8", "training.epochs=10")
    return home / "run"


@pytest.fixture(scope="module")
def result(run):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TextureEncoder, "encode", lambda *_: pytest.fail("features are stored and were encoded again"))
        return api.explain(run, workers=1)


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_slides_are_explained_by_the_model_of_their_fold_from_stored_features(run, result):
    assert result.page == run.with_name("run-explained") / "explain.html"
    assert len(result.pictures) == len(result.objects) == 9
    assert result.failures == ()
    predictions = Run.open(run).predictions.out_of_fold.table.set_index("slide")
    rows = rows_of(result.table)
    for name, drawn in result.drawn.items():
        assert drawn == predictions.loc[name, "predicted"]
        tiles = [row for row in rows if row["slide"] == name]
        assert len(tiles) == predictions.loc[name, "num_tiles"]
        assert sum(float(row["attention"]) for row in tiles) == pytest.approx(1, abs=1e-4)
        objects = json.loads(result.objects[name].read_text("utf-8"))["features"]
        assert len(objects) == len(tiles) + 1
        slide = objects[0]["properties"]["measurements"]
        assert slide[f"probability {drawn}"] == pytest.approx(predictions.loc[name, f"p_{drawn}"], abs=1e-6)
        measured = [one["properties"]["measurements"]["attention"] for one in objects[1:]]
        assert measured == pytest.approx([float(row["attention"]) for row in tiles], abs=1e-5)


def test_checks_are_of_all_slides_out_of_fold_and_stand_on_the_page(result):
    assert [check.name for check in result.checks] == ["probability", "attention"]
    assert all(len(check.random_shares) == 15 and not check.localisations for check in result.checks)
    page = result.page.read_text("utf-8")
    assert "Are the maps to be believed?" in page
    share = result.checks[0].random_share
    percent = [f"{100 * end:.0f} %" for end in share]
    assert f"<b>{percent[0]}</b> <small>{percent[1]} to {percent[2]}, 15 slides" in page
    assert "Where the signal lies is not known on this cohort" in page


def test_the_page_is_whole_offline_and_says_each_thing_once(result):
    page = result.page.read_text("utf-8")
    parser = _Page()
    parser.feed(page)
    assert parser.unnamed == 0
    assert len(parser.scripts) == 1, "that of all pages"
    assert set(parser.links) <= {f"#{name}" for name in parser.ids}
    assert "http" not in page.replace("http-equiv", "")
    for name in result.drawn:
        assert page.count(f'<span class="name">{name}</span> ') == 1


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.ids, self.links, self.scripts, self.unnamed = set(), [], [], 0

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids.add(values.get("id"))
        if tag == "a":
            self.links.append(values["href"])
        if tag == "script":
            self.scripts.append(values)
        if tag == "img":
            self.unnamed += not values.get("alt")
            assert values["src"].startswith("data:")


def test_new_slides_of_the_same_run_replace_nothing_of_it_and_unknown_ones_are_named(run, tmp_path):
    with pytest.raises(UsageError, match=r"img_0099.png.*did you mean"):
        api.explain(run, out=tmp_path / "maps", config=ExplainConfig(slides=("img_0099.png",)))
    with pytest.raises(UsageError, match="belongs to the run"):
        api.explain(run, out=run / "audit")
    assert api.verify(run) == []


def test_a_cohort_that_has_changed_is_refused(tmp_path):
    cohort = draw_cohort(tmp_path / "cohort", num_slides=12)
    train(cohort, tmp_path / "run")
    labels = (cohort / "labels.csv").read_text("utf-8").replace("img_0000.png,A", "img_0000.png,B")
    (cohort / "labels.csv").write_text(labels, "utf-8")
    with pytest.raises(UsageError, match="have changed since"):
        api.explain(tmp_path / "run", workers=1)


def table(rows):
    frame = pd.DataFrame(rows, columns=["slide", "label", "p_A", "p_B"])
    frame["predicted"] = np.where(frame["p_A"] > frame["p_B"], "A", "B")
    return frame.set_index("slide", drop=False)


def test_some_wrong_some_unsure_some_right_are_chosen():
    rows = [("w1", "A", 0.1, 0.9), ("w2", "B", 0.7, 0.3), ("u1", "A", 0.51, 0.49), ("u2", "B", 0.48, 0.52)]
    rows += [("a1", "A", 0.99, 0.01), ("a2", "A", 0.98, 0.02), ("b1", "B", 0.2, 0.8)]
    chosen = choose_slides(table(rows), ExplainConfig(limit=6), ("A", "B"))
    assert chosen == {"w1": "wrong", "w2": "wrong", "u1": "unsure", "u2": "unsure", "a1": "right", "b1": "right"}
    assert len(choose_slides(table(rows), ExplainConfig(limit=1), ("A", "B"))) == 1
    everything = choose_slides(table(rows), ExplainConfig(limit=50), ("A", "B"))
    assert sorted(everything) == sorted(row[0] for row in rows)
    assert choose_slides(table(rows), ExplainConfig(slides=("b1", "a2")), ("A", "B")) == {"a2": "", "b1": ""}


def test_a_slide_to_explain_is_named_by_its_file_where_one_has_that_name():
    ids = ["images/a.png", "images/b.png", "more/b.png"]
    assert slides_to_explain(ExplainConfig(slides=("a.png",)), ids, "unknown") == {"images/a.png"}
    with pytest.raises(UsageError, match=r"more than one slide is called so; did you mean 'images/b\.png' or 'more/b"):
        slides_to_explain(ExplainConfig(slides=("b.png",)), ids, "unknown")
    with pytest.raises(UsageError, match=r"--slides c\.svs: unknown; "):
        slides_to_explain(ExplainConfig(slides=("c.svs",)), ids, "unknown")
