"""The examples in docs/hooks.md work as described."""

from __future__ import annotations

import http.server
import json
import threading
from pathlib import Path

import pytest

from pytest_deploygate.checks.way_back.section.rollback import Step
from pytest_deploygate.journal import Writer
from pytest_deploygate.rollback import execution
from pytest_deploygate.rollback.actions import Tools
from pytest_deploygate.rollback.hooks import load

TEXT = (Path(__file__).parents[2] / "docs" / "hooks.md").read_text()
CHAT, OWN_STEP = (block.partition("```")[0] for block in TEXT.split("```python\n")[1:])


def test_the_chat_gets_each_event_and_a_chat_that_is_down_is_complained_of(tmp_path, monkeypatch):
    got: list[str] = []

    class Chat(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Ignore it."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Chat) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("CHAT_WEBHOOK", f"http://127.0.0.1:{server.server_port}/")
        (tmp_path / "conftest.py").write_text(CHAT)
        said: list[str] = []
        hooks = load(tmp_path, lambda where, what: said.append(f"{where}: {what}"))
        hooks.ask("pytest_deploygate_notify", event="rollback begun", text="CHG-1")
        server.shutdown()
        thread.join()
    assert (got, said) == (["rollback begun: CHG-1"], [])
    hooks.ask("pytest_deploygate_notify", event="rollback ended", text="CHG-1")
    assert said[0].startswith("pytest_deploygate_notify: ")


def test_a_step_of_ones_own_is_done_and_verified_by_the_hook(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conftest.py").write_text(OWN_STEP)
    (tmp_path / "feature-flags").mkdir()
    (tmp_path / "feature-flags" / "new-checkout").write_text("on")
    hooks = load(tmp_path, lambda where, what: pytest.fail(f"{where}: {what}"))
    step = Step(name="new checkout off", run="false", within="2s")  # type: ignore[arg-type]
    writer = Writer(tmp_path / "out")
    ended = execution.execute(writer, "r", [step], Tools("CHG-1", hooks, lambda _items: ""))
    writer.close()
    assert ended.verified
    assert not (tmp_path / "feature-flags" / "new-checkout").exists()
