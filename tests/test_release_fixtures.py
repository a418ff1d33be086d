"""Files of released versions: each loads, reports, predicts and evaluates as it did then."""

import io
import json
import zipfile
from pathlib import Path, PurePosixPath

import pandas as pd
import pyarrow.parquet as pq
import pytest

import tilewise as tw
from tilewise.interchange.slide_features import SlideFeatures
from tilewise.tiles.tileset import TileSet

RELEASES = sorted((Path(__file__).parent / "fixtures").iterdir())


@pytest.fixture(scope="module", params=RELEASES, ids=lambda path: path.name)
def release(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param.name)
    for path in request.param.glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder / path.stem)
    return folder


def test_there_is_a_release_and_it_is_small():
    assert RELEASES
    for folder in RELEASES:
        assert sum(path.stat().st_size for path in folder.iterdir()) < 300_000


def test_the_run_is_whole_and_its_files_say_their_version(release):
    assert tw.verify(release / "run") == []
    for path in (release / "run").rglob("*.json"):
        if not path.name.startswith("."):
            data = json.loads(path.read_text())
            assert data["schema"].startswith("tilewise."), path
            assert data["schema_version"] >= 1, path


def test_the_contract_names_every_file_of_the_newest_release_with_its_version():
    contract = (Path(__file__).parent.parent / "docs" / "formats.md").read_text()
    with zipfile.ZipFile(RELEASES[-1] / "run.zip") as archive:
        for name in archive.namelist():
            path = PurePosixPath(name)
            if path.suffix == ".parquet":
                head = json.loads(pq.read_schema(io.BytesIO(archive.read(name))).metadata[b"tilewise"])
            elif path.suffix == ".json" and not path.name.startswith("."):
                head = json.loads(archive.read(name))
            else:
                assert path.name in contract or path.name == "report.html", name
                continue
            row = next(line for line in contract.splitlines() if f"`{head['schema']}`" in line)
            assert path.name in row, name
            assert f"| {head['schema_version']} |" in row, name


def test_it_is_evaluated_to_the_numbers_it_holds(release):
    stored = json.loads((release / "run" / "evaluation.json").read_text())
    evaluation = tw.evaluate(release / "run")
    assert evaluation.macro_f1.value == pytest.approx(stored["out_of_fold"]["macro_f1"]["value"])
    assert len(tw.Predictions.read(release / "run" / "predictions.parquet").table) > 0
    tiles, _ = TileSet.read(release / "run" / "tiles.parquet")
    assert set(tiles.counts()) == {f"images/slide_{number}.png" for number in range(9)}


def test_its_report_is_made_again(release, tmp_path):
    page = tw.report(release / "run", out=tmp_path / "report.html").read_text()
    assert "slide_0" in page


def test_it_predicts_as_it_did(release, tmp_path):
    tw.predict(release / "run", release / "cohort" / "images", out=tmp_path / "predictions.csv", workers=1)
    for name in ("predictions.csv", "predictions.details.csv"):
        before, now = (pd.read_csv(folder / name) for folder in (release / "predicted", tmp_path))
        pd.testing.assert_frame_equal(before, now, atol=1e-4)


def test_its_features_are_read_and_trained_on(release, tmp_path):
    files = sorted((release / "features").glob("*.safetensors"))
    assert [SlideFeatures.read(path).features.ndim for path in files] == [2] * 9
    labels = pd.read_csv(release / "cohort" / "cohort.csv")
    labels["slide"] = [Path(name).stem for name in labels["slide"]]
    labels[["slide", "label", "group"]].to_csv(tmp_path / "labels.csv", index=False)
    recipe = tw.load_recipe("texture", ["folds.num_folds=3", "evaluation.num_resamples=100", "training.epochs=2"])
    run = tw.train(release / "features", recipe, labels=tmp_path / "labels.csv", out=tmp_path / "run", workers=1)
    assert set(run.predictions.table["slide"]) == set(labels["slide"])
