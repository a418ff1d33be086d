from __future__ import annotations

import csv
import io
import os
import pickle
import re
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewise.cohort import Cohort, Slide
from tilewise.cohort.identifiers import identifier, means_missing
from tilewise.errors import ArgumentError, CohortError


def labels_of(cohort):
    return {slide.slide_id: slide.label for slide in cohort.slides}


def notes_of(cohort):
    return "\n".join(cohort.notes)


# --- layouts ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def contract(touch):
    root = touch(
        *(f"train_data/{kind}_000{i}.png" for i in (0, 2, 5) for kind in ("img", "mask")),
        *(f"test_data/{kind}_000{i}.png" for i in (1, 3) for kind in ("img", "mask")),
    )
    (root / "train_labels.csv").write_text(
        "sample_index,label\nimg_0005.png,HER2(+)\nimg_0000.png,Luminal A\nimg_0002.png,Luminal A\n"
    )
    return root


def test_contract_to_train(contract):
    cohort = Cohort.discover(contract)
    assert cohort.layout == "contract"
    assert cohort.root == contract
    assert cohort.classes == ("HER2(+)", "Luminal A")
    assert labels_of(cohort) == {"img_0000.png": "Luminal A", "img_0002.png": "Luminal A", "img_0005.png": "HER2(+)"}
    for slide in cohort.slides:
        assert slide.path == contract / "train_data" / slide.slide_id
        assert slide.mask_path == contract / "train_data" / slide.slide_id.replace("img", "mask")
    assert "test_data/ holds 2 slides" in notes_of(cohort)
    assert "masks of 3 of 3 slides beside them" in notes_of(cohort)


def test_a_path_and_a_purpose_of_another_kind_are_refused(contract):
    with pytest.raises(ArgumentError, match="purpose='test': give one of 'train', 'predict'"):
        Cohort.discover(contract, purpose="test")
    with pytest.raises(TypeError, match="expected the path of a folder or table, not int"):
        Cohort.discover(3)


@pytest.mark.parametrize("below", ["", "test_data"])
def test_contract_to_predict(below, contract):
    cohort = Cohort.discover(contract / below, purpose="predict")
    assert cohort.layout == ("flat" if below else "contract")
    assert [slide.slide_id for slide in cohort.slides] == ["img_0001.png", "img_0003.png"]
    assert [slide.mask_path.name for slide in cohort.slides] == ["mask_0001.png", "mask_0003.png"]
    assert cohort.classes == ()


@pytest.mark.parametrize("mask_name", ["mask_{}.png", "img_{}.png", "{}_mask.tif", "img_{}_mask.png", "MASK-{}.PNG"])
def test_images_masks_labels(mask_name, touch):
    root = touch(*(f"images/img_{i}.png" for i in "abc"), *("masks/" + mask_name.format(i) for i in "abc"))
    (root / "labels.csv").write_text("file,label\nimg_a.png,x\nimg_b.png,y\nimg_c.png,y\n")
    cohort = Cohort.discover(root)
    assert cohort.layout == "images"
    assert labels_of(cohort) == {"img_a.png": "x", "img_b.png": "y", "img_c.png": "y"}
    assert [slide.mask_path.name for slide in cohort.slides] == [mask_name.format(i) for i in "abc"]
    assert "masks of 3 of 3 slides from masks/, by name" in notes_of(cohort)


def test_flat_folder(touch):
    root = touch("a.png", "a_mask.png", "b.jpg", "mask_b.png", "notes.txt")
    (root / "labels.csv").write_text("image,label\na.png,x\nb.jpg,y\n")
    cohort = Cohort.discover(root)
    assert cohort.layout == "flat"
    assert [(slide.slide_id, slide.mask_path.name) for slide in cohort.slides] == [
        ("a.png", "a_mask.png"),
        ("b.jpg", "mask_b.png"),
    ]
    assert "1 file in" in notes_of(cohort)
    assert "notes.txt" in notes_of(cohort)


def test_labels_that_name_paths_below_the_folder(touch):
    root = touch("train/normal/a.jpg", "train/oscc/b.jpg", "test/normal/a.jpg", "test/normal/c.jpg")
    (root / "labels.csv").write_text(
        "file,label,split\ntrain/normal/a.jpg,normal,train\ntrain/oscc/b.jpg,oscc,train\ntest/normal/a.jpg,normal,test\n"
    )
    cohort = Cohort.discover(root)
    assert [(slide.slide_id, slide.split) for slide in cohort.slides] == [
        ("test/normal/a.jpg", "test"),
        ("test/normal/c.jpg", None),
        ("train/normal/a.jpg", "train"),
        ("train/oscc/b.jpg", "train"),
    ]


def test_class_folders(touch):
    root = touch("normal/1.png", "normal/1_mask.png", "oscc/1.png", "oscc/2.png", "masks/oscc/2.png", "other/readme.md")
    cohort = Cohort.discover(root)
    assert cohort.layout == "class folders"
    assert labels_of(cohort) == {"normal/1.png": "normal", "oscc/1.png": "oscc", "oscc/2.png": "oscc"}
    assert [slide.mask_path and slide.mask_path.relative_to(root).as_posix() for slide in cohort.slides] == [
        "normal/1_mask.png",
        None,
        "masks/oscc/2.png",
    ]
    assert "1 slide without a mask: oscc/1.png" in notes_of(cohort)


def test_class_folders_below_parts(touch):
    root = touch("train/a/1.png", "train/b/1.png", "test/a/2.png", "test/b/3.png")
    cohort = Cohort.discover(root)
    assert {(slide.slide_id, slide.label, slide.split) for slide in cohort.slides} == {
        ("train/a/1.png", "a", "train"), ("train/b/1.png", "b", "train"),
        ("test/a/2.png", "a", "test"), ("test/b/3.png", "b", "test"),
    }  # fmt: skip


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_cohort_table_wins_and_its_paths_are_relative_to_it(suffix, contract, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "far.png"
    elsewhere.touch()
    frame = pd.DataFrame(
        {
            "slide": ["train_data/img_0002.png", str(elsewhere)],
            "mask": ["train_data/mask_0000.png", None],
            "label": ["x", "y"],
            "group": ["p1", "p2"],
            "split": ["train", "test"],
            "scanner": ["A", "B"],
        }
    )
    path = contract / f"cohort.{suffix}"
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    for source in (contract, path):
        cohort = Cohort.discover(source)
        assert cohort.layout == "table"
        assert cohort.slides[0] == Slide(
            "train_data/img_0002.png",
            contract / "train_data/img_0002.png",
            contract / "train_data/mask_0000.png",
            "x", "p1", "train", {"scanner": "A"},
        )  # fmt: skip
        assert cohort.slides[1].path == elsewhere
        assert cohort.slides[1].mask_path is None
        assert cohort.slides[1].slide_id == str(elsewhere)


def test_a_table_without_masks_finds_them_by_name(touch):
    root = touch("images/a.png", "images/b.png", "masks/a.png")
    (root / "cohort.csv").write_text("slide,label\nimages/b.png,x\nimages/a.png,y\n")
    cohort = Cohort.discover(root)
    assert [slide.slide_id for slide in cohort.slides] == ["images/b.png", "images/a.png"]
    assert cohort.slides[1].mask_path == root / "masks/a.png"


def test_labels_given_directly(touch):
    root = touch("images/img_0.png", "images/img_1.png", "masks/mask_0.png")
    (root / "labels.csv").write_text("sample_index,label\nimg_0.png,x\nimg_1.png,y\n")
    cohort = Cohort.discover(root / "labels.csv")
    assert labels_of(cohort) == {"img_0.png": "x", "img_1.png": "y"}
    assert cohort.slides[0].mask_path == root / "masks/mask_0.png"


def test_labels_are_taken_along_where_they_are_there_to_predict(touch):
    root = touch("images/a.png", "images/b.png")
    (root / "labels.csv").write_text("slide,label\na.png,x\ngone.png,y\nlost.png,y\n")
    cohort = Cohort.discover(root, purpose="predict")
    assert labels_of(cohort) == {"a.png": "x", "b.png": None}
    assert "2 labels without a slide passed over" in notes_of(cohort)


@pytest.fixture
def parts(touch):
    """The challenge's layout with a test slide that is named as a training slide is."""
    root = touch("train_data/img_1.png", "train_data/img_2.png", "test_data/img_1.png", "test_data/img_9.png")
    (root / "train_labels.csv").write_text("sample_index,label\nimg_1.png,x\nimg_2.png,y\n")
    return root


@pytest.mark.parametrize("name", ["img_1.png", "img_1", "IMG_1.png", " img_1.png"])
def test_a_name_that_stands_in_two_folders_is_a_fault_that_names_both(name, parts):
    (parts / "sample_submission.csv").write_text(f"sample_index,label\n{name},x\nimg_9.png,x\n")
    with pytest.raises(CohortError, match=r"stands in 2 folders: test_data/img_1\.png, train_data/") as caught:
        Cohort.discover(parts / "sample_submission.csv", purpose="predict")
    assert "give the folder of the slides you mean" in str(caught.value)


def test_a_table_of_test_slides_finds_them_and_one_of_paths_takes_the_files_it_names(parts):
    table = parts / "sample_submission.csv"
    table.write_text("sample_index\nimg_9.png\n")
    assert Cohort.discover(table, purpose="predict").slides[0].path == parts / "test_data/img_9.png"
    table.write_text("sample_index\ntest_data/img_1.png\n./train_data/img_1.png\n")
    paths = [slide.path.relative_to(parts) for slide in Cohort.discover(table, purpose="predict").slides]
    assert [path.as_posix() for path in paths] == ["test_data/img_1.png", "train_data/img_1.png"]


def test_the_labels_of_the_training_slides_mean_these_and_one_file_in_two_places_is_one(parts):
    cohort = Cohort.discover(parts / "train_labels.csv")
    assert [slide.path.parent.name for slide in cohort.slides] == ["train_data", "train_data"]
    (parts / "images").symlink_to("train_data")
    (parts / "my.csv").write_text("slide,label\nimg_2.png,x\ntest_data/img_1.png,y\n")
    assert Cohort.discover(parts / "my.csv").slides[0].path.name == "img_2.png"


def test_a_mask_that_stands_in_two_folders_is_a_fault_too(parts, touch):
    touch("train_data/m.png", "test_data/m.png")
    (parts / "my.csv").write_text("slide,mask,label\nimg_2.png,m.png,x\nimg_9.png,test_data/m.png,y\n")
    with pytest.raises(CohortError, match=r"its mask m\.png: this name stands in 2 folders: test_data/m\.png, train"):
        Cohort.discover(parts / "my.csv")


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("img_0000", "name without a suffix"),
        ("IMG_0000.PNG", "case of the name"),
        (" img_0000.png", "spaces or backslashes"),
        (".\\img_0000.png", "spaces or backslashes"),
        ("./img_0000.png", None),
    ],
)
def test_ids_keep_their_spelling_and_find_their_file(name, message, contract):
    (contract / "train_labels.csv").write_text(f"sample_index,label\n{name},x\nimg_0002.png,y\nimg_0005.png,y\n")
    cohort = Cohort.discover(contract)
    slide = cohort.slides[0]
    assert slide.slide_id == name
    assert os.path.normpath(slide.path) == str(contract / "train_data/img_0000.png")
    assert slide.mask_path == contract / "train_data/mask_0000.png"
    assert message is None or message in notes_of(cohort)


def test_a_name_that_fits_two_files_is_a_fault(contract, touch):
    touch("train_data/img_0000.tif")
    (contract / "train_labels.csv").write_text("sample_index,label\nimg_0000,x\nimg_0002.png,y\n")
    with pytest.raises(
        CohortError, match=r"`img_0000` \(line 2\): it may be img_0000.png, img_0000.tif; write the one"
    ):
        Cohort.discover(contract)


def test_two_names_of_one_file_are_a_fault(contract):
    (contract / "train_labels.csv").write_text("sample_index,label\nimg_0000,x\nimg_0000.png,x\nimg_0002.png,y\n")
    with pytest.raises(CohortError, match=r"`img_0000` \(line 2\) and `img_0000.png` \(line 3\) are both the file"):
        Cohort.discover(contract)


def test_two_masks_of_one_slide_are_a_fault(contract, touch):
    touch("train_data/img_0000_mask.png")
    with pytest.raises(CohortError, match=r"`img_0000.png`: its mask may be .*img_0000_mask.png or .*mask_0000.png"):
        Cohort.discover(contract)


# --- bad input --------------------------------------------------------------------------------------------------------


def test_a_label_without_slide_is_a_fault(contract):
    with (contract / "train_labels.csv").open("a") as stream:
        stream.write("img_0002.jpg,Luminal A\nimg_0099.png,Luminal A\n")
    with pytest.raises(CohortError) as caught:
        Cohort.discover(contract)
    message = str(caught.value)
    assert "2 faults" in message
    assert "slide `img_0099.png` (line 6): no such file in" in message
    assert "(img_0002.png is there)" in message
    assert "delete the row" in message


def test_a_slide_without_label_is_kept_and_said(contract, touch):
    touch("train_data/img_0099.png")
    cohort = Cohort.discover(contract)
    assert labels_of(cohort)["img_0099.png"] is None
    assert "1 slide without label kept, but not trained on: img_0099.png" in notes_of(cohort)
    assert "1 slide without a mask: img_0099.png" in notes_of(cohort)


def test_empty_label_cells_are_unlabelled(contract):
    (contract / "train_labels.csv").write_text("sample_index,label\nimg_0000.png,x\nimg_0002.png,\nimg_0005.png,y\n")
    cohort = Cohort.discover(contract)
    assert labels_of(cohort)["img_0002.png"] is None
    assert cohort.classes == ("x", "y")


def test_one_class_only(contract):
    (contract / "train_labels.csv").write_text("sample_index,label\nimg_0000.png,x\nimg_0002.png,x\nimg_0005.png,x\n")
    with pytest.raises(CohortError, match=r"all 3 labelled slides are `x`; training needs .*at least 2 classes"):
        Cohort.discover(contract)


def test_no_label_at_all(contract):
    (contract / "train_labels.csv").write_text("sample_index,label\nimg_0000.png,\n")
    with pytest.raises(CohortError, match="not one of 3 slides has a label"):
        Cohort.discover(contract)


@pytest.mark.parametrize("other", ["luminal a", "Luminal  A", "Luminal A "])
def test_labels_that_differ_in_case_or_spaces(other, contract):
    (contract / "train_labels.csv").write_text(
        f"sample_index,label\nimg_0000.png,Luminal A\nimg_0002.png,{other}\nimg_0005.png,Luminal A\n"
    )
    with pytest.raises(CohortError) as caught:
        Cohort.discover(contract)
    assert f"`Luminal A` (2 slides) and `{other}` (1 slide) differ only in case, spaces" in str(caught.value)
    assert "at slide `img_0002.png`" in str(caught.value)


def write_rows(root, *rows, columns="sample_index,label"):
    (root / "train_labels.csv").write_text("\n".join([columns, *rows]) + "\n", encoding="utf-8")


NFC, NFD = "Gr\u00f6\u00dfe", "Gro\u0308\u00dfe"


@pytest.mark.parametrize("other", [NFD, NFC + "\u200b", "\ufeff" + NFC])
def test_labels_that_look_the_same_are_one_class_and_a_warning_says_so(other, contract):
    write_rows(contract, f"img_0000.png,{NFC}", f"img_0002.png,{other}", "img_0005.png,b")
    cohort = Cohort.discover(contract)
    assert cohort.classes == (NFC, "b")
    (warning,) = cohort.warnings
    assert "are spellings of one label and read as `Größe`" in warning
    assert warning in cohort.notes
    assert "\\u" in warning  # what cannot be seen is shown


def test_groups_written_with_and_without_decimals_are_one(contract):
    rows = ("img_0000.png,x,1", "img_0002.png,y,1.0", "img_0005.png,y,2.0")
    write_rows(contract, *rows, columns="sample_index,label,patient")
    cohort = Cohort.discover(contract)
    assert [slide.group for slide in cohort.slides] == ["1", "1", "2"]
    assert cohort.warnings == ("group `1` and `1.0` are spellings of one group and read as `1`",)
    assert "spelling of group: `2.0` as `2`" in cohort.notes


@pytest.mark.parametrize("missing", ["nan", "NA", "None", " - ", "#N/A"])
@pytest.mark.parametrize("column", ["label", "group"])
def test_how_programs_spell_a_missing_value_is_asked_about(missing, column, contract):
    values = {"label": "x", "group": "p1"} | {column: missing}
    rows = ("img_0000.png,x,p1", "img_0002.png,y,p2", f"img_0005.png,{values['label']},{values['group']}")
    write_rows(contract, *rows, columns="sample_index,label,group")
    with pytest.raises(CohortError, match=r"may mean that there is none; then empty these cells") as caught:
        Cohort.discover(contract)
    assert f"{column} `{missing.strip() if column == 'group' else missing}` (1 slide: img_0005.png)" in str(
        caught.value
    )


def test_a_class_that_is_declared_may_be_called_as_nothing_is(contract):
    write_rows(contract, "img_0000.png,x", "img_0002.png,None", "img_0005.png,x")
    (contract / "classes.txt").write_text("x\nNone\n")
    assert Cohort.discover(contract).classes == ("None", "x")


def test_a_folder_may_be_called_as_nothing_is_and_labels_to_predict_are_only_said(touch):
    root = touch("a/NA/1.png", "a/b/2.png", "c/1.png")
    assert Cohort.discover(root / "a").classes == ("NA", "b")
    (root / "c/labels.csv").write_text("slide,label\n1.png,nan\n")
    cohort = Cohort.discover(root / "c", purpose="predict")
    assert labels_of(cohort) == {"1.png": None}
    assert "label `nan` of 1 slide taken for none: 1.png" in notes_of(cohort)


def test_names_find_files_and_masks_whatever_form_unicode_letters_have(touch):
    root = touch(f"{NFD}/{NFD}.png", f"{NFD}/b.png", f"{NFD}/mask_{NFC}.png")
    (root / "my.csv").write_text(f"slide,label\n{NFC}/{NFC}.png,x\n{NFD}/b.png,y\n", encoding="utf-8")
    cohort = Cohort.discover(root / "my.csv")
    first = cohort.slides[0]
    assert (first.slide_id, first.path.name, first.mask_path.name) == (
        f"{NFC}/{NFC}.png", f"{NFD}.png", f"mask_{NFC}.png",
    )  # fmt: skip
    assert "1 slide found with the Unicode form of the name passed over" in notes_of(cohort)


@pytest.mark.parametrize(("one", "other"), [("A", "\u0410"), ("H\u0391", "HA"), ("007", "7"), ("P 7", "p  7")])
def test_identifiers_that_are_surely_meant_to_be_one_are_faults(one, other, contract):
    rows = (f"img_0000.png,x,{one}", f"img_0002.png,y,{other}", f"img_0005.png,y,{one}")
    write_rows(contract, *rows, columns="sample_index,label,group")
    with pytest.raises(CohortError, match="differ only in case, spaces, zeros in front or letters that look alike"):
        Cohort.discover(contract)


def test_groups_that_differ_in_case(contract):
    (contract / "train_labels.csv").write_text(
        "sample_index,label,patient\nimg_0000.png,x,P1\nimg_0002.png,y,p1\nimg_0005.png,y,P2\n"
    )
    with pytest.raises(CohortError, match=r"groups `P1` .* and `p1` .* differ only in case"):
        Cohort.discover(contract)


def test_a_mask_that_is_named_but_not_there(touch):
    root = touch("a.png", "b.png", "m.png")
    (root / "cohort.csv").write_text("slide,mask,label\na.png,m.png,x\nb.png,gone.png,y\n")
    with pytest.raises(CohortError, match=r"slide `b.png` \(line 3\): its mask gone.png: no such file.*leave the cell"):
        Cohort.discover(root)


def test_masks_without_slide_are_said(contract, touch):
    touch("train_data/mask_0077.png")
    assert "1 mask of no slide: mask_0077.png" in notes_of(Cohort.discover(contract))


@pytest.mark.parametrize(
    ("files", "purpose", "message"),
    [
        ([], "train", ["table: no cohort.csv", "contract: no folder train_data/", "images: no folder images/"]),
        (["train_data/img_0.png"], "train", ["train_data/ is there, but train_labels.csv is missing"]),
        (["train_data/readme.md"], "train", ["train_data/ holds no image files"]),
        (
            ["images/a.png", "my.csv"],
            "train",
            ["labels.csv is missing (my.csv is there: rename it, or give it instead"],
        ),
        (["normal/a.png"], "train", ["1 sub-folders with image files, at least 2"]),
        (["train_data/img_0.png"], "predict", ["contract: no folder test_data/", "flat: no image files right in"]),
    ],
)
def test_where_nothing_fits_everything_tried_is_listed(files, purpose, message, touch):
    root = touch(*files)
    with pytest.raises(CohortError) as caught:
        Cohort.discover(root, purpose=purpose)
    message = str(caught.value)
    assert str(root) in message
    assert "Next: " in message
    for text in [*message, "  - flat: ", "  - class folders: "]:
        assert text in message


def test_folders_above_a_cohort_and_of_a_run_are_told(touch):
    root = touch("study/one/a/1.png", "study/one/b/2.png")
    with pytest.raises(CohortError, match="Next: give a folder below it that is a cohort: one"):
        Cohort.discover(root / "study")
    root = touch("runs/first/run.json", "runs/first/doubtful_labels.csv")
    with pytest.raises(CohortError, match="first is the folder of a run; give the folder of its slides"):
        Cohort.discover(root / "runs/first")


def test_a_part_of_a_cohort_points_at_the_folder_above(contract):
    with pytest.raises(CohortError, match=f"perhaps you mean the folder above, {contract}"):
        Cohort.discover(contract / "train_data")


def test_labels_of_other_slides_do_not_fit(touch):
    root = touch("images/a.png", "b.png")
    (root / "labels.csv").write_text("sample_index,label\nq.png,x\nr.png,y\n")
    with pytest.raises(CohortError, match=r"names none of the 1 image files in images/ \(they are called a.png, say\)"):
        Cohort.discover(root)


def test_two_layouts_that_fit_are_both_named(contract, touch):
    touch("images/img_0000.png")
    (contract / "labels.csv").write_text("sample_index,label\nimg_0000.png,x\n")
    with pytest.raises(CohortError) as caught:
        Cohort.discover(contract)
    assert "`contract` (train_data/ with train_labels.csv); `images` (images/ with labels.csv)" in str(caught.value)


def test_a_stray_picture_beside_the_folder_of_slides_does_no_harm(touch):
    root = touch("images/a.png", "images/b.png", "overview.png")
    (root / "labels.csv").write_text("sample_index,label\na.png,x\nb.png,y\n")
    assert Cohort.discover(root).layout == "images"


def test_two_tables_are_ambiguous(touch):
    root = touch("cohort.csv", "cohort.parquet")
    with pytest.raises(CohortError, match=r"both cohort.csv and cohort.parquet"):
        Cohort.discover(root)


@pytest.mark.parametrize(
    ("name", "message"),
    [("gone", "no such folder or table"), ("slide.png", "neither a folder nor a CSV or Parquet table")],
)
def test_paths_that_are_no_cohort(name, message, touch):
    root = touch("slide.png")
    with pytest.raises(CohortError, match=message):
        Cohort.discover(root / name)


def test_files_of_the_system_are_no_slides(contract, touch):
    touch("train_data/._img_0000.png", "train_data/.DS_Store", "train_data/Thumbs.db")
    cohort = Cohort.discover(contract)
    assert len(cohort.slides) == 3
    assert "3 files in train_data/ ignored" in notes_of(cohort)


def test_nouns_travel_between_processes_and_are_hashable(contract):
    cohort = Cohort.discover(str(contract))
    assert pickle.loads(pickle.dumps(cohort)) == cohort
    assert len({*cohort.slides, *cohort.slides}) == 3


# --- any table, any layout --------------------------------------------------------------------------------------------

_names = st.text(st.characters(categories=["L", "Nd"], max_codepoint=0x17F), min_size=1, max_size=8)
_labels = (
    st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=12)
    .map(identifier)
    .filter(lambda text: text and not means_missing(text) and not re.fullmatch(r"-?\d+\.\d+", text))
)


@st.composite
def cohorts(draw):
    stems = draw(st.lists(_names, min_size=2, max_size=8, unique_by=str.casefold))
    classes = draw(st.lists(_labels, min_size=2, max_size=4, unique_by=str.casefold))
    labels = [draw(st.sampled_from(classes)) for _ in stems]
    labels[:2] = classes[:2]
    masked = [draw(st.booleans()) for _ in stems]
    return list(zip(stems, labels, masked, strict=True))


@given(
    slides=cohorts(),
    layout=st.sampled_from(["contract", "images", "flat", "table"]),
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    newline=st.sampled_from(["\n", "\r\n"]),
    order=st.randoms(use_true_random=False),
)
@settings(max_examples=80, deadline=None)
def test_any_cohort_comes_back_as_it_was_written(slides, layout, delimiter, encoding, newline, order):
    folder = {"contract": "train_data", "images": "images", "flat": ".", "table": "some/where"}[layout]
    masks = "masks" if layout == "images" else folder
    table = {"contract": "train_labels.csv", "table": "cohort.csv"}.get(layout, "labels.csv")
    prefix = "some/where/" if layout == "table" else ""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for place in (folder, masks):
            (root / place).mkdir(parents=True, exist_ok=True)
        for stem, _, masked in slides:
            (root / folder / f"img_{stem}.png").touch()
            if masked:
                (root / masks / f"mask_{stem}.png").touch()
        stream = io.StringIO()
        writer = csv.writer(stream, delimiter=delimiter, lineterminator=newline)
        writer.writerow(["slide", "label"])
        rows = [[f"{prefix}img_{stem}.png", label] for stem, label, _ in slides]
        order.shuffle(rows)
        writer.writerows(rows)
        (root / table).write_bytes(stream.getvalue().encode(encoding))
        cohort = Cohort.discover(root)
    assert cohort.layout == layout
    assert labels_of(cohort) == {f"{prefix}img_{stem}.png": label for stem, label, _ in slides}
    assert cohort.classes == tuple(sorted({label for _, label, _ in slides}))
    assert {slide.path.name: slide.mask_path and slide.mask_path.name for slide in cohort.slides} == {
        f"img_{stem}.png": f"mask_{stem}.png" if masked else None for stem, _, masked in slides
    }
    if layout == "table":
        assert [[slide.slide_id, slide.label] for slide in cohort.slides] == rows
    else:
        assert list(cohort.slides) == sorted(cohort.slides, key=lambda slide: slide.path)
