"""A cohort of whole slides, each larger than the memory that training may take, from the folder to the report."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.soak.whole_slides import draw_tissue, write_whole_slide
from tilewise import api
from tilewise.pipeline.finished_run import Run

pytestmark = pytest.mark.soak

SIDE = 24_000  # 1.7 GB as RGB
MOST_GIB = 1.25
# The process that is measured says what the largest of its own held.
PROGRAM = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print("PEAK", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20)
sys.exit(code)
"""


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "cohort"
    folder.mkdir()
    rows = ["slide,label,patient"]
    for number in range(8):
        label = "AB"[number % 2]
        tissue = draw_tissue(number, is_dense=label == "A")
        write_whole_slide(folder / f"s{number}.tif", SIDE, tissue, num_lobes=number)
        rows.append(f"s{number}.tif,{label},p{number}")
    # One with a level that is broken off, and Aperio's own slide where the data is there.
    shutil.copy(folder / "s0.tif", folder / "broken.tif")
    with (folder / "broken.tif").open("r+b") as stream:
        stream.truncate((folder / "broken.tif").stat().st_size // 2)
    rows.append("broken.tif,A,p8")
    real = Path(os.environ.get("TILEWISE_DATA", "")) / "slide_cmu1/CMU-1-Small-Region.svs"
    if real.is_file():
        shutil.copy(real, folder / "cmu.svs")
        rows.append("cmu.svs,B,p9")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_whole_slides_are_trained_on_in_bounded_memory(cohort, tmp_path):
    settings = ("tiles.size_px=256", "tiles.max_tiles=40", "head.kind=lda", "folds.num_folds=2")
    command = [sys.executable, "-m", "tilewise", "train", str(cohort), "--recipe", "texture", "--workers", "2"]
    command += ["--out", str(tmp_path / "run"), "--json", *(part for one in settings for part in ("--set", one))]
    environment = os.environ | {"TILEWISE_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *command], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 1, done.stderr  # of the broken slide
    result, _, peak = done.stdout.rpartition("PEAK")
    assert [failure["item"] for failure in json.loads(result)["failures"]] == ["broken.tif"]
    run = Run.open(tmp_path / "run")
    table = run.predictions.out_of_fold.table
    own = table[table["slide"] != "cmu.svs"]
    assert len(own) == 8
    assert (own["label"] == own["predicted"]).mean() >= 0.75
    assert (table["num_tiles"] > 0).all()
    assert not api.verify(run.folder.root)
    assert float(peak) < MOST_GIB
