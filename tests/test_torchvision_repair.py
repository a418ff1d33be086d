"""torchvision's missing operators are repaired, and nothing else is."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tilewise import torchvision_repair
from tilewise.torchvision_repair import import_repaired, import_timm, import_torchvision

# A torchvision as the registry serves it: it looks its operators up while it is imported.
_BROKEN_TORCHVISION = """
    import torch
    from torchvision import _half_done
    if not (hasattr(torch.ops.torchvision, "nms") and hasattr(torch.ops.torchvision, "qnms")):
        raise RuntimeError("operator torchvision::nms does not exist")
    version = "fake"
"""


def run_python(code: str, *folders: Path) -> subprocess.CompletedProcess[str]:
    paths = [*map(str, folders), *filter(None, sys.path)]
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        env={"PYTHONPATH": ":".join(paths), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text(textwrap.dedent(_BROKEN_TORCHVISION))
    (package / "_half_done.py").write_text("")
    (tmp_path / "needs_it.py").write_text("import torchvision\nvalue = torchvision.version\n")
    return tmp_path


def test_torchvision_without_operators_is_repaired_in_a_fresh_process(broken: Path) -> None:
    result = run_python(
        """
        import warnings
        import torch  # sets filters of its own
        from tilewise.torchvision_repair import import_repaired, import_torchvision
        filters = list(warnings.filters)
        assert import_repaired("needs_it").value == "fake"
        assert import_torchvision().version == "fake"
        assert warnings.filters == filters
        schema = str(torch.ops.torchvision.nms.default._schema)
        assert schema == "torchvision::nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor", schema
        """,
        broken,
    )
    assert result.returncode == 0, result.stderr


def test_the_installed_timm_and_torchvision_import_in_a_fresh_process() -> None:
    result = run_python(
        """
        from tilewise.torchvision_repair import import_timm, import_torchvision
        assert import_timm().create_model("resnet18", num_classes=0).num_features == 512
        assert import_torchvision().ops.nms
        """
    )
    assert result.returncode == 0, result.stderr


def test_another_error_is_raised_as_it_is(broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (broken / "breaks_otherwise.py").write_text("raise RuntimeError('out of luck')\n")
    monkeypatch.syspath_prepend(str(broken))
    libraries = list(torchvision_repair._libraries)
    with pytest.raises(RuntimeError, match="out of luck"):
        import_repaired("breaks_otherwise")
    assert torchvision_repair._libraries == libraries


def test_a_repair_that_does_not_help_is_not_tried_twice(broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (broken / "still_broken.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')\n")
    monkeypatch.syspath_prepend(str(broken))
    monkeypatch.setattr(torchvision_repair, "_libraries", ["declared before"])
    with pytest.raises(RuntimeError, match="torchvision::nms"):
        import_repaired("still_broken")


def test_a_missing_package_is_an_import_error() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        import_repaired("no_such_package")


def test_importing_twice_gives_the_same_module() -> None:
    assert import_timm() is import_timm()
    assert import_torchvision() is sys.modules["torchvision"]
