"""One uploaded image in, the prediction and the map of a run out; this runs in a worker process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from tilewise.calibration.calibration import PREFIX as PREFIX_CALIBRATED
from tilewise.calibration.prediction_sets import COLUMN, SEPARATOR
from tilewise.cohort import Cohort
from tilewise.cohort.geojson import SUFFIX as OUTLINES
from tilewise.cohort.slide import Slide
from tilewise.errors import CohortError, NoTiles, SlideError, SlideTooLarge, UsageError
from tilewise.execution import Failure
from tilewise.inference.classifier import ClassifierBundle
from tilewise.inference.load_classifier import EnsembleClassifier, load_classifier
from tilewise.inference.predictions import PREFIX
from tilewise.pipeline.predict import PredictionResult, join_predictions, runs_of
from tilewise.pipeline.run_predictor import NewSlides, PreparedSlides, RunPrediction, RunPredictor
from tilewise.run_folder import RunFolder
from tilewise.serving.prediction_api.draw_map import draw_map
from tilewise.serving.prediction_api.errors import ServiceError
from tilewise.slides import overview_size, read_header

SLIDE_ID: Final = "uploaded-image"
# Empty glass in JPEG tiles has less than 100; a bomb of tiles has to be small, as regions are read at leisure.
_MOST_PIXELS_PER_BYTE: Final = 1000
_OTHER_IMAGE: Final = "open it in a viewer; send a PNG, JPEG, BMP or TIFF file that is whole"


@dataclass(frozen=True)
class SlidePredictor:
    """A run that is ready to predict: read, with its encoders.

    Attributes:
        classifier: of the run.
        predictors: run -> what predicts by it; several for an ensemble.
        max_pixels: of an image, decoded at once.
    """

    classifier: ClassifierBundle | EnsembleClassifier
    predictors: Mapping[str, RunPredictor]
    max_pixels: int

    @classmethod
    def load(cls, run: Path, *, max_pixels: int) -> Self:
        """Read a run's classifier and build its encoders, from files alone.

        Raises:
            UsageError: there is no finished run, or it was trained on features that another program made.
            EncoderUnavailable: the encoder's weights are not here, or are others than in training.
            ArtifactError: a file of the run is missing or damaged.
        """
        folder = RunFolder(run)
        folder.require_finished()
        classifier = load_classifier(folder.model)
        slides = NewSlides(Cohort(folder.root, "service", (), classifier.classes, ()), workers=None, offline=True)
        predictors = {name: RunPredictor.of(part, slides) for name, part in runs_of(classifier).items()}
        return cls(classifier, predictors, max_pixels)

    def predict(self, image: Path, mask: Path | None, *, with_map: bool) -> tuple[dict[str, Any], bytes | None]:
        """Predict one image.

        Args:
            image: its file.
            mask: the file of its mask, an image or GeoJSON.
            with_map: draw its map as well.

        Returns:
            The body of the answer, and the map as PNG.

        Raises:
            ServiceError: the image cannot be read or predicted.
        """
        names = {f"{SLIDE_ID}: ": "", f"{image.parent}: ": "", SLIDE_ID: "the image"}
        names |= {
            f"{mask}{OUTLINES}": "the mask",
            str(mask): "the mask",
            str(image): "the image",
            str(image.parent): "the upload",
        }
        try:
            self._check_size(image, "image")
            if mask is not None and _is_json(mask):
                mask = mask.rename(mask.with_suffix(OUTLINES))
            elif mask is not None:
                self._check_size(mask, "mask")
            slide = Slide(SLIDE_ID, image, mask)
            cohort = Cohort(image.parent, "service", (slide,), self.classifier.classes, ())
            slides = NewSlides(cohort, workers=1, offline=True)
            prepared = {name: predictor.prepare(slides) for name, predictor in self.predictors.items()}
            parts = {name: self.predictors[name].predict(one) for name, one in prepared.items()}
        except SlideTooLarge as error:
            raise _unusable(error, names, "image-too-large", "scale it down", status=413) from error
        except NoTiles as error:
            raise _unusable(error, names, "no-tiles", "send an image that shows tissue") from error
        except (SlideError, CohortError) as error:
            what = "mask" if mask is not None and str(mask) in str(error) else "image"
            raise _unusable(error, names, f"{what}-unreadable", _OTHER_IMAGE) from error
        result = join_predictions(self.classifier, cohort, parts)
        if result.unclassified():
            reason = next(why for part in parts.values() for why in part.unpredicted.values())
            raise ServiceError(422, "not-predicted", f"the image: {_renamed(reason, names)}", _OTHER_IMAGE)
        body = _body(result, names)
        return body, self._map(prepared, parts, body["predicted"]) if with_map else None

    def _check_size(self, path: Path, what: str) -> None:
        """Read the header alone; no pixel is decoded of what is too large."""
        try:
            header = read_header(path)
        except SlideError as error:
            raise _unusable(error, {str(path): f"the {what}"}, f"{what}-unreadable", _OTHER_IMAGE) from error
        # Of a tiled slide, no more than its overview is decoded at once.
        size = overview_size(header.size) if header.levels else header.size
        num_bytes = path.stat().st_size
        if header.size.area > _MOST_PIXELS_PER_BYTE * num_bytes and header.levels:
            raise ServiceError(
                413,
                f"{what}-too-large",
                f"the {what} is {num_bytes} bytes that claim to be {header.size.width} x {header.size.height} pixels",
                _OTHER_IMAGE,
            )
        if size.area > self.max_pixels:
            raise ServiceError(
                413,
                f"{what}-too-large",
                f"the {what} has {size.width} x {size.height} pixels, more than the "
                f"{self.max_pixels / 1e6:,.0f} megapixels that this service decodes",
                "scale it down, or start the service with a larger --max-megapixels",
            )

    def _map(
        self, prepared: Mapping[str, PreparedSlides], parts: Mapping[str, RunPrediction], predicted: str
    ) -> bytes | None:
        """The map of the predicted class; None for ensembles, and where networks lack what draws their activation."""
        if isinstance(self.classifier, EnsembleClassifier):
            return None
        ((name, one),) = prepared.items()
        classifier = self.classifier
        index = classifier.classes.index(predicted)
        try:
            ((_, values),) = one.inputs.tile_values(
                classifier.members,
                classifier.weights,
                class_indices={SLIDE_ID: index},
                prediction=parts[name].members,
            )
        except UsageError:
            return None
        return None if isinstance(values, Failure) else draw_map(one.audited.slides[0], values)


def _is_json(path: Path) -> bool:
    """Whether a mask is of outlines, by its first character: GeoJSON begins with no image's bytes."""
    with path.open("rb") as stream:
        return stream.read(64).lstrip()[:1] in {b"{", b"["}


def _body(result: PredictionResult, names: Mapping[str, str]) -> dict[str, Any]:
    """The answer but for the link to the map."""
    row = {str(name): value for name, value in result.table.iloc[0].items()}
    calibrated = _by_class(row, PREFIX_CALIBRATED)
    return {
        "predicted": row["predicted"],
        "probabilities": _by_class(row, PREFIX),
        "calibrated": calibrated or None,
        "prediction_set": [name for name in row[COLUMN].split(SEPARATOR) if name] if COLUMN in row else None,
        "num_tiles": int(row["num_tiles"]),
        "warnings": [_renamed(text, names) for text in result.warnings],
        "notes": [_renamed(kind.text, names) for kind in result.slide_notes],
    }


def _by_class(row: Mapping[str, Any], prefix: str) -> dict[str, float]:
    return {name.removeprefix(prefix): float(value) for name, value in row.items() if name.startswith(prefix)}


def _unusable(
    error: Exception, names: Mapping[str, str], code: str, next_step: str, *, status: int = 422
) -> ServiceError:
    return ServiceError(status, code, _renamed(str(error), names), next_step)


def _renamed(text: str, names: Mapping[str, str]) -> str:
    """The text without the names of our temporary files, which say nothing to who sent them."""
    for path, name in names.items():
        text = text.replace(path, name)
    return text
