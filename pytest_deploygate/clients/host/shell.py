"""Running commands on a host, and reading what `systemctl show` prints."""

from __future__ import annotations

import contextlib
import functools
import re
import shlex
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Protocol

from pytest_deploygate.clients import reach
from pytest_deploygate.clients.host import connection, ssh, tied
from pytest_deploygate.clients.host.running import Done, run_here
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


def run_on(name: str, command: str, within_s: float, given: bytes = b"", *, held: bool = False) -> Done:
    """Run a command on a host, as `run_here` does. Each connection raises errors of its own: call it within `accessing`."""
    to = connection.address(name)
    if to.kind == "ansible":
        from pytest_deploygate.clients.host import through_ansible  # noqa: PLC0415 (for hosts that need it)

        line = through_ansible.line(to, command)
        return through_ansible.read(run_here(line, within_s, given))
    if to.kind in connection.BY_TESTINFRA:
        from pytest_deploygate.clients.host import through_testinfra  # noqa: PLC0415 (for hosts that need it)

        return through_testinfra.run(
            name, command, functools.partial(run_here, within_s=within_s, given=given)
        )
    done = run_here(connection.line(name, command), within_s, given, held=held)
    if to.kind == "ssh" and done.code == ssh.FAILED:
        raise ConnectionError(text(done.errors).strip())
    return done


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
        words = " ".join(str(error).split())
        if reach.no_answer_in(words):
            reach.silent(place, redact(words))
        ours = reach.why_ours_in(words) or reach.no_answer_in(words) or _NOT_LET_IN.search(words)
        kind = NotReached if ours else CannotTell
        raise kind(f"{place} cannot be accessed: {redact(words) or type(error).__name__}") from error


def quoted(command: str, *arguments: str) -> str:
    """Return a command with each `%s` replaced by a quoted argument; as it is if there are none."""
    return command % tuple(map(shlex.quote, arguments)) if arguments else command


def text(output: bytes) -> str:
    """Decode what a host printed; bytes that are no UTF-8 are replaced."""
    return output.decode(errors="replace")


def shell(name: str, within_s: float = WITHIN_S, given: bytes = b"", *, is_tied: bool = False) -> Shell:
    """Return a function that runs commands on a host; every error of the connection becomes CannotTell.

    A command that takes longer than `within_s` seconds is ended. It is NotReached if our own side is the cause: the name, the route, our login, or nothing answers. A host that was silent
    before in this run is not waited for again. `given` is the standard input of each command.

    Commands end with their connection, as far as we may signal them. `is_tied`: they do so themselves, under another user.
    """
    place = name.partition("?")[0]  # after the question mark are options of the connection

    def run(command: str, *arguments: str) -> tuple[int, str, str]:
        with accessing(place):
            line = quoted(command, *arguments)
            script = line if is_tied else tied.script(name, line)
            script = connection.as_user(name, script)
            done = run_on(name, script, within_s, given, held=tied.is_held(name))
        return done.code, text(done.output), redact(" ".join(text(done.errors).split()))

    return run
