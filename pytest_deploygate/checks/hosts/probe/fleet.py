"""Ask all hosts side by side, each once and with one time limit."""

from __future__ import annotations

import re
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial

from pytest_deploygate.checks.hosts.facts import Answer, Cause, Failure, Fleet, Machine, Offset
from pytest_deploygate.checks.hosts.probe import batch, reading
from pytest_deploygate.checks.hosts.section import Host, Hosts
from pytest_deploygate.clients import reach
from pytest_deploygate.clients.host.shell import Shell, shell
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact

_MOST = 200
#: A clock's offset that is known within this is clear enough.
_CLEAR_S = 0.2
#: How often it is asked for again at most, over the connection that is open by then; on a busy machine some are quick.
_MORE = 10
_CLOCKS_AT_ONCE = 3
_SUDO_ASKS = re.compile(r"sudo:.*(password is required|terminal is required|askpass)")
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


def fleet(hosts: Hosts) -> Fleet:
    """Ask every host. Why one did not answer is a value of the measurement."""
    with ThreadPoolExecutor(min(hosts.at_once, len(hosts.servers)), "hosts") as pool:
        answers = list(pool.map(partial(_answer, timeout_s=hosts.timeout.total_seconds()), hosts.servers))
    # Few at once: many logins at the same time are what makes a clock's offset vague.
    with ThreadPoolExecutor(_CLOCKS_AT_ONCE, "clocks") as pool:
        return Fleet(tuple(pool.map(partial(_with_clear_clock, hosts.timeout), hosts.servers, answers)))


def _answer(host: Host, timeout_s: float) -> Answer:
    asked = _ask(host, timeout_s)
    failed = asked if isinstance(asked, Failure) else None
    machine = asked if isinstance(asked, Machine) else None
    return Answer(host.name, tuple(host.roles), host.failure_domain, machine, failed)


def _with_clear_clock(timeout: timedelta, host: Host, answer: Answer) -> Answer:
    """Return the answer with a clock whose offset is known well, if it can be."""
    machine, within_s = answer.machine, timeout.total_seconds()
    if machine is None or machine.clock is None or machine.clock.within_s <= _CLEAR_S:
        return answer
    clock = _clearer(shell(host.connection, within_s), machine.clock, time.monotonic() + within_s)
    return replace(answer, machine=replace(machine, clock=clock))


def _ask(host: Host, timeout_s: float) -> Machine | Failure:
    mark = secrets.token_hex(8)
    began, asked_s = time.monotonic(), time.time()
    try:
        run = shell(host.connection, timeout_s)
        code, output, errors = run(*_command(batch.script(mark), host.run_as))
    except CannotTell as error:
        return _failure(str(error), time.monotonic() - began, timeout_s)
    answered_s = asked_s + time.monotonic() - began
    answered = batch.parts(output, mark)
    if not answered.began:
        if _SUDO_ASKS.search(errors):
            return Failure(
                Cause.LOGIN,
                "sudo asks for a password: allow the gate's user `sudo -n`, or leave out `run_as`",
            )
        said = errors or answered.before or f"exit code {code}"
        return Failure(
            Cause.ANSWER, f"it has no POSIX shell, or runs another program instead: {_short(said)}"
        )
    if not answered.whole:
        last = list(answered.parts)[-1:] or [batch.BEGIN]
        return Failure(Cause.ANSWER, f"its answer was cut off after {last[0]}; exit code {code}")
    return reading.machine(answered.parts, asked_s, answered_s)


def _clearer(run: Shell, clock: Offset, until: float) -> Offset:
    """Ask for the time again while it is known too vaguely: the first answer took as long as the login and all facts.

    The offset is within each of the bounds, so within what they have in common.
    """
    for _ in range(_MORE):
        if clock.within_s <= _CLEAR_S or time.monotonic() > until:
            break
        began, asked_s = time.monotonic(), time.time()
        try:
            code, said, _ = run(batch.CLOCK)
        except CannotTell:
            break
        again = reading.offset(said.strip(), said.strip(), asked_s, asked_s + time.monotonic() - began)
        if code or again is None:
            break
        low, high = max(clock.low_s, again.low_s), min(clock.high_s, again.high_s)
        # A clock that was set meanwhile has no offset in common: the newer one counts.
        clock = Offset(low, high) if low <= high else again
    return clock


def _command(script: str, user: str | None) -> tuple[str, ...]:
    """Return the shell command that runs a script, as another user if one is given, and its arguments."""
    if user is None:
        return "sh -c %s", script
    as_user = (
        'if [ "$(id -un)" = %s ]; then exec sh -c %s; '
        'elif [ "$(id -u)" = 0 ]; then exec su -s /bin/sh %s -c %s; '
        "else exec sudo -n -u %s -- sh -c %s; fi"
    )
    return as_user, *(user, script) * 3


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
