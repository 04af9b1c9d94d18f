"""Looking at documents over HTTP and in a repository."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pytest_deploygate.checks.handover import probe
from pytest_deploygate.checks.handover.facts import DocumentSeen
from pytest_deploygate.checks.handover.section import Handover
from pytest_deploygate.model import NotCovered

LAST = "Tue, 01 Dec 2026 06:00:00 GMT"
ANSWERS: dict[str, tuple[int, dict[str, str], str]] = {
    "/runbook": (200, {"Last-Modified": LAST, "Content-Type": "text/html"}, "<p>Version 2</p>"),
    "/undated": (200, {"Content-Type": "text/html"}, "<p>Version 2</p>"),
    "/odd": (200, {"Last-Modified": "yesterday"}, "Version 2"),
    "/moved": (301, {"Location": "/runbook"}, ""),
    "/private": (302, {"Location": "/sso/login?next=x"}, ""),
    "/sso/login?next=x": (200, {"Content-Type": "text/html"}, "Welcome"),
    "/form": (200, {"Content-Type": "text/html; charset=utf-8"}, "<INPUT name=p TYPE=password>"),
    "/401": (401, {}, ""),
    "/500": (500, {}, ""),
    "/OPS-17": (200, {}, "open"),
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, text = ANSWERS.get(self.path, (404, {}, "none"))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(text))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def seen(**document: object) -> DocumentSeen:
    base = {"item": "hand.runbook", "name": "runbook", "owner": "operations-manager", "says": "Version 2"}
    return probe.documents(Handover.model_validate({"documents": [base | document]}), "hand.runbook")[0]


def test_a_page_with_its_date(url: str) -> None:
    found = seen(url=f"{url}/runbook")
    assert found.link.good
    assert (found.changed, found.by) == (datetime(2026, 12, 1, 6, tzinfo=UTC), "its server (Last-Modified)")
    assert found.lacks == ()
    assert seen(url=f"{url}/moved").link.good
    assert seen(url=f"{url}/runbook", says="Version 3").lacks == ("Version 3",)


def test_the_inventory_says_the_date_where_nothing_else_does(url: str) -> None:
    assert seen(url=f"{url}/undated").unknown_age == "its server sends no Last-Modified that can be read"
    assert seen(url=f"{url}/odd").changed is None
    found = seen(url=f"{url}/undated", changed=date(2026, 12, 1))
    assert (found.changed, found.by) == (datetime(2026, 12, 1, tzinfo=UTC), "the inventory")


@pytest.mark.parametrize("path", ["/private", "/form", "/401"])
def test_a_login_is_no_answer(url: str, path: str) -> None:
    found = seen(url=url + path).link
    assert found.login
    assert not found.gone


def test_what_is_gone_and_what_does_not_answer_are_different(url: str) -> None:
    assert seen(url=f"{url}/none").link.gone
    assert "it answered 500" in seen(url=f"{url}/500").link.problem
    assert "connection refused" in seen(url="http://127.0.0.1:9/").link.problem


def test_a_file_has_the_date_of_its_last_commit(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        around = {
            "GIT_COMMITTER_DATE": "2026-11-30T08:00:00Z",
            "GIT_AUTHOR_DATE": "2026-11-30T08:00:00Z",
            "PATH": "/usr/bin:/bin",
        }
        named = ("-c", "user.name=x", "-c", "user.email=x@example.com")
        subprocess.run(["git", *named, *arguments], cwd=tmp_path, env=around, check=True, capture_output=True)

    file = tmp_path / "runbook.md"
    file.write_text("Version 2\n")
    assert seen(file=str(file)).unknown_age == "it is in no git work tree"
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "begin")
    assert seen(file=str(file)).unknown_age == "no commit has it"
    git("add", ".")
    git("commit", "-q", "-m", "runbook")
    found = seen(file=str(file))
    assert (found.changed, found.by) == (datetime(2026, 11, 30, 8, tzinfo=UTC), "git")
    assert seen(file=str(tmp_path / "none.md")).link.gone


def test_tickets_are_asked_for_where_the_tracker_is_known(url: str) -> None:
    entries = [
        {"what": "an index", "owner": "technical-lead", "ticket": key} for key in ("OPS-17", "OPS-18", "")
    ]
    found = probe.improvements(
        Handover.model_validate({"improvements": entries, "tracker": f"{url}/{{key}}"})
    )
    assert [one.link.good if one.link else None for one in found] == [True, False, None]


def test_without_an_entry_the_item_is_not_covered_and_it_is_said_what_to_add() -> None:
    with pytest.raises(NotCovered, match=r"handover\.documents has none for hand\.runbook; add"):
        probe.documents(Handover(), "hand.runbook")
    with pytest.raises(NotCovered, match=r"handover\.briefings has none for hand\.briefing; add"):
        probe.briefings(Handover(), "hand.briefing")
    with pytest.raises(NotCovered, match=r"handover\.improvements is empty"):
        probe.improvements(Handover())
