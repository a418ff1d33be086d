"""Does a U-Net, cross-fitted on 24 fields, beat the tissue mask? Paired gain of Dice and of the boundary score.

    python benchmarks/segment.py [--workers 2] [--folds 4] [--seed 0] [--set epochs=25 ...]

The fields are `$TILEWISE_DATA/camelyon_tiles` (tumour in lymph nodes, marked by pathologists), audited, so that fields
that show the same tissue stay in one fold. The encoder starts from random weights. The cache is an empty folder, so the
seconds are those of a first run. The interval is of the mean paired gain, over resampled groups.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from tilewise.auditing.audit_cohort import audit_cohort
from tilewise.auditing.config import AuditConfig
from tilewise.cohort import Cohort
from tilewise.evaluation.interval import Estimate, difference_interval
from tilewise.evaluation.resample import draw_weights
from tilewise.segment import SegmentConfig
from tilewise.segment.segment_cohort import Segmentation, segment_cohort

DATA = Path(os.environ.get("TILEWISE_DATA", "../shared/data"))
METRICS = ("dice", "boundary_f")


def gain(one: Segmentation, other: Segmentation, metric: str, *, seed: int) -> Estimate:
    """Mean over slides of what `one` scores more than `other`, with its interval."""
    values = {made.slide_id: getattr(made.mask, metric) for made in one.slides}
    less = {made.slide_id: getattr(made.mask, metric) for made in other.slides}
    group_of = {item.slide_id: item.group for item in one.before.slides}
    groups = sorted({group_of[name] for name in values})
    sums = np.array([sum(values[n] - less[n] for n in values if group_of[n] == group) for group in groups])
    sizes = np.array([sum(group_of[name] == group for name in values) for group in groups])
    weights_RG = draw_weights(len(groups), 2000, np.random.default_rng(seed))
    means_R = (weights_RG @ sums) / (weights_RG @ sizes)
    return difference_interval(float(sums.sum() / sizes.sum()), means_R, num_units=len(groups), level=0.95)


def interval_text(score: dict[str, float | None]) -> str:
    return f"{score['value']:.3f} ({score['low']:.3f} to {score['high']:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="further options of the U-Net")
    options = parser.parse_args()
    folder = DATA / "camelyon_tiles"
    if not folder.is_dir():
        print(f"{folder} is not there; set TILEWISE_DATA")
        return
    unet = {"num_folds": options.folds} | dict(item.split("=", 1) for item in options.set)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TILEWISE_CACHE"] = cache
        audited = audit_cohort(Cohort.discover(folder, purpose="predict"), AuditConfig())
        num_groups = len({item.group for item in audited.slides})
        print(f"{len(audited.slides)} fields kept by the audit, {num_groups} groups")
        made = {}
        for method in ("tissue", "unet"):
            start = time.perf_counter()
            settings = {"method": method} | ({"unet": unet} if method == "unet" else {})
            config = SegmentConfig.model_validate(settings)
            made[method] = segment_cohort(audited, config, seed=options.seed, workers=options.workers)
            scores = "  ".join(f"{metric} {interval_text(dict(made[method].scores[metric]))}" for metric in METRICS)
            print(f"{method:<7} {scores}  {time.perf_counter() - start:.0f} s")
        for metric in METRICS:
            print(f"gain of unet over tissue, paired: {metric} {gain(made['unet'], made['tissue'], metric, seed=0)}")
        for one in made["unet"].slides:
            scores = f"dice {one.found.dice:.3f}  boundary_f {one.found.boundary_f:.3f}"
            print(f"  {one.slide_id}  {one.made_by}  {scores}  {one.found.fallback}")


if __name__ == "__main__":
    main()
