"""Plugins: the guide's own package, found through real entry points."""

import json
import logging
import re
import shutil
import sys
import tomllib
from types import SimpleNamespace
from typing import Annotated

import numpy as np
import pytest
from pydantic import BaseModel

from tests.test_docs import ROOT
from tilewise import Run, api
from tilewise.auditing import checks
from tilewise.auditing.config import AuditConfig
from tilewise.cli.completion import complete_encoder, complete_setting
from tilewise.cli.main import run
from tilewise.encoders import EncoderConfig, accept_licence, build_encoder, find_card
from tilewise.encoders.fetch import fetch_weights
from tilewise.errors import EncoderUnavailable, LicenceNotAccepted, PluginError, RecipeError, UsageError
from tilewise.inference.load_classifier import load_classifier
from tilewise.models.aggregate_tiles import build_aggregator
from tilewise.models.bag_models import build_bag_model
from tilewise.models.config import HeadConfig
from tilewise.plugins import PluginName, find_plugin, installed_plugins, plugin_records, require_plugins
from tilewise.recipe import load_recipe, recipe_schema
from tilewise.store import digest_file
from tilewise.tiles.config import TileConfig
from tilewise.tiles.strategies import TileRequest, strategy_boxes
from tilewise.tiles.tileset import TileSet
from tilewise.units import Size

GUIDE = (ROOT / "docs/how-to/extend.md").read_text("utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", GUIDE, re.DOTALL)
CODE = "\n".join(text for kind, text in BLOCKS if kind == "python")
PROJECT = tomllib.loads(next(text for kind, text in BLOCKS if kind == "toml"))["project"]
NAMES = {"acme.colour", "acme.bluish", "acme.centre", "acme.median", "acme.maxpool"}


def install(folder, monkeypatch, code=CODE, *, version=PROJECT["version"], points=PROJECT["entry-points"]):
    """Put a package where pip would: a module, and a dist-info that declares its entry points."""
    dist_info = folder / f"tilewise_acme-{version}.dist-info"
    dist_info.mkdir(parents=True)
    (folder / "acme.py").write_text(code)
    (dist_info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {PROJECT['name']}\nVersion: {version}\n")
    lines = [line for group, own in points.items() for line in (f"[{group}]", *(f"{n} = {v}" for n, v in own.items()))]
    (dist_info / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.delitem(sys.modules, "acme", raising=False)
    monkeypatch.syspath_prepend(str(folder))


@pytest.fixture
def acme(tmp_path, monkeypatch):
    install(tmp_path / "site", monkeypatch)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort")
    options = {"num_slides": 14, "num_test_slides": 2, "min_side_px": 256, "classes": {"A": 1.0, "B": 1.0}}
    api.synth(folder / "cohort", options, workers=1)
    return folder / "cohort"


def recipe(**values):
    plugins = {"encoder.name": "acme.colour", "tiles.strategy": "acme.centre", "audit.checks": ["acme.bluish"]}
    return load_recipe("texture").with_(
        **{
            "head.kind": "linear",
            "training.epochs": 2,
            "folds.num_folds": 2,
            **plugins,
            "head.aggregate": "acme.median",
        }
        | values
    )


def test_the_guide_names_every_group():
    assert {name for own in PROJECT["entry-points"].values() for name in own} == NAMES


@pytest.mark.pool
def test_a_run_with_an_encoder_a_check_a_strategy_and_an_aggregator(acme, cohort, tmp_path, monkeypatch):
    done = api.train(cohort, recipe(), out=tmp_path / "run", workers=2)
    records = done.folder.read_identity()["plugins"]
    assert {record["name"] for record in records} == NAMES - {"acme.maxpool"}
    assert {record["version"] for record in records} == {"1.0"}
    assert set(TileSet.read(done.folder.tiles)[0].table["strategy"]) == {"acme.centre"}
    table = tmp_path / "again.csv"
    api.predict(tmp_path / "run", cohort, out=table)
    assert table.is_file()
    assert run(["report", str(tmp_path / "run")]) == 0
    # Without the package, the run and its classifier say what is missing.
    monkeypatch.setattr("sys.path", [path for path in sys.path if not path.endswith("site")])
    with pytest.raises(PluginError, match=r"acme.* of tilewise-acme 1.0, which is not installed; pip install"):
        Run.open(tmp_path / "run")
    bundle = tmp_path / "bundle"
    shutil.copytree(done.folder.model, bundle)
    with pytest.raises(PluginError, match=r"the classifier in .* was made with plugin acme"):
        load_classifier(bundle)


def test_a_bag_model_learns_and_is_loaded_again(acme, cohort, tmp_path):
    done = api.train(cohort, recipe(**{"head.aggregate": "acme.maxpool"}), out=tmp_path / "run", workers=1)
    again = done.classifier()
    assert {member.aggregator for member in again.members} == {"acme.maxpool"}
    assert all(member.head.attends for member in again.members)


def test_a_changed_file_makes_features_again(tmp_path, monkeypatch):
    install(tmp_path / "one", monkeypatch)
    config = EncoderConfig(name="acme.colour")
    first = build_encoder(config).signature
    install(tmp_path / "two", monkeypatch, CODE.replace("colours.std", "colours.max"))
    second = build_encoder(config).signature
    assert first["card"] == second["card"]
    assert first["weights"] != second["weights"]
    tiles = np.zeros((2, 32, 32, 3), np.uint8)
    assert build_encoder(config).encode(tiles).shape == (2, 6)


def signature_of_two_files(folder, monkeypatch, encode="return colours", **config):
    """Of an encoder whose card and function lie in files of their own."""
    cards = CODE.replace("acme:build_encoder", "acme_net:build_encoder")
    install(folder, monkeypatch, cards)
    net = f"def build_encoder(card, config):\n    def encode(colours):\n        {encode}\n    return encode\n"
    (folder / "acme_net.py").write_text(net)
    monkeypatch.delitem(sys.modules, "acme_net", raising=False)
    return build_encoder(EncoderConfig(name="acme.colour", **config)).signature


def test_a_function_s_own_file_and_a_file_of_weights_make_features_again(tmp_path, monkeypatch):
    first = signature_of_two_files(tmp_path / "one", monkeypatch)
    assert signature_of_two_files(tmp_path / "two", monkeypatch) == first
    assert signature_of_two_files(tmp_path / "three", monkeypatch, "return colours + 1") != first
    weights, moved = tmp_path / "weights.bin", tmp_path / "moved.bin"
    weights.write_bytes(b"1")
    moved.write_bytes(b"1")
    one = signature_of_two_files(tmp_path / "four", monkeypatch, weights=weights)
    assert one != first
    assert signature_of_two_files(tmp_path / "five", monkeypatch, weights=moved) == one
    weights.write_bytes(b"2")
    assert signature_of_two_files(tmp_path / "six", monkeypatch, weights=weights) != one


def test_an_encoder_of_a_plugin_takes_no_seed_and_no_missing_file(acme, tmp_path):
    with pytest.raises(UsageError, match=r"acme.colour: .*no seed; leave out encoder.init"):
        build_encoder(EncoderConfig(name="acme.colour", init="random"))
    with pytest.raises(EncoderUnavailable, match=r"there is no file .*none.bin"):
        build_encoder(EncoderConfig(name="acme.colour", weights=tmp_path / "none.bin"))


@pytest.mark.parametrize("licence", ["CC-BY-NC-ND-4.0", "Acme-1.0"])
def test_a_licence_of_a_plugin_has_to_be_accepted(licence, tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, CODE.replace('"Apache-2.0"', f'"{licence}", non_commercial=True'))
    card = find_card("acme.colour")
    for use in (lambda: build_encoder(EncoderConfig(name="acme.colour")), lambda: fetch_weights(card)):
        with pytest.raises(LicenceNotAccepted, match=r"tilewise encoders accept acme\.colour"):
            use()
    accept_licence(card)
    assert build_encoder(EncoderConfig(name="acme.colour")).card == card
    assert fetch_weights(card).status == "computed"


def test_another_version_is_warned_of(acme, caplog):
    records = plugin_records({"head": {"aggregate": "acme.median"}})
    require_plugins(records, "the run")
    assert not caplog.messages
    with caplog.at_level(logging.WARNING):
        require_plugins([records[0] | {"version": "0.9"}], "the run")
    assert (
        "was made with tilewise-acme 0.9 (acme.median); here is plugin acme.median of tilewise-acme 1.0" in caplog.text
    )


def test_rungs_of_a_ladder_name_plugins_too(acme):
    ladder = {"rungs": [{"name": "one", "set": {"head.aggregate": "acme.median", "tiles.size_px": 64}}]}
    assert [record["name"] for record in plugin_records({"ladder": ladder})] == ["acme.median"]
    assert plugin_records(load_recipe().model_dump(mode="json")) == []


@pytest.mark.parametrize(
    ("key", "value"), [("tiles.strategy", "acme.centre"), ("audit.checks", ["acme.bluish"]), ("head.aggregate", "a.b")]
)
def test_what_is_not_installed_is_named(key, value):
    with pytest.raises(RecipeError, match=f"{key}.*no installed package adds this name to tilewise"):
        load_recipe("texture").with_(**{key: value})
    with pytest.raises(PluginError, match=r"acme.colour: no installed package adds this name to tilewise.encoders"):
        find_plugin("tilewise.encoders", "acme.colour")


def test_tilewise_s_own_names_stay_as_they_were():
    with pytest.raises(RecipeError, match=r"Input should be 'mean', .* got 'medan' \(did you mean 'mean'\?\)"):
        load_recipe("texture", ["head.kind=linear", "head.aggregate=medan"])


def test_editors_offer_what_is_installed(acme):
    schema = json.dumps(recipe_schema())
    assert all(name in schema for name in NAMES - {"acme.colour"})


class Names(BaseModel):
    name: Annotated[str, PluginName(("own",), "tilewise.aggregators")]


def test_a_broken_plugin_is_named_and_doctor_shows_it(tmp_path, monkeypatch, capsys):
    points = {
        "tilewise.aggregators": {"acme.median": "acme:nothing", "median": "acme:median"},
        "tilewise.encoders": {"acme.colour": "acme:CARD"},
    }
    install(tmp_path, monkeypatch, "CARD = 1\n", points=points)
    assert Names(name="acme.median").name == "acme.median"  # only its name is needed so far
    with pytest.raises(
        PluginError, match=r"acme.median of tilewise-acme 1.0 .*cannot be loaded.*uninstall tilewise-acme"
    ):
        find_plugin("tilewise.aggregators", "acme.median").load()
    assert run(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "its name holds no dot" in out
    assert "is no EncoderCard of this name" in out
    assert run(["encoders", "--json"]) == 0  # the others are listed


TILES = np.zeros((3, 32, 32, 3), np.uint8)
EVIDENCE = SimpleNamespace(
    config=AuditConfig(), slides={"one": SimpleNamespace(label="A")}, facts={"one": SimpleNamespace(tissue_share=0.01)}
)


def use_encoder():
    build_encoder(EncoderConfig(name="acme.colour")).encode(TILES)


def use_check():
    list(checks.plugin_findings("acme.bluish", EVIDENCE))


def use_strategy():
    slide = SimpleNamespace(slide_id="one", size=Size(100, 60))
    request = TileRequest(slide, TileConfig())
    boxes, ratios = strategy_boxes("acme.centre", np.ones((60, 100), bool), request, size_l0=20)
    assert boxes.tolist() == [[40, 20, 20, 20]]
    assert ratios.tolist() == [1.0]


def use_aggregator():
    head = HeadConfig(aggregate="acme.median")
    assert head.takes_probabilities
    probabilities_NC = np.array([[0.2, 0.8], [0.4, 0.6], [0.9, 0.1], [0.5, 0.5]], np.float32)
    probabilities_SC, num_S = build_aggregator(head)(probabilities_NC, np.array([0, 0, 0, 2]), 3)
    np.testing.assert_allclose(probabilities_SC, [[0.4, 0.6], [np.nan, np.nan], [0.5, 0.5]], rtol=1e-6)
    assert num_S.tolist() == [3, 0, 1]


def use_bag_model():
    head = HeadConfig(aggregate="acme.maxpool")
    assert head.attends
    build_bag_model(head, num_features=4, num_classes=2)


USES = (use_encoder, use_check, use_strategy, use_aggregator, use_bag_model)


@pytest.mark.parametrize("use", USES)
def test_the_guide_s_plugins_do_what_it_says(use, acme):
    use()


@pytest.mark.parametrize(
    ("use", "before", "after", "message"),
    [
        (use_encoder, "astype(np.float32)", "astype(np.float64)", "gives float64 of shape"),
        (use_encoder, "dim=6", "dim=7", r"expected finite float32 of shape \(3, 7\)"),
        (use_encoder, "tiles_NHWC.reshape", "tiles.reshape", "acme.colour of tilewise-acme 1.0 failed on tiles"),
        (use_encoder, "    def encode", "    1 / 0\n\n    def encode", "acme:build_encoder failed: ZeroDivisionError"),
        (use_encoder, "acme:build_encoder", "acme:nothing", "acme:nothing.* cannot be loaded: AttributeError"),
        (use_check, '"acme.bluish", ""', '"ink", ""', "expected a Finding of kind acme.bluish"),
        (use_check, '"keep", 0.5', '"mend", 0.5', "proposes 'mend'; expected one of keep"),
        (use_check, '"acme.bluish", ""', '"acme.bluish", "nobody"', "`other` is neither empty nor a slide"),
        (use_check, '"acme.bluish", ""', '"acme.bluish", None', "`other` is neither empty nor a slide"),
        (use_check, '"keep", 0.5', '"keep", "high"', "`confidence` is no float from 0 to 1"),
        (use_check, '"keep", 0.5', '"keep", float("nan")', "`confidence` is no float from 0 to 1"),
        (use_check, '"keep", 0.5, f', '"keep", 0.5, value=7, evidence=f', "`evidence` and `value` are not both text"),
        (use_check, '"keep", 0.5', '"relabel", 0.5', "acme.bluish .*`value` is no class of the cohort: A"),
        (
            use_check,
            '"keep", 0.5, f',
            '"fix-mask", 0.5, value="turn", evidence=f',
            "value` of fix-mask is empty or inv",
        ),
        (use_check, "evidence.facts", "evidence.facs", "acme.bluish of tilewise-acme 1.0 failed"),
        (use_strategy, "(size.width - side) // 2", "size.width", "one: .* cuts no boxes inside the slide"),
        (use_strategy, "np.int64", "np.float64", "float64 of shape"),
        (
            use_strategy,
            "[[(size.width - side) // 2, (size.height - side) // 2, side, side]], np.int64",
            "[[90, 0, 200, 20]], np.uint8",
            "one: .* cuts no boxes inside the slide",
        ),
        (use_strategy, "size.height", "size.higher", "one: .* failed: AttributeError"),
        (use_aggregator, "np.median(probabilities_TC, axis=0)", "-1", "expected a score from 0 up"),
        (use_aggregator, "axis=0", "axis=3", "failed on the probabilities of a slide's tiles"),
        (use_bag_model, "return MaxPool()", "return 1", "gives a int; expected a BagModel"),
        (use_bag_model, "MaxPool()", "MaxPool(1)", "acme.maxpool of tilewise-acme 1.0 failed"),
    ],
)
def test_what_a_plugin_gives_is_held_to_what_it_should(use, before, after, message, tmp_path, monkeypatch):
    assert before in CODE
    install(tmp_path, monkeypatch, CODE.replace(before, after))
    with pytest.raises(PluginError, match=message):
        use()


def test_nothing_is_imported_before_it_is_used(acme):
    assert set(installed_plugins("tilewise.encoders")) == {"acme.colour"}
    load_recipe("texture", ["tiles.strategy=acme.centre"])
    assert complete_encoder("acme.") == ["acme.colour"]
    assert complete_setting("tiles.strategy=acme") == ["tiles.strategy=acme.centre"]
    assert "acme" not in sys.modules


def test_a_record_of_a_module_in_a_package_imports_nothing(tmp_path, monkeypatch):
    points = {"tilewise.aggregators": {"acme.median": "acme_parts.inner:take", "acme.lost": "acme_parts.none:take"}}
    install(tmp_path, monkeypatch, points=points)
    package = tmp_path / "acme_parts"
    package.mkdir()
    (package / "__init__.py").write_text("1 / 0\n")
    (package / "inner.py").write_text("")
    (record,) = plugin_records({"head": {"aggregate": "acme.median"}})
    assert record["digest"] == digest_file(package / "inner.py")
    assert plugin_records({"head": {"aggregate": "acme.lost"}})[0]["digest"] == ""
    assert "acme_parts" not in sys.modules
