"""The embedded features beside colour percentiles and one-scale LBP: accuracy, sensitivity to the camera, speed.

    python benchmarks/texture.py [--json]        # reads $TILEWISE_DATA, default ../shared/data

Accuracy: the same head for both (standardised, L2 logistic regression, balanced classes, C by inner grouped folds), on
the same parts. Slide = mean of its tiles' probabilities. The difference is paired. Its first interval resamples groups:
blocks, cases or files, and for `oral`, which names no patients, runs of eight neighbouring numbers. The second takes
every slide for itself, and is therefore too narrow where slides of one group are alike.
Osteosarcoma comes from four patients, each with a commonest class. What guessing that class scores stands beside it;
nothing about new patients follows from any of its figures.

Sensitivity: how far a feature moves when a tile is seen through another stain, camera and JPEG, in standard deviations
between tiles; the median of each block. No label enters. Kinds of features that stay below about one half were
preferred, because a head that learns the camera fails on the next one.
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
        """Slides to learn from and to score: the given parts, or five grouped folds."""
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


def crops(rows: list[dict[str, str]], name: str, *, by_file: bool, group: Callable[[str], str] = str) -> Problem:
    """Rows of tiles.csv; a file is a slide, or each of its crops is one where labels differ inside a file."""
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


def further_sets() -> list[Problem]:
    rows = rows_of("tiles.csv")
    of = {source: [row for row in rows if row["source"] == source] for source in {row["source"] for row in rows}}
    magnified = [row for row in of["breakhis"] if "-400-" in row["file"]]
    case = {f"breakhis/{row['file']}": row["slide_id"] for row in rows_of("breakhis/labels.csv")}
    return [
        crops(magnified, "breakhis 400x", by_file=True, group=case.__getitem__),
        crops(of["camelyon"], "camelyon, in or outside the mask", by_file=False),
        crops(of["crc_val_he_7k"], "colorectal, 7 tissues", by_file=False),
    ]


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
    by_group = [scored[problem.groups[scored] == group] for group in np.unique(problem.groups[scored])]
    result: dict[str, object] = {"slides": len(scored), "groups": len(by_group)}
    for metric in METRICS:
        scores = {name: score(metric, guess, scored) for name, guess in guesses.items()}

        def gap(slides: NDArray[np.int64], metric: str = metric) -> float:
            return score(metric, guesses["texture"], slides) - score(metric, guesses["simple"], slides)

        result[metric] = {
            **scores,
            "difference": gap(scored),
            "over_groups": interval(gap, by_group),
            "over_slides": interval(gap, list(scored[:, None])),
        }
    return result


def interval(gap: Callable[[NDArray[np.int64]], float], members: list[NDArray[np.int64]]) -> tuple[float, float]:
    """Percentile bootstrap, 95 %: all members of a drawn unit come along."""
    rng = np.random.default_rng(0)
    draws = rng.integers(len(members), size=(NUM_RESAMPLES, len(members)))
    gaps = [gap(np.concatenate([members[unit] for unit in draw])) for draw in draws]
    low, high = np.quantile(gaps, (0.025, 0.975))
    return float(low), float(high)


def seen_elsewhere(tile: Tiles, rng: np.random.Generator) -> Tiles:
    """The tile as another laboratory and camera would show it: stain, light, gamma, focus, noise, JPEG."""
    density = -np.log10((tile + 1.0) / 256)
    stains = np.array([(0.65, 0.70, 0.29), (0.07, 0.99, 0.11)])
    stains /= np.linalg.norm(stains, axis=1, keepdims=True)
    mixing = np.vstack([stains, np.cross(*stains) / np.linalg.norm(np.cross(*stains))])
    density = density @ np.linalg.inv(mixing) * [*rng.uniform(0.75, 1.3, 2), 1] @ mixing
    light = np.clip(10.0**-density, 0, 1) ** rng.uniform(0.8, 1.3) * rng.uniform(0.85, 1.05, 3)
    blurred = (light * 255).astype(np.float32)
    soft = cv2.GaussianBlur(blurred, (0, 0), rng.uniform(0.4, 1.0))
    blurred = soft if rng.random() < 0.5 else blurred + rng.uniform(0.2, 0.8) * (blurred - soft)
    noisy = np.clip(blurred + rng.normal(0, rng.uniform(0, 4), blurred.shape), 0, 255).astype(np.uint8)
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
    blocks = [name.split(".")[0] for name in feature_names()]
    per_feature = np.mean(moved, axis=0)
    return {block: float(np.median(per_feature[np.array(blocks) == block])) for block in dict.fromkeys(blocks)}


def speed(tiles: Tiles) -> dict[str, float]:
    """Tiles of 224 px per second, medians: by processor time, in one process, and the encoder with its processes."""
    cv2.setNumThreads(1)
    encoder = build_encoder(EncoderConfig(name="texture"))
    encoder.encode(tiles)
    seconds: dict[str, list[float]] = {"one processor's time": [], "one process": [], "encoder": []}
    for _ in range(5):
        start, start_processor = time.perf_counter(), time.process_time()
        texture_features(tiles)
        seconds["one process"].append(time.perf_counter() - start)
        seconds["one processor's time"].append(time.process_time() - start_processor)
        start = time.perf_counter()
        encoder.encode(tiles)
        seconds["encoder"].append(time.perf_counter() - start)
    return {name: len(tiles) / float(np.median(values)) for name, values in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, all else on stderr")
    as_json = parser.parse_args().json
    out = sys.stderr if as_json else sys.stdout
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.filterwarnings("ignore", message="The least populated class")
    problems = [oral(), osteosarcoma(split=True), osteosarcoma(split=False), *further_sets()]
    speeds = speed(problems[0].tiles)
    print("tiles per second:", {name: round(value) for name, value in speeds.items()}, file=out)
    moves = sensitivity([problem for problem in problems if problem.name != "osteosarcoma, given parts"])
    print("sensitivity:", {name: round(value, 2) for name, value in moves.items()}, file=out, flush=True)
    accuracy = {}
    for problem in problems:
        result = accuracy[problem.name] = compare(problem)
        print(f"{problem.name} ({result['slides']} slides in {result['groups']} groups)", file=out)
        for metric in METRICS:
            values = dict(result[metric])
            difference, *intervals = (values.pop(key) for key in ("difference", "over_groups", "over_slides"))
            scores = "  ".join(f"{name} {value:.3f}" for name, value in values.items())
            groups, slides = (f"[{low:+.3f}, {high:+.3f}]" for low, high in intervals)
            print(f"  {metric:18s}{scores}", file=out)
            print(f"{'':20s}texture - simple {difference:+.3f} {groups}, over slides {slides}", file=out, flush=True)
    if as_json:
        print(json.dumps({"tiles_per_second": speeds, "sensitivity": moves, "accuracy": accuracy}))


if __name__ == "__main__":
    main()
