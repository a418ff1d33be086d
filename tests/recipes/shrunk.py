"""The five systems at a size that a test can afford: only sizes, counts and weights change, no choice does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tilewise.encoders import catalogue
from tilewise.encoders.card import EncoderCard
from tilewise.recipe import Recipe, load_recipe

SYSTEMS = (
    "window-resnet50",
    "ten-view-phikon",
    "dual-branch-convnext",
    "adaptive-patch-resnet50",
    "component-box-convnext",
)

_EVERY = (
    "encoder.init=random", "network.input_px=32", "tiles.max_tiles=2", "folds.num_folds=2", "training.epochs=1",
    "training.num_threads=1", "training.batch_size=8", "evaluation.num_resamples=100",
)  # fmt: skip
_OWN = {
    "window-resnet50": ("tiles.size_px=64",),
    "ten-view-phikon": ("tiles.size_px=64", "tiles.random_views_num=2"),
    "dual-branch-convnext": ("tiles.size_px=64", "network.mask_init=random", "ensemble.num_members=1"),
    "adaptive-patch-resnet50": ("tiles.size_px=64", "segment.unet.input_px=64", "segment.unet.epochs=1"),
    "component-box-convnext": (
        "tiles.size_px=64",
        "tiles.component_box_min=12",
        "network.epochs_per_stage=1",
        "training.epochs=2",
    ),
}

#: Networks of the same family and the same names of blocks that timm has for tests, their features and their input.
_SMALLEST = {
    "convnext_tiny": {"architecture": "test_convnext", "dim": 64},
    "resnet18": {"architecture": "test_resnet", "dim": 96},
    "resnet50": {"architecture": "test_resnet", "dim": 96},
    "phikon": {"architecture": "test_vit", "dim": 64, "input_px": 160},
}


@pytest.fixture
def smallest_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoders of the systems with a hundredth of their weights."""
    cards: dict[str, EncoderCard] = dict(catalogue.cards())
    for name, changes in _SMALLEST.items():
        cards[name] = replace(cards[name], **changes)
    monkeypatch.setattr(catalogue, "cards", lambda: cards)


def shrink(name: str, *more: str) -> Recipe:
    """A packaged recipe made small."""
    return load_recipe(name, (*_EVERY, *_OWN[name], *more))


def link_slides(source: Path, target: Path, numbers: list[int]) -> Path:
    """Some slides of a folder in the challenge's layout of images, masks and labels."""
    rows = (source / "labels.csv").read_text("utf-8").splitlines()
    names = [f"img_{number:04d}.png" for number in numbers]
    for part in ("images", "masks"):
        (target / part).mkdir(parents=True)
    for name in names:
        (target / "images" / name).symlink_to((source / "images" / name).resolve())
        mask = name.replace("img", "mask")
        (target / "masks" / mask).symlink_to((source / "masks" / mask).resolve())
    lines = [rows[0], *(row for row in rows[1:] if row.split(",")[0] in names)]
    (target / "labels.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return target
