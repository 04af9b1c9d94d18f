"""Running commands on a host, and reading what `systemctl show` prints."""

from __future__ import annotations

import contextlib
import copy
import functools
import os
import re
import signal
import subprocess
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import testinfra
import testinfra.host
from testinfra.backend.base import CommandResult

from pytest_deploygate.clients import reach
from pytest_deploygate.clients.host import becoming, ssh
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
def _backend(name: str) -> Any:
    if name.startswith("ansible://"):
        from pytest_deploygate.clients.host import through_ansible  # noqa: PLC0415 (for hosts that need it)

        return through_ansible.backend(name)
    return testinfra.get_host(name, **(ssh.options(name) if name.startswith("ssh://") else {})).backend


def _bounded(backend: Any, within_s: float, given: bytes = b"") -> Any:
    """Return a testinfra backend with a time limit; it has none, and a command that never ends would hang us.

    `given` is what commands read from their standard input.
    """

    def run_local(command: str, *arguments: str) -> Any:
        line = own.encode(own.quote(command, *arguments))
        pipe = subprocess.PIPE
        with subprocess.Popen(
            ["/bin/sh", "-c", line],
            stdin=pipe if given else subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            start_new_session=True,
        ) as process:
            try:
                out, err = process.communicate(given or None, timeout=within_s)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # its children, too
                raise TimeoutError(f"the command did not end within {within_s:g} s") from None
        # Not `backend.result`, which logs the output: what a host prints may be a secret.
        return CommandResult(own, process.returncode, line, out, err)

    own = copy.copy(backend)
    own.run_local = run_local
    return own


@contextlib.contextmanager
def _accessing(place: str) -> Iterator[None]:
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


def _text(output: bytes) -> str:
    """Decode what a host printed. testinfra would ask the host for its encoding, and fail for other bytes."""
    return output.decode(errors="replace")


def shell(name: str, within_s: float = WITHIN_S, given: bytes = b"") -> Shell:
    """Return a function that runs commands on a testinfra host; every error of the connection becomes CannotTell.

    A command that takes longer than `within_s` seconds is ended. It is NotReached if our own side is the cause: the name, the route, our login, or nothing answers. A host that was silent
    before in this run is not waited for again. `given` is the standard input of each command.
    """
    place = name.partition("?")[0]  # after the question mark are options of the connection

    def run(command: str, *arguments: str) -> tuple[int, str, str]:
        with _accessing(place):
            done = _bounded(_backend(name), within_s, given).run(command, *arguments)
        return int(done.rc), _text(done.stdout_bytes), redact(" ".join(_text(done.stderr_bytes).split()))

    return run


def machine(name: str, within_s: float, run_as: str | None = None, password: bytes = b"") -> Any:
    """Return a testinfra `Host` for people's own tests, over the same connection, with the same limits and errors.

    Its commands run as `run_as`; those that were run are in its backend's list `told`. A host that cannot be reached, or whose sudo refuses, is CannotTell, not a failed test.
    """
    place = name.partition("?")[0]
    with _accessing(place):
        own = _bounded(_backend(name), within_s, password)
    run_there, told = own.run, list[str]()

    def run(command: str, *arguments: str, **options: Any) -> Any:
        with _accessing(place):
            done = run_there(command, *arguments, **options)
        if done.rc and own.sudo and (why := becoming.why_refused(_text(done.stderr_bytes))):
            raise CannotTell(f"{place}: {why}")
        told.append(redact(f"{own.quote(command, *arguments)}: exit code {done.rc}"))
        return done

    def become(command: str, user: str | None) -> str:
        words, *given = becoming.as_user(command, user or "root", password=bool(password))
        return str(own.quote(words, *given))

    own.run, own.get_sudo_command, own.told = run, become, told
    if run_as is not None:
        own.sudo, own.sudo_user = True, run_as
    found = testinfra.host.Host(own)
    own.set_host(found)
    return found
