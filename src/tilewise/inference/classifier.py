"""The deployable classifier: fold models, their weights, and everything needed to use them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from tilewise.calibration.calibration import Calibration
from tilewise.errors import ArtifactError
from tilewise.extraction.bag import FeatureBag, placements
from tilewise.inference.out_of_distribution import ReferenceDistribution
from tilewise.models import FoldModel
from tilewise.models.files import ABOUT_NAME
from tilewise.models.networks import NetworkModel
from tilewise.plugins import plugin_records, require_plugins
from tilewise.segment.segmenter import Segmenter, segmenter_digest
from tilewise.stain.profile import StainProfile
from tilewise.store import digest_file, read_json, write_json
from tilewise.wording import count

Member = FoldModel | NetworkModel
_KINDS: Mapping[Any, type[Member]] = {"tiles": NetworkModel, "features": FoldModel, None: FoldModel}
Item = TypeVar("Item")

_SCHEMA = "tilewise.classifier"
_VERSION = 4
CLASSIFIER_NAME = "classifier.json"
_SEGMENTER = "segmenter"
_AGAIN = "train the run again"


@dataclass(frozen=True, repr=False)
class ClassifierBundle:
    """The models of a run's folds, with equal or given weights.

    Attributes:
        members: heads on features, or networks on pixels; of the same classes, and of both kinds only where folds of
            a ladder chose so.
        weights: of the members, summing to 1.
        classes: in the order of the probability columns.
        recipe: the resolved recipe as plain data; tiles and encoder of new slides are made by it.
        seed: of the run, for encoders with random weights.
        encoder: the encoder's signature at training.
        label_counts: class -> slides of the train and validation parts of these folds.
        training_slides: digest of the decoded pixels -> slide id, to recognise a training slide when it comes back.
        targets: stains that new slides are brought to, one for all members or one for each; none where stains are left
            as they are.
        segmenter: folder of the U-Nets that make the masks of new slides; None where masks are not learnt.
        reference_distribution: what slides of the training cohort are like, to notice one that is not; None where
            nobody noted it.
        calibration: from scores to probabilities and prediction sets; None in bundles of earlier versions.
    """

    members: tuple[Member, ...]
    weights: tuple[float, ...]
    classes: tuple[str, ...]
    recipe: Mapping[str, Any]
    seed: int
    encoder: Mapping[str, Any]
    label_counts: Mapping[str, int]
    training_slides: Mapping[str, str]
    targets: tuple[StainProfile, ...] = ()
    segmenter: Path | None = None
    reference_distribution: ReferenceDistribution | None = None
    calibration: Calibration | None = None

    def __repr__(self) -> str:
        kinds = {isinstance(member, NetworkModel) for member in self.members}
        kind = "head or network" if len(kinds) > 1 else "network" if kinds == {True} else "head"
        learnt = f"learnt from {count(sum(self.label_counts.values()), 'slide')}"
        return f"<ClassifierBundle {self.recipe['name']}: {count(len(self.members), kind)}, {learnt}>"

    def weigh(self, probabilities_MSC: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The weighted mean over members, float64 (S, C)."""
        weights_M = np.array(self.weights, dtype=np.float64)
        weighed_SC: npt.NDArray[np.float64] = np.sum(weights_M[:, None, None] * probabilities_MSC, axis=0)
        return weighed_SC

    @property
    def commonest(self) -> str:
        """The commonest class of the training cohort: what a slide without any tile is called."""
        return max(self.classes, key=lambda name: self.label_counts.get(name, 0))

    def save(self, folder: Path) -> None:
        """Write the bundle; `classifier.json` comes last and holds digests of the members, so a mixture is noticed."""
        names = [f"member-{number}" for number in range(len(self.members))]
        for name, member in zip(names, self.members, strict=True):
            member.save(folder / name)
        if self.segmenter is not None and self.segmenter.resolve() != (folder / _SEGMENTER).resolve():
            Segmenter.load(self.segmenter).save(folder / _SEGMENTER)
        plugins = plugin_records(self.recipe)
        payload = {
            "members": [
                {
                    "folder": name,
                    "weight": weight,
                    "digest": digest_file(folder / name / ABOUT_NAME),
                    "input": "tiles" if isinstance(member, NetworkModel) else "features",
                }
                for name, weight, member in zip(names, self.weights, self.members, strict=True)
            ],
            "classes": list(self.classes),
            "recipe": dict(self.recipe),
            **({"plugins": plugins} if plugins else {}),
            "seed": self.seed,
            "encoder": dict(self.encoder),
            "label_counts": dict(self.label_counts),
            "training_slides": dict(self.training_slides),
            "targets": [target.to_json() for target in self.targets],
            "segmenter": None if self.segmenter is None else segmenter_digest(folder / _SEGMENTER),
            "reference_distribution": None
            if self.reference_distribution is None
            else self.reference_distribution.to_json(),
            "calibration": None if self.calibration is None else self.calibration.to_json(),
        }
        write_json(folder / CLASSIFIER_NAME, payload, schema=_SCHEMA, version=_VERSION)

    @classmethod
    def load(cls, folder: Path) -> ClassifierBundle:
        """Read a bundle.

        Raises:
            ArtifactError: it is missing, not whole or damaged.
            PluginError: it was made with a plugin that is not installed.
        """
        data = read_json(folder / CLASSIFIER_NAME, schema=_SCHEMA, version=_VERSION)
        require_plugins(data.get("plugins", ()), f"the classifier in {folder}")
        try:
            # A ladder's members may be of both kinds; before there were ladders, all were as the recipe says.
            recipe_input = data["recipe"].get("training", {}).get("input")
            members = tuple(
                _load_member(_KINDS[entry.get("input", recipe_input)], folder / entry["folder"], entry["digest"])
                for entry in data["members"]
            )
            # Version 1 knew no stains.
            targets = tuple(StainProfile.from_json(target) for target in data.get("targets", ()))
            _check_targets(data["recipe"], targets, len(members))
            learnt = data.get("segmenter")
            reference_distribution = data.get("reference_distribution")  # version 2 did not note it
            if learnt is not None and learnt != segmenter_digest(folder / _SEGMENTER):
                raise ArtifactError(f"{folder / _SEGMENTER} is of another training; {_AGAIN}")
            return cls(
                members=members,
                weights=tuple(float(entry["weight"]) for entry in data["members"]),
                classes=tuple(data["classes"]),
                recipe=data["recipe"],
                seed=int(data["seed"]),
                encoder=data["encoder"],
                label_counts=data["label_counts"],
                training_slides=data["training_slides"],
                targets=targets,
                segmenter=None if learnt is None else folder / _SEGMENTER,
                reference_distribution=None
                if reference_distribution is None
                else ReferenceDistribution.from_json(reference_distribution),
                calibration=Calibration.from_json(
                    data.get("calibration"), len(data["classes"])
                ),  # not before version 4
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{folder / CLASSIFIER_NAME} is damaged ({error!r}); {_AGAIN}") from error


def read_weights(folder: Path) -> tuple[float, ...]:
    """The weights of a bundle's members, without loading these.

    Raises:
        ArtifactError: the bundle is missing or damaged.
    """
    data = read_json(folder / CLASSIFIER_NAME, schema=_SCHEMA, version=_VERSION)
    try:
        return tuple(float(entry["weight"]) for entry in data["members"])
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{folder / CLASSIFIER_NAME} is damaged ({error!r}); {_AGAIN}") from error


def _check_targets(recipe: Mapping[str, Any], targets: Sequence[StainProfile], num_members: int) -> None:
    allowed = (0,) if recipe.get("stain", {}).get("method", "none") == "none" else (1, num_members)
    if len(targets) not in allowed:
        raise ValueError(f"{len(targets)} stain targets")


def _load_member(kind: type[Member], folder: Path, digest: str) -> Member:
    member = kind.load(folder)
    if digest_file(folder / ABOUT_NAME) != digest:
        raise ArtifactError(f"{folder} is of another training than its classifier; run `tilewise train` to its end")
    return member


def for_each(inputs: Sequence[Item], models: Sequence[object]) -> Sequence[Item]:
    """What each model takes: the same for all where there is one, else each its own."""
    return [inputs[0]] * len(models) if len(inputs) == 1 else inputs


def predict_bags(model: FoldModel, bags: Mapping[str, FeatureBag]) -> npt.NDArray[np.float64]:
    """Slide probabilities of one model, float64 (S, C), rows in the order of `bags`."""
    features_ND, tile_slide_N = stack(bags)
    context = [bag.context_E for bag in bags.values() if bag.context_E is not None]
    context_SE = np.stack(context) if context else None
    probabilities_SC, _ = model.predict_slides(
        features_ND, tile_slide_N, len(bags), context_SE, placements(bags.values())
    )
    return probabilities_SC.astype(np.float64)


def stack(bags: Mapping[str, FeatureBag]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """All tiles of several slides: features float32 (N, D), and for each tile the position of its slide, int64 (N,)."""
    features_ND = np.concatenate([bag.features_ND for bag in bags.values()])
    lengths = [len(bag.features_ND) for bag in bags.values()]
    return features_ND, np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)
