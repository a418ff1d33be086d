"""Planted faults: how many of each kind the audit finds, what it calls a fault without need, and what repair leaves.

    python benchmarks/audit.py [--seeds 20] [--first 100] [--slides 120] [--faults 10] [--side 1024]
                               [--textures DIR] [--others PYTHON [--others-seeds 5]]

Every seed is a cohort of its own, audited with an empty cache; `--textures` composes the cores from real tissue in DIR
(`$TILEWISE_DATA`, say). `--others` is the interpreter of an environment that has cleanvision and imagededup; they look
at the pictures of the first seeds. Counts come with Wilson's 95 % intervals.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from tilewise import api
from tilewise.auditing.cohort import AuditedCohort
from tilewise.synthetic.faults import PlantedFault, read_faults

# Planted, and no fault: a proposal other than `keep` is a false alarm.
# What one calls blank another calls hardly any tissue, or too bright to show any.
QUALITY = frozenset({"blank", "blurred", "dark", "bright", "tissue-area"})
HARMLESS = frozenset({"pen", "same-outline", "neighbouring-section"})
COPIES = frozenset({"exact-copy", "near-copy"})
RELATIONS = COPIES | {"shared-mask", "neighbouring-section"}


@dataclass
class Tally:
    """Hits and trials by row of the table."""

    hits: Counter[str] = field(default_factory=Counter)
    trials: Counter[str] = field(default_factory=Counter)
    missed: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, row: str, hit: bool, *, example: str = "") -> None:
        """Count one trial."""
        self.trials[row] += 1
        self.hits[row] += hit
        if not hit and example:
            self.missed[row].append(example)

    def merge(self, other: Tally) -> None:
        """Add the counts of another."""
        self.hits += other.hits
        self.trials += other.trials
        for row, examples in other.missed.items():
            self.missed[row] += examples

    def line(self, row: str) -> str:
        """One row of the table."""
        low, high = wilson(self.hits[row], self.trials[row])
        share = self.hits[row] / self.trials[row]
        return f"| {row} | {self.hits[row]} of {self.trials[row]} | {share:.4f} | [{low:.4f}, {high:.4f}] |"


def wilson(hits: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval of a share."""
    share, spread = hits / trials, z * z / trials
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * np.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    return float(max(0.0, middle - half)), float(min(1.0, middle + half))


def score_recall(audited: AuditedCohort, faults: list[PlantedFault], tally: Tally, seed: int) -> None:
    """Which planted faults were found, by kind and family."""
    findings = {(item.slide, item.kind) for item in audited.findings}
    pairs = {(item.slide, item.kind, item.other) for item in audited.findings}
    dropped = set(audited.dropped)
    for fault in faults:
        example = f"{seed}:{fault.slide}"
        called = any((fault.slide, kind, fault.other) in pairs for kind in COPIES)
        if fault.kind == "same-outline":
            tally.add("same outline: called no pair", not called, example=example)
        elif fault.kind == "pen" or fault.details.get("implied"):
            continue
        elif fault.kind == "in-both":
            # The planted copy is the test slide; the finding is about the training slide.
            tally.add(row_of(fault), (fault.other, "in-both", fault.slide) in pairs, example=example)
        elif fault.kind in RELATIONS:
            tally.add(row_of(fault), (fault.slide, fault.kind, fault.other) in pairs, example=example)
        else:
            tally.add(row_of(fault), (fault.slide, fault.kind) in findings, example=example)
        if fault.kind == "neighbouring-section":
            tally.add("neighbouring section: in one group", audited.groups[fault.slide] == audited.groups[fault.other])
            tally.add("neighbouring section: called no copy", not called, example=example)
        if fault.kind in QUALITY:
            under_any = any((fault.slide, kind) in findings for kind in QUALITY)
            tally.add(f"{fault.kind}: found under any name of quality", under_any, example=example)
        if fault.kind == "other-stain":
            hit_any = {(fault.slide, "other-stain"), (fault.slide, "not-histology")} & findings
            tally.add("other-stain: found, or called no histology", bool(hit_any), example=example)
        if fault.kind == "not-histology":
            tally.add(f"{row_of(fault)}: dropped", fault.slide in dropped, example=example)
        fake = fault.kind == "shared-mask" or (fault.kind == "near-copy" and fault.family.startswith("blob"))
        if fake and not fault.details.get("implied"):
            right = fault.slide in dropped and fault.other not in dropped
            tally.add(f"fake of a pair named ({fault.kind})", right, example=example)
        elif fault.kind in COPIES:
            one = (fault.slide in dropped) != (fault.other in dropped)
            tally.add("of a plain pair one goes and one stays", one, example=example)


def row_of(fault: PlantedFault) -> str:
    """The row of the table a fault is counted in."""
    family = ""
    if fault.kind in {"near-copy", "ink"}:
        family = f" / {fault.family.split('/')[0]}"
    return f"{fault.kind}{family}{' (held out)' if fault.held_out else ''}"


def score_alarms(audited: AuditedCohort, faults: list[PlantedFault], num: int, tally: Tally, seed: int) -> None:
    """Slides without a fault that get a proposal other than keep; and the precision of every kind."""
    planted = {fault.slide for fault in faults if fault.kind not in HARMLESS}
    planted |= {fault.other for fault in faults if fault.kind == "in-both"}
    # Which of two plain copies is the first cannot be told: the pair is scored, not its members.
    planted |= {fault.other for fault in faults if fault.kind in COPIES and not fault.family.startswith("blob")}
    alarms = {item.slide: item.kind for item in audited.findings if item.proposal != "keep"}
    names = {item.slide_id for item in audited.slides} | set(audited.dropped)
    assert len(names) == num
    pens = {fault.slide for fault in faults if fault.kind == "pen"}
    for name in sorted(names - planted):
        row = "slide with a pen left alone" if name in pens else "clean slide left alone"
        tally.add(row, name not in alarms, example=f"{seed}:{name}:{alarms.get(name)}")
    truth = defaultdict(set)
    for fault in faults:
        truth[fault.kind] |= {fault.slide, fault.other}
        if fault.kind == "ink" and fault.details["in_mask"]:
            truth["mask-on-ink"].add(fault.slide)
    for kind, name in {(item.kind, item.slide) for item in audited.findings}:
        if kind not in {"pen", "name-family", "label-conflict"}:
            tally.add(f"precision {kind}", name in truth[kind], example=f"{seed}:{name}")


def score_repair(audited: AuditedCohort, faults: list[PlantedFault], root: Path, tally: Tally) -> None:
    """Pixels of planted blobs that are out of the mask or like the background, and untouched tissue that changed."""
    slides = {item.slide_id: item for item in audited.slides}
    for fault in faults:
        item = slides.get(fault.slide)
        if fault.kind != "ink" or item is None or not item.repaired:
            continue
        number = Path(fault.slide).stem.removeprefix("img_")
        alpha = cv2.imread(str(root / f"truth/alpha_{number}.png"), cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255
        clean = cv2.imread(str(root / f"truth/clean_{number}.png"))
        fixed = cv2.imread(str(item.slide.path))
        mask = np.zeros(alpha.shape, bool)
        if item.use_mask:
            mask = cv2.imread(str(item.slide.mask_path), cv2.IMREAD_GRAYSCALE) > 0
        before = cv2.imread(str(slide_path(root, fault.slide)))
        blob = alpha >= 0.05
        like = np.abs(fixed.astype(np.int16) - clean).max(axis=2) <= 10
        good = blob & (~mask | like)
        label = " (held out)" if fault.held_out else ""
        tally.hits[f"blob pixels made harmless{label}"] += int(good.sum())
        tally.trials[f"blob pixels made harmless{label}"] += int(blob.sum())
        tissue = (cv2.cvtColor(clean, cv2.COLOR_BGR2HSV)[:, :, 1] > 20) & (alpha == 0)
        same = (fixed == before).all(axis=2)
        tally.hits[f"untouched tissue left as it was{label}"] += int((same & tissue).sum())
        tally.trials[f"untouched tissue left as it was{label}"] += int(tissue.sum())
        tally.add(f"slides with 99 % of the blob harmless{label}", good.sum() >= 0.99 * blob.sum(), example=fault.slide)
        tally.add(f"slides with 98 % of other tissue untouched{label}", (same & tissue).sum() >= 0.98 * tissue.sum(),
                  example=fault.slide)  # fmt: skip


def slide_path(root: Path, name: str) -> Path:
    """File of a slide."""
    return next(path for path in (root / "train_data" / name, root / "test_data" / name) if path.is_file())


def score_others(
    python: str, folder: Path, faults: list[PlantedFault], tallies: dict[str, Tally], seconds: Counter[str]
) -> None:
    """What cleanvision and imagededup say of the same pictures, where they offer the check."""
    script = Path(__file__).with_name("audit_others.py")
    pictures = folder / "pictures"
    pictures.mkdir()
    # They stop at the first file that they cannot open.
    unusable = {fault.slide for fault in faults if fault.kind in {"unreadable", "too-large"}}
    for path in sorted((folder / "cohort/train_data").glob("img_*")):
        if path.name in unusable:
            continue
        (pictures / path.name).symlink_to(path.resolve())
    done = subprocess.run([python, str(script), str(pictures)], check=True, capture_output=True, text=True)
    for tool, answer in json.loads(done.stdout).items():
        tally = tallies.setdefault(tool, Tally())
        if "failed" in answer:
            print(f"{tool}: {answer['failed']}", file=sys.stderr)
            continue
        seconds[tool] += answer["seconds"]
        sets = [set(names) for key in ("exact_duplicates", "near_duplicates") for names in answer.get(key, ())]
        for fault in faults:
            if fault.kind in COPIES:
                tally.add(row_of(fault), any({fault.slide, fault.other} <= names for names in sets))
            elif fault.kind == "same-outline":
                called = any({fault.slide, fault.other} <= names for names in sets)
                tally.add("same outline, called no pair", not called)
            elif fault.kind in {"blurred", "dark", "bright", "blank"}:
                key = {"blurred": "blurry", "bright": "light", "blank": "low_information"}.get(fault.kind, fault.kind)
                if key in answer:
                    tally.add(row_of(fault), fault.slide in answer[key])
        planted = {name for fault in faults for name in (fault.slide, fault.other)}
        called = {name for names in sets for name in names}
        called |= {name for key in ("blurry", "dark", "light", "low_information") for name in answer.get(key, ())}
        for path in sorted(pictures.iterdir()):
            if path.name not in planted:
                tally.add("clean slide left alone", path.name not in called)


def one_seed(
    seed: int, arguments: argparse.Namespace, tally: Tally, others: dict[str, Tally], seconds: Counter[str]
) -> int:
    """Draw, audit and score one cohort; returns its number of slides."""
    # Workers that are stopped by Ctrl-C may still write while the folder is removed.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        options = {
            "num_slides": arguments.slides, "num_test_slides": arguments.slides // 10, "seed": seed,
            "faults": arguments.faults, "min_side_px": arguments.side,
        }  # fmt: skip
        if arguments.textures:
            options |= {"source": "textures", "textures": arguments.textures}
        root = folder / "cohort"
        api.synth(root, options)
        faults = read_faults(root)
        os.environ["TILEWISE_CACHE"] = str(folder / "cache")
        start = time.perf_counter()
        audited = api.audit(root, out=folder / "audit", against=root)
        seconds["tilewise"] += time.perf_counter() - start
        num = len(audited.slides) + len(audited.dropped)
        score_recall(audited, faults, tally, seed)
        score_alarms(audited, faults, num, tally, seed)
        score_repair(audited, faults, root, tally)
        if arguments.others and seed < arguments.first + arguments.others_seeds:
            score_others(arguments.others, folder, faults, others, seconds)
        return num


def main() -> None:
    """Run all seeds and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=100)
    parser.add_argument("--slides", type=int, default=120)
    parser.add_argument("--faults", type=int, default=10)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--textures")
    parser.add_argument("--others")
    parser.add_argument("--others-seeds", type=int, default=5)
    arguments = parser.parse_args()
    tally, others, seconds, num = Tally(), {}, Counter[str](), 0
    done = 0
    # Ctrl-C prints what was counted until then.
    with contextlib.suppress(KeyboardInterrupt):
        for seed in range(arguments.first, arguments.first + arguments.seeds):
            num += one_seed(seed, arguments, tally, others, seconds)
            done += 1
            print(f"seed {seed} done, {num} slides so far", file=sys.stderr, flush=True)
    source = "real textures" if arguments.textures else "drawn tissue"
    print(f"{done} cohorts of {source}, {num} slides, shorter side {arguments.side} px, "
          f"{arguments.faults} faults of each kind and family\n")  # fmt: skip
    print("| planted | found | share | 95 % |\n|---|---|---|---|")
    for row in sorted(tally.trials, key=lambda row: (row.startswith("precision"), row)):
        print(tally.line(row))
    for tool, other in others.items():
        print(f"\n{tool}, the same pictures:\n\n| planted | found | share | 95 % |\n|---|---|---|---|")
        for row in sorted(other.trials):
            print(other.line(row))
    print("\nseconds in all: " + ", ".join(f"{tool} {value:.0f}" for tool, value in seconds.items()))
    print("\nmissed or wrong (first five of each row):")
    for row, examples in sorted(tally.missed.items()):
        print(f"  {row}: {', '.join(examples[:5])}")


if __name__ == "__main__":
    main()
