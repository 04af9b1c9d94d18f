"""A waiting deployment is approved by a GO only; the server takes nothing but what GitHub and GitLab document."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner
from project import GOOD, Project

from pytest_deploygate.cli import main

GITHUB = "/repos/acme/shop/actions/runs/77/deployment_protection_rule"
GITLAB = "/api/v4/projects/7/deployments/42/approval"
TOKEN = "t0ken-of-an-app"
HOLD = GOOD.replace(
    "test_migrations(gate):\n    says(gate)", "test_migrations(gate):\n    says(gate, 'fail', 'off')"
)


class Server(ThreadingHTTPServer):
    """Takes one request as documented; `status` and `location` are its answer."""

    status, location = 0, ""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.taken: list[tuple[str, dict[str, str]]] = []
        self.refused: list[str] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        wrong = self._wrong(json.loads(raw))
        if wrong:
            self.server.refused.append(wrong)
        else:
            self.server.taken.append((self.path, json.loads(raw)))
        status = 422 if wrong else self.server.status or (204 if self.path == GITHUB else 201)
        self.send_response(status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        body = b"" if status == 204 else b'{"message": "as documented"}'
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _wrong(self, body: dict[str, str]) -> str:
        if self.headers.get("Content-Type") != "application/json":
            return "media type"
        if self.path == GITHUB:
            states, keys, login = (
                ("approved", "rejected"),
                {"environment_name", "state", "comment"},
                "Authorization",
            )
            if (self.headers["Accept"], self.headers["X-GitHub-Api-Version"]) != (
                "application/vnd.github+json",
                "2022-11-28",
            ):
                return "version"
            said, token = body.get("state"), f"Bearer {TOKEN}"
        elif self.path == GITLAB:
            states, keys, login = ("approved", "rejected"), {"status", "comment"}, "PRIVATE-TOKEN"
            said, token = body.get("status"), TOKEN
        else:
            return "path"
        if set(body) != keys or said not in states or not body["comment"]:
            return f"body {sorted(body)}"
        return "" if self.headers.get(login) == token else "login"

    def log_message(self, *_: object) -> None: ...


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("DEPLOYGATE_PROTECTION_TOKEN", TOKEN)
    for name in ("GITHUB_API_URL", "CI_API_V4_URL"):
        monkeypatch.delenv(name, raising=False)
    with serving() as found:
        yield found


def protect(project: Project, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(
        main, ["protect", "--out", str(project.path / "deploygate-out" / "local"), *words]
    )
    assert "Traceback" not in done.output
    assert TOKEN not in done.output
    return done.exit_code, done.output


def both(server: Server) -> list[list[str]]:
    return [
        ["--github", server.url(GITHUB), "--environment", "production"],
        ["--gitlab", server.url(GITLAB)],
    ]


@pytest.mark.parametrize(("suite", "code", "state"), [(GOOD, 0, "approved"), (HOLD, 1, "rejected")])
def test_a_go_approves_and_a_hold_rejects(
    project: Project, server: Server, suite: str, code: int, state: str
):
    project.suite(suite)
    project.run("-m", "phase2")
    for words in both(server):
        assert protect(project, *words)[0] == code
    (_, github), (_, gitlab) = server.taken
    assert not server.refused
    assert (github["state"], github["environment_name"], gitlab["status"]) == (state, "production", state)
    assert ("GO, exit code 0" if code == 0 else "HOLD, exit code 1") in github["comment"]


def test_without_a_whole_decision_nobody_is_told(project: Project, server: Server):
    for words in both(server):
        assert protect(project, *words)[0] == 25
    project.suite(GOOD)
    project.run("-m", "phase2")
    code, said = protect(project, *both(server)[0], "--since", "2999-01-01T00:00:00Z")
    assert (code, "nobody was told, so the deployment still waits" in said) == (25, True)
    journal = project.path / "deploygate-out" / "local" / "journal.jsonl"
    journal.write_text(journal.read_text().replace('"pass"', '"fail"', 1))
    assert protect(project, *both(server)[0])[0] == 25
    project.run("-m", "phase2", "--shard", "1/2", "--fresh", "--deploygate-out=deploygate-out/other")
    shard = project.path / "deploygate-out" / "other" / "shards" / "1-of-2"
    code, said = protect(project, *both(server)[0], "--out", str(shard))
    assert (code, "this is a part of a run" in said) == (25, True), said
    assert (server.taken, server.refused) == ([], [])


def test_an_answer_that_was_not_taken_is_no_approval(project: Project, server: Server, monkeypatch):
    project.suite(GOOD)
    project.run("-m", "phase2")
    for server.status, code in ((401, 4), (404, 4), (422, 4), (500, 25), (429, 25), (200, 4), (202, 4)):
        ran = protect(project, *both(server)[0])
        assert (ran[0], "still waits" in ran[1]) == (code, True), (server.status, ran)
    with serving() as other:
        server.status, server.location = 307, other.url(GITHUB)
        assert protect(project, *both(server)[0])[0] == 4
        assert (other.taken, other.refused) == ([], [])
    closed = server.url(GITHUB).replace(str(server.server_port), "1")
    assert protect(project, "--github", closed, "--environment", "production")[0] == 25
    monkeypatch.delenv("DEPLOYGATE_PROTECTION_TOKEN")
    assert protect(project, *both(server)[0])[0] == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name one waiting deployment"),
        (["--github", "https://api.github.com" + GITHUB], "--environment NAME goes with --github"),
        (["--gitlab", "http://gitlab.example.com" + GITLAB], "does not take the answer"),
        (["--gitlab", "https://gitlab.example.com/api/v4/projects/7"], "deployments/DEPLOYMENT/approval"),
        (["--gitlab", "https://u:p@gitlab.example.com" + GITLAB], "does not take the answer"),
        (["--gitlab", "https://[gitlab"], "is no address"),
        (["--gitlab", "https://gitlab.example.com" + GITLAB], "which runs this pipeline"),
    ],
)
def test_addresses_that_do_not_take_an_answer_are_refused(project: Project, monkeypatch, words, said):
    monkeypatch.setenv("DEPLOYGATE_PROTECTION_TOKEN", TOKEN)
    monkeypatch.setenv("CI_API_V4_URL", "https://gitlab.internal/api/v4")
    code, output = protect(project, *words)
    assert (code, said in output) == (4, True), output
