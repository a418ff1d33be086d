import pytest

from tests.artifacts import rewrite_json
from tilewise.errors import ArtifactError
from tilewise.stain import STANDARD, StainRecord

REASONS = {f"img_{number}.png": "too little tissue" for number in range(7)}


def test_a_written_record_comes_back(tmp_path):
    record = StainRecord("macenko", (STANDARD, STANDARD), 40, REASONS)
    record.write(tmp_path / "stain.json")
    assert StainRecord.read(tmp_path / "stain.json") == record


def test_nothing_is_said_where_all_slides_were_normalised():
    assert StainRecord("macenko", (STANDARD,), 40, {}).sentence() == ""


def test_slides_are_named_with_the_reason_and_counted():
    sentence = StainRecord("macenko", (STANDARD,), 40, dict(list(REASONS.items())[:1])).sentence()
    assert sentence.startswith("1 of 40 slides keeps its own colours")
    assert sentence.endswith("is not to be believed: img_0.png (too little tissue).")
    many = StainRecord("macenko", (STANDARD,), 40, REASONS).sentence()
    assert many.startswith("7 of 40 slides keep their own colours")
    assert "img_4.png (too little tissue); and 2 more, named in stain.json." in many
    assert "img_5.png" not in many


@pytest.mark.parametrize("damage", [{"left": 3}, {"targets": [{}]}, {"num_slides": None}])
def test_a_damaged_record_is_named(tmp_path, damage):
    path = tmp_path / "stain.json"
    StainRecord("macenko", (STANDARD,), 40, REASONS).write(path)
    rewrite_json(path, damage)
    with pytest.raises(ArtifactError, match=r"stain\.json is damaged"):
        StainRecord.read(path)
