"""The review page's server: what it tells, what it stores, and whom it refuses."""

import csv
import io
import json
import os
import shlex
import shutil
import signal
import sqlite3
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import cv2
import httpx2
import numpy as np
import pytest

from tests.serving.review.conftest import serve
from tilewise.auditing.decision_log import read_log
from tilewise.cli.main import run as command
from tilewise.run_folder import RunFolder
from tilewise.serving.review.payloads import describe_run
from tilewise.serving.review.reviewed_run import ReviewedRun
from tilewise.store import verify

pytestmark = [pytest.mark.enable_socket, pytest.mark.shared_cache]

COPY = 11  # of slide 0; which of the two goes is the audit's to say


def decide(client, slide, finding, act, **more):
    body = {"slide": slide, "finding": finding, "act": act, "session": "test"} | more
    return client.post("/api/decisions", json=body)


def dropped_copy(client):
    slides = client.get("/api/slides").json()
    return next(number for number in (0, COPY) if not slides[number]["kept"])


@pytest.fixture(autouse=True)
def _nothing_left_behind(client):
    yield
    while client.post("/api/undo", json={"session": "test"}).json()["about"]:
        pass


def test_the_list_tells_what_the_filters_need(client):
    run, slides = client.get("/api/run").json(), client.get("/api/slides").json()
    assert shlex.split(run["command"])[-3:] == [run["log"], "--out", "NEW_RUN"]
    assert run["classes"] == ["A", "B"]
    assert run["reviewer"] == "ada"
    assert run["attends"] is True
    assert [slide["id"] for slide in slides] == [f"img_{number:04d}.png" for number in range(12)]
    predicted = [slide for slide in slides if "predicted" in slide]
    assert len(predicted) == 11
    assert all(slide["wrong"] == (slide["predicted"] != slide["label"]) for slide in predicted)
    copy = slides[dropped_copy(client)]
    assert {"kind": "exact-copy", "proposal": "drop", "others": [COPY - slides.index(copy)], "is_note": False} in copy[
        "items"
    ]


def test_tiles_mask_and_thumbnail_are_pictures_of_the_slide(client):
    details = client.get("/api/slides/1").json()
    assert details["size"] == [128, 96]
    tile = client.get("/tiles/1/0/0/0")
    assert tile.headers["content-type"] == "image/jpeg"
    assert cv2.imdecode(np.frombuffer(tile.content, np.uint8), cv2.IMREAD_COLOR).shape == (96, 128, 3)
    mask = cv2.imdecode(np.frombuffer(client.get("/api/slides/1/mask.png").content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert mask.shape == (96, 128, 4)
    assert mask[40, 60, 3] == 255
    assert mask[0, 0, 3] == 0
    assert client.get("/thumbnails/1").status_code == 200


def test_heat_is_that_of_the_model_which_did_not_learn_from_the_slide(client, small_run):
    heat = client.get("/api/slides/1/heat").json()
    fold = client.get("/api/slides").json()[1]["fold"]
    assert f"fold {fold}, which" in heat["models"]
    probabilities = np.array(heat["probabilities"])
    assert probabilities.shape == (2, len(heat["boxes"]))
    np.testing.assert_allclose(probabilities.sum(axis=0), 1.0, atol=2e-4)
    attention = np.array(heat["attention"])
    np.testing.assert_allclose(attention.mean(axis=1), 1.0, atol=2e-3)
    missing = client.get(f"/api/slides/{dropped_copy(client)}/heat")
    assert missing.status_code == 422
    assert "no tiles" in missing.json()["detail"]


def test_a_copy_lies_on_its_twin_as_it_is(client):
    pair = client.get(f"/api/pairs/0/{COPY}").json()
    assert pair["relation"] == "equal"
    assert pair["matrix"] == [1, 0, 0, 0, 1, 0]
    assert client.get("/api/pairs/1/2").json()["relation"] == "none"


def test_a_decision_is_stored_counted_and_exported(client, small_run):
    number = dropped_copy(client)
    name = f"img_{number:04d}.png"
    answer = decide(client, number, "exact-copy", "reject").json()
    assert answer["about"] == [number, "exact-copy"]
    assert answer["decided"][0][:5] == [number, "exact-copy", "keep", "", "ada"]
    assert decide(client, 3, "label", "relabel", value="A").status_code == 200
    rows = list(csv.DictReader(io.StringIO(client.get("/api/decisions.csv").text)))
    assert [(row["slide"], row["finding"], row["decision"], row["value"]) for row in rows] == [
        (name, "exact-copy", "keep", ""),
        ("img_0003.png", "", "relabel", "A"),
    ]
    assert rows[1]["reason"] == "label was B; corrected in review"
    client.post("/api/undo", json={"session": "test"})
    assert [row[0] for row in client.get("/api/decisions").json()["decided"]] == [number]
    client.post("/api/redo", json={"session": "test"})
    assert len(client.get("/api/decisions").json()["decided"]) == 2
    assert verify(small_run) == []


def test_to_confirm_a_corrected_label_or_to_skip_it_leaves_the_correction(client):
    table = client.get("/api/slides").json()[3]["label"]
    other = "A" if table == "B" else "B"

    def exported():
        rows = csv.DictReader(io.StringIO(client.get("/api/decisions.csv").text))
        return [(row["slide"], row["decision"], row["value"]) for row in rows]

    assert decide(client, 3, "label", "reject").json()["decided"][0][2] == "keep"
    assert exported() == []
    decide(client, 3, "label", "relabel", value=other)
    for act in ("reject", "skip"):
        assert decide(client, 3, "label", act).json()["decided"][0][2:4] == ["relabel", other]
        assert exported() == [("img_0003.png", "relabel", other)]


def test_a_reading_confirms_or_changes_the_label_and_only_the_first_of_a_slide_is_blind(client, small_run):
    table = client.get("/api/slides").json()[5]["label"]
    other = "A" if table == "B" else "B"

    def read(value, number=5):
        answer = decide(client, number, "label", "read", value=value, blind=True).json()
        return answer["decided"][0][2:4] + answer["decided"][0][7:]

    before = client.get("/api/summary").json()
    assert decide(client, 5, "label", "skip", blind=True).json()["decided"][0][2] == "skip"
    assert 5 not in client.get("/api/decisions").json()["own"]
    assert read(table) == ["keep", "", True]
    assert 5 in client.get("/api/decisions").json()["own"]
    assert read(other) == ["relabel", other, False]
    client.post("/api/undo", json={"session": "test"})
    client.post("/api/undo", json={"session": "test"})
    assert read(other) == ["relabel", other, False]  # what was seen after the first reading is not unseen
    (row,) = csv.DictReader(io.StringIO(client.get("/api/decisions.csv").text))
    assert row["reason"] == f"label was {table}; read as {other} in review"
    assert decide(client, 5, "label", "read", value="C").status_code == 422
    assert read("A", number=6) == [
        *(["keep", ""] if client.get("/api/slides").json()[6]["label"] == "A" else ["relabel", "A"]),
        True,
    ]
    summary = client.get("/api/summary").json()
    assert summary["num_readings"] - before["num_readings"] == 1
    assert summary["num_blind"] - before["num_blind"] == 1
    assert summary["num_decisions"] - before["num_decisions"] == 2


def test_no_class_is_accepted_by_the_way(client):
    answer = decide(client, 1, "label", "accept")
    assert answer.status_code == 422
    assert "relabel" in answer.json()["detail"]


def test_a_review_ends_with_what_was_decided(small_run, tmp_path):
    shutil.copytree(small_run, tmp_path / "run", ignore=shutil.ignore_patterns("review"))
    with serve(tmp_path / "run", "--blind") as served:
        with served.client() as client:
            assert client.get("/api/run").json()["blind"] is True
            decide(client, 2, "label", "read", value="A", blind=True)
            decide(client, 3, "", "drop")
        served.process.send_signal(signal.SIGINT)
        lines = served.process.stderr.read().splitlines()
    assert "2 decisions, 1 of them taken blind" in lines
    assert "1 blind reading by 1 reader" in lines
    assert sum(line.endswith("over 1 group") for line in lines) == 2


def test_the_command_to_train_again_names_recipe_seed_and_log_as_the_shell_takes_them(small_run, tmp_path):
    run = ReviewedRun.open(RunFolder(small_run))
    home = tmp_path / "it's here"
    shutil.copytree(small_run, home)
    command = describe_run(replace(run, folder=RunFolder(home)), "ada")["command"]
    identity = RunFolder(home).read_identity()
    assert shlex.split(command) == [
        "tilewise", "train", identity["cohort"]["root"], "--recipe", str(home / "recipe.yaml"), "--seed", "0",
        "--decisions", str(home / "review/decisions.sqlite"), "--out", "NEW_RUN",
    ]  # fmt: skip


@pytest.mark.parametrize("finding", ["exact-copy", "label", ""])
def test_a_dropped_slide_is_dropped_as_a_whole(client, finding):
    number = dropped_copy(client)
    answer = decide(client, number, finding, "drop").json()
    assert answer["about"] == [number, ""]
    assert [row[:3] for row in answer["decided"]] == [[number, "", "drop"]]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"slide": 99, "finding": "ink", "act": "accept"}, 404),
        ({"slide": -1, "finding": "ink", "act": "accept"}, 422),
        ({"slide": 1, "finding": "ink", "act": "accept"}, 422),
        ({"slide": 1, "finding": "label", "act": "relabel", "value": "C"}, 422),
        ({"slide": 1, "finding": "", "act": "accept"}, 422),
        ({"slide": 1, "finding": "label", "act": "erase"}, 422),
        ({"slide": 1, "finding": "label", "act": "accept", "more": 1}, 422),
    ],
)
def test_what_is_no_decision_is_refused_and_not_stored(client, body, status):
    before = client.get("/api/decisions").json()["acts"]
    assert client.post("/api/decisions", json={"session": "test"} | body).status_code == status
    assert client.get("/api/decisions").json()["acts"] == before


@pytest.mark.parametrize(
    "path",
    [
        "/tiles/99/0/0/0", "/tiles/1/0/9/9", "/tiles/1/-1/0/0", "/tiles/1/99/0/0", "/tiles/..%2f..%2fetc/0/0/0",
        "/static/..%2fapp.py", "/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/api/slides/99",
        "/thumbnails/1.png", "/api/pairs/0/99", "/docs", "/openapi.json",
    ],
)  # fmt: skip
def test_no_path_leads_beyond_the_slides_of_the_run(client, path):
    assert client.get(path).status_code in {404, 422}


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example"]
)
def test_a_name_that_is_bound_to_this_address_gets_nothing(served, host):
    with served.client(host=host) as client:
        assert client.get("/api/slides").status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:1"},
        {"content_type": "text/plain"},
        {"content_type": "application/x-www-form-urlencoded"},
    ],
)
def test_another_page_changes_nothing(served, client, headers):
    before = client.get("/api/decisions").json()["acts"]
    body = json.dumps({"slide": 1, "finding": "label", "act": "relabel", "value": "A", "session": "x"})
    with served.client(**({"content_type": "application/json"} | headers)) as other:
        assert other.post("/api/decisions", content=body).status_code == 403
    assert client.get("/api/decisions").json()["acts"] == before


def test_a_request_without_an_origin_changes_nothing_and_large_ones_are_refused(served, client):
    body = {"slide": 1, "finding": "label", "act": "relabel", "value": "A", "session": "x"}
    with served.client() as other:
        del other.headers["origin"]
        assert other.post("/api/decisions", json=body).status_code == 403
    assert client.post("/api/decisions", json=body | {"reason": "x" * 100_000}).status_code == 403


def test_pages_of_others_cannot_frame_it_or_read_from_it(served, client):
    headers = client.get("/").headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cross-origin-resource-policy"] == "same-origin"
    with served.client(sec_fetch_site="cross-site") as other:
        assert other.get("/thumbnails/1").status_code == 403


def test_who_lacks_the_token_gets_nothing_and_decides_nothing(served, client):
    page = urlsplit(served.page)
    token = parse_qs(page.query)["token"][0]
    assert len(token) >= 32
    before = client.get("/api/decisions").json()["acts"]
    body = {"slide": 1, "finding": "label", "act": "relabel", "value": "A", "session": "x"}
    wrong = {}, {"tilewise-review-0": token}, {f"tilewise-review-{page.port}": token[:-1]}
    for cookies in wrong:
        with httpx2.Client(
            base_url=served.address, headers={"origin": served.address}, cookies=cookies, verify=False
        ) as other:
            for path in (
                "/",
                "/?token=",
                f"/?token={token}x",
                "/api/slides",
                f"/api/slides?token={token}",
                "/thumbnails/1",
            ):
                answer = other.get(path)
                assert (answer.status_code, "set-cookie" in answer.headers) == (403, False), path
            assert "address that tilewise serve printed" in answer.text
            assert other.post("/api/decisions", json=body).status_code == 403
    assert client.get("/api/decisions").json()["acts"] == before


def test_the_printed_address_leads_to_the_page_and_leaves_a_cookie_that_other_sites_cannot_use(served):
    with httpx2.Client(verify=False) as browser:
        answer = browser.get(f"{served.page}&drawer=canvas")
        assert (answer.status_code, answer.headers["location"]) == (303, "/?drawer=canvas")
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert browser.get(f"{served.address}/").status_code == 200


def test_a_browser_is_opened_by_a_file_that_only_the_reviewer_can_read(served, small_run):
    file = small_run / "review/open.html"
    assert file.stat().st_mode & 0o077 == 0
    assert served.page in file.read_text("utf-8")
    assert verify(small_run) == []


def test_without_a_token_everybody_on_this_machine_may_review(small_run):
    with serve(small_run, "--no-token") as served, served.client() as client:
        assert served.page == f"{served.address}/"
        assert client.get("/").status_code == 200
        assert client.get("/api/slides").status_code == 200


def test_every_acknowledged_decision_survives_sigkill_and_two_browsers_see_each_other(small_run):
    acknowledged = []
    with serve(small_run) as served, served.client() as one, served.client() as two:
        for number in range(20):
            client = (one, two)[number % 2]
            body = {"slide": number % 11, "finding": "label", "act": "relabel", "value": "AB"[number % 2]}
            assert client.post("/api/decisions", json=body | {"session": str(number % 2)}).status_code == 200
            acknowledged.append((f"img_{number % 11:04d}.png", body["value"]))
            if number == 15:
                assert one.get("/api/decisions").json() == two.get("/api/decisions").json()
        os.kill(served.process.pid, signal.SIGKILL)
    assert (
        dict(acknowledged).items()
        <= {one.slide: one.value for one in read_log(small_run / "review/decisions.sqlite")}.items()
    )
    with sqlite3.connect(small_run / "review/decisions.sqlite") as connection:
        stored = connection.execute("SELECT slide, value FROM acts WHERE session IN ('0', '1') ORDER BY id").fetchall()
        assert stored == acknowledged
        connection.execute("DELETE FROM acts")
    connection.close()


def test_the_help_names_the_extra_to_install(capsys):
    assert command(["serve", "--help"]) == 0
    assert "tilewise[serve]" in capsys.readouterr().out


def test_what_cannot_be_served_is_said(tmp_path, capsys):
    assert command(["serve", str(tmp_path), "--no-open"]) == 2
    assert "holds no run" in capsys.readouterr().err
    assert command(["serve", str(tmp_path), "--host", "0.0.0.0", "--no-open"]) == 2
    assert "listens at 127.0.0.1 alone" in capsys.readouterr().err


def test_a_user_without_a_name_is_asked_for_one(tmp_path, capsys, monkeypatch):
    def nameless():
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr("getpass.getuser", nameless)
    assert command(["serve", str(tmp_path), "--no-open"]) == 2
    assert "--reviewer NAME" in capsys.readouterr().err
    assert command(["serve", str(tmp_path), "--no-open", "--reviewer", "ada"]) == 2
    assert "holds no run" in capsys.readouterr().err
