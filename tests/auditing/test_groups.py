import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewise.auditing.finding import Finding
from tilewise.auditing.groups import JOINING, infer_groups, join_all
from tilewise.cohort import Slide

NAMES = st.integers(0, 12).map(lambda number: f"s{number:02d}")


def cohort(**groups):
    return {name: Slide(name, name, None, "A", group) for name, group in groups.items()}


def test_groups_of_the_table_are_joined_with_what_was_found():
    slides = cohort(a="P1", b="P1", c="P2", d=None, e=None)
    findings = [Finding("d", "exact-copy", "c", "keep", 1.0, ""), Finding("e", "label-missing", "", "keep", 1.0, "")]
    assert infer_groups(slides, findings) == {"a": "P1", "b": "P1", "c": "P2", "d": "P2", "e": "e"}


@pytest.mark.parametrize("kind", sorted(JOINING))
def test_every_relation_joins(kind):
    groups = infer_groups(cohort(a=None, b=None), [Finding("a", kind, "b", "keep", 1.0, "")])
    assert groups["a"] == groups["b"]


def test_a_slide_of_another_cohort_joins_nothing():
    findings = [Finding("a", "in-both", "t", "keep", 1.0, ""), Finding("b", "in-both", "t", "keep", 1.0, "")]
    groups = infer_groups(cohort(a=None, b=None), findings)
    assert groups["a"] != groups["b"]


def test_a_slide_named_like_a_group_does_not_join_it():
    groups = infer_groups(cohort(a="x", x=None), [])
    assert groups["a"] != groups["x"]


@given(st.lists(st.tuples(NAMES, NAMES), max_size=20))
def test_joined_names_are_the_connected_components(pairs):
    roots = join_all(pairs)
    scipy = pytest.importorskip("scipy.sparse")
    names = sorted({name for pair in pairs for name in pair})
    assert set(roots) == set(names)
    if names:
        places = {name: place for place, name in enumerate(names)}
        rows, columns = zip(*[(places[one], places[two]) for one, two in pairs], strict=True)
        graph = scipy.coo_matrix(([1] * len(pairs), (rows, columns)), shape=(len(names),) * 2)
        _, labels = scipy.csgraph.connected_components(graph, directed=False)
        for one in names:
            assert roots[one] == min(two for two in names if labels[places[two]] == labels[places[one]])
