"""The live page over HTTP: journals by the journal's own writer, a real server, a real client."""

from __future__ import annotations

import http.client
import json
import shutil

import pytest
from live_journal import Change, served

from pytest_deploygate.journal import FILE
from pytest_deploygate.model import Verdict
from pytest_deploygate.report.live.parts import NAMES as ORDER


def ask(port, path="/", method="GET", host=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, headers={**({"Host": host} if host else {}), **headers})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer, text


class Events:
    """A client of the events; `until` returns the first page that has all texts."""

    def __init__(self, port):
        self.parts = {}
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self.connection.request("GET", "/events")
        self.answer = self.connection.getresponse()
        assert self.answer.headers["Content-Type"].startswith("text/event-stream")

    def until(self, *texts):
        name = ""
        while line := self.answer.readline().decode():
            if line.startswith("event: "):
                name = line[7:].strip()
            elif line.startswith("data: ") and name == "parts":
                self.latest = json.loads(line[6:])
                self.parts |= self.latest
                page = "".join(self.parts[name] for name in ORDER)
                page += "".join(text for name, text in self.parts.items() if name not in ORDER)
                if all(text in page for text in texts):
                    return page
        raise AssertionError(f"the events ended without {texts}")

    def close(self):
        self.answer.close()
        self.connection.close()


@pytest.fixture
def following():
    opened = []

    def follow(port):
        opened.append(Events(port))
        return opened[-1]

    yield follow
    for events in opened:
        events.close()


def test_items_come_as_a_run_writes_them_and_red_is_first(tmp_path, following):
    with served(tmp_path) as port:
        events = following(port)
        assert "There is no journal" in events.until("CANNOT TELL")
        change = Change(tmp_path).begin()
        events.until("RUNNING", "0 of 4 items", "Nothing so far")
        change.finds("phase2.item-0")
        events.until("1 of 4 items")
        change.finds("golive.item-1", Verdict.FAIL, "db1 lags 9 s, limit 5 s <b>")
        page = events.until("1 item failed so far", "db1 lags 9 s, limit 5 s &lt;b&gt;")
        assert page.index("Needs action (1)") < page.index("Phases") < page.index("Who must sign")
        change.incident()
        events.until("Clock: decide", "data-until=", "INC-1")
        for item in ("phase2.item-2", "golive.item-3"):
            change.finds(item)
        change.ends()
        assert "RUNNING" not in events.until("HOLD", "4 of 4 items", "Release manager")


def test_large_counts_are_grouped_everywhere(tmp_path, following):
    with served(tmp_path) as port:
        change = Change(tmp_path, 3000).begin()
        for item in change.items[:1500]:
            change.finds(item, Verdict.FAIL if item.startswith("golive.") else Verdict.PASS)
        page = following(port).until("1,500 of 3,000 items")
        assert all(words in page for words in ("750 fail", "750 waiting", "And 710 more", "and 1,470 more"))
        for item in change.items[1500:]:
            change.finds(item, Verdict.FAIL)
        change.writer.close()
        following(port).until("3,000 of 3,000 items", "Needs action (2,250)", "1,500 fail")


def test_only_the_parts_that_change_are_sent(tmp_path, following):
    change = Change(tmp_path).begin()
    with served(tmp_path) as port:
        events = following(port)
        events.until("0 of 4 items")
        assert {*events.latest} == {*ORDER, "phases-0", "phases-1"}
        change.finds("phase2.item-0")
        events.until("1 of 4 items")
        assert {*events.latest} == {"top", "phases-0", "newest"}
        change.finds("golive.item-1", Verdict.FAIL, "db1 lags 9 s")
        events.until("db1 lags 9 s")
        assert {*events.latest} == {"top", "phases-1", "newest", "red"}
    change.writer.close()


def test_go_is_shown_and_expires_while_nobody_writes(tmp_path, following):
    change = Change(tmp_path).begin(valid_s=2.5)
    for item in change.items:
        change.finds(item)
    change.ends()
    with served(tmp_path) as port:
        events = following(port)
        events.until('class="outcome">GO</span>')
        events.until('class="outcome">GO EXPIRED</span>', "run the phase again")


def test_a_torn_last_line_is_said_and_not_counted(tmp_path):
    change = Change(tmp_path).begin()
    change.finds("phase2.item-0")
    change.writer.close()
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"at":"2026')
    with served(tmp_path) as port:
        _, text = ask(port)
    assert "The last line of the journal is unfinished" in text
    assert "1 of 4 items" in text
    assert "If no line follows for long" in text


def test_a_broken_chain_shows_no_verdict(tmp_path, following):
    change = Change(tmp_path).begin()
    for item in change.items:
        change.finds(item)
    change.ends()
    with served(tmp_path) as port:
        events = following(port)
        events.until('class="outcome">GO</span>')
        raw = (tmp_path / FILE).read_bytes()
        (tmp_path / FILE).write_bytes(raw.replace(b"0.2 s", b"0.1 s", 1))
        page = events.until("CANNOT TELL", "The journal cannot be trusted")
    assert ">GO<" not in page


def test_a_journal_that_goes_and_one_that_takes_its_place(tmp_path, following):
    folder = tmp_path / "change"
    change = Change(folder).begin()
    change.writer.close()
    with served(folder) as port:
        events = following(port)
        events.until("RUNNING")
        shutil.move(folder, tmp_path / "aside")
        events.until("CANNOT TELL", "is gone")
        Change(folder).begin("run-2").writer.close()
        events.until("RUNNING", "Another journal took this one")


def test_an_empty_journal_and_a_folder_in_its_place_are_said(tmp_path, following):
    with served(tmp_path) as port:
        events = following(port)
        (tmp_path / FILE).touch()
        events.until("The journal has no run yet")
        (tmp_path / FILE).unlink()
        (tmp_path / FILE).mkdir()
        events.until("CANNOT TELL", "cannot be read")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_any_other_method_is_refused(tmp_path, method):
    with served(tmp_path) as port:
        answer, text = ask(port, method=method)
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
        assert "read-only" in text
        assert ask(port, method="HEAD")[1] == ""


def test_answers_are_not_stored_and_load_nothing_from_elsewhere(tmp_path):
    Change(tmp_path).begin().writer.close()
    with served(tmp_path) as port:
        answer, text = ask(port)
        assert ask(port, "/journal.jsonl")[0].status == 404
        assert ask(port, "/../journal.jsonl")[0].status == 404
    assert answer.headers["Cache-Control"] == "no-store"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http:" not in text
    assert "https:" not in text
    assert '<noscript><meta http-equiv="refresh" content="5">' in text


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:1", 200), ("localhost", 200), ("gate.example.com:8642", 200), ("evil.example", 421),
     ("127.0.0.1.evil.example:80", 421)],
)  # fmt: skip
def test_it_answers_to_its_own_names_alone(tmp_path, host, status):
    with served(tmp_path, names=("gate.example.com",)) as port:
        assert ask(port, host=host)[0].status == status


def test_a_token_opens_page_and_events_by_header_or_address(tmp_path):
    token = "a-token-of-some-length"
    with served(tmp_path, token) as port:
        for path in ("/", "/events", "/?token=", "/?token=wrong", "/events?token=%C3%A4"):
            answer, text = ask(port, path)
            assert answer.status == 401
            assert token not in text
        assert ask(port, Authorization=f"Bearer {token}")[0].status == 200
        answer, text = ask(port, f"/?token={token}")
        assert answer.status == 200
        assert token not in text
