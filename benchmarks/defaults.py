"""The default recipe beside the one it replaced and simple features, out of fold, on every public set with labels.

    python benchmarks/defaults.py [--seeds 3] [--sets oral camelyon] [--keep FOLDER]   # reads $TILEWISE_DATA

With `--keep`, what is predicted on a set is kept in a folder, and a later call starts from there.

Every row goes through the same audit, groups and folds as `tilewise train`, and is scored on the same slides: macro F1
of the pooled test parts, mean over seeds of the folds. Differences are paired; intervals resample groups within each
set (percentiles of 2,000 draws), and the mean over sets gives every set the same weight. Groups are blocks, cases or
files, and in `oral`, which names no patients, runs of eight neighbouring numbers; the audit joins those that share a
copy.

Two sets are made of images that carry no class. `camelyon`: quadrants of which the mask of tumour covers three
quarters, or one quarter at most. `brecahad`: quadrants with more or fewer marked tumour nuclei than the median; its
fields show six cases, told apart by eye. The sections of her2st have no contrast of classes and are left out.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.feature import local_binary_pattern

import tilewise as tw
from tilewise.encoders.texture import TEXTURE_DIM
from tilewise.folds import FoldItem, make_folds
from tilewise.training.data import FeatureData, PartData
from tilewise.training.head import train_head

DATA = Path(os.environ.get("TILEWISE_DATA", "../shared/data")).resolve()
NUM_RESAMPLES = 2000
Bags = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Row:
    """A way from slides to classes: a recipe's tiles, encoder and head.

    Attributes:
        name: in the tables.
        recipe: whose audit, folds and seeds have no part.
        columns: of the encoder's features; None: simple features of the whole slide take their place.
    """

    name: str
    recipe: tw.Recipe
    columns: slice | None = field(default_factory=lambda: slice(None))


DEFAULT = tw.load_recipe("default")
STAGES, TEXTURE = slice(None, -TEXTURE_DIM), slice(-TEXTURE_DIM, None)  # as encoder.with_texture joins them
LOGISTIC = {"head.kind": "logistic"}
ON_TILES = {"head.kind": "linear"}
LAST = {"encoder.pooling": "last", "encoder.with_texture": False}
ROWS = (
    Row("default", DEFAULT),
    Row("before: recipe texture", tw.load_recipe("texture")),
    Row("colour percentiles + LBP, logistic", DEFAULT.with_(**LOGISTIC), None),
    Row("default, logistic", DEFAULT.with_(**LOGISTIC)),
    Row("lite0 stages, lda", DEFAULT, STAGES),
    Row("lite0 stages, logistic", DEFAULT.with_(**LOGISTIC), STAGES),
    Row("lite0 stages, linear head on tiles", DEFAULT.with_(**ON_TILES), STAGES),
    Row("lite0 last layer, lda", DEFAULT.with_(**LAST)),
    Row("texture, 224 px, lda", DEFAULT, TEXTURE),
)
CANDIDATE, BEFORE, SIMPLE = (row.name for row in ROWS[:3])

# --- sets: tables of slides as `tilewise train` takes them -----------------------------------------------------------


def rows_of(table: str) -> list[dict[str, str]]:
    return list(csv.DictReader((DATA / table).read_text("utf-8").splitlines()))


def write_table(path: Path, rows: Iterable[dict[str, object]]) -> Path:
    rows = list(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def oral(folder: Path) -> Path:
    def group(row: dict[str, str]) -> str:
        run = int(re.findall(r"_(\d+)\.", row["file"])[0]) // 8
        return f"{row['label']} {row['magnification']} {row['split']} {run}"

    return write_table(
        folder / "oral.csv",
        (
            {"slide": DATA / "oral" / row["file"], "label": row["label"], "group": group(row)}
            for row in rows_of("oral/labels.csv")
        ),
    )


def osteosarcoma(folder: Path) -> Path:
    root = DATA / "osteosarcoma"
    return write_table(
        folder / "osteosarcoma.csv",
        (
            {"slide": root / row["slide"], "mask": root / row["mask"], "label": row["label"], "group": row["group"]}
            for row in rows_of("osteosarcoma/cohort.csv")
        ),
    )


def breakhis(folder: Path) -> Path:
    return write_table(
        folder / "breakhis.csv",
        (
            {
                "slide": DATA / "breakhis" / row["file"],
                "label": row["label"],
                "group": re.match(r"\d+-\d+", row["slide_id"])[0],
            }
            for row in rows_of("breakhis/labels.csv")
        ),
    )


def colorectal(source: str) -> Callable[[Path], Path]:
    def table(folder: Path) -> Path:
        rows = [row for row in rows_of("colorectal/labels.csv") if row["file"].startswith(source)]
        return write_table(
            folder / f"{source}.csv",
            ({"slide": DATA / "colorectal" / row["file"], "label": row["label"], "group": row["file"]} for row in rows),
        )

    return table


def quadrants(folder: Path, source: str, group: Callable[[str], str]) -> list[dict[str, Any]]:
    """The middles of the quadrants of images, at most 448 px wide and high, as files; and the mask's share of each."""
    out = folder / source
    out.mkdir()
    rows = []
    for path in sorted((DATA / source / "images").glob("*.jpg")):
        image = cv2.imread(str(path))
        mask = cv2.imread(str(DATA / source / "masks" / f"{path.stem}.png"), cv2.IMREAD_GRAYSCALE) > 127
        (height, above), (width, left) = ((min(side // 2, 448), side // 4) for side in mask.shape)
        for part, (y, x) in enumerate(((1, 1), (1, 3), (3, 1), (3, 3))):
            top, start = y * above - height // 2, x * left - width // 2
            here = np.s_[top : top + height, start : start + width]
            slide = out / f"{path.stem}-{part}.png"
            cv2.imwrite(str(slide), image[here])
            rows.append({"slide": slide, "share": float(mask[here].mean()), "group": group(path.stem)})
    return rows


def camelyon(folder: Path) -> Path:
    rows = [
        {"slide": row["slide"], "label": "tumour" if row["share"] > 0.5 else "normal", "group": row["group"]}
        for row in quadrants(folder, "camelyon_tiles", str)
        if abs(row["share"] - 0.5) >= 0.25
    ]
    return write_table(folder / "camelyon.csv", rows)


BRECAHAD_CASES = ({11, 12, 14, 15, 16}, {13, 18}, {17}, {19}, {20, 21, 22}, set(range(26, 38)))


def brecahad(folder: Path) -> Path:
    def case(stem: str) -> str:
        return str(next(number for number, fields in enumerate(BRECAHAD_CASES) if int(stem) - 10000 in fields))

    rows = quadrants(folder, "brecahad", case)
    median = float(np.median([row["share"] for row in rows]))
    return write_table(
        folder / "brecahad.csv",
        (
            {"slide": row["slide"], "label": "many" if row["share"] > median else "few", "group": row["group"]}
            for row in rows
        ),
    )


# Tiles of fat and of glass are classes of `colorectal`, and no faults.
KEEP_BLANK = {"quality": "keep"}
SETS: dict[str, tuple[Callable[[Path], Path], dict[str, Any]]] = {
    "oral": (oral, {}),
    "osteosarcoma": (osteosarcoma, {}),
    "breakhis": (breakhis, {}),
    "camelyon": (camelyon, {}),
    "crc_val_he_7k": (colorectal("crc_val_he_7k"), KEEP_BLANK),
    "kather_2016": (colorectal("kather_2016"), KEEP_BLANK),
    "brecahad": (brecahad, {}),
}

# --- predictions -----------------------------------------------------------------------------------------------------


class Cohort:
    """A set after its audit, and the features of its slides."""

    def __init__(self, table: Path, audit: dict[str, Any]) -> None:
        self._audit = {f"audit.{key}": value for key, value in audit.items()}
        self._audited = tw.audit(table, DEFAULT.with_(**self._audit))
        self._bags: dict[str, Bags] = {}
        self.labels: dict[str, str] = {}
        self.groups: dict[str, str] = {}

    def bags(self, row: Row) -> Bags:
        """The vectors of every slide's tiles, or what describes the slide as a whole."""
        if row.columns is None:
            return {item.slide_id: simple(item.slide) for item in self._audited.slides}
        key = f"{row.recipe.tiles} {row.recipe.encoder}"
        if key not in self._bags:
            features = tw.features(self._audited, row.recipe.with_(**self._audit))
            self._bags[key] = dict(zip(features.slide_ids, features.bags, strict=True))
            self.labels |= dict(zip(features.slide_ids, features.labels, strict=True))
            self.groups |= dict(zip(features.slide_ids, features.groups, strict=True))
        return {slide_id: bag[:, row.columns] for slide_id, bag in self._bags[key].items()}


def simple(slide: tw.Slide) -> NDArray[np.float32]:
    """Percentiles of RGB, HSV and Lab and uniform LBP of three radii, of the pixels under the mask; (1, 91)."""
    image = cv2.imread(str(slide.path))
    mask = np.ones(image.shape[:2], bool)
    if slide.mask_path is not None:
        mask = cv2.imread(str(slide.mask_path), cv2.IMREAD_GRAYSCALE) > 127
    spaces = (cv2.cvtColor(image, code) for code in (cv2.COLOR_BGR2RGB, cv2.COLOR_BGR2HSV, cv2.COLOR_BGR2LAB))
    parts = [np.percentile(space[mask], (5, 25, 50, 75, 95), axis=0).ravel() for space in spaces]
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    for points, radius in ((8, 1), (16, 2), (16, 4)):
        codes = local_binary_pattern(grey, points, radius, "uniform")[mask].astype(int)
        parts.append(np.bincount(codes, minlength=points + 2) / codes.size)
    return np.concatenate(parts)[None].astype(np.float32)


def predict(cohort: Cohort, row: Row, slide_ids: list[str], seeds: range) -> NDArray[np.str_]:
    """The class of every slide while it is in a test part, (seeds, slides)."""
    bags = cohort.bags(row)
    groups = {slide_id: cohort.groups[slide_id] for slide_id in slide_ids}
    items = [FoldItem(slide_id, cohort.labels[slide_id], groups[slide_id]) for slide_id in slide_ids]
    classes = tuple(sorted(set(cohort.labels.values())))
    codes = {slide_id: classes.index(cohort.labels[slide_id]) for slide_id in slide_ids}
    predicted = []
    for seed in seeds:
        out: dict[str, str] = {}
        for fold in make_folds(items, DEFAULT.folds, seed=seed).folds:
            train, validation, test = (
                PartData.of({slide_id: bags[slide_id] for slide_id in part}, codes)
                for part in (fold.train, fold.validation, fold.test)
            )
            data = FeatureData(classes, train, validation, groups)
            model, _ = train_head(data, row.recipe.head, row.recipe.training, seed=seed)
            probabilities_SC, _ = model.predict_slides(test.features_ND, test.tile_slide_N, test.num_slides)
            out.update(zip(fold.test, np.array(classes)[probabilities_SC.argmax(axis=1)], strict=True))
        predicted.append([out[slide_id] for slide_id in slide_ids])
    return np.array(predicted)


# --- scores ----------------------------------------------------------------------------------------------------------


class Scores:
    """Macro F1 of each row on one set, of all slides and of groups drawn again, (1 + NUM_RESAMPLES,)."""

    def __init__(self, name: str, truth: NDArray[np.str_], groups: NDArray[np.str_]) -> None:
        self.name, self.num_slides, self.num_groups = name, len(truth), len(np.unique(groups))
        self._truth = truth
        self._members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
        rng = np.random.default_rng(0)
        share = np.full(self.num_groups, 1 / self.num_groups)
        draws = rng.multinomial(self.num_groups, share, size=NUM_RESAMPLES)
        self._weights = np.vstack([np.ones(self.num_groups), draws])
        self.of: dict[str, NDArray[np.float64]] = {}

    def add(self, row: str, predicted: NDArray[np.str_]) -> None:
        """Score the predictions of a row, (seeds, slides)."""
        per_class = []
        for label in np.unique(self._truth):
            true, named = self._truth == label, predicted == label
            hits, sizes = (true & named).astype(float), true.astype(float) + named
            per_class.append(2 * self._sums(hits) / np.maximum(self._sums(sizes), 1e-9))
        self.of[row] = np.mean(per_class, axis=(0, 1))

    def _sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Over the slides, each as often as its group was drawn: (seeds, slides) to (seeds, 1 + NUM_RESAMPLES)."""
        by_group = np.stack([values[:, members].sum(axis=1) for members in self._members], axis=1)
        return by_group @ self._weights.T


def difference(gaps: NDArray[np.float64]) -> str:
    low, high = np.quantile(gaps[1:], (0.025, 0.975))
    return f"{gaps[0]:+.3f} [{low:+.3f}, {high:+.3f}]"


def tables(scores: list[Scores]) -> str:
    """Scores of every row and set; and what the candidate is better by than each other row, set by set and in mean."""
    names = list(scores[0].of)
    lines = ["| macro F1 | " + " | ".join(one.name for one in scores) + " | mean |", "|---" * (len(scores) + 2) + "|"]
    for name in names:
        values = [one.of[name][0] for one in scores]
        lines.append(f"| {name} | " + " | ".join(f"{value:.3f}" for value in (*values, np.mean(values))) + " |")
    lines += ["", "The default, minus", "", f"| set | {BEFORE} | {SIMPLE} |", "|---|---|---|"]
    for one in scores:
        gaps = (difference(one.of[CANDIDATE] - one.of[other]) for other in (BEFORE, SIMPLE))
        lines.append(f"| {one.name} ({one.num_slides} slides, {one.num_groups} groups) | " + " | ".join(gaps) + " |")

    def mean_gap(other: str) -> str:
        return difference(np.mean([one.of[CANDIDATE] - one.of[other] for one in scores], axis=0))

    lines.append(f"| **all sets** | {mean_gap(BEFORE)} | {mean_gap(SIMPLE)} |")
    lines += ["", "The default, minus, over all sets", "", "| row | difference |", "|---|---|"]
    lines += [f"| {name} | {mean_gap(name)} |" for name in names if name != CANDIDATE]
    return "\n".join(lines)


def scored(name: str, num_seeds: int, kept: Path | None) -> Scores:
    """Every row on one set; predictions are taken from `kept`, or made and written there."""
    file = kept / f"{name}-{num_seeds}-seeds.npz" if kept else None
    if file and file.exists():
        arrays = dict(np.load(file))
    else:
        arrays = predictions(name, num_seeds)
        if file:
            file.parent.mkdir(parents=True, exist_ok=True)
            np.savez(file, **arrays)
    one = Scores(name, arrays.pop("labels"), arrays.pop("groups"))
    for row, predicted in arrays.items():
        one.add(row, predicted)
        print(f"{name:14s} {row:40s} {one.of[row][0]:.3f}", file=sys.stderr, flush=True)
    return one


def predictions(name: str, num_seeds: int) -> dict[str, NDArray[np.str_]]:
    """Labels and groups of the slides that every row has tiles of, (slides,), and what each row predicts."""
    table, audit = SETS[name]
    with tempfile.TemporaryDirectory() as folder:
        cohort = Cohort(table(Path(folder)), audit)
        bags = [cohort.bags(row) for row in ROWS if row.columns is not None]
        slide_ids = sorted(set.intersection(*map(set, bags)))
        arrays = {row.name: predict(cohort, row, slide_ids, range(num_seeds)) for row in ROWS}
    for key, values in {"labels": cohort.labels, "groups": cohort.groups}.items():
        arrays[key] = np.array([values[slide_id] for slide_id in slide_ids])
    return arrays


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="of the folds")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--keep", type=Path, help="folder of predictions, made once")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", message="The least populated class")
    print(tables([scored(name, options.seeds, options.keep) for name in options.sets]))


if __name__ == "__main__":
    main()
