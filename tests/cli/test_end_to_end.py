"""The whole job through the command line, on a small drawn cohort."""

import csv
import json
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from tilewise.cli.main import run

pytestmark = pytest.mark.shared_cache

SETTINGS = [
    part
    for setting in ("tiles.size_px=64", "tiles.stride_px=null", "tiles.max_tiles=8", "folds.num_folds=3")
    for part in ("--set", setting)
]
METRICS = ("macro_f1", "weighted_f1", "balanced_accuracy", "accuracy", "auroc_macro")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A drawn cohort and a run on it; read only."""
    home = tmp_path_factory.mktemp("home")
    synth = ["synth", str(home / "cohort"), "--slides", "24", "--test-slides", "6", "--min-side", "256", "--quiet"]
    assert run([*synth, "--difficulty", "0.1"]) == 0
    assert run(["train", str(home / "cohort"), "--out", str(home / "run"), "--quiet", *SETTINGS]) == 0
    return home


def output(capsys, *arguments):
    """Exit code, stdout and stderr of one command line."""
    capsys.readouterr()
    code = run([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def test_evaluate_prints_one_object_with_every_score_and_its_interval(home, capsys):
    code, out, _ = output(capsys, "evaluate", home / "run", "--json")
    payload = json.loads(out)
    assert code == 0
    assert len(payload["folds"]) == 3
    assert "holdout" not in payload
    for scores in (payload["out_of_fold"], *payload["folds"]):
        for metric in METRICS:
            assert set(scores[metric]) == {"value", "low", "high"}
        assert scores["confusion"]
        assert scores["per_class"]
    interval = payload["out_of_fold"]["macro_f1"]
    assert 0 <= interval["low"] <= interval["value"] <= interval["high"] <= 1
    assert set(payload["baselines"]) == {"commonest", "random"}
    assert payload["out_of_fold"]["num_slides"] == 24


def test_evaluate_says_what_the_run_wrote(home, capsys):
    _, out, _ = output(capsys, "evaluate", home / "run", "--json")
    written = json.loads((home / "run/evaluation.json").read_text())
    assert json.loads(out)["out_of_fold"] == written["out_of_fold"]


def test_every_slide_is_tested_once_and_no_group_is_on_two_sides(home):
    table = pd.read_parquet(home / "run/predictions.parquet")
    tested = table[table["part"] == "test"]
    assert sorted(tested["slide"]) == sorted(set(tested["slide"]))
    assert len(tested) == 24
    folds = json.loads((home / "run/folds.json").read_text())
    for fold in folds["folds"]:
        parts = [set(fold[name]) for name in ("train", "validation", "test")]
        assert sum(map(len, parts)) == len(set.union(*parts))


def test_predict_writes_the_contracts_submission(home, tmp_path, capsys):
    out = tmp_path / "submission.csv"
    code, text, _ = output(capsys, "predict", home / "run", home / "cohort", "--out", out, "--json", "--quiet")
    assert code == 0
    with out.open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["sample_index", "label"]
    names = sorted(path.name for path in (home / "cohort/test_data").glob("img_*.png"))
    assert [row[0] for row in rows[1:]] == names
    assert {row[1] for row in rows[1:]} <= {"Luminal A", "Luminal B", "HER2(+)", "Triple negative"}
    details = pd.read_csv(tmp_path / "submission.details.csv")
    assert details.filter(like="p_").sum(axis=1).between(0.999, 1.001).all()
    assert json.loads(text)["num_slides"] == 6


def test_a_training_slide_among_the_test_slides_is_recognised(home, tmp_path, capsys):
    folder = tmp_path / "new"
    folder.mkdir()
    for name in ("img_0000.png", "mask_0000.png"):
        shutil.copy(home / "cohort/train_data" / name, folder / name.replace("0000", "7777"))
    code, text, err = output(capsys, "predict", home / "run", folder, "--out", tmp_path / "s.csv", "--quiet")
    assert code == 0
    assert "1 with the pixels of training slides: ignore" in text
    assert "img_7777.png" in err
    assert "same pixels as the training slide img_0000.png" in err


def test_an_unreadable_test_slide_still_gets_a_row_and_exit_code_1(home, tmp_path, capsys):
    folder = tmp_path / "new"
    shutil.copytree(home / "cohort/test_data", folder)
    broken = min(folder.glob("img_*.png"))
    broken.write_bytes(broken.read_bytes()[:500])
    code, _, err = output(capsys, "predict", home / "run", folder, "--out", tmp_path / "s.csv", "--quiet")
    assert code == 1
    assert broken.name in err
    assert len((tmp_path / "s.csv").read_text().splitlines()) == 7
    details = pd.read_csv(tmp_path / "s.details.csv").set_index("slide")
    assert "NOT CLASSIFIED" in details.loc[broken.name, "warnings"]
    assert "could not be read" in details.loc[broken.name, "warnings"]


def test_verify_finds_a_changed_file(home, tmp_path, capsys):
    assert output(capsys, "verify", home / "run")[0] == 0
    copy = tmp_path / "run"
    shutil.copytree(home / "run", copy)
    (copy / "recipe.yaml").write_text("name: other\n")
    code, out, _ = output(capsys, "verify", copy, "--json")
    assert code == 1
    assert json.loads(out)["damage"] == [{"path": "recipe.yaml", "what": "changed"}]


def test_the_same_command_again_changes_nothing(home, tmp_path, capsys):
    copy = tmp_path / "run"
    shutil.copytree(home / "run", copy)
    before = (copy / "predictions.parquet").read_bytes()
    assert output(capsys, "train", home / "cohort", "--out", copy, "--quiet", *SETTINGS)[0] == 0
    assert (copy / "predictions.parquet").read_bytes() == before
    assert output(capsys, "verify", copy)[0] == 0


def test_the_same_seed_gives_the_same_bytes_in_another_folder_with_an_empty_cache(home, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TILEWISE_CACHE", str(tmp_path / "cache"))
    assert output(capsys, "train", home / "cohort", "--out", tmp_path / "again", "--quiet", *SETTINGS)[0] == 0
    for name in ("predictions.parquet", "evaluation.json", "folds.json", "tiles.parquet"):
        assert (tmp_path / "again" / name).read_bytes() == (home / "run" / name).read_bytes(), name


def test_another_recipe_into_the_same_folder_is_refused_and_names_the_key(home, capsys):
    code, _, err = output(
        capsys, "train", home / "cohort", "--out", home / "run", *SETTINGS, "--set", "tiles.size_px=96"
    )
    assert code == 2
    assert "tiles.size_px: 64 there, 96 here" in err


def test_a_mistyped_key_is_named_with_the_right_one(home, tmp_path, capsys):
    code, _, err = output(capsys, "train", home / "cohort", "--out", tmp_path / "r", "--set", "tiles.sizepx=256")
    assert code == 2
    assert "tiles.sizepx: unknown key (did you mean 'size_px'?)" in err
    assert not (tmp_path / "r").exists()


def test_the_report_stands_alone(home, tmp_path, capsys):
    code, out, _ = output(capsys, "report", home / "run", "--out", tmp_path / "report.html", "--json")
    assert code == 0
    text = (tmp_path / "report.html").read_text("utf-8")
    assert json.loads(out)["report"] == str(tmp_path / "report.html")
    assert "macro F1" in text
    assert 'src="http' not in text
    assert 'href="http' not in text


def test_help_starts_without_anything_heavy():
    code = "import sys; from tilewise.cli.main import run; run(['--help']); print(sorted(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = out.splitlines()[-1]
    for heavy in ("numpy", "torch", "pandas", "pydantic", "yaml", "cv2", "sklearn", "matplotlib"):
        assert f"'{heavy}'" not in loaded, heavy
