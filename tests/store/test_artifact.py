import json

import numpy as np
import pandas as pd
import pytest

from tilewise.errors import ArtifactError
from tilewise.store import read_json, read_table, write_json, write_table


def test_json_round_trip_carries_schema_and_version(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"b": [1, 2.5], "c": {"d": None}}, schema="tilewise.test", version=3)
    assert json.loads(path.read_text())["schema_version"] == 3
    assert read_json(path, schema="tilewise.test", version=3)["b"] == [1, 2.5]
    assert read_json(path, schema="tilewise.test", version=4)["c"] == {"d": None}


def test_numbers_json_does_not_know_become_null_and_numpy_scalars_plain(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"x": [float("nan"), float("inf"), np.float32(0.5), np.int64(3)]}, schema="s", version=1)
    assert json.loads(path.read_text())["x"] == [None, None, 0.5, 3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "damaged"),
        ("[1]", "not a s file"),
        ('{"schema": "other", "schema_version": 1}', "'other', not 's'"),
        ('{"schema": "s", "schema_version": 2}', "version 2"),
        ('{"schema": "s"}', "version None"),
    ],
)
def test_what_is_not_the_artifact_is_refused_by_name(tmp_path, content, message):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(ArtifactError, match=message) as raised:
        read_json(path, schema="s", version=1)
    assert "a.json" in str(raised.value)


def test_a_missing_artifact_is_said_to_be_missing(tmp_path):
    with pytest.raises(ArtifactError, match="missing"):
        read_json(tmp_path / "none.json", schema="s", version=1)
    with pytest.raises(ArtifactError, match="missing"):
        read_table(tmp_path / "none.parquet", schema="s", version=1)


def test_table_round_trip_with_metadata(tmp_path):
    path = tmp_path / "t.parquet"
    frame = pd.DataFrame({"slide": ["a", "b"], "x": [1, 2]})
    write_table(path, frame, schema="s", version=1, metadata={"skipped": {"c": "why"}})
    back, head = read_table(path, schema="s", version=1)
    pd.testing.assert_frame_equal(back, frame)
    assert head["skipped"] == {"c": "why"}


def test_the_same_table_gives_the_same_bytes(tmp_path):
    frame = pd.DataFrame({"slide": ["a", "b"], "x": [0.1, 0.2]})
    for name in ("one", "two"):
        write_table(tmp_path / name, frame, schema="s", version=1, metadata={"b": 1, "a": 2})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_truncated_table_is_damaged(tmp_path):
    path = tmp_path / "t.parquet"
    write_table(path, pd.DataFrame({"x": range(100)}), schema="s", version=1)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ArtifactError, match="damaged"):
        read_table(path, schema="s", version=1)
