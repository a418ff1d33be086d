"""The rounds of a network on pixels: the same as of a head, and slides that may not be looked at need not be there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.drawn import draw_cohort
from tests.training.networks.fold_of import NAMES, store_of, task
from tilewise.folds import Fold
from tilewise.inference.network import predict_slides
from tilewise.models.networks import NetworkModel
from tilewise.training.network_fold import train_network_fold
from tilewise.training.pseudo.rounds import ModelTrainer, PseudoTask, train_with_pseudo
from tilewise.training_config.pseudo import PseudoConfig


def test_a_network_takes_in_slides_it_is_sure_of_and_looks_at_no_other(tmp_path: Path) -> None:
    store = store_of(draw_cohort(tmp_path / "cohort", num_slides=10))
    fold, candidates = Fold(tuple(NAMES[:4]), tuple(NAMES[4:6]), tuple(NAMES[6:7])), tuple(NAMES[8:])
    for name in NAMES[6:8]:  # of the test part, and without a label but of its group
        (tmp_path / "cohort" / "images" / name).unlink()
    base = task(epochs=5, step={}, mixup={})
    labels = {name: base.labels[name] for name in NAMES[:7]}

    def train(parts: Fold, classes: Mapping[str, str], out: Path) -> NetworkModel:
        return train_network_fold(replace(base, fold=parts, labels=classes), store, out=out)

    def predict(model: NetworkModel, names: Sequence[str]) -> dict[str, npt.NDArray[np.float64]]:
        prediction = predict_slides([model], store, names)
        return dict(zip(prediction.slide_ids, prediction.probabilities_MSC[0], strict=True))

    asked = PseudoTask(1, fold, labels, base.classes, candidates, PseudoConfig(method="confident", threshold=0.5))
    model = train_with_pseudo(asked, ModelTrainer(train, predict), out=tmp_path / "fold")
    # The colour tells the class, and all are sure enough.
    assert [(one["slide"], one["label"]) for one in model.origin["pseudo"]["added"]] == [
        (name, base.labels[name]) for name in candidates
    ]
    assert NetworkModel.load(tmp_path / "fold").origin == model.origin
    assert sorted(path.name for path in (tmp_path / "fold").iterdir()) == [
        "history.csv", "model.json", "model.safetensors", "pseudo", "pseudo.csv",
    ]  # fmt: skip
