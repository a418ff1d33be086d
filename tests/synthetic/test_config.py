import pytest
from pydantic import ValidationError

from tilewise.synthetic.config import SynthConfig


def test_defaults_follow_the_published_cohort() -> None:
    config = SynthConfig()
    assert config.classes == {"Luminal A": 205, "Luminal B": 220, "HER2(+)": 189, "Triple negative": 77}
    assert config.min_side_px == 1024


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"difficulty": 1.1}, "difficulty"),
        ({"num_slide": 3}, "num_slide"),
        ({"classes": {"only": 1.0}}, "classes"),
        ({"classes": {"a": 1.0, "b": 0.0}}, "'b'"),
        ({"classes": {"a": 1.0, " b": 1.0}}, "' b'"),
        ({"classes": {str(k): 1.0 for k in range(9)}}, "classes"),
        ({"num_slides": 3}, "3 slides"),
        ({"signal": "colour"}, "signal"),
        ({"faults": -1}, "faults"),
        ({"source": "textures"}, "textures"),
        ({"textures": "kit"}, "textures"),
    ],
)
def test_refuses(fields: dict[str, object], named: str) -> None:
    with pytest.raises(ValidationError, match=named.replace("(", r"\(")):
        SynthConfig(**fields)


def test_what_is_not_used_is_not_written_down() -> None:
    assert not {"faults", "source", "textures"} & set(SynthConfig().model_dump(mode="json"))
    dumped = SynthConfig(faults=2, source="textures", textures="kit").model_dump(mode="json")
    assert (dumped["faults"], dumped["source"], dumped["textures"]) == (2, "textures", "kit")
    assert SynthConfig(**dumped).model_dump(mode="json") == dumped
