"""Write the files of this release that later versions must read: `python scripts/release_fixtures.py`.

A run, the cohort that it is of, its features in tilewise's own format and a folder of predictions, zipped into
`tests/fixtures/v<version>/`. Fixtures of a release are written once and never again; tests/test_release_fixtures.py
loads all of them.
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from pathlib import Path

import cv2
import numpy as np

import tilewise as tw
from tilewise.recipe import load_recipe
from tilewise.version import __version__

FIXTURES = Path(__file__).parent.parent / "tests" / "fixtures"
_SETTINGS = (
    "tiles.size_px=32",
    "tiles.stride_px=null",
    "folds.num_folds=3",
    "evaluation.num_resamples=100",
)


def draw_cohort(folder: Path) -> None:
    """Nine slides of two classes, which differ in how red their tissue is, with masks and a table."""
    rows = ["slide,mask,label,group"]
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(9):
        generator = np.random.default_rng(number)
        pixels = np.full((96, 128, 3), 238, np.uint8)
        patches = cv2.GaussianBlur(generator.normal(0.0, 1.0, (64, 96)), (0, 0), 2.0)
        tissue = np.array((190, 110 + 40 * (number % 2), 180)) + 12 / patches.std() * patches[:, :, None]
        pixels[16:80, 16:112] = tissue.clip(0, 255)
        mask = np.zeros((96, 128), np.uint8)
        mask[20 : 60 + 2 * number, 18 + number : 70 + 4 * number] = 255
        image, drawn = f"images/slide_{number}.png", f"masks/slide_{number}_mask.png"
        cv2.imwrite(str(folder / image), pixels)
        cv2.imwrite(str(folder / drawn), mask)
        rows.append(f"{image},{drawn},{'xy'[number % 2]},patient {number}")
    (folder / "cohort.csv").write_text("\n".join(rows) + "\n")


def pack(path: Path, folder: Path) -> None:
    """A folder's files; the same files give the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in sorted(one for one in folder.rglob("*") if one.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix())
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.read_bytes(), compresslevel=9)


def main() -> None:
    """Make them all in a temporary folder."""
    target = FIXTURES / f"v{__version__}"
    if target.exists():
        sys.exit(f"{target} is there: fixtures of a release are written once")
    with tempfile.TemporaryDirectory(prefix="tilewise-fixtures") as temporary:
        names = ("cohort", "run", "exported", "features", "predicted")
        cohort, run, exported, features, predicted = (Path(temporary) / name for name in names)
        draw_cohort(cohort)
        tw.train(cohort, out=run, recipe=load_recipe("texture", _SETTINGS), seed=0, workers=1)
        tw.api.export_features(run, exported, "torchmil")
        tw.api.import_features(exported, features)
        predicted.mkdir()
        tw.predict(run, cohort / "images", out=predicted / "predictions.csv", workers=1)
        target.mkdir(parents=True)
        for name, folder in (("cohort", cohort), ("run", run), ("features", features), ("predicted", predicted)):
            pack(target / f"{name}.zip", folder)


if __name__ == "__main__":
    main()
