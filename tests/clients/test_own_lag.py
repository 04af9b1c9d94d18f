"""How late this process is, measured while it is stopped and while other processes take the processors."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pytest_deploygate.checks.uptime.probe.ask import ask
from pytest_deploygate.checks.uptime.section import WatchTarget
from pytest_deploygate.clients import own_lag


def stop_us(after_s: float, seconds: float) -> subprocess.Popen[bytes]:
    """Stop this process for a while, from another one."""
    script = f"sleep {after_s}; kill -STOP {os.getpid()}; sleep {seconds}; kill -CONT {os.getpid()}"
    return subprocess.Popen(["/bin/sh", "-c", script])


@contextmanager
def busy_processors() -> Iterator[None]:
    """Keep every processor busy, with two processes for each."""
    count = 2 * len(os.sched_getaffinity(0))
    hogs = [subprocess.Popen([sys.executable, "-c", "while 1: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


def test_a_process_that_was_stopped_knows_by_how_much() -> None:
    with own_lag.watching() as lag:
        began = time.monotonic()
        with stop_us(0.2, 0.8):
            time.sleep(0.5)  # ends when we go on
            assert lag.since(began).late_s > 0.5
            assert lag.fair_s(began) < 0.5
        time.sleep(0.3)
        assert lag.since(began).late_s > 0.5
        assert lag.since(time.monotonic() - 0.1).late_s < 0.5


def test_what_others_want_of_the_processors_is_counted() -> None:
    """Two busy processes for each processor: work here takes longer."""
    with busy_processors(), own_lag.watching() as lag:
        time.sleep(1.5)
        seen = lag.since()
    if seen.runnable is None:
        pytest.skip("this system does not report how many tasks are runnable")
    assert seen.runnable > seen.processors * 0.8
    assert seen.slower > 1.2


def test_our_own_threads_are_not_others() -> None:
    """A busy thread of ours is not counted as somebody else's."""
    with own_lag.watching() as lag:
        began, used = time.monotonic(), time.thread_time()
        while (
            time.monotonic() - began < 0.6 or time.thread_time() - used < 0.2
        ):  # others may want the processors, too
            pass
        seen = lag.since()
    assert seen.cpu_s > 0.1
    assert seen.over_s > 0.5


def test_a_watch_that_was_stopped_itself_saw_no_downtime() -> None:
    """The answer was there, but this process stood still until its time was up: unknown. A target that is silent is down."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = WatchTarget.model_validate(
            {"name": "front", "url": f"http://127.0.0.1:{silent.getsockname()[1]}/"}
        )
        with stop_us(0.2, 2.4):
            answer = asyncio.run(ask(target, 2.0))
        assert answer.up is None
        assert "late itself" in answer.why
        assert asyncio.run(ask(target, 2.0)).up is False


def test_a_watch_without_a_name_saw_no_downtime() -> None:
    """A name that does not resolve here is our own side's."""
    target = WatchTarget.model_validate({"name": "front", "url": "http://nowhere.invalid/"})
    assert asyncio.run(ask(target, 5.0)).up is None
    refused = WatchTarget.model_validate({"name": "front", "url": "http://127.0.0.1:1/"})
    assert asyncio.run(ask(refused, 5.0)).up is False
