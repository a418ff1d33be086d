"""The embedded features beside colour percentiles and one-scale LBP: accuracy, sensitivity to the camera, speed.

    python benchmarks/texture.py [--json]        # reads $TILEWISE_DATA, default ../shared/data

Accuracy: the same head for both (standardised, L2 logistic regression, balanced classes, C by inner grouped folds), on
the same parts. Slide = mean of its tiles' probabilities. The difference is paired; its interval resamples groups: cases
where they are known, slides or runs of eight neighbouring numbers where not (`oral` names no patients).
Osteosarcoma comes from four patients, each with a commonest class; what guessing that class scores stands beside it, and
nothing about new patients follows from either figure.

Sensitivity: how far a feature moves when a tile is seen through another stain, camera and JPEG, in standard deviations
between tiles. No label enters; the features were chosen to stay below about one half.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.feature import local_binary_pattern
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from tilewise.encoders import EncoderConfig, build_encoder
from tilewise.encoders.preprocess import resize_tiles
from tilewise.encoders.texture import feature_names, texture_features
from tilewise.metrics import balanced_accuracy, macro_f1

DATA = Path(os.environ.get("TILEWISE_DATA", "../shared/data"))
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)
SEEDS = (0, 1, 2)
NUM_RESAMPLES = 2000
METRICS = {"balanced_accuracy": balanced_accuracy, "macro_f1": macro_f1}
Tiles = NDArray[np.uint8]
Features = NDArray[np.float32]
Parts = Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]


@dataclass
class Problem:
    """Slides with labels and groups; `tiles` of 224 px and the slide each is from. `test` is None for grouped folds."""

    name: str
    tiles: Tiles
    tile_slide: NDArray[np.int64]
    labels: NDArray[np.str_]
    groups: NDArray[np.str_]
    test: NDArray[np.bool_] | None = None
    patients: NDArray[np.str_] | None = None

    def parts(self, seed: int) -> Parts:
        if self.test is not None:
            yield np.flatnonzero(~self.test), np.flatnonzero(self.test)
        else:
            yield from StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(
                self.labels, self.labels, self.groups
            )


def rows_of(table: str) -> list[dict[str, str]]:
    return list(csv.DictReader((DATA / table).read_text("utf-8").splitlines()))


def read(path: str) -> Tiles:
    return cv2.cvtColor(cv2.imread(str(DATA / path)), cv2.COLOR_BGR2RGB)


def oral() -> Problem:
    rows = rows_of("oral/labels.csv")
    runs = [int(re.findall(r"_(\d+)\.", row["file"])[0]) // 8 for row in rows]
    return Problem(
        "oral",
        np.stack([read(f"oral/{row['file']}") for row in rows]),
        np.arange(len(rows)),
        np.array([row["label"] for row in rows]),
        np.array([f"{row['label']} {row['magnification']} {run}" for row, run in zip(rows, runs, strict=True)]),
        test=np.array([row["split"] == "test" for row in rows]),
    )


def osteosarcoma(*, split: bool) -> Problem:
    rows = rows_of("osteosarcoma/splits.csv")
    labels = {row["sample_index"]: row["label"] for row in rows_of("osteosarcoma/labels.csv")}
    corners = [(x, y) for y in (0, 144, 288) for x in (0, 144, 288)]
    slides = [read(f"osteosarcoma/images/{row['sample_index']}") for row in rows]
    return Problem(
        f"osteosarcoma, {'given parts' if split else 'folds of blocks'}",
        np.stack([slide[y : y + 224, x : x + 224] for slide in slides for x, y in corners]),
        np.repeat(np.arange(len(rows)), len(corners)),
        np.array([labels[row["sample_index"]] for row in rows]),
        np.array([row["block_group"] for row in rows]),
        test=np.array([row["split"] == "test" for row in rows]) if split else None,
        patients=np.array([re.match(r"(Case-\d+|P\d+)", row["original_file"])[1] for row in rows]),
    )


def crops(source: str, name: str, *, by_file: bool, group: Callable[[str], str] = str) -> Problem:
    """The crops of one source in tiles.csv; a file is a slide, or each of its crops where labels differ inside it."""
    rows = [row for row in rows_of("tiles.csv") if row["source"] == source and "-400-" in row["file"] + "-400-" * (
        source != "breakhis"
    )]  # fmt: skip
    slides: dict[str, int] = {}
    images = {file: read(file) for file in {row["file"] for row in rows}}
    tiles, tile_slide, labels, groups = [], [], [], []
    for index, row in enumerate(rows):
        x, y, width, height = (int(row[key]) for key in ("x", "y", "width", "height"))
        tiles.append(resize_tiles(images[row["file"]][None, y : y + height, x : x + width], 224)[0])
        key = row["file"] if by_file else str(index)
        if key not in slides:
            slides[key] = len(slides)
            labels.append(row["label"])
            groups.append(group(row["file"]))
        tile_slide.append(slides[key])
    return Problem(name, np.stack(tiles), np.array(tile_slide), np.array(labels), np.array(groups))


def breakhis() -> Problem:
    case = {f"breakhis/{row['file']}": row["slide_id"] for row in rows_of("breakhis/labels.csv")}
    return crops("breakhis", "breakhis 400x", by_file=True, group=case.__getitem__)


def simple_features(tiles: Tiles) -> Features:
    """Percentiles of red, green and blue, and the uniform LBP of radius 1 of the grey tile."""
    described = []
    for tile in tiles:
        percentiles = np.percentile(tile.reshape(-1, 3), (5, 25, 50, 75, 95), axis=0).ravel() / 255
        codes = local_binary_pattern(cv2.cvtColor(tile, cv2.COLOR_RGB2GRAY), 8, 1, "uniform").astype(int)
        described.append([*percentiles, *(np.bincount(codes.ravel(), minlength=10) / codes.size)])
    return np.array(described, np.float32)


def fit(features: Features, labels: NDArray[np.str_], groups: NDArray[np.str_]) -> Pipeline:
    """The head, with the C of least balanced log loss over inner grouped folds."""

    def head(strength: float) -> Pipeline:
        return make_pipeline(StandardScaler(), LogisticRegression(C=strength, class_weight="balanced", max_iter=2000))

    losses = np.zeros(len(STRENGTHS))
    classes = np.unique(labels)
    truth = np.searchsorted(classes, labels)
    for train, held_out in StratifiedGroupKFold(4, shuffle=True, random_state=0).split(features, labels, groups):
        weights = compute_sample_weight("balanced", labels[held_out])
        for index, strength in enumerate(STRENGTHS):
            model = head(strength).fit(features[train], labels[train])
            columns = np.searchsorted(classes, model.classes_)
            probabilities = np.full((len(held_out), len(classes)), 1e-6)
            probabilities[:, columns] = np.maximum(model.predict_proba(features[held_out]), 1e-6)
            losses[index] -= (weights * np.log(probabilities[np.arange(len(held_out)), truth[held_out]])).sum()
    return head(STRENGTHS[int(losses.argmin())]).fit(features, labels)


def predict(problem: Problem, features: Features) -> NDArray[np.int64]:
    """Predicted class of every slide and seed, (seeds, slides); -1 where a slide was only learnt from."""
    classes = np.unique(problem.labels)
    predicted = np.full((len(SEEDS), len(problem.labels)), -1)
    for seed in SEEDS[: 1 if problem.test is not None else None]:
        for train, test in problem.parts(seed):
            tiles = np.isin(problem.tile_slide, train)
            of = problem.tile_slide[tiles]
            model = fit(features[tiles], problem.labels[of], problem.groups[of])
            columns = np.searchsorted(classes, model.classes_)
            for slide in test:
                mean = np.zeros(len(classes))
                mean[columns] = model.predict_proba(features[problem.tile_slide == slide]).mean(axis=0)
                predicted[seed, slide] = mean.argmax()
    return predicted


def commonest_of_patient(problem: Problem) -> NDArray[np.int64]:
    """The guess that knows who the patient is and nothing else: the commonest class of the patient's other slides."""
    classes = np.unique(problem.labels)
    predicted = np.full((len(SEEDS), len(problem.labels)), -1)
    truth = np.searchsorted(classes, problem.labels)
    for seed in SEEDS[: 1 if problem.test is not None else None]:
        for train, test in problem.parts(seed):
            everyone = np.bincount(truth[train], minlength=len(classes))
            for slide in test:
                same = train[problem.patients[train] == problem.patients[slide]]
                # Ties, and patients with no other slide, fall to what is commonest in all.
                counts = np.bincount(truth[same], minlength=len(classes)) + everyone / 1e6
                predicted[seed, slide] = counts.argmax()
    return predicted


def compare(problem: Problem) -> dict[str, object]:
    guesses = {"simple": predict(problem, simple_features(problem.tiles))}
    guesses["texture"] = predict(problem, texture_features(problem.tiles))
    if problem.patients is not None:
        guesses["commonest class of the patient"] = commonest_of_patient(problem)
    truth = np.searchsorted(np.unique(problem.labels), problem.labels)
    num_classes = len(np.unique(problem.labels))

    def score(metric: str, guess: NDArray[np.int64], slides: NDArray[np.int64]) -> float:
        seeds = [row[slides] for row in guess if (row >= 0).any()]
        return float(np.mean([METRICS[metric](truth[slides], row, num_classes) for row in seeds]))

    scored = np.flatnonzero(guesses["texture"][0] >= 0)
    members = [scored[problem.groups[scored] == group] for group in np.unique(problem.groups[scored])]
    rng = np.random.default_rng(0)
    resamples = [
        np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])
        for _ in range(NUM_RESAMPLES)
    ]
    result: dict[str, object] = {"slides": len(scored), "groups": len(members)}
    for metric in METRICS:
        differences = [
            score(metric, guesses["texture"], slides) - score(metric, guesses["simple"], slides) for slides in resamples
        ]
        low, high = np.quantile(differences, (0.025, 0.975))
        scores = {name: score(metric, guess, scored) for name, guess in guesses.items()}
        difference = scores["texture"] - scores["simple"]
        result[metric] = {**scores, "difference": {"value": difference, "low": float(low), "high": float(high)}}
    return result


def seen_elsewhere(tile: Tiles, rng: np.random.Generator) -> Tiles:
    """The tile as another laboratory and camera would show it: stain, light, gamma, focus, noise, JPEG."""
    density = -np.log10((tile + 1.0) / 256)
    stains = np.array([(0.65, 0.70, 0.29), (0.07, 0.99, 0.11)])
    stains /= np.linalg.norm(stains, axis=1, keepdims=True)
    mixing = np.vstack([stains, np.cross(*stains) / np.linalg.norm(np.cross(*stains))])
    density = density @ np.linalg.inv(mixing) * [*rng.uniform(0.75, 1.3, 2), 1] @ mixing
    light = np.clip(10.0**-density, 0, 1) ** rng.uniform(0.8, 1.3) * rng.uniform(0.85, 1.05, 3)
    seen = (light * 255).astype(np.float32)
    soft = cv2.GaussianBlur(seen, (0, 0), rng.uniform(0.4, 1.0))
    seen = soft if rng.random() < 0.5 else seen + rng.uniform(0.2, 0.8) * (seen - soft)
    noisy = np.clip(seen + rng.normal(0, rng.uniform(0, 4), seen.shape), 0, 255).astype(np.uint8)
    _, file = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(50, 95))])
    return cv2.imdecode(file, cv2.IMREAD_COLOR)


def sensitivity(problems: list[Problem]) -> dict[str, float]:
    """Median over the features of each block."""
    rng = np.random.default_rng(0)
    moved = []
    for problem in problems:
        tiles = problem.tiles[:: max(1, len(problem.tiles) // 150)]
        before = texture_features(tiles)
        after = texture_features(np.stack([seen_elsewhere(tile, rng) for tile in tiles]))
        moved.append(np.sqrt(((after - before) ** 2).mean(axis=0)) / (before.std(axis=0) + 1e-4))
    blocks = np.array([name.split(".")[0] for name in feature_names()])
    per_feature = np.mean(moved, axis=0)
    return {block: float(np.median(per_feature[blocks == block])) for block in dict.fromkeys(blocks)}


def speed(tiles: Tiles) -> dict[str, float]:
    """Tiles of 224 px per second, medians: the features in one process, and the encoder with its processes."""
    encoder = build_encoder(EncoderConfig(name="texture"))
    encoder.encode(tiles)
    seconds: dict[str, list[float]] = {"one process": [], "encoder": []}
    for _ in range(5):
        for name, run in {"one process": texture_features, "encoder": encoder.encode}.items():
            start = time.perf_counter()
            run(tiles)
            seconds[name].append(time.perf_counter() - start)
    return {name: len(tiles) / float(np.median(values)) for name, values in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, all else on stderr")
    out = sys.stderr if parser.parse_args().json else sys.stdout
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.filterwarnings("ignore", message="The least populated class")
    problems = [oral(), osteosarcoma(split=True), osteosarcoma(split=False), breakhis(),
                crops("camelyon", "camelyon, inside or outside", by_file=False),
                crops("crc_val_he_7k", "colorectal, 7 tissues", by_file=False)]  # fmt: skip
    report: dict[str, object] = {"speed": speed(problems[0].tiles)}
    print("tiles per second:", {name: round(value) for name, value in report["speed"].items()}, file=out)
    report["sensitivity"] = sensitivity([problems[i] for i in (0, 2, 3, 4, 5)])
    print("sensitivity:", {name: round(value, 2) for name, value in report["sensitivity"].items()}, file=out)
    for problem in problems:
        result = report[problem.name] = compare(problem)
        print(f"{problem.name} ({result['slides']} slides in {result['groups']} groups)", file=out)
        for metric in METRICS:
            values = dict(result[metric])
            gap = values.pop("difference")
            scores = "   ".join(f"{name} {value:.3f}" for name, value in values.items())
            interval = f"{gap['value']:+.3f} [{gap['low']:+.3f}, {gap['high']:+.3f}]"
            print(f"  {metric:18s}{scores}   texture - simple {interval}", file=out, flush=True)
    if out is sys.stderr:
        print(json.dumps(report))


if __name__ == "__main__":
    main()
