"""Running commands on a host, and reading what `systemctl show` prints."""

from __future__ import annotations

import contextlib
import copy
import functools
import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import testinfra
from testinfra.backend.base import CommandResult

from pytest_deploygate.clients import reach, stopping
from pytest_deploygate.clients.host import session, ssh, tied
from pytest_deploygate.model import CannotTell, NotReached
from pytest_deploygate.redaction import redact

#: A search in large log files may take minutes.
WITHIN_S = 300.0
#: `timeout` on the host ends a command first, so that nothing is left running there.
GRACE_S = 15.0

_TIME = re.compile(r"(?:[A-Z][a-z]{2} )?(\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2})(?:\.\d+)? (?:UTC|GMT)")
_EPOCH = re.compile(r"@(\d+)(?:\.\d+)?")


class Shell(Protocol):
    """Runs a command on some host: each `%s` in it is replaced by a quoted argument. Raises CannotTell if the host cannot be reached."""

    def __call__(self, command: str, *arguments: str) -> tuple[int, str, str]:
        """Return exit code, output, and errors on one line."""
        ...


def unit_properties(lines: Iterable[str]) -> dict[str, str]:
    """Read `Name=value` lines."""
    pairs = (line.partition("=") for line in lines)
    return {name.strip(): value.strip() for name, equals, value in pairs if equals}


def unit_time(text: str) -> datetime | None:
    """Read a time that systemctl printed with TZ=UTC; None for `n/a`, nothing, or another form."""
    if found := _TIME.fullmatch(text.strip()):
        return datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    if found := _EPOCH.fullmatch(text.strip()):
        return datetime.fromtimestamp(int(found[1]), UTC)
    return None


_SPAN = re.compile(r"(\d+(?:\.\d+)?)(y|month|w|d|h|min|s|ms|us)")
_UNIT_S = {"y": 31_557_600.0, "month": 2_629_800.0, "w": 604_800.0, "d": 86_400.0, "h": 3600.0, "min": 60.0, "s": 1.0,
           "ms": 1e-3, "us": 1e-6}  # fmt: skip


def unit_span(text: str) -> timedelta:
    """Read a span that systemctl printed (`1h 30min`); no time at all for `0`, nothing, or another form."""
    return timedelta(seconds=sum(float(n) * _UNIT_S[unit] for n, unit in _SPAN.findall(text)))


#: What ssh says when the gate's own key or list of known hosts is the cause.
_NOT_LET_IN = re.compile(
    r"Permission denied \(|Host key verification failed|Too many authentication failures|No such identity"
)
_SAID = re.compile(r"_stderr=b['\"](.*?)['\"]\)")


@functools.cache
def backend(name: str) -> Any:
    """Return the testinfra backend of a host, the same one each time."""
    if name.startswith("ansible://"):
        from pytest_deploygate.clients.host import through_ansible  # noqa: PLC0415 (for hosts that need it)

        return through_ansible.backend(name)
    return testinfra.get_host(name, **(ssh.options(name) if name.startswith("ssh://") else {})).backend


def bounded(backend: Any, within_s: float, given: bytes = b"", *, held: bool = False) -> Any:
    """Return a testinfra backend with a time limit; it has none, and a command that never ends would hang us.

    `given` is what commands read from their standard input, which is then at its end, or stays open while it is `held`.
    """

    def run_local(command: str, *arguments: str) -> Any:
        stopping.may_begin()
        line = own.encode(own.quote(command, *arguments))
        with (
            _input(given, held=held) as read,
            subprocess.Popen(
                ["/bin/sh", "-c", line],
                stdin=read,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            ) as process,
            stopping.cutting(lambda: session.kill(process.pid)),
        ):
            try:
                out, err = process.communicate(timeout=within_s)
            except subprocess.TimeoutExpired:
                session.kill(process.pid)
                raise TimeoutError(f"the command did not end within {within_s:g} s") from None
        # Not `backend.result`, which logs the output: what a host prints may be a secret.
        return CommandResult(own, process.returncode, line, out, err)

    own = copy.copy(backend)
    own.run_local = run_local
    return own


@contextlib.contextmanager
def _input(given: bytes, *, held: bool) -> Iterator[int]:
    """Yield a descriptor from which a process reads what is given, and then waits for as long as it is held."""
    if not given and not held:
        yield subprocess.DEVNULL
        return
    with contextlib.ExitStack() as closing:
        read, write = os.pipe()
        closing.callback(os.close, read)
        os.write(write, given)  # a password: less than a pipe holds
        if held:
            closing.callback(os.close, write)
        else:
            os.close(write)
        yield read


@contextlib.contextmanager
def accessing(place: str) -> Iterator[None]:
    """Turn every error of a connection into CannotTell; a place that was silent before is not waited for again."""
    if silence := reach.known(place):
        raise NotReached(f"{place} cannot be accessed: {silence.said}{silence.when}")
    try:
        yield
    except TimeoutError as error:
        raise CannotTell(f"{place}: {error}; check the load and the disks of that host") from None
    except CannotTell:
        raise
    except Exception as error:  # each backend raises its own
        # testinfra puts the whole result of ssh into its error; the message of ssh is enough.
        said = _SAID.search(str(error))
        words = said[1].replace("\\r", "").replace("\\n", " ").strip() if said else str(error)
        if reach.no_answer_in(words):
            reach.silent(place, redact(words))
        ours = reach.why_ours_in(words) or reach.no_answer_in(words) or _NOT_LET_IN.search(words)
        kind = NotReached if ours else CannotTell
        raise kind(f"{place} cannot be accessed: {redact(words) or type(error).__name__}") from error


def text(output: bytes) -> str:
    """Decode what a host printed. testinfra would ask the host for its encoding, and fail for other bytes."""
    return output.decode(errors="replace")


def shell(name: str, within_s: float = WITHIN_S, given: bytes = b"", *, is_tied: bool = False) -> Shell:
    """Return a function that runs commands on a testinfra host; every error of the connection becomes CannotTell.

    A command that takes longer than `within_s` seconds is ended. It is NotReached if our own side is the cause: the name, the route, our login, or nothing answers. A host that was silent
    before in this run is not waited for again. `given` is the standard input of each command.

    Commands end with their connection, as far as we may signal them. `is_tied`: they do so themselves, under another user.
    """
    place = name.partition("?")[0]  # after the question mark are options of the connection

    def run(command: str, *arguments: str) -> tuple[int, str, str]:
        with accessing(place):
            own = bounded(backend(name), within_s, given, held=tied.is_held(name))
            line = own.quote(command, *arguments)
            done = own.run(line if is_tied else tied.script(name, line))
        return int(done.rc), text(done.stdout_bytes), redact(" ".join(text(done.stderr_bytes).split()))

    return run
