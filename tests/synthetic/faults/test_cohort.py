import csv
import hashlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from tilewise.cohort import Cohort
from tilewise.errors import UsageError
from tilewise.synthetic.cohort import write_cohort
from tilewise.synthetic.config import SynthConfig
from tilewise.synthetic.faults import PlantedFault, read_faults

CONFIG = SynthConfig(num_slides=17, num_test_slides=2, min_side_px=256, seed=2, faults=1)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("faults") / "cohort"
    summary = write_cohort(out, CONFIG, workers=2)
    assert summary.num_train + summary.num_test == 19 + summary.num_faulty
    return out


@pytest.fixture(scope="module")
def faults(written: Path) -> list[PlantedFault]:
    return read_faults(written)


def digests(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def of(faults: list[PlantedFault], kind: str) -> list[PlantedFault]:
    matches = [fault for fault in faults if fault.kind == kind and not fault.details.get("implied")]
    assert matches, kind
    return matches


def pixels(root: Path, name: str) -> np.ndarray:
    folder = "train_data" if (root / "train_data" / name).exists() else "test_data"
    return np.asarray(Image.open(root / folder / name))


def mask_path(root: Path, name: str) -> Path:
    return root / "train_data" / name.replace("img", "mask")


def test_every_kind_is_there(faults: list[PlantedFault]) -> None:
    assert {fault.kind for fault in faults} >= {
        "exact-copy", "near-copy", "shared-mask", "in-both", "neighbouring-section", "same-outline", "not-histology",
        "other-stain", "ink", "pen", "mask-missing", "mask-empty", "mask-size", "mask-unreadable", "mask-not-binary",
        "mask-full", "mask-outside-tissue", "mask-on-ink", "unreadable", "too-large", "blank", "blurred", "dark",
        "bright", "tissue-area", "label-missing", "name-family",
    }  # fmt: skip
    assert any(fault.held_out for fault in of(faults, "ink"))
    assert any(fault.held_out for fault in of(faults, "not-histology"))


def test_every_faulty_slide_stands_in_the_table(written: Path, faults: list[PlantedFault]) -> None:
    with (written / "train_labels.csv").open(newline="") as stream:
        labels = {row["sample_index"]: row["label"] for row in csv.DictReader(stream)}
    for fault in faults:
        assert (fault.slide in labels) == (fault.kind != "in-both")
        assert not fault.other or fault.other in labels
    assert [name for name, label in labels.items() if not label] == [of(faults, "label-missing")[0].slide]
    for fault in of(faults, "label-conflict"):
        assert fault.details["labels"] == [labels[fault.slide], labels[fault.other]]


def test_discovery_takes_the_cohort(written: Path, faults: list[PlantedFault]) -> None:
    slides = {slide.slide_id: slide for slide in Cohort.discover(written).slides}
    missing = {name for name, slide in slides.items() if slide.mask_path is None}
    assert missing == {fault.slide for fault in of(faults, "mask-missing")}


def test_copies(written: Path, faults: list[PlantedFault]) -> None:
    for fault in of(faults, "exact-copy"):
        np.testing.assert_array_equal(pixels(written, fault.slide), pixels(written, fault.other))
    for fault in of(faults, "near-copy"):
        one, other = pixels(written, fault.slide), pixels(written, fault.other)
        assert one.shape != other.shape or (one != other).any()
    for fault in of(faults, "shared-mask"):
        assert mask_path(written, fault.slide).read_bytes() == mask_path(written, fault.other).read_bytes()
    for fault in faults:
        if fault.kind == "shared-mask":
            one, other = (np.asarray(Image.open(mask_path(written, name))) for name in (fault.slide, fault.other))
            np.testing.assert_array_equal(one, other)


def test_ink_has_its_alpha_and_its_clean_picture(written: Path, faults: list[PlantedFault]) -> None:
    for fault in of(faults, "ink"):
        number = fault.slide.removeprefix("img_")
        alpha = np.asarray(Image.open(written / "truth" / f"alpha_{number}"))
        clean = np.asarray(Image.open(written / "truth" / f"clean_{number}"))
        inked = pixels(written, fault.slide)
        assert alpha.shape == inked.shape[:2]
        np.testing.assert_array_equal(inked[alpha == 0], clean[alpha == 0])
        share = alpha[:, :, None] / 255.0
        # What is seen less what shines through is paint, and paint is a colour.
        paint = inked - (1.0 - share) * clean
        assert paint.min() >= -0.51
        assert (paint - 255.0 * share).max() <= 0.51
        assert fault.details["pixels"] == (alpha / 255.0 >= 0.05).sum()
        if fault.other:
            np.testing.assert_array_equal(clean, pixels(written, fault.other))


def test_clean_slides_are_told_from_faulty_ones_by_the_truth_alone(written: Path, faults: list[PlantedFault]) -> None:
    with (written / "truth" / "truth.csv").open(newline="") as stream:
        names = {row["sample_index"] for row in csv.DictReader(stream)}
    assert len(names - {fault.slide for fault in faults}) == 19
    assert {fault.other for fault in faults if fault.other} <= names - {fault.slide for fault in faults}


def test_same_bytes_again_and_after_a_break(written: Path, faults: list[PlantedFault], tmp_path: Path) -> None:
    out = tmp_path / "again"
    write_cohort(out, CONFIG, workers=1)
    assert digests(out) == digests(written)
    (out / "train_labels.csv").unlink()
    (out / "truth" / "faults.csv").unlink()
    for fault in of(faults, "ink")[:1] + of(faults, "mask-missing")[:1] + of(faults, "exact-copy")[:1]:
        (out / "train_data" / fault.slide).unlink()
    assert write_cohort(out, CONFIG).num_drawn == 3
    assert digests(out) == digests(written)


def test_no_truth_about_faults_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--faults 10"):
        read_faults(tmp_path)


def test_half_size_masks_can_be_decoded(written: Path, faults: list[PlantedFault]) -> None:
    for fault in of(faults, "mask-size"):
        mask = imagecodecs.png_decode(mask_path(written, fault.slide).read_bytes())
        assert list(mask.shape) == fault.details["shape"]
        assert mask.shape != pixels(written, fault.slide).shape[:2]
