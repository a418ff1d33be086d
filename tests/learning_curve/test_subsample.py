"""Fewer slides to learn from: whole groups, every class, smaller parts within larger ones, test parts as they are."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tilewise.folds import FoldItem, FoldsConfig, make_folds
from tilewise.learning_curve.subsample import num_learnt, with_fewer


def folds_of(per_class: int, per_group: int):
    items = [
        FoldItem(f"s{label}{number:03d}", label, f"{label}{number // per_group}")
        for label in "ABC"
        for number in range(per_class)
    ]
    return make_folds(items, FoldsConfig(num_folds=3), seed=0)


@settings(max_examples=40, deadline=None)
@given(
    per_class=st.integers(18, 40),
    per_group=st.integers(1, 2),
    shares=st.tuples(st.floats(0.05, 0.99), st.floats(0.05, 0.99)).map(sorted),
    seed=st.integers(0, 99),
)
def test_groups_stay_whole_classes_stay_and_smaller_shares_lie_in_larger_ones(per_class, per_group, shares, seed):
    folds = folds_of(per_class, per_group)
    group_of = {item.slide_id: item.group for item in folds.items}
    small, large = (with_fewer(folds, share, seed=seed) for share in shares)
    for whole, few, more in zip(folds.folds, small.folds, large.folds, strict=True):
        assert few.test == more.test == whole.test
        for part in ("train", "validation"):
            own = set(few.part(part))
            assert own <= set(more.part(part)) <= set(whole.part(part))
            assert {name[1] for name in own} == {name[1] for name in whole.part(part)}
            groups = {group_of[name] for name in own}
            assert own == {name for name in whole.part(part) if group_of[name] in groups}
    assert num_learnt(small) <= num_learnt(large) <= num_learnt(folds)


def test_a_half_is_a_half_and_the_whole_is_the_whole():
    folds = folds_of(40, 1)
    assert abs(num_learnt(with_fewer(folds, 0.5, seed=1)) / num_learnt(folds) - 0.5) < 0.06
    assert with_fewer(folds, 1.0, seed=1).folds == folds.folds
    assert with_fewer(folds, 0.5, seed=1).folds != with_fewer(folds, 0.5, seed=2).folds
