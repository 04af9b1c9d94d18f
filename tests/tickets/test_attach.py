"""`deploygate attach` at each system, over HTTP, with every request checked."""

from __future__ import annotations

import io
import json
import stat
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from tickets_servers import TOKEN

from pytest_deploygate import journal
from pytest_deploygate.files import sha256


def posts(desk):
    """Requests that bring a file."""
    ends = ("/attachments", "/attachment/file", "/assets", "/uploads")
    return [a for a in desk.system.asked if a.method == "POST" and a.path.endswith(ends)]


UPLOADS = {"servicenow": "attachment/file", "jira": "attachments", "github": "7/assets", "gitlab": "uploads"}


def upload(desk) -> str:
    return UPLOADS[str(desk.system.entry["system"])]


def test_everything_is_attached_once(desk):
    done = desk.attach()
    assert done.exit_code == 0, done.output
    desk.whole()
    assert done.output.startswith(f"{desk.ticket}: attached\n")
    there = dict(desk.system.files)
    report = next(raw for name, raw in there.items() if name.endswith(".html"))
    assert report == (desk.folder / "signoff.html").read_bytes()
    for name, raw in there.items():
        assert sha256(raw)[:16] in name
    head = journal.read(desk.folder)[0][-1].sha256
    assert head in json.dumps(desk.system.comments)
    again = desk.attach()
    assert again.exit_code == 0
    assert "everything was there already" in again.output
    assert len(posts(desk)) == 2
    desk.whole()


def test_the_archive_proves_the_report(desk):
    assert desk.attach().exit_code == 0
    raw = next(raw for name, raw in desk.system.files if name.endswith(".zip"))
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        sums = dict(line.split("  ")[::-1] for line in archive.read("SHA256SUMS").decode().splitlines())
        assert {name: sha256(archive.read(name)) for name in names if name != "SHA256SUMS"} == sums
    assert {"journal.jsonl", "verdicts.json", "junit.xml", "signoff.html"} <= {*names}
    assert not any(name.startswith("tickets") for name in names)


def test_another_machine_sends_nothing_again(desk):
    """Without the log in the folder the ticket alone says what it has."""
    assert desk.attach().exit_code == 0
    for file in (desk.folder / "tickets").glob("*.jsonl"):
        file.unlink()
    assert "everything was there already" in desk.attach().output
    desk.whole()


@pytest.mark.parametrize("how", ["cut", "lost"])
def test_an_upload_that_breaks_off_is_mended(desk, how):
    """`cut`: the server has a part of the body; `lost`: it has the file, and its answer never came."""
    desk.system.breaks.append((upload(desk), how, None))
    first = desk.attach()
    assert first.exit_code == 1
    assert "Run the same command again: it looks before it sends" in first.output
    second = desk.attach()
    assert second.exit_code == 0, second.output
    desk.whole()


def test_a_comment_whose_answer_is_lost_is_not_repeated(desk):
    end = {"servicenow": "change_request/9d385017c611228701d22104cc95c371", "jira": "comment", "github": "POST /repos/acme/shop/issues/42/comments", "gitlab": "POST /api/v4/projects/acme%2Fshop/issues/42/notes"}  # fmt: skip
    system = str(desk.system.entry["system"])
    word = (
        f"POST /rest/api/{3 if getattr(desk.system, 'cloud', False) else 2}/issue/OPS-42/comment"
        if system == "jira"
        else end[system]
    )
    desk.system.breaks.append((word, "lost", None))
    first = desk.attach()
    assert first.exit_code == 1, first.output
    assert "whether the comment arrived is not known" in first.output
    assert desk.attach().exit_code == 0
    desk.whole()


def test_an_upload_that_appears_late_is_waited_for(desk):
    """The server has it and lists it only after a while: it is not sent again before `settle` is over."""
    if hasattr(desk.system, "attached"):
        return  # there only a note attaches: an upload that no note links to is in no ticket
    desk.configure(settle="60s")
    desk.system.breaks.append((upload(desk), "lost", None))
    assert desk.attach().exit_code == 1
    sent = len(posts(desk))
    looks = iter(range(100))
    desk.system.shown = lambda: desk.system.files if next(looks) > 1 else []
    done = desk.attach()
    assert done.exit_code == 0, done.output
    assert len(posts(desk)) == sent + 1  # the archive alone
    desk.whole()


def test_rate_limits_are_respected(desk):
    desk.system.breaks.append((upload(desk), "answer", (429, {"message": "slow down"}, {"Retry-After": "0"})))
    desk.system.breaks.append((upload(desk), "answer", (503, None, {"Retry-After": "0"})))
    assert desk.attach().exit_code == 0
    desk.whole()


def test_a_wait_beyond_patience_is_told(desk):
    answer = (429, {"message": "slow down"}, {"Retry-After": "3600"})
    desk.system.breaks.append((upload(desk), "answer", answer))
    done = desk.attach()
    assert done.exit_code == 1
    assert "asks to come back after 3600 s, and `patience` allows 60 s" in done.output
    assert desk.attach().exit_code == 0
    desk.whole()


def test_a_redirect_does_not_carry_the_token(desk):
    seen = []

    class Other(BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append(dict(self.headers))
            self.send_response(200)
            self.end_headers()

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_args):
            pass

    other = HTTPServer(("127.0.0.1", 0), Other)
    threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    to = f"http://127.0.0.1:{other.server_port}/x"
    desk.system.breaks.append((upload(desk), "answer", (307, None, {"Location": to})))
    done = desk.attach()
    other.shutdown()
    other.server_close()
    assert done.exit_code == 4
    assert f"redirects to 127.0.0.1:{other.server_port}; the token was not sent there" in done.output
    assert seen == []


def test_a_wrong_login(desk, monkeypatch):
    monkeypatch.setenv("TICKET_TOKEN", "another-wrong-token")
    done = desk.attach()
    assert done.exit_code == 4
    assert "HTTP 401: the login of `tickets` is not accepted" in done.output
    assert "another-wrong-token" not in done.output


def test_a_ticket_that_is_not_there(desk):
    desk.key = {"42": "43", "OPS-42": "OPS-43", "CHG0030001": "CHG0030002"}[desk.key]
    done = desk.attach()
    assert done.exit_code == 4
    assert desk.key in done.output
    assert "or this login may not see it" in done.output


def test_nobody_answers(desk):
    desk.configure(url="http://127.0.0.1:1")
    done = desk.attach()
    assert done.exit_code == 1
    assert "connection refused" in done.output


def test_a_damaged_attachment_is_named(desk):
    assert desk.attach().exit_code == 0
    if hasattr(desk.system, "attached"):
        return  # a note with a link says no size
    name, raw = desk.system.files[0]
    desk.system.files[0] = name, raw[:-5]
    done = desk.attach()
    assert done.exit_code == 4
    assert f"has an attachment {name} with {len(raw) - 5:,} bytes, ours has {len(raw):,}" in done.output


def test_a_dry_run_sends_nothing(desk):
    done = desk.attach("--dry-run", "--json")
    told = json.loads(done.output)
    assert (len(told["would_send"]), told["there"], told["would_comment"]) == (2, [], True)
    assert all(asked.method == "GET" for asked in desk.system.asked)
    assert "would send" in desk.attach("--dry-run").output


def test_logs_are_private_and_hold_no_secret(desk):
    assert desk.attach().exit_code == 0
    (log,) = (desk.folder / "tickets").glob("*.jsonl")
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert TOKEN not in log.read_text()
    with log.open("a") as file:
        file.write('{"what": "beg')  # a killed command
    assert desk.attach().exit_code == 0
    desk.whole()


def test_json_has_stable_keys(desk):
    told = json.loads(desk.attach("--json").output)
    assert list(told) == ["ticket", "sent", "there", "commented", "journal_head", "notes"]
    assert len(told["sent"]) == 2
