"""Which slides without a label a fold may learn from: none that its score could be told by."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tilewise.folds import Fold, FoldItem, Folds, FoldsConfig, make_folds
from tilewise.training.pseudo.candidates import candidates


def folds_of(items: list[FoldItem], fold: Fold, holdout: tuple[str, ...] = (), **config: object) -> Folds:
    return Folds((fold,), holdout, (), tuple(items), {"config": config, "seed": 0})


ITEMS = [
    FoldItem("a", "A", "pa"), FoldItem("b", "B", "pb"), FoldItem("c", "A", "pc"), FoldItem("d", "B", "pd"),
    FoldItem("e", "A"),
]  # fmt: skip
FOLD = Fold(train=("a",), validation=("b",), test=("c", "e"))


def test_a_group_of_select_test_or_holdout_takes_no_part() -> None:
    folds = folds_of(ITEMS, FOLD, ("d",))
    unlabelled = [
        FoldItem("of_train", None, "pa"), FoldItem("of_select", None, "pb"), FoldItem("of_test", None, "pc"),
        FoldItem("of_holdout", None, "pd"), FoldItem("alone", None), FoldItem("elsewhere", None, "px"),
    ]  # fmt: skip
    assert candidates(reversed(unlabelled), folds, 0) == ("alone", "elsewhere", "of_train")


def test_a_slide_with_a_label_is_never_a_candidate() -> None:
    assert candidates([*ITEMS, FoldItem("u", None)], folds_of(ITEMS, FOLD), 0) == ("u",)


def test_the_tables_own_split_sets_slides_apart_with_their_groups_only_where_it_is_used() -> None:
    unlabelled = [
        FoldItem("u0", None, None, "Train"), FoldItem("u1", None, None, None), FoldItem("u2", None, None, "test"),
        FoldItem("u3", None, "px", "val"), FoldItem("u4", None, "px", "train"),
    ]  # fmt: skip
    assert candidates(unlabelled, folds_of(ITEMS, FOLD, source="split"), 0) == ("u0", "u1")
    assert candidates(unlabelled, folds_of(ITEMS, FOLD, source=None), 0) == ("u0", "u1", "u2", "u3", "u4")


@settings(max_examples=20, deadline=None)
@given(
    groups=st.lists(st.integers(0, 11), min_size=30, max_size=60),
    seed=st.integers(0, 5),
    holdout=st.sampled_from([0.0, 0.2]),
)
def test_no_candidate_shares_a_group_with_what_is_scored(groups: list[int], seed: int, holdout: float) -> None:
    # Two classes over twelve groups at least, every third slide without a label.
    items = [FoldItem(f"g{group:02d}", "AB"[group % 2], f"p{group}") for group in range(12)]
    items += [
        FoldItem(f"s{i:02d}", None if i % 3 == 0 else "AB"[group % 2], f"p{group}") for i, group in enumerate(groups)
    ]
    config = FoldsConfig(num_folds=3, holdout_fraction=holdout)
    folds = make_folds(items, config, seed=seed)
    group_of = {item.slide_id: item.group for item in items}
    for number, fold in enumerate(folds.folds):
        names = candidates(items, folds, number)
        scored = {group_of[name] for name in (*fold.validation, *fold.test, *folds.holdout)}
        assert not scored & {group_of[name] for name in names}
        # None is left out for another reason.
        unlabelled = {item.slide_id for item in items if item.label is None}
        assert set(names) == {name for name in unlabelled if group_of[name] not in scored}
