"""What every command promises: help with an example, one JSON object on stdout, exit codes that tell."""

import functools
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.drawn import SETTINGS, draw_cohort
from tilewise.cli.main import run

COMMANDS = [
    ["train"], ["predict"], ["evaluate"], ["report"], ["audit"], ["similar"], ["segment"], ["tiles"], ["verify"],
    ["synth"], ["ensemble"], ["explain"], ["sweep"], ["grids"], ["tune"], ["spaces"], ["recipes"],
    ["recipes", "show"], ["recipes", "check"], ["recipes", "schema"],
    ["encoders"], ["encoders", "show"], ["encoders", "accept"], ["encoders", "fetch"], ["curve"], ["doctor"],
    ["compare"], ["export"], ["serve"], ["features"], ["features", "import"], ["features", "export"],
]  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    draw_cohort(home / "cohort", num_slides=12)
    settings = ["--recipe", "texture", *(part for setting in SETTINGS for part in ("--set", setting))]
    assert run(["train", str(home / "cohort"), "--out", str(home / "run"), "--workers", "1", "--quiet", *settings]) == 0
    return home


@pytest.fixture
def call(capfd):
    """Exit code, stdout and stderr, as the process writes them: what a library prints past Python counts, too."""

    def call(*arguments):
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        return code, *capfd.readouterr()

    return call


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(call, command):
    code, out, err = call(*command, "--help")
    assert (code, err) == (0, "")
    assert "Usage: tilewise" in out
    assert "Example" in out
    assert f"tilewise {' '.join(command)}" in " ".join(out.split("Example")[1].split())


def test_the_list_of_commands_is_whole(call):
    import typer

    from tilewise.cli.main import app

    commands = [[name] for name in typer.main.get_command(app).commands]
    assert sorted(commands) == sorted([command for command in COMMANDS if len(command) == 1])
    code, out, _ = call("--help")
    assert code == 0
    assert all(name in out for (name,) in commands)


@pytest.mark.shared_cache
@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (["recipes", "--json"], {"recipes"}),
        (["recipes", "show", "default", "--json"], {"name", "tiles", "encoder"}),
        (["recipes", "check", "default", "--json"], {"name", "valid"}),
        (["encoders", "--json"], {"encoders"}),
        (["encoders", "show", "texture", "--json"], {"name", "licence_text"}),
        (["encoders", "fetch", "efficientnet_lite0", "--json"], {"encoders"}),
        (["encoders", "accept", "texture", "--yes", "--json"], {"name", "accepted"}),
        (["verify", "{home}/run", "--json"], {"run", "sound", "damage"}),
        (["evaluate", "{home}/run", "--json"], {"out_of_fold", "folds", "per_class", "confusion", "baselines"}),
        (["report", "{home}/run", "--out", "{tmp}/r.html", "--json"], {"report"}),
        (["audit", "{home}/cohort", "--out", "{tmp}/audit", "--workers", "1", "--json"], {"findings", "groups"}),
        (["predict", "{home}/run", "{home}/cohort", "--out", "{tmp}/s.csv", "--json"], {"submission", "predicted"}),
        (["explain", "{home}/run", "{home}/cohort", "--out", "{tmp}/m", "--limit", "1", "--json"], {"pictures"}),
        (["synth", "{tmp}/ünique", "--slides", "12", "--test-slides", "0", "--min-side", "256", "--json"], {"cohort"}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)  # fmt: skip
def test_json_is_one_object_on_stdout_and_nothing_else(call, home, tmp_path, arguments, keys):
    code, out, _ = call(*(argument.format(home=home, tmp=tmp_path) for argument in arguments))
    assert code == 0
    document = json.loads(out)
    assert keys <= document.keys()
    assert out.count("\n") == 1
    assert out.isascii(), "stdout may have any encoding"


@pytest.mark.parametrize(
    ("arguments", "expected", "message"),
    [
        (["evaluate", "{tmp}/none"], 2, "holds no run"),
        (["report", "{tmp}/none"], 2, "holds no run"),
        (["verify", "{tmp}/none", "--json"], 2, "holds no run"),
        (["predict", "{tmp}/none", "{home}/cohort", "--out", "{tmp}/s.csv"], 2, "holds no run"),
        (["train", "{tmp}/none", "--out", "{tmp}/run"], 2, "no such folder"),
        (["train", "{home}/cohort", "--out", "{tmp}/run", "--decisions", "{tmp}/none.csv"], 2, "none.csv"),
        (["train", "{home}/cohort", "--out", "{tmp}/file/run"], 2, "--out"),
        (["audit", "{home}/cohort", "--out", "{tmp}/file/audit", "--workers", "1"], 2, "file/audit"),
        (["report", "{home}/run", "--out", "{tmp}/file/r.html"], 1, "file"),
        (["predict", "{home}/run", "{home}/cohort", "--out", "{tmp}"], 2, "is a folder"),
        (["explain", "{tmp}/none", "{home}/cohort", "--out", "{tmp}/maps"], 2, "holds no run"),
        (["explain", "{home}/run", "{home}/cohort", "--out", "{home}/cohort"], 2, "which is read here"),
        (["recipes", "show", "defualt"], 2, "did you mean 'default'"),
        (["encoders", "show", "resnet5"], 2, "resnet50"),
        (["synth", "{tmp}/cohort", "--slides", "12", "--signal", "smell"], 2, "signal"),
        (["serve", "{tmp}/none", "--no-open"], 2, "holds no run"),
        (["serve", "{tmp}/none", "--api", "--port", "0"], 2, "holds no run"),
        (["serve", "{home}/run", "--api", "--host", "0.0.0.0"], 2, "there is no token"),
        (["serve", "{home}/run", "--token-file", "{tmp}/token"], 2, "with --api alone"),
        (["evaluate"], 2, "RUN"),
        (["evaluat"], 2, "evaluat"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)  # fmt: skip
def test_a_mistake_is_one_message_on_stderr_and_nothing_on_stdout(call, home, tmp_path, arguments, expected, message):
    (tmp_path / "file").write_text("in the way")
    code, out, err = call(*(argument.format(home=home, tmp=tmp_path) for argument in arguments))
    assert (code, out) == (expected, "")
    assert message in err
    assert "Traceback" not in err


def test_an_unlisted_file_is_told_but_is_no_damage(call, home):
    extra = home / "run/note.txt"
    extra.write_text("mine")
    try:
        code, out, _ = call("verify", home / "run", "--json")
    finally:
        extra.unlink()
    assert code == 0
    assert json.loads(out)["sound"] is True
    assert json.loads(out)["damage"] == [{"path": "note.txt", "what": "unlisted"}]


def test_recipes_check_names_every_fault_of_a_file(call, tmp_path):
    (tmp_path / "mine.yaml").write_text("name: mine\ntiles:\n  sizepx: 3\nhead:\n  kind: tree\n")
    code, out, err = call("recipes", "check", tmp_path / "mine.yaml", "--json")
    assert (code, out) == (2, "")
    assert "tiles.sizepx" in err
    assert "head.kind" in err


def test_a_slide_that_cannot_be_read_is_a_finding_and_the_audit_has_done_its_work(call, tmp_path):
    draw_cohort(tmp_path / "cohort", num_slides=4)
    (tmp_path / "cohort/images/img_0001.png").write_bytes(b"\x89PNG broken")
    code, out, _ = call("audit", tmp_path / "cohort", "--out", tmp_path / "audit", "--workers", "1", "--json")
    assert code == 0
    assert json.loads(out)["decisions"]["img_0001.png"] == "drop"


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise on Windows")
def test_ctrl_c_ends_with_130_and_says_how_to_go_on(tmp_path):
    command = [sys.executable, "-m", "tilewise", "synth", str(tmp_path / "cohort"), "--slides", "400", "--workers", "1"]
    # A shell that started the tests in the background has told its children to ignore Ctrl-C.
    listen = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=listen) as process:  # noqa: PLW1509
        deadline = time.monotonic() + 60
        while not (tmp_path / "cohort").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on from here" in err
    assert "Traceback" not in err
