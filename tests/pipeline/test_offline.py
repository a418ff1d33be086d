"""`--offline` where weights are missing: what stands in for them, and that it is said."""

import json
import re

import pytest

from tests.drawn import draw_cohort, recipe
from tilewise import api
from tilewise.cli.main import run as command
from tilewise.encoders import EncoderConfig, find_card
from tilewise.errors import EncoderUnavailable, UsageError
from tilewise.pipeline.offline import offline_recipe
from tilewise.recipe import load_recipe, packaged_recipes

pytestmark = pytest.mark.shared_cache

PIXELS = ("training.input=tiles", "encoder.name=resnet18", "network.input_px=32")


def nothing_is_here(encoder):
    return encoder.init == "random" or encoder.name == "texture"


def substituted(*settings, available=nothing_is_here):
    return offline_recipe(recipe(*settings), available)


@pytest.mark.parametrize("name", sorted(packaged_recipes()))
def test_where_all_weights_are_here_nothing_changes(name):
    asked = load_recipe(name)
    assert offline_recipe(asked, lambda encoder: True) == (asked, ())


@pytest.mark.parametrize("trained", ["last", "progressive", "all"])
def test_what_is_to_be_trained_starts_from_random_weights_and_nothing_else_changes(trained):
    asked = recipe(*PIXELS, f"network.trained={trained}")
    changed, notes = offline_recipe(asked, nothing_is_here)
    assert changed.encoder.init == "random"
    assert changed.notes == notes
    same = changed.encoder.model_copy(update={"init": "pretrained"})
    assert changed.model_copy(update={"encoder": same, "notes": ()}) == asked
    assert "the weights of resnet18 are not on this machine" in notes[0]
    assert (len(notes) == 2) is (trained == "last")  # the blocks that stay random are spoken of


@pytest.mark.parametrize("on", [(), PIXELS])
def test_stages_of_a_network_that_is_not_here_are_spoken_of(on):
    changed, notes = substituted(*on, "encoder.name=resnet18", "encoder.pooling=stages")
    assert changed.encoder == EncoderConfig()
    assert any("texture is no network and knows nothing of encoder.pooling: left out" in note for note in notes)


@pytest.mark.parametrize("frozen", ["frozen", "last"])
def test_what_stays_as_it_is_becomes_texture_and_every_section_left_out_is_named(frozen):
    more = ("network.last_blocks=0",) if frozen == "last" else ()
    changed, notes = substituted(
        *PIXELS, *more, f"network.trained={frozen}", "head.norm=batch", "augment.horizontal_flip=0.5",
        "views.kind=flips",
        "training.mixup={level: tiles, mixup_alpha: 0.4, cutmix_alpha: 1.0, cutmix_share: 0.25, probability: 0.8}",
        "training.learning_rate=0.001", "training.step.precision=bfloat16", "training.optimizer.kind=ranger",
    )  # fmt: skip
    assert (changed.training.input, changed.encoder.name, changed.encoder.init) == ("features", "texture", "pretrained")
    assert changed.training.mixup.model_dump() == {
        "level": "features", "mixup_alpha": 0.4, "probability": pytest.approx(0.6), "cutmix_alpha": 0.0,
        "cutmix_share": 0.5,
    }  # fmt: skip
    assert (changed.head.norm, changed.training.optimizer.kind) == ("batch", "ranger")
    assert changed.training.learning_rate is None
    sentences = " ".join(notes)
    for word in ("texture", "`augment`", "`views`", "training.step.precision", "CutMix", "training.learning_rate"):
        assert word in sentences


def test_an_encoder_whose_features_are_used_becomes_texture():
    changed, notes = substituted("encoder.name=phikon", "encoder.batch_size=4", "encoder.threads=2")
    assert (changed.encoder.name, changed.encoder.batch_size, changed.encoder.threads) == ("texture", None, 2)
    assert len(notes) == 2
    assert "encoder.batch_size" in notes[1]


def test_pretraining_is_training():
    changed, _ = substituted(*PIXELS, "pretrain.method=simclr")
    assert (changed.training.input, changed.encoder.init) == ("tiles", "random")


def test_the_encoders_of_masks_and_of_the_u_net_start_from_random_weights_too():
    changed, notes = substituted(
        *PIXELS, "network={input: dual_branch, trained: all, mask_encoder: resnet34, mask_init: pretrained}",
        "segment={method: unet, unet: {init: pretrained, encoder: resnet50}}",
    )  # fmt: skip
    assert (changed.network.mask_init, changed.segment.unet.init) == ("random", "random")
    assert [next(name for name in ("resnet18", "resnet34", "resnet50") if name in note) for note in notes] == [
        "resnet18", "resnet34", "resnet50",
    ]  # fmt: skip


def test_several_fields_of_view_become_one_for_texture():
    changed, notes = substituted(*PIXELS, "network.input=multi_scale", "tiles.field_scales=[1.0, 2.0]")
    assert changed.tiles.field_scales == (1.0,)
    assert any("field_scales" in note for note in notes)


def test_cutmix_alone_is_left_out_for_texture():
    changed, notes = substituted(*PIXELS, "training.mixup={level: tiles, mixup_alpha: 0, cutmix_alpha: 1}")
    assert changed.training.mixup.level == "none"
    assert any("CutMix" in note for note in notes)


@pytest.mark.parametrize("name", sorted(packaged_recipes()))
def test_substituting_twice_changes_nothing_more(name):
    once, _ = offline_recipe(load_recipe(name), nothing_is_here)
    assert offline_recipe(once, nothing_is_here) == (once, ())


def test_a_file_that_is_named_and_not_there_is_a_fault_not_a_reason_to_do_without_it(tmp_path):
    asked = recipe("encoder.name=resnet18", f"encoder.weights={tmp_path / 'none.safetensors'}")
    assert offline_recipe(asked) == (asked, ())


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return draw_cohort(tmp_path_factory.mktemp("offline") / "cohort", num_slides=12)


SETTINGS = [
    "--set=tiles.size_px=32", "--set=tiles.stride_px=null", "--set=folds.num_folds=2", "--set=training.epochs=2",
    "--set=evaluation.num_resamples=100", "--set=encoder.name=resnet18", "--workers=1",
]  # fmt: skip


def test_without_offline_the_error_names_both_ways_out(cohort, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert command(["train", str(cohort), "--out", str(tmp_path / "run"), "--recipe", "texture", *SETTINGS]) == 2
    error = capsys.readouterr().err
    assert "put it into" in error
    assert "encoder.name=texture" in error
    assert "`--offline` trains with what can stand in" in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", sorted(set(packaged_recipes()) - {"default", "fine-tune", "small-cohort", "texture"}))
def test_every_system_without_its_weights_says_what_to_do(name, cohort, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(EncoderUnavailable) as raised:
        api.train(cohort, load_recipe(name), out=tmp_path / "run")
    way = "tilewise encoders accept phikon" if name == "ten-view-phikon" else "put it into"
    assert way in str(raised.value)
    assert "`--offline` trains with what can stand in" in raised.value.__notes__[0]
    assert not (tmp_path / "run").exists()


def test_a_frozen_system_runs_offline_on_texture(cohort, tmp_path):
    sizes = ["tiles.size_px=32", "tiles.overlap=0", "folds.num_folds=2", "evaluation.num_resamples=100"]
    run = api.train(cohort, load_recipe("window-resnet50", sizes), out=tmp_path / "run", offline=True, workers=1)
    assert run.classifier().recipe["encoder"]["name"] == "texture"
    assert [warning in run.warnings for warning in run.classifier().recipe["notes"]] == [True] * 4
    assert api.predict(run, cohort, offline=True, workers=1).unclassified() == ()


def test_a_substitution_is_said_first_and_stays_with_the_run(cohort, tmp_path, monkeypatch, capsys):
    line = [
        "train",
        str(cohort),
        "--out",
        str(tmp_path / "run"),
        "--offline",
        "--quiet",
        "--recipe",
        "texture",
        *SETTINGS,
    ]
    assert command(line) == 0
    note = load_note(tmp_path / "run")
    assert "the weights of resnet18 are not on this machine" in note
    assert capsys.readouterr().out.startswith(note)
    report = (tmp_path / "run" / "report.html").read_text("utf-8")
    warnings = re.findall(r'<li class="warning">(.*?)</li>', report)
    assert "the weights of resnet18 are not on this machine" in warnings[0]
    assert load_recipe(tmp_path / "run" / "recipe.yaml").notes == (note,)
    assert command([*line, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == [note]
    # The weights have come since: the run is not silently another one.
    put_weights("resnet18", tmp_path / "weights")
    monkeypatch.setenv("TILEWISE_WEIGHTS", str(tmp_path / "weights"))
    settings = [one.removeprefix("--set=") for one in SETTINGS[:-1]]
    with pytest.raises(UsageError, match=r"recipe\.encoder\.name: 'texture' there, 'resnet18' here"):
        api.train(cohort, load_recipe("texture", settings), out=tmp_path / "run", offline=True)


def test_the_python_verb_warns_too(cohort, tmp_path, caplog):
    run = api.train(cohort, recipe("encoder.name=phikon", "folds.num_folds=2"), out=tmp_path, offline=True, workers=1)
    assert "phikon" in run.warnings[0]
    assert "phikon" in caplog.records[0].message


def test_what_cannot_be_stood_in_for_is_not_promised(cohort, tmp_path):
    asked = recipe("encoder.name=resnet18", f"encoder.weights={tmp_path / 'none.safetensors'}")
    with pytest.raises(EncoderUnavailable) as raised:
        api.train(cohort, asked, out=tmp_path / "run")
    assert not getattr(raised.value, "__notes__", [])


def put_weights(name, folder):
    from safetensors.torch import save_file

    from tilewise.encoders.networks import create_network

    folder.mkdir()
    save_file(create_network(find_card(name), seed=0).state_dict(), folder / f"{name}.safetensors")


def load_note(folder):
    (note,) = json.loads((folder / "run.json").read_text("utf-8"))["recipe"]["notes"]
    return note
