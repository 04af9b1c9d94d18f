# ruff: noqa: PT012 (what a block sends is what is tested)
"""The budget of active probes: limits, a stop that ends what waits, and a service that suffers; over threads, forks, workers."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from slow_server import Answer, serving

from pytest_deploygate.clients import budget as budgets
from pytest_deploygate.clients import stopping
from pytest_deploygate.clients.budget import AGENT, HEADER, Budget, Ended, unrecorded
from pytest_deploygate.clients.host import commands
from pytest_deploygate.clients.http import whole
from pytest_deploygate.clients.ledger import Ledger
from pytest_deploygate.judging.spending import Baseline, Bounds, Limits


@pytest.fixture
def stop_file(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "STOP"
    stopping.begin(file)
    yield file
    stopping.begin(None)


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def later(file: Path, after_s: float = 0.3) -> None:
    threading.Timer(after_s, stopping.stop, (file, "a test")).start()


def sleeps() -> None:
    with contextlib.suppress(Ended):
        commands.run("sleep 20")


def only(found: Budget):
    (entry,) = found.ledger.entries()
    return entry


def test_a_probe_is_refused_what_its_budget_does_not_have():
    found = unrecorded("sec.waf", Limits(requests=3))
    with pytest.raises(Ended) as ended, found.probe("corpus", unwatched="a test") as spending:
        for _ in range(5):
            with spending.request(100) as asked:
                asked.answered(1000)
    assert ended.value.how == "spent"
    assert "corpus of sec.waf was ended: the 3 requests of its budget are used up" in str(ended.value)
    assert "blast_radius.items.sec.waf" in str(ended.value)
    entry = only(found)
    assert (entry.requests, entry.sent_bytes, entry.received_bytes, entry.peak) == (3, 300, 3000, 1)
    assert entry.ended == ("spent",)
    assert entry.unwatched == "a test"


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(sent_bytes=150), "the 150 bytes sent"),
        (Limits(received_bytes=1500), "the 1 500 bytes received"),
        (Limits(connections=2), "the 2 connections"),
    ],
)
def test_bytes_and_connections_are_limited_too(limits: Limits, words: str):
    found = unrecorded("sec.ddos", limits)
    with pytest.raises(Ended, match=words), found.probe("burst") as spending:
        for _ in range(5):
            with spending.request(60, connects=True) as asked:
                asked.answered(800)


def test_time_ends_what_waits():
    found = unrecorded("db.restore", Limits(seconds=0.3))
    began = time.monotonic()
    with pytest.raises(Ended, match=r"its 0\.3 seconds are used up"), found.probe("restore"):
        time.sleep(20)
    assert time.monotonic() - began < 1.3
    assert only(found).ended == ("time",)


def test_concurrency_is_counted_over_threads():
    found = unrecorded("sec.ddos", Limits(concurrency=4))
    with found.probe("burst") as spending:
        assert spending.at_once(16) == 4
        hold = threading.Barrier(4)

        def one(_: int) -> None:
            with spending.request() as asked:
                hold.wait(5)
                asked.answered(1)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(one, range(4)))
    assert only(found).peak == 4


def test_forks_draw_on_one_budget(tmp_path: Path):
    """Ten processes together send as much as one may."""
    found = Budget("sec.waf", Ledger(tmp_path / ".spent-1"), Limits(requests=50))
    children = []
    for _ in range(10):
        if (child := os.fork()) == 0:
            sent = 0
            with contextlib.suppress(Ended), found.probe("corpus") as spending:
                for _ in range(20):
                    with spending.request(1) as asked:
                        sent += 1
                        asked.answered(1)
            os._exit(sent)
        children.append(child)
    sent = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert sum(sent) == 50
    entry = only(found)
    assert entry.requests == 50
    assert entry.runs == 10
    assert "spent" in entry.ended


def test_a_process_that_died_is_in_the_ledger(tmp_path: Path):
    found = Budget("db.pooling", Ledger(tmp_path / ".spent-1"))
    if (child := os.fork()) == 0:
        with found.probe("pressure") as spending:
            spending.take()
            os._exit(9)
    os.waitpid(child, 0)
    assert only(found).ended == ("",)
    assert only(found).requests == 1


@pytest.mark.parametrize("waits", ["asleep", "socket", "request", "subprocess", "lock", "thread", "pool"])
def test_the_stop_file_ends_what_waits_within_a_second(stop_file: Path, waits: str):
    found = unrecorded("sec.waf")
    later(stop_file)
    began = time.monotonic()
    with silent() as port, pytest.raises(Ended) as ended, found.probe("corpus") as spending:
        spending.take()
        if waits == "asleep":
            time.sleep(20)
        elif waits == "socket":
            with socket.create_connection(("127.0.0.1", port)) as there:
                there.recv(1)
        elif waits == "request":
            whole.request("GET", f"http://127.0.0.1:{port}/", 20)
        elif waits == "subprocess":
            commands.run("sleep 20 & sleep 20; wait", within_s=20)
        elif waits == "lock":
            threading.Event().wait(20)
        elif waits == "thread":
            thread = threading.Thread(target=sleeps)
            thread.start()
            thread.join()
        else:
            with ThreadPoolExecutor(4) as pool:
                pool.map(lambda _: whole.request("GET", f"http://127.0.0.1:{port}/", 20), range(8))
        pytest.fail("it went on")
    assert time.monotonic() - began < 1.3
    assert ended.value.how == "stopped"
    assert f"stopped by the stop file {stop_file} (a test)" in str(ended.value)
    entry = only(found)
    assert entry.ended == ("stopped",)
    assert entry.stop_s is not None
    assert entry.stop_s < 1.0


def test_a_statement_of_a_library_in_c_is_ended(stop_file: Path):
    """libcurl waits in poll(2)."""
    import pycurl

    later(stop_file)
    began = time.monotonic()
    with silent() as port, pytest.raises(Ended), unrecorded().probe("load"):
        curl = pycurl.Curl()
        curl.setopt(pycurl.URL, f"http://127.0.0.1:{port}/")
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.XFERINFOFUNCTION, lambda *_: 0)
        curl.setopt(pycurl.NOPROGRESS, 0)
        curl.setopt(pycurl.TIMEOUT, 20)
        curl.perform()
    assert time.monotonic() - began < 1.5


def test_nothing_begins_while_the_stop_file_is_there(stop_file: Path):
    stopping.stop(stop_file, "the platform lead")
    found = unrecorded()
    with pytest.raises(Ended, match="the platform lead"), found.probe("corpus"):
        pytest.fail("it began")


def test_a_shield_lets_a_probe_restore_what_it_broke(stop_file: Path):
    later(stop_file, 0.1)
    restored = False
    with pytest.raises(Ended), unrecorded().probe("drill"):
        with stopping.shielded():
            time.sleep(0.4)
            assert commands.run("true").problem == ""
            restored = True
        pytest.fail("it went on")
    assert restored


def test_a_signal_makes_the_stop_file(stop_file: Path):
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1)).start()
    with pytest.raises(Ended, match="signal SIGUSR1"), unrecorded().probe("corpus"):
        time.sleep(20)
    assert stop_file.exists()


def test_a_forked_probe_is_stopped_too(stop_file: Path):
    children = []
    with pytest.raises(Ended), unrecorded().probe("corpus"):
        if (child := os.fork()) == 0:
            try:
                time.sleep(20)
            except Ended:
                os._exit(7)
        children.append(child)
        time.sleep(0.2)
        began = time.monotonic()
        stopping.stop(stop_file, "a test")
        time.sleep(20)
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 7
    assert time.monotonic() - began < 1.0


def test_a_stop_is_not_an_answer(stop_file: Path):
    """A probe that takes any exception for an answer is ended all the same."""
    later(stop_file, 0.1)
    with pytest.raises(Ended), unrecorded().probe("corpus") as spending:
        for _ in range(100):
            with contextlib.suppress(Exception), spending.request() as asked:
                time.sleep(0.1)
                asked.answered(1)


def test_outside_of_a_probe_nothing_is_cut(stop_file: Path):
    stopping.stop(stop_file, "a test")
    assert commands.run("true").problem == ""


def test_a_service_whose_errors_rise_ends_the_probe():
    """The control is answered well before and then with errors: the probe ends by itself, and soon."""
    bad_from = [0.0]

    def answer(_number: int, _since: float) -> Answer:
        return Answer(status=503 if bad_from[0] and time.monotonic() > bad_from[0] else 200)

    with serving(answer) as server:
        url = f"http://127.0.0.1:{server.port}/healthz"
        found = unrecorded("sec.waf")
        with (
            pytest.raises(Ended) as ended,
            found.probe(
                "corpus", control=lambda: whole.request("GET", url, 2).status_code == 200
            ) as spending,
        ):
            bad_from[0] = time.monotonic() + 0.2
            while time.monotonic() < bad_from[0] + 20:
                spending.check()
                time.sleep(0.02)
    assert ended.value.how == "harm"
    assert "of the service's last" in str(ended.value)
    entry = only(found)
    assert entry.before is not None
    assert (entry.before.answers, entry.before.wrong) == (5, 0)
    assert entry.harm_s is not None
    assert entry.harm_s < 1.0
    assert entry.wrong >= 2


@pytest.mark.alone
def test_a_service_that_becomes_slow_ends_the_probe():
    slow = threading.Event()

    def answer(_number: int, _since: float) -> Answer:
        return Answer(after_s=0.9 if slow.is_set() else 0.0)

    with serving(answer) as server:
        url = f"http://127.0.0.1:{server.port}/healthz"
        with (
            pytest.raises(Ended, match="median latency rose to"),
            unrecorded().probe("corpus", control=lambda: whole.request("GET", url, 3).ok),
        ):
            slow.set()
            time.sleep(20)


@pytest.mark.alone
def test_a_service_that_hangs_ends_the_probe():
    hangs = threading.Event()

    def answer(_number: int, _since: float) -> Answer:
        return Answer(after_s=30.0 if hangs.is_set() else 0.0)

    with serving(answer) as server:
        url = f"http://127.0.0.1:{server.port}/healthz"
        began = time.monotonic()
        with (
            pytest.raises(Ended, match="a harmless request has had no answer for"),
            unrecorded().probe("corpus", control=lambda: whole.request("GET", url, 30).ok),
        ):
            hangs.set()
            time.sleep(20)
        assert time.monotonic() - began < 6


def test_one_slow_answer_does_not_end_a_probe():
    """A worker that starts anew, or a pause of this machine."""

    def answer(number: int, _since: float) -> Answer:
        return Answer(after_s=1.3 if number == 7 else 0.0)

    with serving(answer) as server:
        url = f"http://127.0.0.1:{server.port}/healthz"
        found = unrecorded()
        with found.probe("corpus", control=lambda: whole.request("GET", url, 5).ok):
            time.sleep(2.5)
        assert len(server.seen) > 7
    assert only(found).ended == ("done",)


def test_no_probe_begins_on_a_service_that_is_ill():
    with (
        serving(lambda _n, _t: Answer(status=500)) as server,
        pytest.raises(Ended, match="was not begun: 5 of 5 harmless requests were answered with errors"),
        unrecorded("sec.waf").probe(
            "corpus", control=lambda: whole.request("GET", f"http://127.0.0.1:{server.port}/", 2).ok
        ),
    ):
        pytest.fail("it began")


def test_errors_that_were_there_before_do_not_end_a_probe():
    found = unrecorded()
    with found.probe("corpus") as spending:
        spending.calm(Baseline(10, 3, 0.01))
        for number in range(40):
            spending.saw(0.01, wrong=number % 3 == 0)


def test_what_was_left_behind_is_in_the_ledger(tmp_path: Path):
    left, gone = tmp_path / "left", tmp_path / "gone"
    found = unrecorded()
    with found.probe("restore") as spending:
        left.touch()
        spending.leaves(f"folder {left}", lambda: not left.exists())
        spending.leaves(f"folder {gone}", lambda: not gone.exists())
        gone.touch()
    gone.unlink()  # cleaned up after the probe
    found.close()
    assert only(found).left == (f"folder {left}",)


def test_operators_can_tell_our_requests():
    with serving() as server, unrecorded("sec.waf").probe("corpus") as spending:
        whole.request("GET", f"http://127.0.0.1:{server.port}/", 2, headers=dict(spending.headers))
    assert f"User-Agent: {AGENT}" in server.seen[0]
    assert f"{HEADER}: sec.waf" in server.seen[0]
    assert AGENT.startswith("deploygate/")


def test_every_limit_can_be_lowered():
    assert Limits().lowered({"requests": 5}).requests == 5
    assert Bounds().errors < 1


def test_the_counters_cost_little():
    """A burst of thousands of requests per second must not wait for its own bookkeeping."""
    with unrecorded(limits=Limits(requests=20_000)).probe("burst") as spending:
        began = time.thread_time()
        for _ in range(5000):
            spending.take()
            spending.give(received_bytes=10)
    assert (time.thread_time() - began) / 5000 < 0.0002


def test_the_module_is_light():
    """It is imported at the start of a run that uses the fixture."""
    code = "import sys, pytest_deploygate.clients.budget as b; print([m for m in ('requests','psycopg','jinja2','rich') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert budgets.__all__


def test_who_notices_a_stop_first_leaves_no_thread_waiting(stop_file: Path):
    """The main thread looks often enough to see the file itself: sockets of its threads were never cut then."""

    def wait(port: int) -> None:
        with (
            socket.create_connection(("127.0.0.1", port)) as there,
            stopping.cutting(lambda: there.shutdown(socket.SHUT_RDWR)),
        ):
            there.settimeout(20)
            there.recv(1)

    later(stop_file)
    began = time.monotonic()
    with (
        silent() as port,
        pytest.raises(Ended),
        unrecorded("sec.waf").probe("corpus", unwatched="a test") as spending,
        ThreadPoolExecutor(4) as pool,
    ):
        for _ in range(4):
            pool.submit(wait, port)
        while True:
            spending.check()
    assert time.monotonic() - began < 5


def test_an_ending_between_two_steps_of_a_thread_is_not_missed(stop_file: Path, monkeypatch):
    """A thread that is about to wait registers what to cut before it looks whether it may begin."""
    before = stopping.may_begin

    def slow() -> None:
        before()
        time.sleep(0.5)  # the stop is asked for, and carried out, meanwhile

    def wait(port: int) -> None:
        with (
            socket.create_connection(("127.0.0.1", port)) as there,
            stopping.cutting(lambda: there.shutdown(socket.SHUT_RDWR)),
        ):
            there.settimeout(20)
            there.recv(1)

    monkeypatch.setattr(stopping, "may_begin", slow)
    later(stop_file, 0.2)
    began = time.monotonic()
    with (
        silent() as port,
        pytest.raises(Ended),
        unrecorded("sec.waf").probe("corpus", unwatched="a test"),
        ThreadPoolExecutor(1) as pool,
    ):
        pool.submit(wait, port).result()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("together", "words"),
    [
        (Limits(requests=5), "the 5 requests"),
        (Limits(sent_bytes=500), "the 500 bytes sent"),
        (Limits(connections=5), "the 5 connections"),
    ],
)
def test_all_probes_draw_on_what_they_have_together(together: Limits, words: str):
    """Each has enough of its own; the second one meets the limit of all, and the ledger has the sum."""
    ledger = Ledger(together=together)
    with Budget("infra.cdn", ledger).probe("asset", unwatched="a test") as spending:
        send(spending, 3)
    with pytest.raises(Ended) as ended, Budget("sec.waf", ledger).probe("corpus", unwatched="a test") as more:
        send(more, 3)
    assert ended.value.how == "spent"
    assert f"corpus of sec.waf was ended: {words} of the budget of all probes together are used up" in str(
        ended.value
    )
    assert "raise `blast_radius.together`" in str(ended.value)
    whole = ledger.of_all()
    assert whole is not None
    assert (whole.requests, whole.connections, whole.sent_bytes) == (5, 5, 500)


def send(spending, number: int) -> None:
    for _ in range(number):
        with spending.request(100, connects=True) as asked:
            asked.answered(10)


def test_time_concurrency_and_lots_of_all_probes_together():
    ledger = Ledger(together=Limits(requests=7, concurrency=3, seconds=0.3))
    with Budget("crit.p50", ledger).probe("load") as load:
        assert load.at_once(64) == 3
        assert load.reserve(5) == 5
        load.give_back(1)
    with Budget("sec.waf", ledger).probe("corpus") as corpus:
        assert corpus.reserve(9) == 3
    with (
        pytest.raises(Ended, match=r"the 0\.3 seconds of all probes together"),
        Budget("db.restore", ledger).probe("restore"),
    ):
        time.sleep(20)


def test_without_a_limit_for_all_probes_nothing_is_said_of_them():
    assert Ledger().of_all() is None


def test_answers_are_taken_from_many_threads_at_once():
    """They change the same list of the last answers."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with unrecorded("infra.cdn").probe("asset") as spending:
            spending.calm(Baseline(10, 0, 0.01))

            def take(_: int) -> None:
                for _ in range(200):
                    spending.saw(0.01, wrong=False)

            with ThreadPoolExecutor(8) as pool:
                list(pool.map(take, range(8)))
    finally:
        sys.setswitchinterval(before)
