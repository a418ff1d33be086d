"""Predictions over HTTP: the same as on the command line, whoever else asks."""

import json
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from tests.drawn import draw_slide
from tilewise import api
from tilewise.cohort import Cohort
from tilewise.slides import read_image

pytestmark = [pytest.mark.enable_socket, pytest.mark.shared_cache]


@pytest.fixture(scope="module")
def expected(home):
    """Slide -> row of the table that `tilewise predict` makes of them all."""
    result = api.predict(home / "run", Cohort.discover(home / "new", purpose="predict"), out=None, workers=1)
    return {row["slide"]: row for row in result.table.to_dict("records")}


def files_of(home, name):
    mask = home / "new/masks" / name.replace("img", "mask")
    return {"image": (home / "new/images" / name).read_bytes(), "mask": mask.read_bytes()}


def check(body, row):
    assert body["predicted"] == row["predicted"]
    assert body["probabilities"] == {name: row[f"p_{name}"] for name in ("A", "B")}
    assert "|".join(body["prediction_set"]) == row["set_90"]
    assert body["num_tiles"] == row["num_tiles"]


def test_one_image_alone_is_predicted_as_on_the_command_line_in_every_word(client, home, tmp_path):
    name = "img_0013.png"
    for kind, file in (("images", name), ("masks", "mask_0013.png")):
        (tmp_path / "one" / kind).mkdir(parents=True)
        (tmp_path / "one" / kind / file).write_bytes((home / "new" / kind / file).read_bytes())
    cohort = Cohort.discover(tmp_path / "one", purpose="predict")
    (row,) = api.predict(home / "run", cohort, out=None, workers=1).table.to_dict("records")
    body = client.post("/v1/predict", files=files_of(home, name)).json()
    check(body, row)
    assert "; ".join(body["warnings"]) == row["warnings"]


def test_fifty_clients_at_once_alone_and_in_batches_get_the_same_bits(server, home, expected):
    names = sorted(expected)

    def ask(number):
        name, other = names[number % len(names)], names[(number + 5) % len(names)]
        with server.client() as client:
            if number % 2:
                answers = [client.post("/v1/predict?map=false", files=files_of(home, name)).json()]
            else:
                parts = [files_of(home, one) for one in (name, other)]
                files = [(f"{key}s", part[key]) for part in parts for key in ("image", "mask")]
                results = client.post("/v1/predict/batch", files=files).json()["results"]
                answers = [result["prediction"] for result in results]
        return [name, other][: len(answers)], answers

    with ThreadPoolExecutor(50) as pool:
        for asked, answers in pool.map(ask, range(50)):
            for name, body in zip(asked, answers, strict=True):
                check(body, expected[name])


def test_a_map_is_a_picture_for_a_while_and_only_under_its_own_name(client, home):
    body = client.post("/v1/predict", files=files_of(home, "img_0014.png")).json()
    answer = client.get(body["map"]["url"])
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (96, 128, 3)
    coloured = np.ptp(picture.astype(int), axis=2) > 20
    assert coloured[40:56, 40:88].all()  # where the mask has tissue, and so tiles
    assert 0.2 < coloured.mean() < 0.9  # on glass there are none
    assert client.get(body["map"]["url"] + "x").status_code == 404
    assert client.post("/v1/predict?map=false", files=files_of(home, "img_0014.png")).json()["map"] is None


def test_a_batch_has_a_result_or_an_error_for_each_image(client, home, expected):
    good = files_of(home, "img_0015.png")["image"]
    answer = client.post("/v1/predict/batch", files=[("images", good), ("images", b"no image"), ("images", b"")])
    assert answer.status_code == 200
    first, second, third = answer.json()["results"]
    assert (first["index"], first["status"], first["error"]) == (0, 200, None)
    assert first["prediction"]["predicted"] in {"A", "B"}
    assert (second["status"], second["error"]["code"], second["prediction"]) == (422, "image-unreadable", None)
    assert (third["status"], "empty" in third["error"]["message"]) == (422, True)


@pytest.mark.parametrize("suffix", [".jpg", ".bmp", ".tif"])
def test_a_file_is_what_its_bytes_say(client, home, tmp_path, suffix):
    pixels = cv2.imread(str(home / "new/images/img_0016.png"))
    cv2.imwrite(str(tmp_path / f"slide{suffix}"), pixels)
    answer = client.post("/v1/predict", files={"image": ("x.png", (tmp_path / f"slide{suffix}").read_bytes())})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..\\..\\x", "a\0b", "x" * 500, "%2e%2e/%2e", ""])
def test_a_file_name_is_nobodys_path(client, home, expected, name):
    files = files_of(home, "img_0017.png")
    answer = client.post("/v1/predict", files={"image": (name, files["image"]), "mask": (name, files["mask"])})
    if name:
        check(answer.json(), expected["img_0017.png"])
    assert answer.status_code in {200, 400}
    assert "root:" not in answer.text


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ([("mask", b"x")], "bad-form"),
        ([("image", b"x"), ("image", b"x")], "bad-form"),
        ([("image", b"x"), ("extra", b"x")], "bad-form"),
        ([("image", b"x"), ("mask", b"x"), ("mask", b"y")], "bad-form"),
    ],
)
def test_another_form_is_refused_with_the_next_step(client, files, code):
    answer = client.post("/v1/predict", files=files)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.json()["next_step"]


def test_other_bodies_and_addresses_have_the_same_kind_of_error(client):
    answers = [
        client.post("/v1/predict", json={"image": "x"}),
        client.post("/v1/predict", content=b"x", headers={"content-type": "multipart/form-data; boundary=b"}),
        client.post("/v1/predict", content=b"x", headers={"content-type": "multipart/form-data"}),
        client.post("/v1/predict?map=perhaps", files={"image": b"x"}),
        client.get("/v1/predict"),
        client.get("/v1/none"),
        client.get("/v1/maps/..%2f..%2fetc%2fpasswd"),
        client.get("/docs"),
    ]
    assert [answer.status_code for answer in answers] == [415, 400, 400, 422, 405, 404, 404, 404]
    assert all(answer.json().keys() == {"code", "message", "next_step"} for answer in answers)


def test_the_model_card_says_classes_scores_and_what_it_is_for(client, home):
    card = client.get("/v1/model").json()
    assert card["classes"] == ["A", "B"]
    assert "not a medical device" in card["intended_use"]
    evaluation = json.loads((home / "run/evaluation.json").read_text())
    macro_f1 = next(one for one in card["out_of_fold"]["scores"] if one["metric"] == "macro_f1")
    assert macro_f1["score"] == evaluation["out_of_fold"]["macro_f1"]
    assert card["recipe"]["tiles"]["size_px"] == 32


def test_metrics_count_what_was_asked(client, home):
    client.post("/v1/predict", files={"image": b"no image"})
    client.get("/v1/nowhere/else")
    text = client.get("/metrics").text
    assert 'tilewise_requests_total{route="/v1/predict",status="422"}' in text
    assert 'tilewise_requests_total{route="other",status="404"}' in text
    assert 'tilewise_images_total{outcome="image-unreadable"}' in text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(values["tilewise_workers_resident_bytes"]) > 50e6
    assert float(values["tilewise_images_waiting"]) == 0
    assert "nowhere" not in text


def test_a_slide_of_the_training_cohort_is_recognised(client, home):
    answer = client.post("/v1/predict", files={"image": (home / "cohort/images/img_0003.png").read_bytes()})
    assert any("the classifier has seen it" in text for text in answer.json()["warnings"])


def test_a_mask_that_cannot_be_read_is_an_error_and_one_of_another_size_a_warning(client, home, tmp_path):
    files = files_of(home, "img_0018.png")
    answer = client.post("/v1/predict", files=files | {"mask": files["mask"][:40]})
    assert (answer.status_code, answer.json()["code"]) == (422, "mask-unreadable")
    draw_slide(tmp_path / "other.png", 3, klass=0)
    cv2.imwrite(str(tmp_path / "small.png"), read_image(tmp_path / "other.png")[:50, :50])
    answer = client.post("/v1/predict", files=files | {"mask": (tmp_path / "small.png").read_bytes()})
    assert answer.status_code == 200
    assert any("mask" in text for text in answer.json()["warnings"])
    assert str(tmp_path) not in answer.text
    assert "/tmp/" not in answer.text


def test_a_damaged_image_is_refused_in_words_of_the_one_who_sent_it(client, home):
    answer = client.post("/v1/predict", files={"image": files_of(home, "img_0019.png")["image"][:-300]})
    assert (answer.status_code, answer.json()["code"]) == (422, "image-unreadable")
    message = answer.json()["message"]
    assert message.startswith("the image: ")
    assert not any(word in message for word in ("/tmp", "uploaded-image", "the the"))


def test_a_client_that_leaves_while_it_sends_harms_nobody(server, client):
    import socket

    host, _, port = server.address.removeprefix("http://").partition(":")
    head = f"POST /v1/predict HTTP/1.1\r\nhost: {host}\r\ncontent-length: 1000\r\n"
    with socket.create_connection((host, int(port))) as left:
        left.sendall(f"{head}content-type: multipart/form-data; boundary=b\r\n\r\n--b".encode())
    assert client.get("/readyz").status_code == 200
    values = dict(line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines() if line[:1] != "#")
    assert float(values["tilewise_requests_now"]) == 0


def test_a_mask_may_be_outlines(client, home, expected):
    files = files_of(home, "img_0020.png")
    region = np.argwhere(cv2.imdecode(np.frombuffer(files["mask"], np.uint8), cv2.IMREAD_GRAYSCALE) > 0)
    (top, left), (bottom, right) = region.min(axis=0).tolist(), (region.max(axis=0) + 1).tolist()
    ring = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
    outlines = json.dumps({"type": "Polygon", "coordinates": [ring]}).encode()
    answer = client.post("/v1/predict", files=files | {"mask": outlines})
    check(answer.json(), expected["img_0020.png"])
    broken = client.post("/v1/predict", files=files | {"mask": b"[" * 100_000})
    assert broken.status_code in {200, 422}, broken.text
    assert "/tmp/" not in broken.text
