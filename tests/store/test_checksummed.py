"""Files that hold their own digest: damage is noticed before a parser sees it."""

import json
import random

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file

from tests.artifacts import rewrite_json
from tilewise.errors import ArtifactError
from tilewise.store import (
    Manifest,
    read_checksummed_tensors,
    read_json,
    read_table,
    verify,
    write_checksummed_tensors,
    write_json,
    write_table,
)

FRAME = pd.DataFrame({"slide": [f"img_{number}.png" for number in range(40)], "x": np.arange(40) / 7})
ARRAYS = {"features": np.arange(600, dtype=np.float32).reshape(20, 30), "boxes": np.arange(80).reshape(20, 4)}
DESCRIPTION = {"schema": "tilewise.test", "loss": float("inf"), "slide": "ü.png"}

WRITERS = {
    "a.json": lambda path: write_json(path, {"weights": [0.25, 0.75], "text": "ü" * 300}, schema="s", version=1),
    "a.parquet": lambda path: write_table(path, FRAME, schema="s", version=1, metadata={"inputs": "k"}),
    "a.safetensors": lambda path: write_checksummed_tensors(path, ARRAYS, DESCRIPTION),
}
READERS = {
    "a.json": lambda path: read_json(path, schema="s", version=1),
    "a.parquet": lambda path: read_table(path, schema="s", version=1),
    "a.safetensors": read_checksummed_tensors,
}


def damages(data: bytes) -> list[bytes]:
    """Flipped bytes and bits, tails of zeros, and what breaks off, all over a file."""
    generator = random.Random(0)
    places = generator.sample(range(len(data)), min(len(data), 150))
    flipped = [data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :] for at in places]
    flipped += [data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :] for at in places]
    lengths = generator.sample(range(len(data) - 8), 50)
    zeroed = [data[:length] + bytes(len(data) - length) for length in lengths]
    return [*flipped, *zeroed, *(data[:length] for length in lengths), data + b"\0", data * 2, b""]


@pytest.mark.parametrize("name", list(WRITERS))
def test_every_damage_is_noticed_and_the_file_named(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path)
    whole = path.read_bytes()
    READERS[name](path)
    for data in damages(whole):
        if data == whole:  # what is zeroed may be zeros
            continue
        path.write_bytes(data)
        with pytest.raises(ArtifactError, match=rf"{name} is damaged.*delete it and run the same command again"):
            READERS[name](path)


@pytest.mark.parametrize("name", list(WRITERS))
def test_the_same_content_gives_the_same_bytes(tmp_path, name):
    for folder in ("one", "two"):
        WRITERS[name](tmp_path / folder / name)
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_other_programs_read_the_files(tmp_path):
    for name, write in WRITERS.items():
        write(tmp_path / name)
    assert json.loads((tmp_path / "a.json").read_text("utf-8"))["weights"] == [0.25, 0.75]
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "a.parquet"), FRAME)
    assert load_file(tmp_path / "a.safetensors").keys() == ARRAYS.keys()


def test_arrays_and_their_description_come_back(tmp_path):
    path = tmp_path / "a.safetensors"
    write_checksummed_tensors(path, {"view": ARRAYS["features"].T, "scalar": np.array(3)}, DESCRIPTION)
    arrays, description = read_checksummed_tensors(path)
    np.testing.assert_array_equal(arrays["view"], ARRAYS["features"].T)
    assert arrays["scalar"].shape == ()
    assert {key: description[key] for key in DESCRIPTION} == DESCRIPTION
    half = torch.arange(5, dtype=torch.bfloat16)
    write_checksummed_tensors(path, {"half": half}, {}, framework="torch")
    assert torch.equal(read_checksummed_tensors(path, framework="torch")[0]["half"], half)


@pytest.mark.parametrize("name", list(WRITERS))
def test_damage_in_a_finished_run_names_verify(tmp_path, name):
    path = tmp_path / "run" / "model" / name
    WRITERS[name](path)
    Manifest.of_folder(tmp_path / "run", {}).write(tmp_path / "run")
    path.write_bytes(path.read_bytes()[:-3] + b"\0\0\0")
    with pytest.raises(ArtifactError, match=rf"{name} is damaged.*`tilewise verify {tmp_path / 'run'}`"):
        READERS[name](path)
    assert [item.path for item in verify(tmp_path / "run")] == [f"model/{name}"]


def test_files_of_earlier_versions_are_compared_with_the_manifest_of_their_run(tmp_path):
    table = tmp_path / "predictions.parquet"
    description = {"schema": "s", "schema_version": 1}
    plain = FRAME.copy()
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pandas(plain).replace_schema_metadata({b"tilewise": json.dumps(description)}), table)
    with pytest.raises(ArtifactError, match="is damaged"):
        read_table(table, schema="s", version=1)
    WRITERS["a.json"](tmp_path / "a.json")
    rewrite_json(tmp_path / "a.json")
    Manifest.of_folder(tmp_path, {}).write(tmp_path)
    rewrite_json(tmp_path / "manifest.json")
    pd.testing.assert_frame_equal(read_table(table, schema="s", version=1)[0], FRAME)
    assert READERS["a.json"](tmp_path / "a.json")["weights"] == [0.25, 0.75]
    rewrite_json(tmp_path / "a.json", {"weights": [0.5, 0.5]})
    table.write_bytes(table.read_bytes()[:-20])
    for path, read in ((tmp_path / "a.json", READERS["a.json"]), (table, READERS["a.parquet"])):
        with pytest.raises(ArtifactError, match="is damaged"):
            read(path)


def test_json_written_by_a_person_is_read_where_no_manifest_lists_it(tmp_path):
    (tmp_path / "profile.json").write_text('{"schema": "s", "schema_version": 1, "x": 3}')
    assert read_json(tmp_path / "profile.json", schema="s", version=1)["x"] == 3
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(ArtifactError, match=r"deep\.json is damaged"):
        read_json(tmp_path / "deep.json", schema="s", version=1)
