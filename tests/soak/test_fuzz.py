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
from tests.interchange.written import grid, vectors, write_clam, write_stamp, write_trident
from tests.slides.zarrs import write_ome_zarr
from tests.soak import damage
from tests.soak.doors import Doors
from tilewise import api
from tilewise.cohort import Cohort
from tilewise.extraction.bag import FeatureBag
from tilewise.recipe import load_recipe
from tilewise.tuning.space import packaged_spaces

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


# Folder -> the door of its files, and whether it goes there as a whole.
_FOLDERS = {
    "trident": ("features", True),
    "stamp": ("features", True),
    "clam": ("features", True),
    "slide.ome.zarr": ("image", True),
    "geojson": ("mask", False),
    "spaces": ("space", False),
}
# Each is read in processes of its own.
_HDF5 = {"trident", "stamp", "clam"}


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


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features of other programs, an OME-Zarr, outlines and spaces, each in a folder of that name."""
    root = tmp_path_factory.mktemp("folders")
    features, corners = vectors(4), grid(4)
    write_trident(root / "trident" / "a.h5", features, corners)
    write_stamp(root / "stamp" / "a.h5", features, corners / 4)
    write_clam(root / "clam", "a", features, corners)
    write_ome_zarr(root / "slide.ome.zarr", [damage.texture(), damage.texture()[::2, ::2]], chunk=16)
    (root / "geojson").mkdir()
    (root / "spaces").mkdir()
    for name, text in damage.outlines().items():
        (root / "geojson" / name).write_text(text)
    for name, text in packaged_spaces().items():
        (root / "spaces" / f"{name}.yaml").write_text(text)
    return root


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
        shutil.copytree(path, copy, dirs_exist_ok=True) if path.is_dir() else shutil.copyfile(path, copy)
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
    _fuzz_folder(run, pattern, _RUN_FILES[pattern], doors, how, as_one=False)


def _fuzz_folder(folder: Path, pattern: str, door: str, doors: Doors, how: settings, *, as_one: bool) -> None:
    """Damage one file of a folder at a time and give it to the door, or the folder as one."""
    paths = sorted(path for path in folder.glob(pattern) if path.is_file())
    files = {str(path.relative_to(folder)): path.read_bytes() for path in paths}
    doors.open(door, folder if as_one else paths[0])

    @how
    @given(damage.damaged(files))
    def each(example: tuple[str, bytes]) -> None:
        name, data = example
        try:
            (folder / name).write_bytes(data)
            _check(doors, door, folder if as_one else folder / name)
        finally:
            (folder / name).write_bytes(files[name])

    each()


_KINDS = ("image", "mask", "table", "decisions", "recipe", "bag")


def test_hangs_crashes_and_hoards_behind_a_door_are_told(place, doors):
    assert doors.give("hang", place / "a.png", seconds=0.1).kind == "hang"
    assert doors.give("crash", place / "a.png", seconds=60).kind == "crash"
    assert doors.give("hoard", place / "a.png", seconds=60).kind == "large"
    assert doors.give("image", place / "a.png", seconds=60).kind == "done"


@pytest.mark.parametrize("kind", _KINDS)
def test_damaged_files_end_in_named_errors(kind, place, doors):
    _fuzz(kind, place, doors, _SHORT)


@pytest.mark.parametrize("name", _FOLDERS)
def test_damaged_folders_end_in_named_errors(name, folders, doors):
    _fuzz_folder(folders / name, "**/*", _FOLDERS[name][0], doors, _SHORT, as_one=_FOLDERS[name][1])


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
@pytest.mark.parametrize("name", _FOLDERS)
def test_many_damaged_folders_end_in_named_errors(name, folders, doors):
    how = settings(_LONG, max_examples=200 if name in _HDF5 else 600)
    _fuzz_folder(folders / name, "**/*", _FOLDERS[name][0], doors, how, as_one=_FOLDERS[name][1])


@pytest.mark.soak
@pytest.mark.parametrize("pattern", _RUN_FILES)
def test_many_damaged_runs_end_in_named_errors(pattern, run, doors):
    _fuzz_run(pattern, run, doors, _LONG)
