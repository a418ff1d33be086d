"""Who may ask the service: tokens, and where it listens without one."""

import pytest
from pydantic import SecretStr

from tilewise.errors import UsageError
from tilewise.serving.prediction_api.access import (
    is_authorised,
    is_loopback,
    read_token,
    require_token_beyond_loopback,
)

TOKEN = SecretStr("a-token-of-many-characters")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.0.3", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.0.4", False),
        ("example.org", False),
        ("localhost.example.org", False),
        ("127.0.0.1.example.org", False),
        ("", False),
    ],
)
def test_loopback_is_told_from_the_rest(host, expected):
    assert is_loopback(host) is expected


def test_beyond_loopback_a_token_is_needed():
    require_token_beyond_loopback("127.0.0.1", None)
    require_token_beyond_loopback("0.0.0.0", TOKEN)
    with pytest.raises(UsageError, match="there is no token") as caught:
        require_token_beyond_loopback("0.0.0.0", None)
    assert "--token-file" in str(caught.value)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Bearer a-token-of-many-characters", True),
        ("bearer a-token-of-many-characters", True),
        ("Basic a-token-of-many-characters", False),
        ("Bearer a-token-of-many-character", False),
        ("Bearer ", False),
        ("Bearer \xff\xfe", False),
        ("", False),
    ],
)
def test_only_the_token_itself_is_authorised(header, expected):
    assert is_authorised(header, TOKEN) is expected


def test_a_token_comes_from_a_file_or_the_environment_and_is_never_shown(tmp_path, monkeypatch):
    monkeypatch.delenv("TILEWISE_TOKEN", raising=False)
    assert read_token(None) is None
    monkeypatch.setenv("TILEWISE_TOKEN", "out-of-the-environment")
    assert read_token(None).get_secret_value() == "out-of-the-environment"
    path = tmp_path / "token"
    path.write_text("out-of-the-token-file\nnotes\n")
    token = read_token(path)
    assert token.get_secret_value() == "out-of-the-token-file"
    assert "file" not in f"{token} {token!r}"


@pytest.mark.parametrize("text", ["", "short", "spaces are no part of it", "nöt-ascii-and-long-enough"])
def test_a_bad_token_is_refused_without_being_repeated(tmp_path, text):
    path = tmp_path / "file"
    path.write_text(text, "utf-8")
    with pytest.raises(UsageError, match="16 printable") as caught:
        read_token(path)
    assert not text or text not in str(caught.value)
    with pytest.raises(UsageError, match="cannot be read"):
        read_token(tmp_path / "none")
