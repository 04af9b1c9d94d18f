"""Who is on call: calendars as they are written, and the two services by their documentation, checked strictly."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from pytest_deploygate.checks.on_call import probe
from pytest_deploygate.checks.on_call.facts import Rota
from pytest_deploygate.checks.on_call.section import OnCall
from pytest_deploygate.model import CannotTell

NOW = datetime(2026, 12, 1, 6, tzinfo=UTC)
KEY = "key-of-the-schedule"
Answers = Callable[[str, dict[str, list[str]], dict[str, str]], tuple[int, Any]]


@contextmanager
def serving(answers: Answers) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            status, said = answers(unquote(parts.path), parse_qs(parts.query), dict(self.headers))
            raw = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def read(**source: object) -> Rota:
    return probe.read(OnCall.model_validate({"during": "24h", **source}), NOW)


def calendar(tmp_path: Path, *events: str, **more: object) -> Rota:
    file = tmp_path / "on-call.ics"
    text = "\n".join(("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//t//EN", *events, "END:VCALENDAR", ""))
    file.write_text(text.replace("\n", "\r\n"))
    return read(calendar={"file": str(file), **more})


def event(*lines: str) -> str:
    return "\n".join(("BEGIN:VEVENT", "UID:1@example.com", "DTSTAMP:20261101T000000Z", *lines, "END:VEVENT"))


def hours(rota: Rota) -> list[tuple[float, float]]:
    return [
        ((one.start - NOW) / timedelta(hours=1), (one.end - NOW) / timedelta(hours=1)) for one in rota.shifts
    ]


def test_a_recurring_event_with_a_zone_an_exception_and_a_moved_one(tmp_path: Path) -> None:
    zone = ("DTSTART;TZID=Europe/Berlin:20261101T080000", "DTEND;TZID=Europe/Berlin:20261101T200000")
    found = calendar(
        tmp_path,
        event(*zone, "RRULE:FREQ=DAILY", "ATTENDEE;CN=Night rota:mailto:night@example.com"),
    )
    assert hours(found) == [(1.0, 13.0)]
    assert found.shifts[0].who == ("night@example.com", "Night rota")
    gone = event(*zone, "RRULE:FREQ=DAILY", "EXDATE;TZID=Europe/Berlin:20261201T080000", "SUMMARY:lead")
    assert calendar(tmp_path, gone).shifts == ()
    moved = event(
        "RECURRENCE-ID;TZID=Europe/Berlin:20261201T080000",
        "DTSTART;TZID=Europe/Berlin:20261201T120000",
        "DTEND;TZID=Europe/Berlin:20261201T140000",
        "SUMMARY:other",
    )
    found = calendar(tmp_path, event(*zone, "RRULE:FREQ=DAILY", "SUMMARY:lead"), moved)
    assert [(one.who, h) for one, h in zip(found.shifts, hours(found), strict=True)] == [
        (("other",), (5.0, 7.0))
    ]


def test_whole_days_and_times_without_a_zone_are_in_the_zone_of_the_inventory(tmp_path: Path) -> None:
    day = event("DTSTART;VALUE=DATE:20261201", "DTEND;VALUE=DATE:20261202", "SUMMARY:lead")
    assert hours(calendar(tmp_path, day, zone="Europe/Berlin")) == [(-7.0, 17.0)]
    plain = event("DTSTART:20261201T080000", "DTEND:20261201T100000", "SUMMARY:lead")
    assert hours(calendar(tmp_path, plain, zone="Europe/Berlin")) == [(1.0, 3.0)]


def test_a_cancelled_event_is_none(tmp_path: Path) -> None:
    gone = event("DTSTART:20261201T080000Z", "DTEND:20261201T100000Z", "STATUS:CANCELLED", "SUMMARY:lead")
    assert calendar(tmp_path, gone).shifts == ()


def test_a_page_in_place_of_a_calendar_is_no_empty_calendar() -> None:
    with (
        serving(lambda *_: (200, b"<html>Log in</html>")) as url,
        pytest.raises(CannotTell, match="is no iCalendar"),
    ):
        read(calendar={"url": url})
    with serving(lambda *_: (500, b"")) as url, pytest.raises(CannotTell, match="answered 500"):
        read(calendar={"url": url})


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("ON_CALL_KEY", KEY)
    return "env:ON_CALL_KEY"


def one_of_pagerduty(start: str | None, end: str | None) -> dict[str, Any]:
    user = {
        "id": "PX1",
        "type": "user",
        "summary": "Night rota",
        "name": "Night rota",
        "email": "night@example.com",
    }
    return {"user": user, "schedule": {"id": "PI7DH85"}, "escalation_level": 1, "start": start, "end": end}


def pagerduty(path: str, query: dict[str, list[str]], headers: dict[str, str]) -> tuple[int, Any]:
    assert path == "/oncalls"
    assert headers["Authorization"] == f"Token token={KEY}"
    assert headers["Accept"] == "application/vnd.pagerduty+json;version=2"
    assert query["schedule_ids[]"] == ["PI7DH85"]
    assert query["include[]"] == ["users"]
    assert (query["since"], query["until"]) == (["2026-12-01T06:00:00Z"], ["2026-12-02T06:00:00Z"])
    page = int(query["offset"][0])
    shift = one_of_pagerduty("2026-12-01T00:00:00-05:00", "2026-12-02T00:00:00-05:00")
    return 200, {"oncalls": [one_of_pagerduty(None, None) if page else shift], "more": not page, "limit": 100}


def test_pagerduty_with_two_pages_and_somebody_who_is_always_on_call(key: str) -> None:
    with serving(pagerduty) as url:
        found = read(pagerduty={"url": url, "schedule": "PI7DH85", "key": key})
    assert hours(found) == [(-1.0, 23.0), (0.0, 24.0)]
    assert found.shifts[0].who == ("night@example.com", "Night rota")


def opsgenie(path: str, query: dict[str, list[str]], headers: dict[str, str]) -> tuple[int, Any]:
    assert path == "/v2/schedules/first line/timeline"
    assert headers["Authorization"] == f"GenieKey {KEY}"
    assert query["identifierType"] == ["name"]
    assert (query["interval"], query["intervalUnit"]) == (["2"], ["days"])
    assert query["date"] == ["2026-12-01T06:00:00Z"]
    period = {
        "startDate": "2026-12-01T05:00:00Z",
        "endDate": "2026-12-02T05:00:00Z",
        "type": "default",
        "recipient": {"id": "b5b9", "type": "user", "name": "night@example.com"},
    }
    nobody = period | {"recipient": {"type": "none"}}
    return 200, {
        "data": {"finalTimeline": {"rotations": [{"name": "r", "periods": [period, nobody]}, {"name": "e"}]}}
    }


def test_opsgenie(key: str) -> None:
    with serving(opsgenie) as url:
        found = read(opsgenie={"url": url, "schedule": "first line", "key": key})
    assert hours(found) == [(-1.0, 23.0)]
    assert found.shifts[0].who == ("night@example.com",)


@pytest.mark.parametrize(
    ("status", "said", "words"),
    [
        (401, {}, "the key is not valid, or may not read schedules"),
        (404, {}, "there is no such schedule"),
        (429, {}, "too many requests"),
        (302, {}, "answered 302"),
        (200, {"oncalls": [{}], "more": False}, "another form than documented"),
        (200, {"error": "x"}, "another form than documented"),
        (200, b"<html>", "is not JSON"),
    ],
)
def test_an_answer_that_says_nothing_is_no_empty_schedule(
    key: str, status: int, said: Any, words: str
) -> None:
    with serving(lambda *_: (status, said)) as url, pytest.raises(CannotTell, match=words) as raised:
        read(pagerduty={"url": url, "schedule": "P", "key": key})
    assert KEY not in str(raised.value)


def test_nothing_listens(key: str) -> None:
    with serving(pagerduty) as url:
        pass
    with pytest.raises(CannotTell, match="PagerDuty cannot be asked who is on call: no connection"):
        read(pagerduty={"url": url, "schedule": "P", "key": key})


def test_a_hook() -> None:
    said = '[{"who": "lead", "start": "2026-12-01T06:00:00Z", "end": "2026-12-02T06:00:00Z"}]'
    assert hours(read(hook={"run": f"echo '{said}'"})) == [(0.0, 24.0)]
    with pytest.raises(CannotTell, match="ended with exit code 3: no rota"):
        read(hook={"run": "echo no rota >&2; exit 3"})
    with pytest.raises(CannotTell, match="is not JSON"):
        read(hook={"run": "echo nobody"})
    with pytest.raises(CannotTell, match="another form"):
        read(hook={"run": 'echo \'[{"who": "lead", "start": "2026-12-01", "end": "x"}]\''})
