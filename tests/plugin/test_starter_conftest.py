"""A repository's `conftest.py`: the hook that `deploygate init` writes is called by a run, and its fixture overrides ours."""

from __future__ import annotations

import http.server
import json
import threading
from importlib import resources

import pytest
from test_plugin_hooks import deployed
from test_plugin_incident import listening

__all__ = ["deployed", "listening"]

STARTER = (resources.files("pytest_deploygate.cli") / "starter" / "conftest.py").read_text()


@pytest.fixture
def webhook(monkeypatch):
    """A chat webhook; returns what was posted to it."""
    posted = []

    class Chat(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            """Ignore it."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Chat) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("DEPLOYGATE_WEBHOOK", f"http://127.0.0.1:{server.server_port}/hooks/t0ken")
        yield posted
        server.shutdown()


def test_an_opened_incident_is_posted(deployed, webhook):
    (deployed.path / "conftest.py").write_text(STARTER)
    ran = deployed.run("-m", "golive")
    assert ran.code == 22
    assert webhook[0]["text"].startswith("opened: local, incident-1: c.errors failed")


def test_without_a_webhook_nothing_happens(deployed, monkeypatch):
    monkeypatch.delenv("DEPLOYGATE_WEBHOOK", raising=False)
    (deployed.path / "conftest.py").write_text(STARTER)
    ran = deployed.run("-m", "golive")
    assert (ran.code, "hook pytest_deploygate_notify" in ran.text) == (22, False)


def test_a_chat_that_is_down_is_reported_without_the_token_of_its_address(deployed, webhook, monkeypatch):
    """The address of a webhook is a secret, and the error of a hook is in the journal."""
    monkeypatch.setenv("DEPLOYGATE_WEBHOOK", "http://127.0.0.1:1/hooks/t0ken")
    (deployed.path / "conftest.py").write_text(STARTER)
    ran = deployed.run("-m", "golive")
    assert ran.code == 22
    assert "hook pytest_deploygate_notify: URLError" in ran.text
    assert "t0ken" not in ran.text + (deployed.out / "journal.jsonl").read_text()


OWN_FIXTURE = """
import pytest

@pytest.fixture
def allow_disruptive():
    return "what the team says"
"""


def test_a_fixture_replaces_the_shipped_one_of_its_name(project):
    project.suite(
        """
        @pytest.mark.item("b.notes")
        def test_notes(gate, allow_disruptive):
            says(gate, "fail", f"allowed: {allow_disruptive}")
        """
    )
    project.run("-m", "phase2")
    assert project.reason("b.notes") == "allowed: False"
    (project.path / "conftest.py").write_text(OWN_FIXTURE)
    project.run("-m", "phase2")
    assert project.reason("b.notes") == "allowed: what the team says"
