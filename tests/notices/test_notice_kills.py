"""A command that is killed anywhere between two calls: nothing is sent twice, and nothing is lost."""

from __future__ import annotations

import os
import signal
import smtplib
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType

import pytest
from mail_server import HOST
from notices_sent import PEOPLE, from_a_shell, go, notices, put

from pytest_deploygate.notices import sending
from pytest_deploygate.notices.record import Log, State

#: The modules between whose calls a process is killed.
_PLACES = (
    "/pytest_deploygate/notices/",
    "/pytest_deploygate/journal/",
    "/pytest_deploygate/files/",
    "smtplib.py",
)


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """A mail server in a process of its own: its port, and where it puts mails before it answers."""
    folder = tmp_path_factory.mktemp("boxes")
    program = Path(__file__).with_name("mail_server.py")
    server = subprocess.Popen([sys.executable, program, folder], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield int(server.stdout.readline()), folder
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def killed_at(event: int, port: int, folder: Path) -> bool:
    """Queue and send in a child, which is killed at its n-th call. Returns whether it was: else it has ended before."""
    child = os.fork()
    if child == 0:
        seen = 0

        def count(frame: FrameType, kind: str, _arg: object) -> None:
            nonlocal seen
            if kind in ("call", "return") and any(place in frame.f_code.co_filename for place in _PLACES):
                seen += 1
                if seen == event:
                    os.kill(os.getpid(), signal.SIGKILL)

        code = 1
        try:
            sys.setprofile(count)
            section = notices(port)
            put(section, folder)
            go(section, folder)
            sys.setprofile(None)
            if event == 0:
                (folder.parent / "calls").write_text(str(seen))
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def calls(port: int, folder: Path) -> int:
    """How many calls there are in all."""
    killed_at(0, port, folder)
    return int((folder.parent / "calls").read_text())


def wait_until_idle(port: int) -> None:
    """Wait until the server has noticed that the killed client is gone: then its mailboxes are as they stay."""
    with smtplib.SMTP(HOST, port, timeout=20) as client:
        while client.docmd("VRFY", "connections")[1] != b"1":
            time.sleep(0.01)


def mend(port: int, folder: Path, boxes: Path) -> set[str]:
    """Do what a person does next: answer truly what is uncertain, and send again. Returns the states met."""
    section = notices(port)
    put(section, folder)
    log = Log(folder)
    met = set()
    for message, known in log.known.items():
        met.add(known.state.value)
        if known.state is State.UNCERTAIN:
            arrived = any(message in path.read_text() for path in boxes.glob("*/*"))
            log.answer(message, sent=arrived, by="tester")
    sending.tidy(log, folder)
    with from_a_shell():
        sending.send(section, log, folder, sending.due(log))
    assert {known.state for known in log.known.values()} == {State.ACCEPTED}
    log.close()
    return met


def tried(points: Iterable[int], boxes: tuple[int, Path], tmp_path: Path) -> set[str]:
    """Kill at points, of which 100 are spread over all calls; each is mended. Returns the states met."""
    port, place = boxes
    last = calls(port, tmp_path / "whole" / "notices")
    met: set[str] = set()
    for n in points:
        for box in place.glob("*/*"):
            box.unlink()
        folder = tmp_path / f"CHG-{n}" / "notices"
        assert killed_at(1 + n * (last - 1) // 100, port, folder)
        wait_until_idle(port)
        met |= mend(port, folder, place)
        assert [len(list((place / who).glob("*"))) for who in PEOPLE] == [1, 1, 1], n
        assert list((folder / "queue").iterdir()) == []
    return met


def test_nothing_is_sent_twice_in_ten_kills(boxes, tmp_path) -> None:
    tried(range(5, 100, 10), boxes, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("part", [part for part in range(10) if part != 5])
def test_nothing_is_sent_twice_in_the_other_ninety(boxes, tmp_path, part: int) -> None:
    assert tried(range(part, 100, 10), boxes, tmp_path) >= {"waiting", "accepted"}
