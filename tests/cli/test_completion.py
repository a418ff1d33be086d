"""What a shell completes, as the shells ask for it."""

import os
import pty
import re
import shutil
import subprocess
import sys
import time

import pytest

from tilewise.cli.completion import complete_encoder, complete_grid, complete_recipe, complete_setting, complete_space
from tilewise.cli.main import run as main
from tilewise.recipe import load_recipe


@pytest.mark.parametrize(
    ("complete", "incomplete", "expected"),
    [
        (complete_recipe, "tex", ["texture"]),
        (complete_recipe, "nothing", []),
        (complete_grid, "he", ["heads"]),
        (complete_space, "net", ["networks"]),
        (complete_encoder, "resnet5", ["resnet50"]),
        (complete_setting, "tiles.f", ["tiles.field_scales=", "tiles.fit=", "tiles.fallback="]),
        (complete_setting, "training.ep", ["training.epochs=", "training.epochs=null"]),
        (complete_setting, "tiles.size_p", ["tiles.size_px=", "tiles.size_px=128"]),
        (complete_setting, "head.refi", ["head.refit=true", "head.refit=false"]),
        (complete_setting, "tiles.fit=p", ["tiles.fit=pad"]),
        (complete_setting, "encoder.with_texture=", ["encoder.with_texture=true", "encoder.with_texture=false"]),
        (complete_setting, "encoder.name=phi", ["encoder.name=phikon"]),
        (complete_setting, "tiles.size_px=", ["tiles.size_px=128"]),
        (complete_setting, "training.epochs=", []),
        (complete_setting, "nothing=", []),
    ],
)
def test_names_are_completed(complete, incomplete, expected):
    assert complete(incomplete) == expected


def test_values_are_those_that_a_recipe_takes():
    values = complete_setting("tiles.fit=")
    assert len(values) == 4
    assert {load_recipe("texture", [value]).tiles.fit for value in values} == {v.partition("=")[2] for v in values}


def test_a_shell_gets_its_answer_without_torch():
    code = (
        "import sys\nfrom tilewise.cli.main import run\n"
        "try:\n    run([])\nfinally:\n    print(sorted({'torch', 'timm', 'pandas', 'scipy'} & set(sys.modules)))"
    )
    words = "tilewise train x --set head.ki".replace(" ", "\n")
    asked = {"_TILEWISE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "4"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | asked, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[:2] == ["head.kind=linear", "head.kind=mlp"], done.stderr
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


@pytest.fixture
def bash(tmp_path):
    """A bash at a terminal that completes `tilewise`; returns what its arguments are once keys were typed."""
    if shutil.which("bash") is None:
        pytest.skip("there is no bash")
    command, arguments = tmp_path / "bin/tilewise", tmp_path / "arguments.txt"
    command.parent.mkdir()
    command.write_text(
        f'#!/bin/sh\n[ -n "$_TILEWISE_COMPLETE" ] && exec {sys.executable} -m tilewise "$@"\n'
        f'printf "%s\\n" "$@" > {arguments}.new && mv {arguments}.new {arguments}\n'
    )
    command.chmod(0o755)
    environment = os.environ | {"PATH": f"{command.parent}:{os.environ['PATH']}", "TERM": "dumb"}
    asked = environment | {"_TILEWISE_COMPLETE": "source_bash"}
    script = subprocess.run([command], env=asked, capture_output=True, text=True, check=True).stdout
    (tmp_path / "completion.sh").write_text(script)
    process, terminal = pty.fork()
    if process == 0:
        os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], environment)
    os.set_blocking(terminal, False)

    def read_until(is_there, seconds=60.0):
        end, output = time.monotonic() + seconds, b""
        while not is_there(output):
            assert time.monotonic() < end, output
            try:
                output += os.read(terminal, 65536)
            except BlockingIOError:
                time.sleep(0.02)

    def type_line(*keys):
        """Each part up to a tab is typed once what came before it is completed."""
        arguments.unlink(missing_ok=True)
        for key in keys:
            os.write(terminal, key.encode())
            if key.endswith("\t"):
                os.write(terminal, b"#")  # what is typed next is echoed once the completion is over
                read_until(lambda output: output.rstrip(b" ").endswith(b"#"))
                os.write(terminal, b"\x7f")
        os.write(terminal, b"\n")
        read_until(lambda _: arguments.exists())
        return arguments.read_text().splitlines()

    os.write(terminal, f"source {tmp_path / 'completion.sh'}; bind 'set bell-style none'; echo rea''dy\n".encode())
    read_until(lambda output: b"ready" in output)
    yield type_line
    os.write(terminal, b"\x15exit\n")
    os.close(terminal)
    os.waitpid(process, 0)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["train x --set training.ep\t", "7"], ["train", "x", "--set", "training.epochs=7"]),
        (["train x --set head.ki\t", "ml\t", "y"], ["train", "x", "--set", "head.kind=mlp", "y"]),
        (["train x --set=head.aggregate=majo\t", "--out=o --rec\t", "tex\t", "y"],
         ["train", "x", "--set=head.aggregate=majority", "--out=o", "--recipe", "texture", "y"]),
        (["train x --out=o --set \"tiles.fit=pa\t", "y"], ["train", "x", "--out=o", "--set", "tiles.fit=pad", "y"]),
    ],
)  # fmt: skip
def test_keys_and_values_are_completed_in_bash_and_no_space_parts_them(bash, keys, expected):
    assert bash("tilewise ", *keys) == expected


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("tune x --out y", "tilewise spaces"),
        ("sweep x --out y", "tilewise grids"),
        ("encoders show", "tilewise encoders"),
        ("encoders fetch", "tilewise encoders"),
        ("recipes check", "tilewise recipes"),
        ("tune --space heads --out y", None),
        ("train", None),
    ],
)
def test_what_is_missing_is_listed_by_a_command(line, command, capsys):
    assert main(line.split()) == 2
    error = capsys.readouterr().err
    assert "Missing" in error
    assert re.findall("`(tilewise [a-z]+)` lists what there is", error) == ([command] if command else [])
