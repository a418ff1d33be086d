"""The examples of the public verbs run, on a small drawn cohort, and `import tilewise` loads nothing heavy."""

import doctest
import inspect
import subprocess
import sys

import pytest

import tilewise as tw
from tests.drawn import draw_cohort, draw_slide
from tilewise import api

pytestmark = pytest.mark.shared_cache

PUBLIC = {name: getattr(tw, name) for name in tw.__all__ if name not in {"__version__", "api", "errors"}}
PUBLIC |= {name: getattr(api, name) for name in api.__all__}
#: Several trainings, licences that a person has to accept, and what comes from the network.
WITHOUT_EXAMPLE = {"accept_licence", "ensemble", "fetch_weights", "learning_curve", "sweep", "tune"}


@pytest.fixture(scope="session")
def workdir(tmp_path_factory):
    """A cohort, a folder of new slides, and two runs."""
    folder = tmp_path_factory.mktemp("examples")
    draw_cohort(folder / "my_cohort")
    for number in range(2):
        draw_slide(folder / f"my_test_folder/new_{number}.png", number, klass=number)
    recipe = tw.load_recipe("default").with_(**{"tiles.size_px": 32})
    for seed, name in enumerate(("first", "second")):
        tw.train(folder / "my_cohort", recipe, out=folder / "runs" / name, seed=seed, workers=1)
    return folder


def test_the_examples_run(workdir, monkeypatch):
    monkeypatch.chdir(workdir)
    failures, run_examples = [], set()
    for name, thing in PUBLIC.items():
        for test in doctest.DocTestFinder(recurse=True).find(thing, name, module=False, globs={"tw": tw}):
            if test.examples:
                run_examples.add(test.name)
                doctest.DocTestRunner().run(test, out=failures.append)
    assert not failures, "".join(failures)
    verbs = {name for name, thing in PUBLIC.items() if inspect.isroutine(inspect.unwrap(thing))}
    assert verbs - run_examples == WITHOUT_EXAMPLE, "each verb has an example"


def test_import_loads_nothing_heavy():
    code = "import sys, tilewise; dir(tilewise); print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for heavy in ("numpy", "torch", "pandas", "pydantic", "yaml", "cv2", "sklearn", "matplotlib"):
        assert f"'{heavy}'" not in loaded, heavy
