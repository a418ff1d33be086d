"""Small drawn cohorts in memory of a test: pixels cheap to make, with a signal that can be learnt."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from tilewise.recipe import Recipe, load_recipe

SETTINGS = (
    "tiles.size_px=32",
    "tiles.stride_px=null",
    "folds.num_folds=3",
    "training.epochs=3",
    "evaluation.num_resamples=100",
)


def recipe(*more: str) -> Recipe:
    """A recipe for slides of a hundred pixels."""
    return load_recipe("texture", (*SETTINGS, *more))


def draw_slide(path: Path, number: int, *, klass: int, mask: Path | None = None) -> None:
    """Tissue on glass; how red it is tells the class. Its patches look unlike those of any other slide."""
    generator = np.random.default_rng(number)
    pixels = np.full((96, 128, 3), 238, np.uint8)
    tissue = generator.normal((190, 110 + 40 * klass, 180), 12, (64, 96, 3))
    patches = cv2.GaussianBlur(generator.normal(0.0, 1.0, (64, 96)), (0, 0), 2.0)
    patches *= 12.0 / patches.std()
    pixels[16:80, 16:112] = (tissue + patches[:, :, None]).clip(0, 255)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)
    if mask is not None:
        mask.parent.mkdir(parents=True, exist_ok=True)
        region = np.zeros((96, 128), np.uint8)
        region[20 + number % 7 : 76, 20 + number // 7 : 108] = 255
        cv2.imwrite(str(mask), region)


def draw_cohort(
    folder: Path,
    *,
    num_slides: int = 12,
    classes: Sequence[str] = ("A", "B"),
    columns: Mapping[str, Sequence[str]] = {},
) -> Path:
    """images/, masks/ and labels.csv, or cohort.csv where there are further columns."""
    table = folder / ("cohort.csv" if columns else "labels.csv")
    rows = []
    for number in range(num_slides):
        klass = number % len(classes)
        name = f"img_{number:04d}.png"
        draw_slide(folder / "images" / name, number, klass=klass, mask=folder / "masks" / f"mask_{number:04d}.png")
        named = [f"images/{name}", f"masks/mask_{number:04d}.png"] if columns else [name]
        rows.append([*named, classes[klass], *(values[number] for values in columns.values())])
    with table.open("w", newline="", encoding="utf-8") as stream:
        head = ["slide", "mask", "label", *columns] if columns else ["sample_index", "label"]
        csv.writer(stream).writerows([head, *rows])
    return folder
