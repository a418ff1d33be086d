"""Profiles of many slides: cached by content, named where a slide cannot be read."""

import cv2
import pytest

from tilewise.slides import open_slide
from tilewise.stain import fit_profiles as module
from tilewise.stain import fit_slide
from tilewise.stain.fit_profiles import StainRequest, fit_profiles


@pytest.fixture
def request_of(section, tmp_path):
    def make(name, content, method="macenko"):
        path = tmp_path / f"{name}.png"
        if not path.exists():
            cv2.imwrite(str(path), section(seed=len(name))[0][:, :, ::-1])
        return StainRequest(path, 1 << 20, content, method)

    return make


def never(*_, **__):
    raise AssertionError("nothing was to be fitted")


def test_profiles_come_in_the_order_of_the_slides_and_from_the_cache_the_second_time(request_of, monkeypatch):
    requests = {name: request_of(name, f"content of {name}") for name in ("b", "a", "ccc")}
    first, failures = fit_profiles(requests, workers=1)
    assert failures == ()
    assert list(first) == ["b", "a", "ccc"]
    with open_slide(requests["ccc"].path) as reader:
        assert first["ccc"] == fit_slide(reader, "macenko")
    monkeypatch.setattr(module, "fit_slide", never)
    assert fit_profiles(requests, workers=1) == (first, ())


def test_in_processes_the_profiles_are_the_same(request_of, monkeypatch, tmp_path):
    requests = {name: request_of(name, name) for name in ("a", "bb")}
    alone, _ = fit_profiles(requests, workers=1)
    monkeypatch.setenv("TILEWISE_CACHE", str(tmp_path / "other"))
    assert fit_profiles(requests, workers=2) == (alone, ())


def test_reinhard_takes_what_was_fitted_for_macenko_and_vahadane_does_not(request_of, monkeypatch):
    (profiles,) = fit_profiles({"a": request_of("a", "x")}, workers=1)[0].values()
    assert fit_profiles({"a": request_of("a", "x", "vahadane")}, workers=1)[0]["a"].method == "vahadane"
    monkeypatch.setattr(module, "fit_slide", never)
    assert fit_profiles({"a": request_of("a", "x", "reinhard")}, workers=1)[0]["a"] == profiles


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"method": "macenko"}', b"\xff"])
def test_a_damaged_entry_is_made_again(request_of, damage):
    request = request_of("a", "x")
    before, _ = fit_profiles({"a": request}, workers=1)
    request.cached.write_bytes(damage)
    assert fit_profiles({"a": request}, workers=1) == (before, ())
    assert request.cached.read_bytes() != damage


def test_a_slide_that_cannot_be_read_is_named_and_the_others_go_on(request_of):
    requests = {name: request_of(name, name) for name in ("a", "bb")}
    requests["bb"].path.write_bytes(b"\x89PNG broken")
    profiles, failures = fit_profiles(requests, workers=1)
    assert list(profiles) == ["a"]
    assert [(failure.item, failure.stage) for failure in failures] == [("bb", "stain")]
