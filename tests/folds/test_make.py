"""Folds: whole groups, three parts, every slide tested once, and what is said where that cannot be."""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.artifacts import rewrite_json
from tilewise.errors import ArtifactError, FoldsError
from tilewise.folds import PART_NAMES, Fold, FoldItem, Folds, FoldsConfig, make_folds


def cohort(per_class: dict[str, int], per_group: int = 1) -> list[FoldItem]:
    labels = [label for label, number in per_class.items() for _ in range(number)]
    return [
        FoldItem(f"s{i:03d}", label, None if per_group == 1 else f"g{i // per_group:03d}")
        for i, label in enumerate(labels)
    ]


@st.composite
def cohorts(draw: st.DrawFn) -> list[FoldItem]:
    """Two to four classes, groups of one to six slides that may mix classes, some slides without a group."""
    num_groups = draw(st.integers(4, 14))
    classes = "ABCD"[: draw(st.integers(2, 4))]
    labels = draw(st.lists(st.lists(st.sampled_from(classes), min_size=1, max_size=6), min_size=num_groups))
    return [
        FoldItem(f"s{g:02d}_{i}", label, f"g{g}" if len(group) > 1 or g % 2 else None)
        for g, group in enumerate(labels)
        for i, label in enumerate(group)
    ]


configs = st.one_of(
    st.builds(FoldsConfig, num_folds=st.integers(2, 4), validation_fraction=st.sampled_from([0.0, 0.2, 0.4])),
    st.builds(FoldsConfig, num_folds=st.just(2), holdout_fraction=st.sampled_from([0.1, 0.3])),
    st.builds(FoldsConfig, kind=st.just("holdout"), test_fraction=st.sampled_from([0.1, 0.3, 0.5])),
)


@settings(max_examples=80, deadline=None)
@given(items=cohorts(), config=configs, seed=st.integers(0, 5), shuffler=st.randoms(use_true_random=False))
def test_any_cohort_is_cut_whole_or_refused(
    items: list[FoldItem], config: FoldsConfig, seed: int, shuffler: random.Random
) -> None:
    try:
        folds = make_folds(items, config, seed=seed)
    except FoldsError:
        labels = Counter(item.label for item in items)
        groups_of = {label: len({i.group_key for i in items if i.label == label}) for label in labels}
        assert len(labels) == 1 or min(groups_of.values()) <= 2 or len(labels) == 2
        return
    everyone = {item.slide_id for item in items}
    group_of = {item.slide_id: item.group_key for item in items}
    for fold in folds.folds:
        parts = [fold.train, fold.validation, fold.test, folds.holdout]
        assert sorted(name for part in parts for name in part) == sorted(everyone)
        groups = [{group_of[name] for name in part} for part in parts]
        assert sum(map(len, groups)) == len(set().union(*groups))
        assert fold.train
        assert fold.test
    if config.kind == "kfold":
        tested = [name for fold in folds.folds for name in fold.test]
        assert sorted(tested) == sorted(everyone - set(folds.holdout))
        assert len(folds.folds) == config.num_folds
    mixed = list(items)
    shuffler.shuffle(mixed)
    assert make_folds(mixed, config, seed=seed) == folds


def test_classes_keep_their_share_in_every_part() -> None:
    items = cohort({"A": 220, "B": 205, "H": 189, "T": 77})
    label_of = {item.slide_id: item.label for item in items}
    folds = make_folds(items, FoldsConfig(holdout_fraction=0.1), seed=0)
    assert folds.notes == ()
    for fold in folds.folds:
        for name, share in {"train": 0.576, "validation": 0.144, "test": 0.18}.items():
            counts = Counter(label_of[slide] for slide in fold.part(name))
            for label, total in Counter(label_of.values()).items():
                assert abs(counts[label] - share * total) < 1.6, (name, label)
    assert Counter(label_of[slide] for slide in folds.holdout) == {"A": 22, "B": 20, "H": 19, "T": 8}


def test_seed_changes_the_folds_and_only_the_seed() -> None:
    items = cohort({"A": 30, "B": 20}, per_group=2)
    first, again, other = (make_folds(items, FoldsConfig(), seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.folds != other.folds


def test_each_fold_trains_selects_and_tests_a_class_of_three_groups_where_there_is_one_test() -> None:
    items = cohort({"A": 40, "B": 40, "X": 3})
    fold = make_folds(items, FoldsConfig(kind="holdout"), seed=0).folds[0]
    label_of = {item.slide_id: item.label for item in items}
    for name in PART_NAMES:
        assert sum(label_of[slide] == "X" for slide in fold.part(name)) == 1


@pytest.mark.parametrize("seed", range(4))
def test_train_gets_a_rare_class_first_then_test(seed: int) -> None:
    items = [FoldItem(f"a{i}", "A", f"g{i}") for i in range(6)] + [FoldItem(f"b{i}", "B", f"h{i}") for i in range(6)]
    items += [FoldItem("x0", "X", "p0"), FoldItem("x1", "X", "p0"), FoldItem("x2", "X", "p1")]
    folds = make_folds(items, FoldsConfig(kind="holdout", test_fraction=0.5), seed=seed)
    (fold,) = folds.folds
    rare = {name: {slide for slide in fold.part(name) if slide.startswith("x")} for name in PART_NAMES}
    assert rare["train"]
    assert rare["test"]
    assert not rare["validation"]
    assert folds.notes == (
        "class X has 2 groups (3 slides): fold 0 has none of it in validation, so it has no say in when training stops",
    )


def test_a_class_with_fewer_groups_than_folds_is_noted() -> None:
    folds = make_folds(cohort({"A": 20, "B": 20, "X": 2}), FoldsConfig(), seed=0)
    without = [n for n, fold in enumerate(folds.folds) if not {"s040", "s041"} & set(fold.test)]
    assert len(without) == 3
    named = ", ".join(map(str, without))
    assert folds.notes[0] == (
        f"class X has 2 groups (2 slides) for 5 folds: folds {named} test none of it; "
        "--set folds.num_folds=2 would test it in each"
    )
    for fold in folds.folds:
        assert {"s040", "s041"} & set(fold.train)


def test_a_class_of_one_group_is_tested_without_training_and_that_is_said() -> None:
    folds = make_folds(cohort({"A": 20, "B": 20, "X": 1}), FoldsConfig(num_folds=2), seed=0)
    where = next(n for n, fold in enumerate(folds.folds) if "s040" in fold.test)
    assert folds.notes[0] == (
        "class X has 1 group (1 slide), which can only be trained on or tested: "
        f"fold {where} tests it without having trained on it, so its score says nothing"
    )
    single = make_folds(cohort({"A": 20, "B": 20, "X": 1}), FoldsConfig(kind="holdout"), seed=0)
    assert "s040" in single.folds[0].train
    assert any("fold 0 tests none of it" in note for note in single.notes)


def test_the_holdout_leaves_a_class_two_groups() -> None:
    folds = make_folds(cohort({"A": 30, "B": 30, "X": 2}), FoldsConfig(holdout_fraction=0.4), seed=0)
    assert not {"s060", "s061"} & set(folds.holdout)
    assert any(
        note.startswith("class X has 2 groups (2 slides) in all: none is in the hold-out") for note in folds.notes
    )


def test_what_no_fold_learns_from_is_the_holdout_or_the_one_test_part() -> None:
    items = cohort({"A": 12, "B": 12})
    folds = make_folds(items, FoldsConfig(holdout_fraction=0.25), seed=0)
    assert folds.never_trained == set(folds.holdout) != frozenset()
    single = make_folds(items, FoldsConfig(kind="holdout"), seed=0)
    assert single.never_trained == set(single.folds[0].test)
    assert make_folds(items, FoldsConfig(), seed=0).never_trained == frozenset()


def test_uneven_groups_are_noted() -> None:
    items = [FoldItem(f"s{i}", "AB"[i % 2], "big") for i in range(20)] + cohort({"A": 6, "B": 6})
    folds = make_folds(items, FoldsConfig(num_folds=3), seed=0)
    assert "groups are large or few: the test parts hold 6 to 20 slides" in folds.notes


def test_no_select_part_is_noted() -> None:
    folds = make_folds(cohort({"A": 9, "B": 9}), FoldsConfig(validation_fraction=0.0, num_folds=2), seed=0)
    assert all(fold.validation == () for fold in folds.folds)
    assert folds.notes == (
        (
            "folds 0, 1 have no validation part, as asked (folds.validation_fraction=0): nothing stops training early "
            "there"
        ),
    )
    few = make_folds([FoldItem(f"{i}", "AB"[i % 2], f"{i // 4}") for i in range(12)], FoldsConfig(num_folds=2), seed=0)
    assert any("has no validation part, for want of groups" in note for note in few.notes)


def test_slides_without_label_are_in_no_fold() -> None:
    items = [*cohort({"A": 9, "B": 9}), FoldItem("unknown", None)]
    folds = make_folds(items, FoldsConfig(num_folds=2), seed=0)
    assert folds.notes == ("1 slide without a label is in no fold",)
    assert "unknown" not in {item.slide_id for item in folds.items}


@pytest.mark.parametrize(
    ("items", "config", "message"),
    [
        ([FoldItem("a", None)], {}, "no slide has a label"),
        (cohort({"A": 12}), {}, "all 12 labelled slides are 'A'"),
        (cohort({"A": 1, "B": 1}), {}, "label slides of at least 3 groups"),
        ([FoldItem(f"{i}", "AB"[i % 2], f"g{i // 6}") for i in range(12)], {}, "2 groups cannot make the parts"),
        (cohort({"A": 2, "B": 2}), {}, r"--set folds\.num_folds=4"),
        (cohort({"A": 3, "B": 2}), {"holdout_fraction": 0.2}, r"--set folds\.holdout_fraction=0"),
        (cohort({"A": 20, "B": 1}), {"num_folds": 2}, "fold [01] would train on one class: 'B'"),
        ([FoldItem("a", "A"), FoldItem("a", "A")], {}, "slide a is in the cohort more than once"),
    ],
)
def test_what_cannot_be_split_is_refused(items: list[FoldItem], config: dict[str, float], message: str) -> None:
    with pytest.raises(FoldsError, match=message):
        make_folds(items, FoldsConfig.model_validate(config), seed=0)


def test_file_round_trip_and_same_bytes(tmp_path) -> None:
    folds = make_folds(cohort({"A": 20, "B": 20}, per_group=2), FoldsConfig(holdout_fraction=0.2), seed=3)
    folds.write(tmp_path / "folds.json")
    assert Folds.read(tmp_path / "folds.json") == folds
    config = FoldsConfig(holdout_fraction=0.2).model_dump(by_alias=True, exclude={"repeats"})
    assert folds.origin == {"config": config, "seed": 3}
    Folds.read(tmp_path / "folds.json").write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "folds.json").read_bytes()


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (("folds", 0, "train"), "is in train and in test"),
        (("holdout",), "is in test and in holdout"),
        (("folds", 1, "test"), "hold .* more than once"),
    ],
)
def test_a_fold_file_with_overlap_is_refused(tmp_path, where: tuple[str | int, ...], message: str) -> None:
    path = tmp_path / "folds.json"
    make_folds(cohort({"A": 10, "B": 10}), FoldsConfig(num_folds=2, validation_fraction=0), seed=0).write(path)
    data = json.loads(path.read_text())
    part = data
    for key in where:
        part = part[key]
    moved = data["folds"][0]["test"][0]
    part.append(moved)
    if where == ("folds", 1, "test"):
        data["folds"][1]["train"].remove(moved)
    rewrite_json(path, data)
    with pytest.raises(FoldsError, match=message):
        Folds.read(path)


def test_a_group_in_two_parts_and_an_unknown_slide_are_refused() -> None:
    items = (FoldItem("a", "A", "g"), FoldItem("b", "B", "g"), FoldItem("c", "A"))
    with pytest.raises(FoldsError, match="group g is in train and in test"):
        Folds((Fold(("a",), (), ("b",)),), (), (), items, {})
    with pytest.raises(FoldsError, match="validation holds z, which the cohort does not know"):
        Folds((Fold(("a",), ("z",), ("c",)),), (), (), items, {})


@pytest.mark.parametrize("broken", [{"folds": [{"train": []}]}, {"folds": 3}, {"slides": {"a": 1}}, {"holdout": [1]}])
def test_a_damaged_fold_file_is_an_artifact_error(tmp_path, broken: dict[str, object]) -> None:
    path = tmp_path / "folds.json"
    make_folds(cohort({"A": 10, "B": 10}), FoldsConfig(num_folds=2), seed=0).write(path)
    rewrite_json(path, broken)
    with pytest.raises(ArtifactError, match=r"folds\.json is not a whole fold file"):
        Folds.read(path)


@pytest.mark.parametrize(
    "config",
    [
        {"kind": "holdout", "num_folds": 3},
        {"test_fraction": 0.3},
        {"source": "split", "holdout_fraction": 0.1},
        {"source": "split", "kind": "holdout"},
        {"num_fold": 3},
        {"num_folds": 1},
        {"source": "elsewhere"},
    ],
)
def test_options_without_effect_are_refused(config: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FoldsConfig.model_validate(config)


def test_config_survives_its_own_dump() -> None:
    config = FoldsConfig.model_validate({"source": "split", "validation_fraction": 0.3})
    assert FoldsConfig.model_validate(config.model_dump(by_alias=True)) == config
    assert FoldsConfig.model_validate(config.model_dump()) == config
