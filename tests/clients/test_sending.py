"""Requests as inventories describe them, sent to a real server on loopback that returns what it got."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pytest_deploygate.checks.privacy.probe import operations
from pytest_deploygate.checks.privacy.section import PlatformRequest
from pytest_deploygate.clients import prometheus
from pytest_deploygate.clients.budget import AGENT
from pytest_deploygate.clients.http import health, sending
from pytest_deploygate.fields.health import HealthCheck
from pytest_deploygate.fields.http import HttpLogin, HttpRequest
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.model import CannotTell


@dataclass
class Got:
    """What the server was sent, and what it answers."""

    url: str = ""
    method: str = ""
    path: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    status: int = 200
    answer: bytes = b"pong"


@pytest.fixture
def got() -> Iterator[Got]:
    found = Got()

    class Handler(http.server.BaseHTTPRequestHandler):
        def _take(self) -> None:
            found.method, found.path = self.command, self.path
            found.headers = {name.lower(): value for name, value in self.headers.items()}
            found.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(found.status)
            self.send_header("Content-Length", str(len(found.answer)))
            self.end_headers()
            self.wfile.write(found.answer)

        do_GET = do_POST = do_PUT = _take  # noqa: N815 (names of the standard library)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", "hunter2-token")
    monkeypatch.setenv("A_PASSWORD", "hunter2-password")


@pytest.mark.parametrize(
    ("keys", "header", "value"),
    [
        ({"token": "env:A_TOKEN"}, "authorization", "Bearer hunter2-token"),
        ({"auth": {"token": "env:A_TOKEN"}}, "authorization", "Bearer hunter2-token"),
        (
            {"auth": {"user": "me", "password": "env:A_PASSWORD"}},
            "authorization",
            "Basic bWU6aHVudGVyMi1wYXNzd29yZA==",
        ),
        ({"auth": {"header": "X-Key", "value": "env:A_TOKEN"}}, "x-key", "hunter2-token"),
        ({"headers": {"X-Scope-OrgID": "me"}}, "x-scope-orgid", "me"),
        ({"method": "POST", "json": {"a": 1}}, "content-type", "application/json"),
        (
            {"method": "POST", "body": "a=1", "headers": {"content-type": "text/plain"}},
            "content-type",
            "text/plain",
        ),
        ({}, "user-agent", AGENT),
    ],
)
def test_login_and_headers_arrive(got: Got, keys: dict[str, object], header: str, value: str) -> None:
    sending.send(HttpRequest.model_validate(keys), got.url, 5.0)
    assert got.headers[header] == value


def test_a_login_is_not_replaced_by_one_of_netrc(
    got: Got, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    sending.send(HttpRequest.model_validate({"token": "env:A_TOKEN"}), got.url, 5.0)
    assert got.headers["authorization"] == "Bearer hunter2-token"


def test_a_default_login_yields_to_the_requests_own() -> None:
    default = HttpLogin.model_validate({"token": "env:A_PASSWORD"})
    assert sending.headers(HttpRequest(), default) == {"Authorization": "Bearer hunter2-password"}
    own = HttpRequest.model_validate({"token": "env:A_TOKEN"})
    assert sending.headers(own, default) == {"Authorization": "Bearer hunter2-token"}


def test_a_health_check_sends_a_body_and_looks_at_all_of_the_answer(got: Got) -> None:
    """Method and body arrive; status, texts and expression of a good answer are each checked."""

    def seen(**keys: object) -> health.Seen:
        check = {"name": "x", "url": f"{got.url}/ping", "method": "POST", "body": "ping"}
        (found,) = health.look([HealthCheck.model_validate(check | keys)])
        return found

    assert seen(contains=["po", "ng"], matches="^p.*g$", status=[200, 204]).good
    assert (got.method, got.path, got.body) == ("POST", "/ping", b"ping")
    assert seen(contains=["po", "ok"]).said == "answered 200, body without 'ok'"
    assert seen(matches="^n").said == "answered 200, body does not match '^n'"
    assert seen(status=[201, 204]).said == "answered 200, expected 201 or 204"


def test_certificates_that_cannot_be_read_are_no_answer(got: Got, tmp_path: Path) -> None:
    """The file existed when the inventory was read, but not when the check runs."""
    ours = tmp_path / "ca.pem"
    ours.write_text("")
    check = HealthCheck.model_validate({"name": "x", "url": "https://127.0.0.1:1/", "ca_file": str(ours)})
    ours.unlink()
    (found,) = health.look([check])
    assert (found.good, found.reached) == (False, False)
    assert str(ours) in found.said


def test_prometheus_is_asked_with_login_headers_and_parameters(got: Got) -> None:
    got.answer = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": []}}).encode()
    server = Prometheus.model_validate(
        {"url": f"{got.url}/", "token": "env:A_TOKEN", "headers": {"X-A": "b"}, "params": {"dedup": "true"}}
    )
    assert prometheus.ask(server, {"query": "up"}, "matrix") == []
    assert got.path == "/api/v1/query?dedup=true&query=up"
    assert (got.headers["authorization"], got.headers["x-a"]) == ("Bearer hunter2-token", "b")


def test_a_request_to_the_platform_is_about_the_synthetic_person(got: Got) -> None:
    """The person is inserted into URL, headers and JSON at any depth; a wrong answer stops the steps."""
    person = operations.new_subject("ab")
    request = PlatformRequest.model_validate(
        {
            "url": f"{got.url}/people?mail={{email}}",
            "json": {"who": {"name": "{name}", "numbers": ["{phone}"]}, "age": 7},
            "headers": {"X-Person": "{email}"},
            "contains": "pong",
        }
    )
    operations._http(request, person, 1)
    assert (got.method, got.path) == ("POST", f"/people?mail={person.email}")
    assert json.loads(got.body) == {"who": {"name": person.name, "numbers": [person.phone]}, "age": 7}
    assert got.headers["x-person"] == person.email
    got.answer = b"queued"
    with pytest.raises(CannotTell, match=r"step 2: POST .* answered 200, body without 'pong'"):
        operations._http(request, person, 2)
    got.status = 500
    with pytest.raises(CannotTell, match=r"answered 500, expected 200 or 201 or 202 or 204: queued"):
        operations._http(request, person, 3)
