"""Wheel and sdist hold what they should, and nothing that they need forbids a use."""

import ast
import importlib.util
import re
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.test_docs import ROOT
from tilewise.encoders import cards
from tilewise.version import __version__

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]

# Licences under which anybody may use, change and pass on what tilewise needs, closed products included.
PERMISSIVE = {
    "0BSD", "Apache-2.0", "BSD-1-Clause", "BSD-2-Clause", "BSD-3-Clause", "BSD-4.3TAHOE", "BSL-1.0", "CC0-1.0",
    "CNRI-Python", "HPND", "IJG", "ISC", "MIT", "MIT-0", "MIT-CMU", "PSF-2.0", "Python-2.0", "Unlicense", "Zlib",
    "blessing", "libpng-2.0", "libtiff", "LicenseRef-Public-Domain",
}  # fmt: skip
# Weaker copyleft, and why it binds nobody who installs tilewise.
EXCEPTIONS = {
    "tqdm": ("MPL-2.0", "imported unchanged; MPL asks for changes of its own files alone"),
    "certifi": ("MPL-2.0", "a list of certificates, unchanged"),
    "openslide-python": ("LGPL-2.1-only", "extra `wsi`; a library that is loaded, and can be replaced"),
    "openslide-bin": ("LGPL-2.1-only, LGPL-2.1-or-later", "extra `wsi`; as openslide-python"),
    "docutils": ("GPL", "its Emacs files alone; builds the site, is not shipped"),
    "hypothesis": ("MPL-2.0", "runs tests, is not shipped"),
    "pathspec": ("MPL-2.0", "mypy's, is not shipped"),
    "pyvips-binary": ("LGPL-3.0-or-later", "compared with in benchmarks, is not shipped"),
}
# What packages without an SPDX expression call their licence.
SPDX = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "GNU General Public License (GPL)": "GPL",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
# Packages whose metadata are silent: data, of which the catalogue's cards name the licence.
SILENT = {card.packaged.package: card.licence for card in cards().values() if card.packaged is not None}
NOT_SHIPPED = {"bench", "dev", "docs"}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    spec = importlib.util.spec_from_file_location("build_package", ROOT / "scripts/build_package.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "1700000000")
        first = module.build(tmp_path_factory.mktemp("first"))
        return first, module.build(tmp_path_factory.mktemp("second"))


def source_files():
    paths = (path for path in (ROOT / "src").rglob("*") if path.is_file())
    return {
        path.relative_to(ROOT / "src").as_posix()
        for path in paths
        if "__pycache__" not in path.parts and not any(part.endswith(".egg-info") for part in path.parts)
    }


def test_the_same_bytes_come_out_of_two_builds(built):
    for first, second in zip(*built, strict=True):
        assert first.name == second.name
        assert first.read_bytes() == second.read_bytes(), first.name


def test_the_wheel_holds_the_source_tree_and_nothing_else(built):
    (_, wheel), _ = built
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        dist_info = {name for name in names if ".dist-info/" in name}
        assert names - dist_info == source_files()
        assert {name.partition("/")[2] for name in dist_info} == {
            "METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt", "licenses/LICENSE",
        }  # fmt: skip
        for name in ("recipes/default.yaml", "sweep/grids/heads.yaml", "tuning/spaces/heads.yaml", "py.typed",
                     "reporting/report.html", "serving/review/static/index.html",
                     "serving/review/openseadragon/openseadragon.min.js",
                     "serving/review/openseadragon/LICENSE.txt"):  # fmt: skip
            assert f"tilewise/{name}" in names
        assert archive.read(f"tilewise-{__version__}.dist-info/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()


def test_the_sdist_holds_what_the_wheel_is_made_of(built):
    (sdist, _), _ = built
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    files = {name for name in names if not name.startswith("src/")}
    assert files == {
        "", "src", "CHANGELOG.md", "CITATION.cff", "LICENSE", "MANIFEST.in", "PKG-INFO", "README.md", "pyproject.toml",
        "setup.cfg",
    }  # fmt: skip
    assert {f"src/{name}" for name in source_files()} <= names


def test_metadata_say_what_the_project_says(built):
    (_, wheel), _ = built
    with zipfile.ZipFile(wheel) as archive:
        dist_info = Parser().parsestr(archive.read(f"tilewise-{__version__}.dist-info/METADATA").decode())
    assert (dist_info["License-Expression"], dist_info["Requires-Python"]) == ("Apache-2.0", ">=3.11")
    assert set(dist_info.get_all("Provides-Extra")) == set(EXTRAS)
    text = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"version: {dist_info['Version']}" in text


def requirements_of(name, extras):
    """What an installed package asks for, here and on this interpreter."""
    for line in metadata.requires(name) or ():
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in {"", *extras}):
            yield requirement


def resolved(requirements):
    """Package -> who asks for it, of everything that these requirements bring; and what of it is not installed."""
    asked_by, missing = {}, set()
    waiting = [("tilewise", Requirement(line)) for line in requirements]
    done = set()
    while waiting:
        parent, requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        asked_by.setdefault(name, set()).add(parent)
        if (name, frozenset(requirement.extras)) in done:
            continue
        done.add((name, frozenset(requirement.extras)))
        try:
            waiting += [(name, further) for further in requirements_of(name, requirement.extras)]
        except metadata.PackageNotFoundError:
            missing.add(name)
    return asked_by, missing


def licences_of(name):
    """The licences of a package, which hold together; each by its alternatives."""
    dist_info = metadata.metadata(name)
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in dist_info.get_all("Classifier") or ()
        if line.startswith("License :: OSI")
    ]
    listed = " AND ".join(SPDX.get(one, one) for one in classifiers)
    text = SILENT.get(name) or dist_info.get("License-Expression") or listed or dist_info.get("License") or ""
    text = " ".join(text.split()).removeprefix("OSI Approved :: ").replace(" WITH LLVM-exception", "")
    if text.startswith("Apache License Version 2.0,"):  # the whole text
        text = "Apache-2.0"
    # Brackets stand around alternatives alone, of which one is enough.
    return [part.strip("() ").split(" OR ") for part in SPDX.get(text, text).split(" AND ")]


def forbidding(name):
    """Licences of a package that are neither permissive nor a named exception."""
    allowed = PERMISSIVE | set(EXCEPTIONS.get(name, ("",))[0].split(", "))
    return [options for options in licences_of(name) if not allowed & set(options)]


def of_torch(asked_by):
    """Libraries of CUDA that only torch's default build brings, under NVIDIA's own terms."""
    cuda = {name for name in asked_by if re.match(r"nvidia|cuda|cupy|triton|tensorrt|nvtx", name)}
    return {name for name in cuda if asked_by[name] <= cuda | {"torch"}}


def test_licences_are_told_apart():
    assert licences_of("packaging") == [["Apache-2.0", "BSD-2-Clause"]]
    assert ["MPL-2.0"] in licences_of("tqdm")
    assert not forbidding("tqdm")
    assert forbidding("hypothesis") == []
    assert not PERMISSIVE & {"MPL-2.0", "GPL-3.0-only", "LGPL-2.1-only", "AGPL-3.0-only", "CC-BY-NC-4.0"}


@pytest.mark.parametrize("extra", ["", *sorted(EXTRAS)])
def test_nothing_that_comes_along_forbids_a_use(extra):
    asked_by, missing = resolved([*PROJECT["dependencies"], *EXTRAS.get(extra, ())])
    if extra == "" or extra not in NOT_SHIPPED:
        assert not missing & {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    installed = asked_by.keys() - missing - of_torch(asked_by)
    faults = {name: (forbidding(name), asked_by[name]) for name in installed if forbidding(name)}
    assert not faults
    if missing:
        pytest.skip(f"not installed, so that their licences are not known: {', '.join(sorted(missing))}")


def test_no_exception_is_left_over():
    lines = [*PROJECT["dependencies"], *(line for lines in EXTRAS.values() for line in lines)]
    asked_by, _ = resolved(lines)
    installed = {canonicalize_name(dist.metadata["Name"]) for dist in metadata.distributions()}
    # What asks for a package that is not here may be missing as well.
    assert (EXCEPTIONS.keys() & installed) - {"certifi"} <= asked_by.keys()


def test_nothing_of_cuda_comes_but_with_torch():
    asked_by, _ = resolved(PROJECT["dependencies"])
    assert "torch" in asked_by
    assert not {name for name in asked_by if re.match(r"nvidia|cuda|cupy|triton|tensorrt|nvtx", name)} - of_torch(
        asked_by
    )


def test_every_file_is_python_of_the_oldest_interpreter():
    oldest = tuple(map(int, PROJECT["requires-python"].removeprefix(">=").split(".")))
    assert oldest == (3, 11)
    for path in sorted((ROOT / "src").rglob("*.py")):
        ast.parse(path.read_text("utf-8"), feature_version=oldest)
