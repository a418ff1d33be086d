"""What a shell completes, as the shells ask for it."""

import os
import subprocess
import sys

import pytest

from tilewise.cli.completion import complete_encoder, complete_grid, complete_recipe, complete_setting, complete_space
from tilewise.recipe import load_recipe


@pytest.mark.parametrize(
    ("complete", "incomplete", "expected"),
    [
        (complete_recipe, "tex", ["texture"]),
        (complete_recipe, "nothing", []),
        (complete_grid, "he", ["heads"]),
        (complete_space, "net", ["networks"]),
        (complete_encoder, "resnet5", ["resnet50"]),
        (complete_setting, "tiles.stra", ["tiles.strategy="]),
        (complete_setting, "tiles.fit=p", ["tiles.fit=pad"]),
        (complete_setting, "encoder.with_texture=", ["encoder.with_texture=true", "encoder.with_texture=false"]),
        (complete_setting, "encoder.name=phi", ["encoder.name=phikon"]),
        (complete_setting, "tiles.size_px=", []),
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
    asked = {"_TILEWISE_COMPLETE": "complete_bash", "COMP_WORDS": "tilewise train x --set head.ki", "COMP_CWORD": "4"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | asked, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["head.kind=", "[]"], done.stderr
