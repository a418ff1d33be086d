"""What a stranger made cannot run code here or write elsewhere: no door to that in the sources, and tries that fail."""

import ast
import contextlib
import os
import pickle
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from tests.artifacts import rewrite_json
from tests.drawn import draw_cohort, draw_slide, recipe
from tilewise import api
from tilewise.cohort import Cohort
from tilewise.encoders import EncoderConfig, build_encoder
from tilewise.encoders.catalogue import cards
from tilewise.errors import ArtifactError, RecipeError, TilewiseError, UsageError
from tilewise.recipe import load_recipe
from tilewise.recipe.sources import _Keys
from tilewise.store import digest_file

SOURCE = Path(__file__).parents[1] / "src" / "tilewise"
# Call -> the argument that makes it safe, or None where nothing does.
DOORS = {
    "eval": None, "exec": None, "compile": None, "__import__": None, "os.system": None, "os.popen": None,
    "pickle.load": None, "pickle.loads": None, "pickle.Unpickler": None, "marshal.loads": None, "shelve.open": None,
    "joblib.load": None, "dill.load": None, "pd.read_pickle": None, "pandas.read_pickle": None,
    "yaml.unsafe_load": None, "yaml.full_load": None, "torch.hub.load": None, "torch.jit.load": None,
    "shutil.unpack_archive": None,
    "torch.load": ("weights_only", True), "np.load": ("allow_pickle", False), "numpy.load": ("allow_pickle", False),
}  # fmt: skip
#: Pickled by a worker of this very run, and moved by Ray.
OWN_WORKERS = {"execution/ray_pool.py"}
FETCHERS = ("hf_hub_download", "snapshot_download", "try_to_load_from_cache", "from_pretrained")
#: Networks of timm and SAM, of whose repositories no commit could be established; safetensors and weights alone.
UNPINNED = {
    "convnext_large", "convnext_small", "convnext_tiny", "densenet121", "dinov2_vits14", "efficientnet_b0",
    "efficientnet_b2", "efficientnet_b3", "efficientnet_lite0", "efficientnet_lite2", "efficientnet_v2_m",
    "mobilenet_v1", "mobilenet_v3_large", "mobilenet_v3_small", "resnet101", "resnet152", "resnet18", "resnet34",
    "resnet50", "vgg16",
}  # fmt: skip


def calls():
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                yield str(path.relative_to(SOURCE)), node


def constant(call, name):
    return next((getattr(word.value, "value", "?") for word in call.keywords if word.arg == name), None)


def is_open(call):
    name = ast.unparse(call.func)
    if any(constant(call, word) for word in ("trust_remote_code", "shell")):
        return True
    if name not in DOORS:
        return name == "yaml.load" and ast.unparse(call.args[1]) not in {"_Keys", "yaml.SafeLoader"}
    return DOORS[name] is None or constant(call, DOORS[name][0]) is not DOORS[name][1]


@pytest.mark.parametrize(
    "text",
    ["eval(x)", "torch.load(x)", "torch.load(x, weights_only=y)", "np.load(x)", "pickle.load(x)", "run(x, shell=True)",
     "yaml.load(x, yaml.Loader)", "f(trust_remote_code=True)"],
)  # fmt: skip
def test_an_open_door_is_noticed(text):
    assert is_open(ast.parse(text).body[0].value)


def test_no_source_unpickles_evaluates_or_runs_a_shell():
    assert {path for path, call in calls() if is_open(call)} <= OWN_WORKERS
    assert issubclass(_Keys, yaml.SafeLoader)


def test_nothing_is_fetched_without_a_revision():
    fetches = [(path, call) for path, call in calls() if ast.unparse(call.func).split(".")[-1] in FETCHERS]
    assert len(fetches) >= 4
    assert [path for path, call in fetches if constant(call, "revision") is None] == []
    # A file from an address of its own is compared with its digest instead.
    opened = {path for path, call in calls() if ast.unparse(call.func).endswith(("urlopen", "urlretrieve"))}
    assert opened == {"encoders/find_weights.py"}
    catalogue = cards().values()
    assert all(card.revision for card in catalogue if card.source)
    assert {card.name for card in catalogue if card.hub_id and len(card.revision) != 40} <= UNPINNED


class Bomb:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (os.mkdir, (str(self.mark),))


@pytest.fixture
def mark(tmp_path):
    """A folder that code of a hostile file would make."""
    mark = tmp_path / "mark"
    yield mark
    assert not mark.exists()


def test_a_bomb_goes_off_where_it_is_unpickled(tmp_path):
    pickle.loads(pickle.dumps(Bomb(tmp_path / "mark")))
    assert (tmp_path / "mark").is_dir()


@pytest.mark.parametrize(
    "value", ["!!python/object/apply:os.mkdir [{mark}]", "{{{{ ''.__class__ }}}}", "$(mkdir {mark})"]
)
def test_a_recipe_runs_no_code(tmp_path, mark, value):
    path = tmp_path / "recipe.yaml"
    for key in ("name", "extends", "encoder", "notes"):
        path.write_text(f"{key}: {value.format(mark=mark)}\n")
        with contextlib.suppress(RecipeError):  # a name may be any text
            load_recipe(path)


def test_feature_files_run_no_code(tmp_path, mark):
    folder = tmp_path / "pt_files"
    folder.mkdir()
    for number in range(4):
        torch.save({"features": Bomb(mark)}, folder / f"s{number}.pt")
    (tmp_path / "labels.csv").write_text("slide,label\n" + "".join(f"s{n},{'AB'[n % 2]}\n" for n in range(4)))
    with pytest.raises(TilewiseError, match=r"s0|no slide|features"):
        api.train(tmp_path, out=tmp_path / "run", labels=tmp_path / "labels.csv", workers=1)


def test_weights_run_no_code(tmp_path, mark):
    torch.save({"w": Bomb(mark)}, tmp_path / "resnet.pth")
    with pytest.raises(TilewiseError, match="unpickles nothing"):
        build_encoder(EncoderConfig(name="resnet18", weights=str(tmp_path / "resnet.pth")))


def contents(folder):
    return {path: digest_file(path) if path.is_file() else "" for path in folder.rglob("*")}


def test_slides_that_a_table_names_elsewhere_lead_no_result_there(tmp_path):
    cohort, elsewhere = tmp_path / "home" / "cohort", tmp_path / "elsewhere"
    cohort.mkdir(parents=True)
    names = [f"../../elsewhere/a{n}.png" for n in range(4)] + [str(elsewhere / f"b{n}.png") for n in range(4)]
    for number, name in enumerate(names):
        draw_slide(elsewhere / Path(name).name, number, klass=number % 2)
    rows = [f"{name},{'AB'[number % 2]}" for number, name in enumerate(names)]
    (cohort / "cohort.csv").write_text("\n".join(["slide,label", *rows]))
    before = contents(elsewhere)
    home = tmp_path / "out"
    run = api.train(cohort, recipe("folds.num_folds=2", "tiles.min_mask_ratio=0"), out=home / "run", workers=1)
    assert run.evaluation.out_of_fold.num_slides == len(names)
    api.explain(run, out=home / "maps", workers=1)
    exported = api.export_run(run, home / "geojson")
    assert len(set(exported.files.values())) == len(names)
    assert contents(elsewhere) == before
    assert {path.name for path in tmp_path.iterdir()} == {"home", "elsewhere", "out"}
    assert {path.name for path in home.iterdir()} == {"run", "maps", "geojson"}
    assert pd.read_parquet(home / "run/predictions.parquet")["slide"].nunique() == len(names)


@pytest.fixture(scope="module")
def strange_run(tmp_path_factory):
    home = tmp_path_factory.mktemp("strange")
    cohort = draw_cohort(home / "cohort", num_slides=8)
    api.train(Cohort.discover(cohort), recipe("folds.num_folds=2"), out=home / "run", workers=1)
    return home


@pytest.fixture
def run(strange_run, tmp_path):
    shutil.copytree(strange_run / "run", tmp_path / "run")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.json").write_text("precious")
    return tmp_path / "run"


@pytest.mark.parametrize("name", ["../precious/thesis.json", "{precious}/thesis.json", "a/../../precious/thesis.json"])
def test_a_manifest_that_names_files_elsewhere_has_none_of_them_removed(run, name):
    precious = run.parent / "precious"
    listed = {name.format(precious=precious): {"bytes": 1, "digest": "0"}}
    rewrite_json(run / "manifest.json", {"files": listed})
    with pytest.raises(ArtifactError, match="damaged"):
        api.verify(run)
    api.repair(run, workers=1)
    assert (precious / "thesis.json").read_text() == "precious"


@pytest.mark.parametrize("name", ["folds", "model", "audit", "folds/0"])
def test_nothing_is_written_through_a_link_in_a_run(run, name):
    precious = run.parent / "precious"
    before = contents(precious)
    shutil.rmtree(run / name)
    (run / name).symlink_to(precious, target_is_directory=True)
    for verb in (lambda: api.repair(run, workers=1), lambda: api.report(run)):
        with pytest.raises(UsageError, match="leads to another folder"):
            verb()
    assert contents(precious) == before


def test_a_file_that_is_a_link_is_replaced_and_what_it_leads_to_stays(run):
    precious = run.parent / "precious" / "thesis.json"
    for name in ("report.html", "predictions.parquet"):
        (run / name).unlink()
        (run / name).symlink_to(precious)
    api.repair(run, workers=1)
    assert precious.read_text() == "precious"
    assert not (run / "report.html").is_symlink()
    assert api.verify(run) == []
