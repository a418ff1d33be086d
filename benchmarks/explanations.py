"""Maps of drawn cohorts, whose signal lies in a fifth of the tissue: do they follow what was learnt, and fall on it?

    python benchmarks/explanations.py OUT [--slides 48] [--difficulty 0.25] [--models heads|networks]

Tiles are cut over all tissue, so that few of a slide's tiles hold signal, and lookalikes of other classes lie beside
it. Each head is trained on the same folds and explained by `tilewise explain RUN`, from stored features. The figures
are those of its page: share of ranks that random weights explain, too, AUROC and pointing game against the planted
regions over slides that were predicted right, with the seconds of the command. `dark` tells how much of it comes for
nothing: the darkness of the tile as heat. `--models networks` is of a network on pixels, which takes long.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import tilewise as tw
from tilewise.cohort import read_mask
from tilewise.explain.checks import MapCheck, localise
from tilewise.explain.paint import paint
from tilewise.slides import open_slide
from tilewise.synthetic.cohort import write_cohort
from tilewise.synthetic.config import SynthConfig
from tilewise.tiles.tileset import TileSet
from tilewise.units import Size

TILES = {"tiles.strategy": "grid", "tiles.size_px": 64, "tiles.stride_px": None, "evaluation.num_resamples": 100}
HEADS = {
    "mean of tile probabilities": {"head.kind": "linear"},
    "lda on slide means": {"head.kind": "lda"},
    "top 5 tiles": {"head.kind": "linear", "head.aggregate": "top_k"},
    "attention": {"head.kind": "linear", "head.aggregate": "attention"},
    "clam_mb": {"head.kind": "linear", "head.aggregate": "clam_mb", "head.embedding_size": 64},
}
NETWORKS = {"network on pixels": {"training.epochs": 4, "network.last_blocks": 2}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--slides", type=int, default=48)
    parser.add_argument("--difficulty", type=float, default=0.25)
    parser.add_argument("--models", choices=("heads", "networks"), default="heads")
    args = parser.parse_args()
    config = SynthConfig(num_slides=args.slides, difficulty=args.difficulty, min_side_px=512)
    write_cohort(args.out / "cohort", config, workers=1)
    print("| head | macro F1 | map | random weights | AUROC on the signal | pointing, chance | seconds |")
    print("|---|---:|---|---:|---:|---:|---:|")
    recipe, models = {"heads": ("texture", HEADS), "networks": ("fine-tune", NETWORKS)}[args.models]
    for name, settings in models.items():
        folder = args.out / name.replace(" ", "-")
        run = tw.train(args.out / "cohort", tw.load_recipe(recipe).with_(**TILES, **settings), out=folder, workers=1)
        started = time.perf_counter()
        result = tw.api.explain(run, workers=1)
        seconds = time.perf_counter() - started
        score = f"{run.evaluation.macro_f1.value:.2f}"
        for number, check in enumerate(result.checks):
            first = f"{name} | {score}" if number == 0 else " | "
            print(f"| {first} | {row_of(check)} | {f'{seconds:.0f}' if number == 0 else ''} |", flush=True)
    print(f"| dark | | the tile's darkness | | {darkness(folder)} | | |")


def row_of(check: MapCheck) -> str:
    """Cells of one kind of map."""
    share = "" if check.random_share is None else f"{check.random_share}"
    auroc = "" if check.auroc is None else "{:.2f} ({:.2f} to {:.2f})".format(*check.auroc)
    pointing = "" if check.pointing is None else "{:.0%}, {:.0%}".format(*check.pointing)
    return f"{check.title.lower()} | {share} | {auroc} | {pointing}"


def darkness(folder: Path) -> str:
    """AUROC of the tiles' darkness against the planted regions, mean over all slides."""
    from tilewise.auditing.table import read_slides
    from tilewise.cohort import Slide

    scores = []
    boxes_of = TileSet.read(folder / "tiles.parquet")[0].boxes()
    for row in read_slides(folder / "audit" / "slides.parquet")[0].to_dict("records"):
        size, boxes = Size(int(row["width"]), int(row["height"])), boxes_of.get(str(row["slide"]))
        if boxes is None:
            continue
        with open_slide(Path(row["path"])) as reader:
            grey_HW = 255.0 - reader.read_whole().mean(axis=2)
        dark_T = np.array([grey_HW[y : y + h, x : x + w].mean() for x, y, w, h in boxes.tolist()], np.float32)
        mask_HW, _ = read_mask(Slide(str(row["slide"]), Path(row["path"]), Path(row["mask"])), size)
        localisation = localise(paint(dark_T[:, None, None], boxes, boxes, size=size, canvas=size), mask_HW)
        if localisation is not None:
            scores.append(localisation.auroc)
    return f"{np.mean(scores):.2f}"


if __name__ == "__main__":
    main()
