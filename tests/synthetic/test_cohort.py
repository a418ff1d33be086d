import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tilewise.errors import BatchFailed, UsageError
from tilewise.synthetic import cohort as cohort_module
from tilewise.synthetic.cohort import encode_slide, write_cohort
from tilewise.synthetic.config import SynthConfig
from tilewise.synthetic.plan import plan_cohort
from tilewise.synthetic.slide import draw_slide

CONFIG = SynthConfig(num_slides=7, num_test_slides=4, min_side_px=256, seed=3)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synth") / "cohort"
    summary = write_cohort(out, CONFIG)
    assert (summary.num_train, summary.num_test, summary.num_drawn) == (7, 4, 11)
    return out


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_layout_is_the_contracts(written: Path) -> None:
    assert sorted(path.name for path in written.iterdir()) == ["test_data", "train_data", "train_labels.csv", "truth"]
    assert (written / "train_labels.csv").read_text().splitlines()[0] == "sample_index,label"
    rows = table(written / "train_labels.csv")
    names = [row["sample_index"] for row in rows]
    masks = [name.replace("img", "mask") for name in names]
    assert sorted(path.name for path in (written / "train_data").iterdir()) == sorted(names + masks)
    assert {row["label"] for row in rows} == set(CONFIG.classes)
    assert len(list((written / "test_data").iterdir())) == 8
    assert sorted(path.name for path in (written / "truth").iterdir()) == ["truth.csv", "truth.json"]


def test_pictures_and_masks(written: Path) -> None:
    for path in sorted(written.glob("t*_data/img_*.png")):
        with Image.open(path) as image, Image.open(path.with_name(path.name.replace("img", "mask"))) as mask:
            assert (image.mode, mask.mode) == ("RGB", "L")
            assert image.size == mask.size
            assert min(image.size) == 256
            assert set(np.unique(np.asarray(mask))) == {0, 255}


def test_files_hold_what_was_drawn() -> None:
    planned = plan_cohort(CONFIG)[0]
    drawn = draw_slide(CONFIG, planned)
    image, mask = encode_slide(drawn)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(image))), drawn.rgb)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(mask))) == 255, drawn.mask)


def test_discovery_sees_the_cohort_and_not_the_truth(written: Path) -> None:
    from tilewise.cohort import Cohort

    cohort = Cohort.discover(written)
    assert [slide.slide_id for slide in cohort.slides] == [
        r["sample_index"] for r in table(written / "train_labels.csv")
    ]
    assert set(cohort.classes) == set(CONFIG.classes)
    assert all(slide.mask_path is not None for slide in cohort.slides)
    assert len(Cohort.discover(written, purpose="predict").slides) == 4


def test_truth_holds_the_labels_of_all_and_the_bounds(written: Path) -> None:
    rows = table(written / "truth" / "truth.csv")
    labels = {row["sample_index"]: row["label"] for row in table(written / "train_labels.csv")}
    assert {row["sample_index"]: row["label"] for row in rows if row["part"] == "train"} == labels
    assert sum(row["part"] == "test" for row in rows) == 4
    for row in rows:
        p = [float(row[f"p_{name}"]) for name in CONFIG.classes]
        assert sum(p) == pytest.approx(1.0, abs=1e-5)
        likeliest = list(CONFIG.classes)[int(np.argmax(p))]
        assert (float(row["signal"]) > 0) == (likeliest == row["label"])
        with Image.open(written / f"{row['part']}_data" / row["sample_index"]) as image:
            assert (int(row["width"]), int(row["height"])) == image.size
    truth = json.loads((written / "truth" / "truth.json").read_text())
    assert 0.85 < truth["best_reachable"]["macro_f1"] < 0.9
    assert truth["config"]["seed"] == 3
    assert 0.0 < truth["best_rule_on_cohort"]["test"]["macro_f1"] <= 1.0


def test_same_config_same_bytes_whatever_the_workers(written: Path, tmp_path: Path) -> None:
    write_cohort(tmp_path / "again", CONFIG, workers=2)
    assert contents(tmp_path / "again") == contents(written)


def test_finishes_what_was_begun(written: Path, tmp_path: Path) -> None:
    out = tmp_path / "cohort"
    write_cohort(out, CONFIG)
    (out / "train_labels.csv").unlink()
    victim = next((out / "train_data").glob("mask_*"))
    victim.unlink()
    (out / "train_data" / ".img_0000.abc.tmp.png").write_bytes(b"half")
    assert write_cohort(out, CONFIG).num_drawn == 1
    assert contents(out) == contents(written)
    assert write_cohort(out, CONFIG).num_drawn == 0


def test_refuses_a_folder_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"thesis\.txt.*new or empty"):
        write_cohort(tmp_path, CONFIG)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_refuses_a_truth_folder_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "notes.csv").write_text("mine")
    with pytest.raises(UsageError, match=r"notes\.csv"):
        write_cohort(tmp_path, CONFIG)


def test_refuses_a_cohort_made_otherwise(written: Path) -> None:
    before = contents(written)
    with pytest.raises(UsageError, match="differs in seed, difficulty"):
        write_cohort(written, CONFIG.model_copy(update={"seed": 4, "difficulty": 0.1}))
    assert contents(written) == before


def test_refuses_a_damaged_marker(tmp_path: Path) -> None:
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "truth.json").write_text("{")
    with pytest.raises(UsageError, match=r"truth\.json is not readable"):
        write_cohort(tmp_path, CONFIG)


def test_refuses_a_file(tmp_path: Path) -> None:
    (tmp_path / "cohort").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        write_cohort(tmp_path / "cohort", CONFIG)


def test_names_slides_that_failed_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: Path) -> None:
    def failing(config, planned):
        if planned.index == 2:
            raise OSError("disk full")
        return draw_slide(config, planned)

    monkeypatch.setattr(cohort_module, "draw_slide", failing)
    out = tmp_path / "cohort"
    with pytest.raises(BatchFailed, match=r"1 of 11 slides.*img_0002\.png: disk full"):
        write_cohort(out, CONFIG)
    assert [row["item"] for row in table(out / "truth" / "failures.csv")] == ["img_0002.png"]
    assert not (out / "train_labels.csv").exists()
    monkeypatch.undo()
    assert write_cohort(out, CONFIG).num_drawn == 1
    assert contents(out) == contents(written)
