"""Pages read from a real server on loopback: their dates and resources, answers that are cut off, and the drill."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
import time
from datetime import UTC, datetime

import pytest

from pytest_deploygate.checks.pages import judge, probe
from pytest_deploygate.checks.pages.section import Pages, PolicyPage
from pytest_deploygate.model import Verdict

PAGE = """<html><head><title>t</title><style>body{background:url(/bg.png)}</style></head>
<body><p>Last updated: 14 November 2026</p><img src="data:image/png;base64,AA"><img src="logo.png"><script>var d="2027-01-01"</script>
<a href="https://elsewhere.example">a link</a></body></html>"""


@pytest.fixture
def site(tmp_path):
    """Pages by path; `/app` answers 200 while the file `up` is there, else 502."""
    up = tmp_path / "up"
    up.touch()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            with contextlib.suppress(OSError):
                getattr(self, f"_{self.path.strip('/')}")()

        def _say(self, status, body, **headers):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        def _page(self):
            self._say(200, PAGE.encode(), Set_Cookie="seen=1")

        def _maintenance(self):
            self._say(503, b"<html>back soon</html>", Retry_After="600")

        def _app(self):
            self._say(200 if up.exists() else 502, b"app")

        def _broken(self):
            self._say(200, b"no gzip", Content_Encoding="gzip")

        def _endless(self):
            self._say(200, b"")
            while True:
                self.wfile.write(b"x" * 20_000)
                time.sleep(0.05)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_what_a_page_states_and_loads(site):
    """Only visible dates; what a browser would fetch, but no links and nothing inlined."""
    found = probe.read(PolicyPage(url=f"{site}/page"), Pages())
    assert found.status == 200
    assert [day.isoformat() for day in found.dates] == ["2026-11-14"]
    assert sorted(found.outside) == ["/bg.png", "logo.png"]
    assert found.cookies == ("seen",)


@pytest.mark.parametrize("path", ["broken", "endless"])
def test_an_answer_that_breaks_off_or_does_not_end_is_no_page(site, path):
    """Neither an exception nor a partial page."""
    found = probe.read(PolicyPage(url=f"{site}/{path}"), Pages.model_validate({"timeout": "500ms"}))
    assert found.status is None
    assert found.problem


def test_nobody_there_is_no_page():
    found = probe.read(PolicyPage(url="http://127.0.0.1:1/"), Pages.model_validate({"timeout": "500ms"}))
    assert found.status is None
    assert "no connection" in found.problem


def drilled(site, tmp_path, stop, start):
    drill = {
        "stop": stop,
        "start": start,
        "application": f"{site}/app",
        "record": str(tmp_path / "drill.json"),
    }
    return Pages.model_validate({"maintenance": {"url": f"{site}/maintenance", "drill": drill}})


def test_the_drill_stops_reads_and_starts_and_its_record_can_be_read(site, tmp_path):
    pages = drilled(site, tmp_path, f"rm {tmp_path}/up", f"touch {tmp_path}/up")
    record = probe.drill(pages)
    assert (record.outcome, record.facts.application_down, record.facts.status) == ("good", True, 503)
    assert (tmp_path / "up").exists()
    kept = probe.maintenance(pages.maintenance, pages, None, "prod")
    assert kept.drill.record == record
    assert record.facts.sha256 == kept.page.sha256
    assert judge.judge_drill(kept, pages.maintenance).verdict is Verdict.PASS


def test_a_record_of_an_earlier_version_is_read(site, tmp_path):
    """It names no configuration, so it no longer counts, and the reason says so."""
    pages = drilled(site, tmp_path, "true", "true")
    page = probe.read(pages.maintenance, pages)
    old = {
        "at": datetime.now(UTC).isoformat(),
        "status": 503,
        "sha256": page.sha256,
        "application_down": True,
    }
    (tmp_path / "drill.json").write_text(json.dumps(old | {"outcome": "good"}))
    found = probe.maintenance(pages.maintenance, pages, None, "prod")
    assert found.drill.record.facts.sha256 == page.sha256
    assert "the record names no configuration" in judge.judge_drill(found, pages.maintenance).reason


def test_a_record_that_is_none_is_said(site, tmp_path):
    pages = drilled(site, tmp_path, "true", "true")
    (tmp_path / "drill.json").write_text("{")
    found = judge.judge_drill(probe.maintenance(pages.maintenance, pages, None), pages.maintenance)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "drill.json cannot be read" in found.reason


@pytest.mark.parametrize(
    ("stop", "start", "says"),
    [("true", "true", "still answered after the stop"), ("rm {0}/up", "true", "did not answer again")],
)
def test_a_drill_that_did_not_go_as_meant_says_so(site, tmp_path, monkeypatch, stop, start, says):
    """An application that did not stop, and one that did not start again."""
    monkeypatch.setattr(probe, "_CHANGES_S", 1.0)
    record = probe.drill(drilled(site, tmp_path, stop.format(tmp_path), start))
    assert record.outcome == "failed"
    assert says in record.reason
