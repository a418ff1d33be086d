"""Features that another program made, as a run takes them: slides, tiles and bags, and no pixels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from tilewise.auditing.cohort import AuditedCohort, AuditedSlide
from tilewise.auditing.finding import Decisions, Finding, Findings
from tilewise.auditing.groups import infer_groups
from tilewise.auditing.table import read_slides
from tilewise.cohort import Cohort, LabelTables, Purpose, Slide
from tilewise.errors import CohortError, SlideError, SlideUnreadable, UsageError
from tilewise.execution import Failure
from tilewise.extraction.bag import FeatureBag
from tilewise.inference.classifier import ClassifierBundle
from tilewise.inference.load_classifier import EnsembleClassifier
from tilewise.interchange.folder import IN_WORDS, FeatureFolder
from tilewise.interchange.slide_features import SlideFeatures
from tilewise.pipeline.feature_places import FeaturePlaces, place_tiles
from tilewise.recipe import Recipe, parse_recipe
from tilewise.run_folder import RunFolder
from tilewise.store import digest_bytes
from tilewise.tiles.plan import TilePlan
from tilewise.tiles.rows import TileRows
from tilewise.tiles.tileset import TileSet
from tilewise.tiles.window import Boxes
from tilewise.units import Size

MADE_BY = "made_by"
"""Key of an encoder's description that only features of other programs have."""
_PIXEL_SECTIONS = ("audit", "segment", "tiles", "stain", "encoder", "features")
_UNKNOWN = "an unnamed encoder"


@dataclass(frozen=True, eq=False)
class ImportedFeatures:
    """Features of a cohort, read from the files of another program.

    Attributes:
        cohort: slides with their labels; the path of each is that of its features.
        made_by: the program, in words.
        encoder: its name, as far as the files tell it.
        num_features: values of a vector.
        bags: slide -> its vectors; boxes of tiles that lie nobody knows where are 0 wide.
        sizes: slide -> its size, or what its tiles reach to.
        mpp: slide -> microns per pixel, where known.
        digests: slide -> digest of its vectors.
        failures: slides whose features cannot be used.
        files: slide -> what its file says but for the vectors.
        places: where tiles lie, to be drawn; None where nothing is drawn.
    """

    cohort: Cohort
    made_by: str
    encoder: str
    num_features: int
    bags: Mapping[str, FeatureBag]
    sizes: Mapping[str, Size]
    mpp: Mapping[str, float | None]
    digests: Mapping[str, str]
    failures: tuple[Failure, ...]
    files: Mapping[str, SlideFeatures]
    places: FeaturePlaces | None = None

    @classmethod
    def read(cls, path: Path, labels: LabelTables | None, *, purpose: Purpose) -> Self:
        """Find features in a folder, meet them with a table, and read them.

        Args:
            path: folder of features.
            labels: tables of slides; None takes `labels.csv` in the folder, where it is there.
            purpose: `train` needs labels.

        Raises:
            CohortError: there are no features, or of several encoders, or the table has faults.
            UsageError: h5py is not installed.
        """
        folder = FeatureFolder.find(path)
        beside = path / "labels.csv"
        labels = labels or (LabelTables(beside) if beside.is_file() else None)
        if labels is None and purpose == "train":
            raise CohortError(f"{path}: features without labels; give the table of slides and labels with --labels")
        cohort = Cohort.of_files(path, folder.files, tables=labels, purpose=purpose, layout="features")
        return cls._of_cohort(path, folder, cohort)

    @classmethod
    def of_run(cls, run: RunFolder) -> Self:
        """The features that a run was trained on, with its labels and groups.

        Raises:
            CohortError, UsageError: they are no longer where they were.
            ArtifactError: a table of the run is damaged.
        """
        path = Path(run.read_identity()["cohort"]["root"])
        folder = FeatureFolder.find(path)
        rows = read_slides(run.slides)[0].to_dict("records")
        files = {str(file.resolve()): file for file in folder.files.values()}
        missing = [row["slide"] for row in rows if row["path"] not in files]
        if missing:
            raise UsageError(f"{path}: the features of {missing[0]}, of which {run.root} was trained, are not there")
        slides = tuple(
            Slide(
                str(row["slide"]),
                files[row["path"]],
                label=_text(row["label"]),
                group=_text(row["group"]),
                split=_text(row["split"]),
            )
            for row in rows
        )
        classes = tuple(sorted({slide.label for slide in slides if slide.label is not None}))
        return cls._of_cohort(path, folder, Cohort(path.absolute(), "features", slides, classes, ()))

    @classmethod
    def _of_cohort(cls, path: Path, folder: FeatureFolder, cohort: Cohort) -> Self:
        names = {file: name for name, file in folder.files.items()}
        ids = {names[slide.path]: slide.slide_id for slide in cohort.slides}
        outcome = replace(folder, files={name: folder.files[name] for name in ids}).each(_usable)
        slides = {ids[name]: slide for name, slide in outcome.results.items()}
        # As a stage that a finished run does not try again.
        failures = [replace(failure, item=ids[failure.item], stage="audit") for failure in outcome.failures]
        if not slides:
            raise CohortError(f"{path}: no slide's features can be used, the first: {failures[0].message}")
        bags = {
            name: FeatureBag(name, slide.tile_vectors.astype(np.float32), _boxes(slide))
            for name, slide in slides.items()
        }
        return cls(
            cohort,
            IN_WORDS[next(iter(slides.values())).source],
            _the_one(path, "encoders", {slide.encoder for slide in slides.values()}),
            _the_one(
                path, "numbers of features", {bag.features_ND.shape[1] for bag in bags.values() if len(bag.boxes)}
            ),
            bags,
            {name: _size(slide, bags[name].boxes) for name, slide in slides.items()},
            {name: slide.mpp for name, slide in slides.items()},
            {name: digest_bytes(slide.features.tobytes()) for name, slide in slides.items()},
            tuple(failures),
            {name: slide.without_vectors for name, slide in slides.items()},
        )

    def drawable(self, pixels: Path | None) -> Self:
        """The same with tiles where they are drawn: on the slides in `pixels`, or on a blank.

        Args:
            pixels: folder of the slides, found by name; None where there are none.

        Raises:
            UsageError: there is no such folder, or not one slide in it fits.
        """
        places = place_tiles(self.files, pixels)
        bags = {name: replace(bag, boxes=places.boxes[name]) for name, bag in self.bags.items()}
        return replace(self, bags=bags, sizes=places.sizes, places=places)

    def of(self, cohort: Cohort) -> Self:
        """Those of some slides alone."""
        names = {slide.slide_id for slide in cohort.slides}
        bags = {name: bag for name, bag in self.bags.items() if name in names}
        failures = tuple(failure for failure in self.failures if failure.item in names)
        return replace(self, cohort=cohort, bags=bags, failures=failures)

    @property
    def encoder_name(self) -> str:
        """The encoder, in words where it has no name."""
        return self.encoder or _UNKNOWN

    @property
    def signature(self) -> dict[str, Any]:
        """What stands where other runs describe their encoder."""
        return {"card": self.encoder_name, MADE_BY: self.made_by, "num_features": self.num_features}

    def audited(self) -> AuditedCohort:
        """The slides as later stages take them: nothing was looked at but whether two have the same vectors."""
        slides = {slide.slide_id: slide for slide in self.cohort.slides if slide.slide_id in self.bags}
        first: dict[str, str] = {}
        findings = []
        for name in slides:
            twin = first.setdefault(self.digests[name], name)
            if twin != name and len(self.bags[name].boxes):
                findings.append(Finding(name, "exact-copy", twin, "keep", 1.0, f"the same vectors as {twin}"))
        groups = infer_groups(slides, findings)
        pictures = {} if self.places is None else self.places.pictures
        audited = tuple(
            AuditedSlide(
                slide=replace(slide, path=pictures.get(name, slide.path)),
                size=self.sizes[name],
                mpp=self.mpp[name],
                group=groups[name],
                use_mask=False,
                content=self.digests[name],
                pixel_digest=self.digests[name],
                notes=(),
                has_pixels=name in pictures,
            )
            for name, slide in slides.items()
        )
        return AuditedCohort(
            audited, self.cohort.classes, Findings(findings), Decisions(), (), failures=self.failures, groups=groups
        )

    def tiles(self) -> TileSet:
        """Where the vectors' tiles lie, as far as the files tell it."""
        plans = {}
        for name, bag in self.bags.items():
            ratios = np.full(len(bag.boxes), np.nan)
            rows = TileRows.of_boxes(bag.boxes, ratios, strategy=self.made_by, region="")
            plans[name] = TilePlan(rows, "" if len(rows) else "its file holds no vector")
        return TileSet.of(plans)

    def recipe(self, recipe: Recipe) -> Recipe:
        """The recipe without what only pixels can be put through; its first note says so.

        Raises:
            UsageError: it trains networks on pixels.
        """
        if recipe.training.input != "features":
            raise UsageError("training.input=tiles: networks take pixels, and here are features; set it to features")
        data, fresh = recipe.model_dump(mode="json"), Recipe(name=recipe.name).model_dump(mode="json")
        note = (
            f"The features are {self.made_by}'s, by {self.encoder_name} ({self.num_features} values a tile): no "
            "pixel was looked at. Copies, ink, focus and masks were not audited, and slides have no pictures."
        )
        notes = [*data["notes"], *([] if note in data["notes"] else [note])]
        data |= {name: fresh[name] for name in _PIXEL_SECTIONS} | {"notes": notes}
        return parse_recipe(data, recipe.name)

    def varied_recipe(self, recipe: Recipe, keys: Iterable[str]) -> Recipe:
        """`recipe` of a variant of a sweep, or what a search varies.

        Args:
            recipe: of the variant.
            keys: that the grid or the space sets.

        Raises:
            UsageError: they are of what only pixels can be put through, or the variant trains on pixels.
        """
        of_pixels = [key for key in keys if key.split(".")[0] in _PIXEL_SECTIONS]
        if of_pixels:
            raise UsageError(
                f"{', '.join(of_pixels)} cannot be varied, for features of another program are what they are; vary the "
                "head and its training, or give the slides themselves"
            )
        return self.recipe(recipe)

    def check_encoder(self, encoder: Mapping[str, Any]) -> None:
        """Refuse to predict by a classifier of other features.

        Raises:
            UsageError: they differ in number or in the encoder's name.
        """
        own = self.encoder_name
        is_other = _UNKNOWN not in (own, encoder["card"]) and own != encoder["card"]
        if is_other or encoder["num_features"] != self.num_features:
            raise UsageError(
                f"{self.cohort.root}: {self.num_features} features a tile by {own}, and the run was "
                f"trained on {encoder['num_features']} by {encoder['card']}; give features of that encoder"
            )


def takes_features(classifier: ClassifierBundle | EnsembleClassifier) -> bool:
    """Whether a classifier was trained on features of another program."""
    parts = classifier.parts.values() if isinstance(classifier, EnsembleClassifier) else (classifier,)
    return any(MADE_BY in part.encoder for part in parts)


def _text(cell: Any) -> str | None:
    return None if pd.isna(cell) else str(cell)


def _usable(slide: SlideFeatures) -> SlideFeatures:
    invalid = int((~np.isfinite(slide.tile_vectors)).any(axis=1).sum())
    if invalid:
        raise SlideUnreadable(
            f"{slide.slide_id}: {invalid} of {len(slide.tile_vectors)} vectors hold NaN or infinity; make them again"
        )
    return slide


def _the_one(path: Path, kind: str, values: set[Any]) -> Any:
    if len(values) > 1:
        listed = " and ".join(sorted(str(value) or "unnamed" for value in values)[:3])
        raise CohortError(f"{path}: features of several {kind} lie here ({listed}); give the folder of one")
    return next(iter(values))


def _boxes(slide: SlideFeatures) -> Boxes:
    """int64 (N, 4) in level-0 pixels; 0 where nobody knows."""
    boxes_N4 = np.zeros((len(slide.tile_vectors), 4), dtype=np.int64)
    if slide.of_slide:
        return boxes_N4
    try:
        boxes_N4[:, :2], boxes_N4[:, 2:] = slide.coords_px(), round(slide.tile_size_in("px"))
    except SlideError:
        boxes_N4[:] = 0
    return boxes_N4


def _size(slide: SlideFeatures, boxes: Boxes) -> Size:
    reach = (boxes[:, :2] + boxes[:, 2:]).max(axis=0, initial=0)
    return Size(*(slide.size or (int(reach[0]), int(reach[1]))))
