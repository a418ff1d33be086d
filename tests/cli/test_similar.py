"""`tilewise similar` on the command line."""

import json

import pytest

from tests.drawn import draw_cohort, draw_slide
from tilewise.cli.main import run


@pytest.fixture
def folder(tmp_path):
    folder = draw_cohort(tmp_path / "cohort", num_slides=6)
    # A copy of slide 2 under another name.
    (folder / "images" / "img_0005.png").write_bytes((folder / "images" / "img_0002.png").read_bytes())
    return folder


def call(capfd, *arguments):
    capfd.readouterr()
    code = run(["similar", *(str(argument) for argument in arguments)])
    return code, *capfd.readouterr()


def test_json_names_the_neighbours_and_the_encoder(capfd, folder):
    code, out, _ = call(capfd, folder, "--to", "img_0002.png", "--top", 3, "--json")
    payload = json.loads(out)
    assert code == 0
    assert payload["neighbours"][0] == {"slide": "img_0005.png", "similarity": 1.0, "rank": 1, "label": "B"}
    assert (len(payload["neighbours"]), payload["num_compared"]) == (3, 5)
    assert payload["encoder"] == "texture"
    assert payload["failures"] == []


def test_a_person_reads_which_encoder_was_taken(capfd, folder, tmp_path):
    page = tmp_path / "page.html"
    code, out, _ = call(capfd, folder, "--to", folder / "images/img_0002.png", "--out", page, "--quiet")
    assert code == 0
    assert "encoder texture" in out
    assert out.index("img_0005.png") < out.index("img_0000.png")
    text = page.read_text("utf-8")
    assert text.count("<img") == 6
    assert text.index(">img_0002.png<") < text.index(">img_0005.png<")
    assert "http" not in text.replace("http-equiv", "")


def test_a_picture_from_elsewhere_and_a_folder_without_labels(capfd, tmp_path):
    for number in range(4):
        draw_slide(tmp_path / "test_slides" / f"img_{number}.png", number, klass=number % 2)
    draw_slide(tmp_path / "<b>new.png", 20, klass=1)
    page = tmp_path / "page.html"
    code, out, _ = call(capfd, tmp_path / "test_slides", "--to", tmp_path / "<b>new.png", "--out", page, "--json")
    assert code == 0
    assert json.loads(out)["num_compared"] == 4
    assert "<b>new" not in page.read_text("utf-8")


def test_slides_that_cannot_be_read_are_named_and_the_exit_code_tells(capfd, folder):
    (folder / "images/img_0001.png").write_bytes(b"\x89PNG broken")
    code, out, err = call(capfd, folder, "--to", "img_0002.png", "--json")
    assert code == 1
    assert [failure["item"] for failure in json.loads(out)["failures"]] == ["img_0001.png"]
    assert "failed: img_0001.png" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "img_0009.png"], "did you mean"),
        (["--to", "img_0002.png", "--encoder", "textur"], "texture"),
        (["--to", "img_0002.png", "--top", "0"], "--top"),
        ([], "--to"),
    ],
)
def test_wrong_use_is_one_message_and_exit_code_2(capfd, folder, arguments, message):
    code, out, err = call(capfd, folder, *arguments)
    assert (code, out) == (2, "")
    assert message in err
