"""`deploygate watch`: its record survives kill -9, is locked by one watch, and shows changes."""

from __future__ import annotations

import asyncio
import http.server
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import forked
import pytest

from pytest_deploygate.checks.uptime.probe.ask import Answer, ask
from pytest_deploygate.checks.uptime.probe.record import RecordError, Sample, Writer, read, running
from pytest_deploygate.checks.uptime.probe.watcher import Clock, Plan, Watcher
from pytest_deploygate.checks.uptime.section import WatchTarget

HEADER = {"inventory": "prod", "vantage": "here", "t0": 1000.0, "targets": {"front": "http://front 200"}}
RUN = {"run": 1, "at": 1000.0, "until": 2000.0, "every_s": 5.0, "pid": 1}


def sample(at: float, up: bool | None = True) -> dict[str, object]:
    return {"at": at, "n": "front", "up": up, "ms": 2.0}


def written(file: Path, *entries: dict[str, object]) -> Path:
    with Writer(file, HEADER) as writer:
        for entry in entries:
            writer.append(entry)
    return file


class Server:
    """A real HTTP server that counts the requests it answered; `status` can be changed."""

    def __init__(self) -> None:
        self.answered, self.status, self.delay_s = 0, 200, 0.0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                time.sleep(outer.delay_s)
                self.send_response(outer.status)
                self.send_header("Content-Length", "3")
                self.end_headers()
                self.wfile.write(b"ok\n")
                outer.answered += 1

            def log_message(self, *_: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.http.server_port
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.http.shutdown()
    found.http.server_close()


@pytest.fixture
def inventory(tmp_path: Path, server: Server) -> Path:
    file = tmp_path / "prod.yml"
    file.write_text(
        "name: prod\nuptime:\n  window: 1h\n  every: 100ms\n  targets:\n"
        f'    - {{name: front, url: "http://127.0.0.1:{server.port}/"}}\n'
        f'    - {{name: port, tcp: "127.0.0.1:{server.port}"}}\n'
    )
    return file


def command(inventory: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "pytest_deploygate", *words(inventory, *more)]


def words(inventory: Path, *more: str) -> list[str]:
    return ["watch", "--inventory", str(inventory), "--vantage", "x", *more]


def watch(inventory: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Watch to the end."""
    return forked.run("pytest_deploygate", words(inventory, *more), cwd=inventory.parent)


def record_of(inventory: Path) -> Path:
    return inventory.parent / "watch" / "prod.x.watch"


def until(true, within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def seen(file: Path) -> int:
    if not file.read_bytes():  # made, and not written yet
        return 0
    return sum(len([s for s in run.samples if s.target == "front"]) for run in read(file).runs)


def test_kill_nine_at_any_moment_loses_at_most_one_sample(inventory: Path, server: Server) -> None:
    """The server counts what it answered; after each kill at most one further answer is missing in the record."""
    file, moments = record_of(inventory), random.Random(7)
    kills = 6
    for number in range(kills):
        process = subprocess.Popen(command(inventory, "--t0", "now"), stdout=subprocess.DEVNULL)
        until(lambda: file.exists() and file.stat().st_size and len(read(file).runs) == number + 1)  # noqa: B023
        before = seen(file)
        until(lambda: seen(file) > before + 2)  # noqa: B023
        time.sleep(moments.random() * 0.15)
        process.kill()
        process.wait()
        assert server.answered - seen(file) <= number + 1
    found = read(file)
    assert len(found.runs) == kills
    # Not all: on a busy machine an answer may take longer than its limit of 100 ms.
    assert any(s.up for run in found.runs for s in run.samples)
    for run in found.runs:
        assert {s.target for s in run.samples} == {"front", "port"}


def test_the_status_of_a_named_record_tells_of_that_record(inventory: Path, tmp_path: Path) -> None:
    """Not of the inventory's own, whose day may be green while the named one holds nothing yet."""
    inventory.write_text(inventory.read_text().replace("window: 1h", "window: 1s\n  availability: 50"))
    assert watch(inventory, "--t0", "now").returncode == 0

    def verdicts(*more: str) -> set[str]:
        told = json.loads(watch(inventory, "--status", "--json", *more).stdout)
        return {target["verdict"] for target in told["targets"]}

    assert verdicts() == {"pass"}
    assert verdicts("--record", str(tmp_path / "other.watch")) == {"inconclusive"}


def test_the_status_without_any_watch_says_so(inventory: Path) -> None:
    done = watch(inventory, "--status")
    assert done.returncode == 1
    assert "no watch was started for" in done.stderr
    assert f"deploygate watch --inventory {yaml_name(inventory)} --detach" in done.stderr
    assert json.loads(watch(inventory, "--status", "--json").stdout)["running"] is False


def yaml_name(inventory: Path) -> str:
    return inventory.read_text().partition("name: ")[2].split()[0]


def test_an_outage_is_seen_and_the_watch_can_be_stopped(inventory: Path, server: Server) -> None:
    file = record_of(inventory)
    done = subprocess.run(
        command(inventory, "--t0", "now", "--detach"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    try:
        assert "watching in the background" in done.stdout
        until(lambda: seen(file) > 1)
        server.status = 503
        until(lambda: any(s.up is False for r in read(file).runs for s in r.samples))
        refused = watch(inventory)
        assert refused.returncode == 1
        assert "is in use by a running watch" in refused.stderr
        told = json.loads(watch(inventory, "--status", "--json").stdout)
        assert told["running"] is True
        assert {t["name"]: t["verdict"] for t in told["targets"]}["port"] == "inconclusive"
    finally:
        stopped = watch(inventory, "--stop")
    assert stopped.returncode == 0, stopped.stderr
    assert running(file) is None
    last = read(file).runs[-1]
    assert last.ended == "stopped"
    # On a busy machine an answer may also be late; what counts is that the outage is recorded as it was.
    assert "HTTP 503, expected 200" in {s.why for s in last.samples if s.target == "front" and not s.up}
    assert all(s.up for s in last.samples if s.target == "port")


def test_without_t0_nothing_is_watched(inventory: Path) -> None:
    done = watch(inventory)
    assert done.returncode == 4
    assert "it is not known when the window begins" in done.stderr
    assert not record_of(inventory).exists()


def test_an_unfinished_last_line_is_left_out_and_cut_off(tmp_path: Path) -> None:
    file = written(tmp_path / "w", RUN, sample(1000), sample(1005))
    whole = file.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for length in range(last + 1, len(whole)):
        file.write_bytes(whole[:length])
        found = read(file)
        assert found.torn
        assert [s.at for s in found.runs[0].samples] == [1000]
    written(file, sample(1010))
    assert [s.at for s in read(file).runs[0].samples] == [1000, 1010]
    assert not read(file).torn


def test_a_torn_first_line_begins_anew(tmp_path: Path) -> None:
    file = written(tmp_path / "w")
    file.write_bytes(file.read_bytes()[:-5])
    written(file, RUN, sample(1000))
    assert len(read(file).runs[0].samples) == 1


def test_every_changed_missing_or_moved_line_is_noticed(tmp_path: Path) -> None:
    """In each line but the last any byte may be changed, and any line may be removed or duplicated."""
    file = written(tmp_path / "w", RUN, *(sample(1000 + 5 * n, n != 3) for n in range(6)))
    lines = file.read_bytes().splitlines(keepends=True)
    for number in range(len(lines) - 1):
        line = lines[number]
        for at in range(0, len(line) - 1, 7):
            changed = line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :]
            if b"\n" in changed[:-1]:
                continue
            file.write_bytes(b"".join([*lines[:number], changed, *lines[number + 1 :]]))
            with pytest.raises(RecordError):
                read(file)
        for other in ([], [line, line]):
            file.write_bytes(b"".join([*lines[:number], *other, *lines[number + 1 :]]))
            with pytest.raises(RecordError):
                read(file)


def test_two_writers_on_one_file_are_refused(tmp_path: Path) -> None:
    with Writer(tmp_path / "w", HEADER) as writer:
        writer.append(RUN | {"pid": os.getpid()})
        with pytest.raises(RecordError, match=rf"process {os.getpid()}"):
            Writer(tmp_path / "w", HEADER)
    Writer(tmp_path / "w", HEADER).__exit__(None, None, None)


@pytest.mark.parametrize(
    ("key", "value"),
    [("inventory", "staging"), ("vantage", "there"), ("targets", {"front": "http://other 200"})],
)
def test_a_record_of_something_else_is_not_gone_on_with(tmp_path: Path, key: str, value: object) -> None:
    file = written(tmp_path / "w", RUN, sample(1000))
    with pytest.raises(RecordError, match="of another"):
        Writer(file, HEADER | {key: value})
    assert len(read(file).runs[0].samples) == 1


def test_another_file_is_no_record(tmp_path: Path) -> None:
    (tmp_path / "w").write_text("hello\nworld\n")
    with pytest.raises(RecordError):
        Writer(tmp_path / "w", HEADER)
    assert (tmp_path / "w").read_text() == "hello\nworld\n"


class Hands:
    """Clocks that a test sets."""

    def __init__(self) -> None:
        self.wall, self.steady = 5000.0, 100.0

    def clock(self) -> Clock:
        return Clock(lambda: self.wall, lambda: self.steady)


def watched(file: Path, answers: int, on_question, until_s: float = 60.0) -> list[Sample]:
    """Run a watch with clocks set by hand until it ends; `on_question(hands, number)` may move them."""
    hands, told = Hands(), list[Sample]()

    async def question(_target: WatchTarget) -> Answer:
        on_question(hands, len(told))
        if len(told) + 1 >= answers:
            watcher.stopped.set()
        return Answer(True, 1.0)

    target = WatchTarget(name="front", tcp="127.0.0.1:1")
    with Writer(file, HEADER) as writer:
        watcher = Watcher(
            Plan([target], 0.01, 5000.0 + until_s), writer, question, told.append, hands.clock()
        )
        asyncio.run(watcher.run())
    return told


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_a_jump_of_the_clock_is_noted_and_moves_no_sample(tmp_path: Path, jump: float) -> None:
    def on_question(hands: Hands, number: int) -> None:
        hands.wall += 0.01 + (jump if number == 3 else 0)
        hands.steady += 0.01

    told = watched(tmp_path / "w", 8, on_question)
    assert [round(s.at - 5000, 2) for s in told] == [round(n * 0.01, 2) for n in range(8)]
    ((_, moved),) = read(tmp_path / "w").runs[0].clock
    assert moved == pytest.approx(jump, abs=0.1)


def test_missed_questions_are_not_made_up_for(tmp_path: Path) -> None:
    """A machine that slept for ten seconds has a gap, and continues at once."""

    def on_question(hands: Hands, number: int) -> None:
        step = 10.0 if number == 2 else 0.01
        hands.wall, hands.steady = hands.wall + step, hands.steady + step

    told = watched(tmp_path / "w", 6, on_question)
    steps = [round(b.at - a.at, 2) for a, b in itertools.pairwise(told)]
    assert steps == [0.01, 0.01, 10.0, 0.01, 0.01]


def asked(timeout_s: float = 2.0, control: str | None = None, **target: object) -> Answer:
    return asyncio.run(ask(WatchTarget.model_validate({"name": "x"} | target), timeout_s, control))


def test_up_needs_status_and_body(server: Server) -> None:
    url = f"http://127.0.0.1:{server.port}/"
    assert asked(url=url, contains="ok").up is True
    assert "without 'fine'" in asked(url=url, contains="fine").why
    assert asked(url=url, status=204).why == "HTTP 200, expected 204"


def test_no_answer_in_time_is_down(server: Server) -> None:
    server.delay_s = 1.0
    answer = asked(0.1, url=f"http://127.0.0.1:{server.port}/")
    assert (answer.up, answer.why) == (False, "no answer within 0.1 s")


@pytest.mark.parametrize("left", [None, "no certificate"])
def test_certificates_that_we_lost_are_no_outage(server: Server, tmp_path: Path, left: str | None) -> None:
    """The target was not requested, so its state is unknown."""
    ours = tmp_path / "ca.pem"
    ours.write_text("here when the inventory was read")
    target = WatchTarget(name="front", url=f"http://127.0.0.1:{server.port}/", ca_file=ours)
    ours.unlink() if left is None else ours.write_text(left)
    answer = asyncio.run(ask(target, 2.0))
    assert (answer.up, str(ours) in answer.why) == (None, True)


def test_a_closed_port_is_down_and_unknown_while_the_control_is_gone_too(server: Server) -> None:
    closed = "127.0.0.1:1"
    assert asked(tcp=closed).up is False
    assert "cannot be reached" in asked(url=f"http://{closed}/").why
    assert asked(tcp=closed, control=f"127.0.0.1:{server.port}").up is False
    assert asked(tcp=closed, control="127.0.0.1:2").up is None
    assert asked(tcp=f"127.0.0.1:{server.port}", control="127.0.0.1:2").up is True


def test_a_database_that_is_not_there_is_down_and_its_password_is_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WATCH_PW", "correct-horse")
    answer = asked(postgres="postgresql://u@127.0.0.1:1/db", password="env:WATCH_PW")
    assert answer.up is False
    assert "correct-horse" not in answer.why


def test_ctrl_c_ends_a_watch_politely(inventory: Path) -> None:
    watch = subprocess.Popen(command(inventory, "--t0", "now"), stdout=subprocess.PIPE, text=True)
    until(lambda: record_of(inventory).exists() and seen(record_of(inventory)) > 1)
    watch.send_signal(signal.SIGINT)
    said, _ = watch.communicate(timeout=10)
    assert watch.returncode == 0
    assert "the same command continues it" in said
