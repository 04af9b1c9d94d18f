"""Slack, Teams and other services, by documentation only: local servers that check each request strictly."""

from __future__ import annotations

import html
import http.server
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from notices_sent import go, notices, put

from pytest_deploygate.notices import message
from pytest_deploygate.notices.record import State
from pytest_deploygate.notices.templates import Rendered


class Hook(http.server.ThreadingHTTPServer):
    """Answers as it is told, and keeps what came."""

    daemon_threads = True

    def __init__(self) -> None:
        self.answer: tuple[int, str] = (200, "ok")
        self.came: list[tuple[dict[str, str], Any]] = []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(http.server.BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.headers["Content-Type"].startswith("application/json")
        self.server.came.append(({key.lower(): value for key, value in self.headers.items()}, body))
        status, text = self.server.answer
        if status == 0:
            self.connection.close()
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def hook() -> Iterator[Hook]:
    server = Hook()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def telling(hook: Hook, kind: str, monkeypatch: pytest.MonkeyPatch, **more: Any):
    monkeypatch.setenv("HOOK", f"http://127.0.0.1:{hook.server_port}/services/T0/B0/not-to-be-shown")
    channel = {"name": "operations", "kind": kind, "url": "env:HOOK", "timeout": "30s"} | more
    return notices(channels=[channel], audiences=[{"name": "customers", "channels": ["operations"]}])


def test_slack_gets_text_and_blocks(hook, folder: Path, monkeypatch) -> None:
    section = telling(hook, "slack", monkeypatch).model_copy(update={"action": "a < b & c."})
    put(section, folder)
    (known,) = go(section, folder)
    assert known.state is State.ACCEPTED
    ((_, body),) = hook.came
    assert set(body) == {"text", "blocks"}
    assert [block["type"] for block in body["blocks"]] == ["header", "section"]
    assert "a &lt; b &amp; c." in body["blocks"][1]["text"]["text"]
    assert len(body["blocks"][1]["text"]["text"]) <= 3000
    put(section, folder)
    go(section, folder)
    assert len(hook.came) == 1


def test_long_text_for_slack_is_cut_between_lines_and_never_in_an_escape(monkeypatch) -> None:
    monkeypatch.setenv("HOOK", "https://hooks.example.com/x")
    channel = notices(channels=[{"name": "ops", "kind": "slack", "url": "env:HOOK"}]).channels[0]
    text = "\n".join(["a & b " * 60, "<" * 4000, "last"] * 3)
    body = message.document(channel, Rendered("News", text, ""), {})
    parts = [block["text"]["text"] for block in body["blocks"][1:]]
    assert max(map(len, parts)) <= 3000
    assert html.unescape("".join(parts)) == text
    assert all(re.fullmatch(r"(?:[^&]|&(?:amp|lt|gt);)*", part) for part in parts)


def test_teams_gets_an_adaptive_card(hook, folder: Path, monkeypatch) -> None:
    hook.answer = (202, "")
    section = telling(hook, "teams", monkeypatch)
    put(section, folder)
    (known,) = go(section, folder)
    assert known.state is State.ACCEPTED
    ((_, body),) = hook.came
    (attachment,) = body["attachments"]
    assert body["type"] == "message"
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert attachment["content"]["type"] == "AdaptiveCard"
    assert {element["type"] for element in attachment["content"]["body"]} == {"TextBlock"}


def test_json_has_a_key_that_stays(hook, folder: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOOK_TOKEN", "token-not-to-be-shown")
    hook.answer = (503, "busy")
    section = telling(hook, "json", monkeypatch, token="env:HOOK_TOKEN")
    put(section, folder)
    (known,) = go(section, folder)
    assert (known.state, known.said) == (State.WAITING, "503 busy (for now)")
    hook.answer = (200, "")
    (known,) = go(section, folder)
    assert known.state is State.ACCEPTED
    (first, body), (second, _) = hook.came
    assert first["idempotency-key"] == second["idempotency-key"] == body["id"]
    assert first["authorization"] == "Bearer token-not-to-be-shown"
    kept = (folder / "journal.jsonl").read_text()
    assert "not-to-be-shown" not in kept


@pytest.mark.parametrize(
    ("answer", "state", "said"),
    [
        ((403, "invalid_token"), State.REFUSED, "403 invalid_token"),
        ((404, "no_service"), State.REFUSED, "404 no_service"),
        ((429, "rate_limited"), State.WAITING, "429 rate_limited (for now)"),
        ((302, ""), State.REFUSED, "302: redirects are not followed; name the address itself"),
        ((200, "<html>Log in</html>"), State.UNCERTAIN, "200 <html>Log in</html>: Slack answers `ok`"),
        ((504, "gateway"), State.UNCERTAIN, "504 gateway: a proxy answered, so it may have arrived"),
        ((0, ""), State.UNCERTAIN, "the connection was closed before the answer: it may have arrived"),
    ],
)
def test_answers(hook, folder: Path, monkeypatch, answer, state: State, said: str) -> None:
    hook.answer = answer
    section = telling(hook, "slack", monkeypatch)
    put(section, folder)
    (known,) = go(section, folder)
    assert (known.state, known.said) == (state, said)


def test_nobody_listens_to_the_webhook(hook, folder: Path, monkeypatch) -> None:
    section = telling(hook, "slack", monkeypatch)
    hook.shutdown()
    hook.server_close()
    put(section, folder)
    (known,) = go(section, folder)
    assert (known.state, known.said) == (State.WAITING, "it cannot be reached: nothing was sent")
