"""What a machine has and lacks."""

from importlib import metadata

import pytest

from tests.test_docs import ROOT
from tilewise.cli.main import run
from tilewise.pipeline import doctor as module
from tilewise.pipeline.doctor import EXTRAS, examine_machine


def by_name(checks):
    return {check.name: check for check in checks}


def test_every_extra_that_a_user_may_want_is_looked_at():
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert EXTRAS.keys() == extras.keys() - {"bench", "dev", "docs"}


def test_this_machine_can_train():
    checks = by_name(examine_machine())
    assert all(check.state != "fault" for check in checks.values())
    assert "of the default recipe" in checks["efficientnet_lite0"].text
    assert "GiB free" in checks["cache"].text


def test_what_is_missing_comes_with_the_way_to_get_it(monkeypatch, capsys):
    def version(name):
        if name == "openvino":
            raise metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(module.metadata, "version", version)
    monkeypatch.setattr(module.metadata, "requires", lambda _: ['openvino>=2025.0; extra == "fast"', "numpy>=1.26"])
    check = by_name(examine_machine())["fast"]
    assert (check.state, check.advice) == ("missing", "pip install 'tilewise[fast]'")
    assert run(["doctor"]) == 0
    assert "pip install 'tilewise[fast]'" in capsys.readouterr().out


def test_a_cache_that_cannot_be_used_is_a_fault(monkeypatch, capsys):
    monkeypatch.setattr(module, "_LEAST_FREE_GIB", 1e9)
    assert by_name(examine_machine())["cache"].state == "fault"
    assert run(["doctor"]) == 1
    assert "set TILEWISE_CACHE" in capsys.readouterr().out


@pytest.mark.usefixtures("capsys")
def test_engines_are_timed_when_asked(monkeypatch):
    monkeypatch.setattr(module, "_NUM_TILES", 4)
    speeds = [check for check in examine_machine(measure=True) if check.topic == "speed"]
    assert speeds[0].name == "torch"
    assert all("tiles of 224 px a second by efficientnet_lite0" in check.text for check in speeds)
    assert sum("the fastest here" in check.text for check in speeds) == (len(speeds) > 1)
