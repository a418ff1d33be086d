"""Maps are there for a while, as far as there is room, and under no name that one could guess."""

import pytest

from tilewise.serving.prediction_api.map_store import MapStore


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_a_picture_is_there_until_its_time_is_over():
    clock = Clock()
    store = MapStore(100, 60, clock=clock)
    name = store.add(b"picture")
    clock.now += 59
    assert store.get(name) == b"picture"
    clock.now += 2
    assert store.get(name) is None
    assert store.num_bytes == 0


def test_the_oldest_gives_way_where_memory_is_short():
    store = MapStore(100, 60)
    names = [store.add(bytes([number]) * 40) for number in range(3)]
    assert [store.get(name) is not None for name in names] == [False, True, True]
    assert store.num_bytes == 80
    assert store.add(b"x" * 101) is None
    assert store.get(names[2]) is not None


@pytest.mark.parametrize("name", ["", "x", "../../etc/passwd"])
def test_other_names_have_nothing(name):
    store = MapStore(100, 60)
    names = {store.add(b"p") for _ in range(50)}
    assert len(names) == 50
    assert min(map(len, names)) >= 32  # 192 bits of chance
    assert store.get(name) is None
