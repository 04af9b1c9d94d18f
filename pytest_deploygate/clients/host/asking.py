"""Ask one host for several things in one script over one connection, and tell why if it does not answer."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping

from pytest_deploygate.clients import reach
from pytest_deploygate.clients.host import batch, becoming, containers, tied
from pytest_deploygate.clients.host.shell import shell
from pytest_deploygate.judging.silent_hosts import Cause, Failure
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import Secret, redact

_MOST = 200
#: What ssh and sudo say, and what it means. The first that is found counts.
_CAUSES = (
    (
        re.compile(r"REMOTE HOST IDENTIFICATION HAS CHANGED"),
        Cause.LOGIN,
        "its host key has changed: it was reinstalled, or another machine answers; compare the key before you replace it "
        "in known_hosts",
    ),
    (
        re.compile(r"Host key verification failed|No .* host key is known"),
        Cause.LOGIN,
        "its host key is not known here: add it to known_hosts after comparing it",
    ),
    (
        re.compile(r"Permission denied \(|Too many authentication failures|No such identity"),
        Cause.LOGIN,
        "it refuses our key: check the user and the key, with `ssh -v`",
    ),
    (re.compile(r"Connection refused"), Cause.DOWN, "it refuses the connection: start its SSH server"),
    (
        re.compile(r"No route to host", re.IGNORECASE),
        Cause.DOWN,
        "no route to host: it is down, or a packet filter rejects us",
    ),
    (
        re.compile(r"Connection (closed|reset)|Broken pipe|kex_exchange", re.IGNORECASE),
        Cause.ANSWER,
        "the connection was closed while we talked to it: look at its SSH server's log",
    ),
)


@dataclass(frozen=True)
class Told:
    """What a host printed, by the names of the commands; commands that printed nothing are left out.

    `asked_s` and `answered_s` are our clock (seconds since 1970) before and after.
    """

    parts: Mapping[str, str]
    asked_s: float
    answered_s: float


def ask(
    connection: str,
    run_as: str | None,
    commands: Mapping[str, str | batch.Lines],
    timeout_s: float,
    password: Secret | None = None,
) -> Told | Failure:
    """Run the commands of a POSIX shell on a testinfra host and read files there, as another user if one is given.

    `password` is what sudo asks for.
    """
    mark = secrets.token_hex(8)
    began, asked_s = time.monotonic(), time.time()
    try:
        run = shell(connection, timeout_s, becoming.given(password), is_tied=True)
        script = tied.script(connection, batch.script(mark, commands))
        code, output, errors = run(*_command(script, run_as, password))
    except CannotTell as error:
        return _failure(str(error), time.monotonic() - began, timeout_s)
    answered_s = asked_s + time.monotonic() - began
    answered = batch.parts(output, mark)
    if not answered.began:
        if why := becoming.why_refused(errors):
            return Failure(Cause.LOGIN, why)
        if failure := containers.why_not_asked(connection, errors):
            return failure
        said = errors or answered.before or f"exit code {code}"
        return Failure(
            Cause.ANSWER, f"it has no POSIX shell, or runs another program instead: {_short(said)}"
        )
    if not answered.whole:
        last = list(answered.parts)[-1:] or [batch.BEGIN]
        return Failure(Cause.ANSWER, f"its answer was cut off after {last[0]}; exit code {code}")
    return Told(answered.parts, asked_s, answered_s)


def _command(script: str, user: str | None, password: Secret | None) -> tuple[str, ...]:
    """Return the shell command that runs a script, as another user if one is given, and its arguments."""
    if user is None:
        return "sh -c %s", script
    return becoming.as_user(script, user, password=password is not None)


def _failure(said: str, took_s: float, timeout_s: float) -> Failure:
    """Tell why a host could not be asked, from the words of the connection."""
    words = said.partition(" cannot be accessed: ")[2] or said
    for form, cause, means in _CAUSES:
        if form.search(words):
            return Failure(cause, means or _short(words))
    if ours := reach.why_ours_in(words):
        return Failure(Cause.ROUTE, ours)
    if "did not end within" in words:
        return Failure(
            Cause.ANSWER, f"the commands did not end within {timeout_s:g} s: check its load and its disks"
        )
    if reach.no_answer_in(words):
        return Failure(Cause.DOWN, f"no answer within {min(took_s, timeout_s):.0f} s")
    return Failure(Cause.ANSWER, _short(words))


def _short(text: str) -> str:
    words = redact(" ".join(text.split()))
    return words if len(words) <= _MOST else f"{words[:_MOST]} …"
