"""One run's classifier and new slides in, its probabilities of each slide out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from tilewise.auditing.audit_cohort import AuditOptions, audit_cohort
from tilewise.auditing.cohort import AuditedCohort
from tilewise.auditing.config import AuditConfig
from tilewise.cohort import Cohort
from tilewise.encoders import Encoder, build_encoder
from tilewise.errors import EncoderUnavailable, UsageError
from tilewise.execution import Failure
from tilewise.inference.classifier import ClassifierBundle
from tilewise.inference.network import SlideProbabilities
from tilewise.models import FoldModel
from tilewise.pipeline.feature_stages import ImportedPreparer
from tilewise.pipeline.imported_features import MADE_BY, ImportedFeatures
from tilewise.pipeline.masks import masks_for_prediction
from tilewise.pipeline.prediction_warnings import COPY_OF_TRAINING
from tilewise.pipeline.slide_inputs import SlideInputs
from tilewise.pipeline.tile_preparer import TilePreparer
from tilewise.recipe import Recipe, parse_recipe
from tilewise.segment.segmenter import segmenter_digest
from tilewise.tiles.outside import without_outside
from tilewise.tiles.tile_cohort import tile_cohort
from tilewise.tiles.tileset import TileSet

# Findings that make a prediction doubtful; masks are spoken of with the tiles.
_TELLING = frozenset(
    {"not-histology", "other-stain", "ink", "damaged", "blank", "blurred", "dark", "bright", "bit-depth", "left-out"}
)

Result = TypeVar("Result")


@dataclass(frozen=True)
class PreparedSlides:
    """New slides as a classifier takes them.

    Attributes:
        audited: the slides, with masks made where the recipe asks for them.
        tiles: of the slides.
        preparer: what encoded or decoded the tiles.
        inputs: the slides that have tiles.
        failures: slides that could not be read so far.
    """

    audited: AuditedCohort
    tiles: TileSet
    preparer: TilePreparer
    inputs: SlideInputs[Any]
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class RunPrediction:
    """What the classifier of one run says of new slides.

    Attributes:
        members: by each of its models; of the slides that could be predicted.
        probabilities: slide -> float64 (C,), the weighted mean over its models.
        warnings: slide -> what a person should know, a sentence each.
        unpredicted: slide -> why it could not be predicted.
        notes: what is to be said of all slides.
        failures: slides that could not be read.
        slide_notes: slide -> what was handled on the way to its pixels.
    """

    members: SlideProbabilities
    probabilities: Mapping[str, npt.NDArray[np.float64]]
    warnings: Mapping[str, list[str]]
    unpredicted: Mapping[str, str]
    notes: tuple[str, ...]
    failures: tuple[Failure, ...]
    slide_notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def num_tiles(self) -> dict[str, int]:
        """Slide -> tiles, of the slides that could be predicted."""
        return dict(zip(self.members.slide_ids, self.members.num_tiles_S.tolist(), strict=True))


@dataclass(frozen=True)
class NewSlides:
    """New slides, and what was made of them already: classifiers whose recipes agree in a stage share it.

    Attributes:
        cohort: the slides.
        workers: processes; None takes every processor.
        offline: never reach for the network.
        features: of the slides, where another program made them.
        results: stage and everything it depends on -> its result.
    """

    cohort: Cohort
    workers: int | None
    offline: bool
    features: ImportedFeatures | None = None
    results: dict[str, Any] = field(default_factory=dict)

    def once(self, stage: str, depends_on: object, make: Callable[[], Result]) -> Result:
        """The result of a stage, made when it is first asked for."""
        key = json.dumps([stage, depends_on], sort_keys=True, default=str)
        if key not in self.results:
            self.results[key] = make()
        result: Result = self.results[key]
        return result


@dataclass(frozen=True)
class RunPredictor:
    """A classifier that is ready to predict slides: its recipe is read and its encoder is here.

    Attributes:
        classifier: of one run.
        recipe: it was trained with.
        encoder: that tiles are put through; None where networks take the tiles themselves.
        notes: how the encoder differs from training.
    """

    classifier: ClassifierBundle
    recipe: Recipe
    encoder: Encoder | None
    notes: tuple[str, ...]

    @classmethod
    def of(cls, classifier: ClassifierBundle, slides: NewSlides) -> RunPredictor:
        """Build what the classifier needs, before any slide is looked at.

        Raises:
            EncoderUnavailable: the encoder's weights are not here, or are others than in training.
            UsageError: it was trained on features of another program, and these are slides, or the other way round.
        """
        recipe = parse_recipe(classifier.recipe, "the classifier's recipe")
        if slides.features is not None or MADE_BY in classifier.encoder:
            _check_features(classifier, slides.features)
            return cls(classifier, recipe, None, ())
        if recipe.training.input == "tiles":  # networks on pixels lie in the bundle, whole
            return cls(classifier, recipe, None, ())
        encoder = slides.once(
            "encoder",
            [recipe.encoder.model_dump(mode="json"), classifier.seed],
            lambda: build_encoder(recipe.encoder, offline=slides.offline, seed=classifier.seed, workers=slides.workers),
        )
        return cls(classifier, recipe, encoder, compare_encoders(classifier, encoder))

    def prepare(self, slides: NewSlides) -> PreparedSlides:
        """Audit the slides, cut them, and encode or decode their tiles.

        Raises:
            CohortError: not one slide can be read.
            NoTiles: not one slide yields a tile.
        """
        features = slides.features
        if features is not None:
            audited, tiles = features.audited(), features.tiles()
            imported = ImportedPreparer(audited, tiles, None, self.recipe, bags=features.bags)
            return PreparedSlides(audited, tiles, imported, imported.prepare(()), audited.failures)
        audited, tiles, failures = self._tiles(slides)
        preparer, lost = TilePreparer(audited, tiles, self.encoder, self.recipe).with_profiles(workers=slides.workers)
        preparer, more = preparer.with_context(workers=slides.workers)
        lost = (*lost, *more)
        inputs = preparer.prepare(self.classifier.targets, without={failure.item for failure in lost}, hold=False)
        return PreparedSlides(audited, tiles, preparer, inputs, (*audited.failures, *failures, *lost, *inputs.failures))

    def predict(self, prepared: PreparedSlides) -> RunPrediction:
        """Predict prepared slides."""
        classifier, audited, tiles, inputs = self.classifier, prepared.audited, prepared.tiles, prepared.inputs
        members = inputs.predict(classifier.members, tuple(inputs))
        failures = (*prepared.failures, *members.failures)
        unpredicted = {failure.item: f"it could not be read: {failure.message}" for failure in failures}
        unpredicted |= {name: f"it yields no tile: {reason}" for name, reason in tiles.skipped.items()}
        warnings = _warnings(classifier, audited, tiles)
        for name, sentences in _out_of_distribution(classifier, inputs, members).items():
            warnings.setdefault(name, []).extend(sentences)
        if prepared.preparer.outside is not None:
            for name in without_outside(inputs, prepared.preparer.outside):
                text = "no tissue outside a usable mask: nothing is known of what stands beside its tiles"
                warnings.setdefault(name, []).append(text)
        num_unnormalised = dict(zip(members.slide_ids, members.num_unnormalised_S.tolist(), strict=True))
        record = prepared.preparer.record(inputs, num_unnormalised)
        for name, reason in record.unnormalised.items() if record else ():
            warnings.setdefault(name, []).append(f"stain not normalised: {reason}")
        probabilities = dict(zip(members.slide_ids, classifier.weigh(members.probabilities_MSC), strict=True))
        return RunPrediction(members, probabilities, warnings, unpredicted, self.notes, failures, audited.notes)

    def _tiles(self, slides: NewSlides) -> tuple[AuditedCohort, TileSet, tuple[Failure, ...]]:
        """The slides as they are cut, with masks made where the recipe asks for them."""
        classifier, recipe, workers = self.classifier, self.recipe, slides.workers
        checks = _for_prediction(recipe.audit)
        checked_by = checks.model_dump(mode="json")
        audited = slides.once(
            "audit",
            checked_by,
            lambda: audit_cohort(slides.cohort, checks, AuditOptions(drop=False, workers=workers)),
        )
        networks = None if classifier.segmenter is None else segmenter_digest(classifier.segmenter)
        masked_by = [checked_by, recipe.segment.model_dump(mode="json"), networks, classifier.seed]
        masked = slides.once(
            "masks",
            masked_by,
            lambda: masks_for_prediction(audited, recipe.segment, classifier, workers=workers, offline=slides.offline),
        )
        tiles, failures = slides.once(
            "tiles",
            [masked_by, recipe.tiles.model_dump(mode="json")],
            lambda: tile_cohort(masked, recipe.tiles, out=None, workers=workers),
        )
        return masked, tiles, failures


def _check_features(classifier: ClassifierBundle, features: ImportedFeatures | None) -> None:
    made_by = classifier.encoder.get(MADE_BY)
    if features is None:
        raise UsageError(
            f"the run was trained on features that {made_by} made; give a folder of such features, not slides"
        )
    if made_by is None:
        raise UsageError("the run encodes slides by itself; give the slides, not features that another program made")
    features.check_encoder(classifier.encoder)


def compare_encoders(classifier: ClassifierBundle, encoder: Encoder) -> tuple[str, ...]:
    """Other weights make other vectors: that is refused. Another engine rounds otherwise: that is said."""
    then, now = classifier.encoder, encoder.signature
    length = next((member.num_features for member in classifier.members if isinstance(member, FoldModel)), None)
    if length is not None and encoder.card.dim != length:
        raise EncoderUnavailable(
            f"encoder {encoder.card.name}: it makes {encoder.card.dim} features of a tile here and made {length} in "
            "training; use the version of tilewise that trained the run, or train again"
        )
    different = [key for key in sorted(then.keys() | now.keys()) if then.get(key) != now.get(key)]
    steps = {
        "card": "use the version of tilewise that trained the run, or train again",
        "code": "use the version of tilewise that trained the run, or train again",
        "weights": "give the file the run was trained with",
    }
    for key, step in steps.items():
        if key in different:
            raise EncoderUnavailable(
                f"encoder {encoder.card.name}: its {key} differs from training ({then.get(key)!r} then, "
                f"{now.get(key)!r} now); {step}"
            )
    changes = ", ".join(f"{key} {then.get(key)!r} -> {now.get(key)!r}" for key in different)
    return (f"the encoder runs otherwise than in training ({changes}); probabilities may differ slightly",) * bool(
        changes
    )


def _for_prediction(config: AuditConfig) -> AuditConfig:
    """Every new slide is asked for: copies are no fault, and where training drops ink it is taken out here."""
    return config.model_copy(update={"copies": "keep", "ink": "keep" if config.ink == "keep" else "repair"})


def _warnings(classifier: ClassifierBundle, audited: AuditedCohort, tiles: TileSet) -> dict[str, list[str]]:
    warnings: dict[str, list[str]] = {}
    for name, reason in tiles.fallbacks.items():
        warnings.setdefault(name, []).append(f"tiles not cut by its mask: {reason}")
    for name, reason in tiles.small_masks.items():
        warnings.setdefault(name, []).append(reason)
    for finding in audited.findings:
        if finding.kind in _TELLING and finding.proposal != "keep":
            warnings.setdefault(finding.slide, []).append(f"{finding.kind}: {finding.evidence}")
    for item in audited.slides:
        if item.repaired:
            warnings.setdefault(item.slide_id, []).append(f"repaired: {item.repaired}")
        twin = classifier.training_slides.get(item.pixel_digest)
        if twin is not None:
            text = f"{COPY_OF_TRAINING} {twin}: the classifier has seen it, ignore its prediction"
            warnings.setdefault(item.slide_id, []).append(text)
    return warnings


def _out_of_distribution(
    classifier: ClassifierBundle, inputs: SlideInputs[Any], members: SlideProbabilities
) -> dict[str, list[str]]:
    """What sets slides apart from those of the training cohort."""
    reference_distribution = classifier.reference_distribution
    if reference_distribution is None:
        return {}
    distances_MS = inputs.distances(classifier.members, members.slide_ids)
    mean_S = repeat(None) if distances_MS is None else np.average(distances_MS, axis=0, weights=classifier.weights)
    rows = zip(members.slide_ids, members.num_tiles_S.tolist(), mean_S, strict=False)
    return {name: sentences for name, num, far in rows if (sentences := reference_distribution.warnings(num, far))}
