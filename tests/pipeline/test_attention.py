"""A head behind attention through the whole pipeline: trained, resumed, predicting."""

import json

import numpy as np
import pandas as pd
import pytest

from tests.drawn import draw_cohort, draw_slide
from tests.pipeline.conftest import train
from tilewise import api
from tilewise.cohort import Cohort
from tilewise.inference.classifier import ClassifierBundle

pytestmark = pytest.mark.shared_cache

SETTINGS = ("head.aggregate=attention", "head.attention_size=8", "training.epochs=30")
FILES = ("predictions.parquet", "evaluation.json", "model/classifier.json", "folds/0/model.json", "folds/0/history.csv")


def test_attention_trains_resumes_and_predicts(tmp_path):
    draw_cohort(tmp_path / "cohort", num_slides=18)
    run = tmp_path / "run"
    train(tmp_path / "cohort", run, *SETTINGS)
    whole = {name: (run / name).read_bytes() for name in FILES}
    assert json.loads(whole["folds/0/model.json"])["aggregator"] == "attention"

    for name in ("manifest.json", "predictions.parquet", "folds/1/model.json"):
        (run / name).unlink()
    modified_ns = (run / "folds/0/model.safetensors").stat().st_mtime_ns
    train(tmp_path / "cohort", run, *SETTINGS)
    assert {name: (run / name).read_bytes() for name in FILES} == whole
    assert (run / "folds/0/model.safetensors").stat().st_mtime_ns == modified_ns

    table = pd.read_parquet(run / "predictions.parquet")
    tested = table[table["part"] == "test"]
    assert (tested["predicted"] == tested["label"]).mean() > 0.8
    classifier = ClassifierBundle.load(run / "model")
    assert all({"attention.score.weight", "head.0.weight"} <= member.weights.keys() for member in classifier.members)

    for number in range(4):
        mask = tmp_path / f"new/masks/mask_{number:04d}.png"
        draw_slide(tmp_path / f"new/images/img_{number:04d}.png", 50 + number, klass=number % 2, mask=mask)
    prediction = api.predict(run, Cohort.discover(tmp_path / "new", purpose="predict"), workers=1).table
    assert prediction["predicted"].tolist() == ["A", "B", "A", "B"]
    np.testing.assert_allclose(prediction[["p_A", "p_B"]].sum(axis=1), 1.0, atol=1e-6)
