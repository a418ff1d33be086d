"""Several runs' classifiers as one, and the one door to a bundle of either kind."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tilewise.calibration.calibration import Calibration
from tilewise.errors import ArtifactError
from tilewise.inference.classifier import CLASSIFIER_NAME, ClassifierBundle
from tilewise.inference.combiner import Combiner, WeightedMean, load_combiner
from tilewise.store import atomic_path, digest_file, read_json, write_json
from tilewise.wording import count

Floats = npt.NDArray[np.float64]

_SCHEMA = "tilewise.ensemble-classifier"
_VERSION = 2
_FILE = "ensemble.json"
_AGAIN = "run `tilewise ensemble` again"


@dataclass(frozen=True, repr=False)
class EnsembleClassifier:
    """Classifiers of several runs and what makes one prediction of theirs.

    Attributes:
        parts: run -> its classifier; all of the same classes, learnt from the same cohort.
        combiner: of the runs, in this order.
        method: how the combiner was made.
        calibration: from combined scores to probabilities and prediction sets; None in bundles of earlier versions.
    """

    parts: Mapping[str, ClassifierBundle]
    combiner: Combiner
    method: str
    calibration: Calibration | None = None

    def __repr__(self) -> str:
        return f"<EnsembleClassifier: {self.method} of {count(len(self.parts), 'run')}>"

    @property
    def classes(self) -> tuple[str, ...]:
        """In the order of the probability columns."""
        return next(iter(self.parts.values())).classes

    @property
    def label_counts(self) -> Mapping[str, int]:
        """Class -> slides learned from or tested on; the same in all runs."""
        return next(iter(self.parts.values())).label_counts

    def combine(self, probabilities_RSC: Floats) -> Floats:
        """One prediction of the runs', float64 (S, C); each row sums to 1.

        A slide that some runs could not look at is predicted by the others alone: by their weights where there are
        weights, else by their plain mean.

        Args:
            probabilities_RSC: run by run; nan where a run could not look at a slide. One at least has seen each.
        """
        missing_RS: npt.NDArray[np.bool_] = np.asarray(np.isnan(probabilities_RSC).any(axis=2))
        whole_S = ~missing_RS.any(axis=0)
        combined_SC = np.empty(probabilities_RSC.shape[1:])
        if whole_S.any():
            combined_SC[whole_S] = self.combiner.apply(probabilities_RSC[:, whole_S])
        for row in np.flatnonzero(~whole_S):
            known_R = ~missing_RS[:, row]
            weights_R = known_R * self._run_weights
            weights_R = weights_R if weights_R.sum() > 0.0 else known_R.astype(np.float64)
            combined_SC[row] = np.average(probabilities_RSC[known_R, row], axis=0, weights=weights_R[known_R])
        return combined_SC

    def lean(self) -> EnsembleClassifier:
        """The same classifier without the runs that count for nothing, which then need not look at any slide."""
        if not isinstance(self.combiner, WeightedMean):
            return self
        counted = [weight > 0.0 for weight in self.combiner.weights]
        return replace(
            self,
            parts={
                name: part for (name, part), is_counted in zip(self.parts.items(), counted, strict=True) if is_counted
            },
            combiner=WeightedMean(tuple(weight for weight in self.combiner.weights if weight > 0.0)),
        )

    @property
    def _run_weights(self) -> Floats:
        if isinstance(self.combiner, WeightedMean):
            return np.array(self.combiner.weights, dtype=np.float64)
        return np.ones(len(self.parts))

    @classmethod
    def load(cls, folder: Path) -> EnsembleClassifier:
        """Read a bundle.

        Raises:
            ArtifactError: it is missing, not whole or damaged.
            UsageError: it needs LightGBM, which is not installed.
        """
        data = read_json(folder / _FILE, schema=_SCHEMA, version=_VERSION)
        try:
            parts = {
                str(entry["name"]): _load_part(folder / entry["folder"], entry["digest"]) for entry in data["runs"]
            }
            num_classes = _num_classes(parts, len(data["runs"]))
            combiner = load_combiner(data["combiner"], num_runs=len(parts), num_classes=num_classes)
            calibration = Calibration.from_json(data.get("calibration"), num_classes)  # not before version 2
            return cls(parts, combiner, str(data["method"]), calibration)
        except (KeyError, TypeError, ValueError, StopIteration) as error:
            raise ArtifactError(f"{folder / _FILE} is damaged ({error!r}); {_AGAIN}") from error


def write_ensemble(
    folder: Path, models: Mapping[str, Path], combiner: Combiner, method: str, calibration: Calibration | None = None
) -> None:
    """Copy the bundles of runs into one; `ensemble.json` comes last and holds their digests, so a mixture is noticed.

    Args:
        folder: of the new bundle.
        models: run -> folder of its bundle, in the order that the combiner takes them in.
        combiner: of their probabilities.
        method: how it was made.
        calibration: of the combined scores.
    """
    if folder.exists():
        shutil.rmtree(folder)  # a killed run left it
    entries = []
    for number, (name, model) in enumerate(models.items()):
        target = folder / f"run-{number}"
        _copy(model, target)
        entries.append({"name": name, "folder": target.name, "digest": digest_file(target / CLASSIFIER_NAME)})
    payload = {
        "method": method,
        "runs": entries,
        "combiner": combiner.to_json(),
        "calibration": None if calibration is None else calibration.to_json(),
    }
    write_json(folder / _FILE, payload, schema=_SCHEMA, version=_VERSION)


def load_classifier(folder: Path) -> ClassifierBundle | EnsembleClassifier:
    """Read the bundle of a run, whether it is of one run or combined of several.

    Raises:
        ArtifactError: it is missing, not whole or damaged.
        UsageError: it needs LightGBM, which is not installed.
    """
    return EnsembleClassifier.load(folder) if is_ensemble(folder) else ClassifierBundle.load(folder)


def is_ensemble(folder: Path) -> bool:
    """Whether a bundle is combined of several runs."""
    return (folder / _FILE).is_file()


def _num_classes(parts: Mapping[str, ClassifierBundle], num_runs: int) -> int:
    known = {part.classes for part in parts.values()}
    if len(parts) != num_runs or len(known) != 1:
        raise ValueError("two runs of one name, or of other classes")
    return len(known.pop())


def _load_part(folder: Path, digest: str) -> ClassifierBundle:
    part = ClassifierBundle.load(folder)
    if digest_file(folder / CLASSIFIER_NAME) != digest:
        raise ArtifactError(f"{folder} is of another run than its ensemble; {_AGAIN}")
    return part


def _copy(source: Path, target: Path) -> None:
    """Copy a folder file by file; what was not finished has a hidden name."""
    for path in sorted(source.rglob("*")):
        within = path.relative_to(source)
        if path.is_file() and not any(part.startswith(".") for part in within.parts):
            with atomic_path(target / within) as temporary:
                shutil.copyfile(path, temporary)
