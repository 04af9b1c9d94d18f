"""References: sources are discovered, resolved alone or inside an address, and missing values can be collected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from pytest_deploygate.fields import references, sources
from pytest_deploygate.fields.health import HealthCheck
from pytest_deploygate.fields.http import HttpRequest
from pytest_deploygate.fields.sources import Absent, Source


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A running lab with a few values."""
    (tmp_path / "password").write_text("hunter2\n")
    values = {
        "front.port": 8080,
        "front.url": "http://127.0.0.1:8080/",
        "logs": "/var/log/lab",
        "backup.user": "",
        "password.app": str(tmp_path / "password"),
    }
    (tmp_path / "state.json").write_text(json.dumps({"values": values}))
    monkeypatch.setenv("DEPLOYGATE_LAB", str(tmp_path))
    return tmp_path


def test_the_sources_are_the_modules_of_their_folder():
    folder = Path(str(sources.__file__)).parent
    assert {path.stem for path in folder.glob("*.py")} - {"__init__"} == set(sources.sources())


def test_a_new_source_is_one_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A new module in the folder is used, recommended and part of the pattern, without any other edit."""
    (tmp_path / "vaulted.py").write_text(
        "from pytest_deploygate.fields.sources import Source\n"
        "SOURCE = Source('vaulted', lambda name, base: name[::-1], advice='vaulted:PATH', text=lambda name, base: name)\n"
    )
    monkeypatch.setattr(sources, "__path__", [*sources.__path__, str(tmp_path)])
    caches = (sources.sources, references._whole, references._within)
    try:
        for cache in caches:
            cache.cache_clear()
        assert references.as_secret("vaulted:abc").reveal() == "cba"
        assert references.filled_in("http://vaulted:a.b/") == "http://a.b/"
        assert references.pattern(secret=True) == "^(env|file|keyring|lab|vault|vaulted):.+"
        with pytest.raises(
            ValueError,
            match=r"write env:NAME, file:PATH, keyring:SERVICE/USER, vault:PATH#FIELD or vaulted:PATH$",
        ):
            references.as_secret("clear")
    finally:
        monkeypatch.undo()
        for cache in caches:
            cache.cache_clear()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("lab:logs", "/var/log/lab"),
        ("lab:front.url", "http://127.0.0.1:8080/"),
        ("http://127.0.0.1:lab:front.port/x?y=lab:front.port", "http://127.0.0.1:8080/x?y=8080"),
        ("http://lab:8080/", "http://lab:8080/"),  # a host
        ("lab:8080", "lab:8080"),  # a host with its port
        ("collab:front.port", "collab:front.port"),
        ("see lab:logs", "see lab:logs"),  # a name without a dot counts only alone
        (7, 7),
    ],
)
def test_a_reference_alone_or_inside_an_address(lab, text, found):
    assert references.filled_in(text) == found


def test_readers_of_each_type(lab):
    assert references.as_port("lab:front.port") == 8080
    assert str(references.as_path("lab:logs")) == "/var/log/lab"
    assert references.as_secret("lab:password.app").reveal() == "hunter2"
    assert references.looked_up_or_left_out("lab:backup.user") is None
    assert references.looked_up_or_left_out(False) is False
    assert references.lacks("lab:nothing.here")
    assert not references.lacks("lab:logs")
    assert not references.lacks("env:X")
    with pytest.raises(
        ValueError, match=r"the lab has no value 'nothing.here'; it has backup.user, front.port"
    ):
        references.as_port("lab:nothing.here")


def test_what_is_missing_is_collected_once(tmp_path, monkeypatch):
    """A plan is made without the lab and without secrets; placeholders fit each type, an empty URL's too."""
    monkeypatch.setenv("DEPLOYGATE_LAB", str(tmp_path / "nowhere"))
    monkeypatch.delenv("NOT_SET_HERE", raising=False)
    missing: list[str] = []
    with references.reading(tmp_path / "x.yml", missing):
        check = HealthCheck.model_validate({"name": "a", "url": "lab:front.url", "token": "env:NOT_SET_HERE"})
        assert references.as_port("lab:front.port") == 1
        assert references.as_existing_path("lab:logs")
    assert check.url == "https://127.0.0.1:1/"
    assert missing == [
        "the environment variable NOT_SET_HERE is not set; export it before the run",
        "the lab is not running; start it with `deploygate lab up`",
    ]


def test_a_source_of_secrets_only_is_not_read_as_text():
    """`env:` inside a text stays unchanged: a command line may contain it."""
    assert references.filled_in("run --with env:HOME") == "run --with env:HOME"
    assert sources.sources()["env"].text is None


def test_sources_tell_absent_from_wrong(tmp_path):
    source: Source = sources.sources()["file"]
    with pytest.raises(Absent, match="No such file"):
        source.secret("nope", tmp_path)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"body": "a", "json": {}}, "`body` and `json` are mutually exclusive"),
        ({"headers": {"Cookie": "a=b"}}, "Cookie carries a secret: use `token` or `auth`"),
        ({"headers": {"X-A": "b\nc"}}, "is not a one-line header"),
        ({"status": 99}, "99 is not an HTTP status"),
        ({"status": []}, "at least 1 item"),
        ({"matches": "("}, "is not a regular expression"),
        ({"auth": {"user": "a"}}, "or `user` with `password`"),
        ({"method": "FETCH"}, "GET"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(keys, says):
    with pytest.raises(ValidationError, match=says):
        HttpRequest.model_validate(keys)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"url": "ftp://a"}, "is not a URL"),
        ({"url": "https://u:p@a.example.com/"}, "a URL must not contain a user or password"),
        ({"tcp": "a:1", "status": 204, "token": "env:PATH"}, "`status`, `token` need `url`"),
        ({"url": "https://a.example.com", "tcp": "a:1"}, "set exactly one of `url`, `tcp`"),
        (
            {"url": "https://a.example.com", "token": "env:PATH", "auth": {"token": "env:PATH"}},
            "`token` and `auth` are mutually exclusive",
        ),
    ],
)
def test_a_health_check_that_makes_no_sense_is_refused(keys, says):
    with pytest.raises(ValidationError, match=says):
        HealthCheck.model_validate({"name": "x"} | keys)


def test_one_or_several_statuses_and_texts():
    request = HttpRequest.model_validate({"status": 204, "contains": "a"})
    assert (request.status, request.expected, request.contains) == ([204], "204", ["a"])
    request = HttpRequest.model_validate({"status": [200, 204], "contains": ["a", "b"], "matches": "c+$"})
    assert request.expected == "200 or 204"
    assert request.lacking("ab cc") == ""
    assert request.lacking("a cc") == "body without 'b'"
    assert request.lacking("ab cd") == "body does not match 'c+$'"
