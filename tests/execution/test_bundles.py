from hypothesis import given
from hypothesis import strategies as st

from tilewise.execution.bundles import BundleSizes

SECONDS = st.floats(1e-4, 1e3)


def test_nothing_is_known_at_first():
    assert BundleSizes().size(1000, 2) == 1


def test_short_items_are_joined_to_ten_seconds():
    sizes = BundleSizes()
    sizes.note(1, 0.1)
    assert sizes.size(100_000, 2) == 100


def test_towards_the_end_bundles_shrink_to_one_second():
    sizes = BundleSizes()
    sizes.note(1, 0.1)
    assert [sizes.size(left, 4) for left in (800, 400, 160, 80, 5, 1)] == [100, 50, 20, 10, 5, 1]


def test_only_the_last_reports_count():
    sizes = BundleSizes()
    sizes.note(1, 9.0)  # the first one imports
    for _ in range(4):
        sizes.note(10, 1.0)
    assert sizes.size(100_000, 1) == 100


@given(seconds=SECONDS, num_left=st.integers(1, 10**6), num_slots=st.integers(1, 1000))
def test_a_bundle_holds_an_item_at_least_and_no_more_than_are_left(seconds, num_left, num_slots):
    sizes = BundleSizes()
    sizes.note(1, seconds)
    size = sizes.size(num_left, num_slots)
    assert 1 <= size <= num_left
    assert size == 1 or size * seconds <= 10.0 + 1e-6


@given(items=st.lists(st.floats(0.01, 0.5), min_size=1, max_size=300), num_slots=st.integers(1, 8))
def test_slots_are_done_at_about_the_same_time(items, num_slots):
    """Each slot takes the next bundle when it is done with its last one."""
    sizes, waiting, ends = BundleSizes(), list(items), [0.0] * num_slots
    while waiting:
        slot = ends.index(min(ends))
        bundle = [waiting.pop() for _ in range(sizes.size(len(waiting), num_slots))]
        ends[slot] += sum(bundle)
        sizes.note(len(bundle), sum(bundle))
    assert max(ends) <= sum(items) / num_slots + 10.0
