"""Damaged inputs of every kind at the public doors: only named errors come out, and nothing hangs or crashes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.drawn import draw_cohort, recipe
from tests.soak import damage
from tests.soak.doors import Doors
from tilewise import api
from tilewise.cohort import Cohort
from tilewise.extraction.bag import FeatureBag
from tilewise.recipe import load_recipe

_SHORT = settings(
    max_examples=10, derandomize=True, deadline=None, database=None, phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
_LONG = settings(_SHORT, max_examples=150, derandomize=False)

# Which door reads which file of a run.
_RUN_FILES = {
    "run.json": "identity",
    "tiles.parquet": "tiles",
    "folds.json": "folds",
    "predictions.parquet": "predictions",
    "audit/findings.parquet": "findings",
    "audit/slides.parquet": "slides",
    "evaluation.json": "evaluate",
    "manifest.json": "verify",
    "model/*": "model",
    "environment.json": "report",
    "audit/decisions.csv": "report",
    "folds/0/history.csv": "report",
}


def _keys(model: dict[str, object], before: str = "") -> Iterator[str]:
    for name, value in model.items():
        yield f"{before}{name}"
        if isinstance(value, dict):
            yield from _keys(value, f"{before}{name}.")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    damage.write_beside(folder)
    return folder


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    with Doors(tmp_path_factory.mktemp("cache")) as opened:
        yield opened


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, as small as one can be."""
    home = tmp_path_factory.mktemp("fuzzed_run")
    draw_cohort(home / "cohort", num_slides=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILEWISE_CACHE", str(home / "cache"))
        chosen = recipe("folds.num_folds=2", "training.epochs=1")
        api.train(Cohort.discover(home / "cohort"), chosen, out=home / "run", workers=1)
    return home / "run"


def _bag(place: Path) -> dict[str, bytes]:
    path = place / "bag.safetensors"
    bag = FeatureBag("a.png", np.ones((3, 4), np.float32), np.zeros((3, 4), np.int64), num_unnormalised=0)
    bag.write(path, key="k")
    return {path.name: path.read_bytes()}


def _inputs(kind: str, place: Path) -> st.SearchStrategy[tuple[str, bytes]]:
    match kind:
        case "image":
            return damage.damaged(damage.pictures())
        case "mask":
            return damage.damaged(damage.masks() | damage.pictures())
        case "bag":
            return damage.damaged(_bag(place))
        case "recipe":
            return damage.recipes(sorted(_keys(load_recipe().model_dump(mode="json"))))
        case _:
            return damage.tables()


def _check(doors: Doors, door: str, path: Path) -> None:
    answer = doors.give(door, path)
    if answer.kind not in {"done", "named"}:
        copy = path.with_name(f"failed_{door}_{path.name}")
        shutil.copyfile(path, copy)
        pytest.fail(f"{door}: {answer.kind}: {answer.text}\nthe file is {copy}")


def _fuzz(kind: str, place: Path, doors: Doors, how: settings) -> None:
    doors.open("image", place / "a.png")

    @how
    @given(_inputs(kind, place))
    def each(example: tuple[str, bytes]) -> None:
        name, data = example
        path = place / f"{kind}_{name}"
        path.write_bytes(data)
        _check(doors, kind, path)

    each()


def _fuzz_run(pattern: str, run: Path, doors: Doors, how: settings) -> None:
    files = {str(path.relative_to(run)): path.read_bytes() for path in sorted(run.glob(pattern)) if path.is_file()}
    doors.open(_RUN_FILES[pattern], run / next(iter(files)))

    @how
    @given(damage.damaged(files))
    def each(example: tuple[str, bytes]) -> None:
        name, data = example
        try:
            (run / name).write_bytes(data)
            _check(doors, _RUN_FILES[pattern], run / name)
        finally:
            (run / name).write_bytes(files[name])

    each()


_KINDS = ("image", "mask", "table", "decisions", "recipe", "bag")


def test_hangs_and_crashes_behind_a_door_are_told(place, doors):
    assert doors.give("hang", place / "a.png", seconds=0.1).kind == "hang"
    assert doors.give("crash", place / "a.png", seconds=60).kind == "crash"
    assert doors.give("image", place / "a.png", seconds=60).kind == "done"


@pytest.mark.parametrize("kind", _KINDS)
def test_damaged_files_end_in_named_errors(kind, place, doors):
    _fuzz(kind, place, doors, _SHORT)


@pytest.mark.parametrize("pattern", _RUN_FILES)
def test_damaged_runs_end_in_named_errors(pattern, run, doors):
    _fuzz_run(pattern, run, doors, _SHORT)


def test_aliases_within_aliases_do_not_unfold_without_end(place, doors):
    lines = ["a0: &a0 [1, 1]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))]
    (place / "bomb.yaml").write_text("\n".join(["name: bomb", "extends: default", *lines]))
    _check(doors, "recipe", place / "bomb.yaml")


@pytest.mark.soak
@pytest.mark.parametrize("kind", _KINDS)
def test_many_damaged_files_end_in_named_errors(kind, place, doors):
    _fuzz(kind, place, doors, settings(_LONG, max_examples=3500 if kind in {"image", "mask"} else 1200))


@pytest.mark.soak
@pytest.mark.parametrize("pattern", _RUN_FILES)
def test_many_damaged_runs_end_in_named_errors(pattern, run, doors):
    _fuzz_run(pattern, run, doors, _LONG)
