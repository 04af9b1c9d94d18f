"""Ask all hosts side by side, each once and with one time limit."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial

from pytest_deploygate.checks.hosts.facts import Answer, Fleet, Machine, Offset
from pytest_deploygate.checks.hosts.probe import commands, reading
from pytest_deploygate.checks.hosts.section import Host, Hosts
from pytest_deploygate.clients.host.asking import ask
from pytest_deploygate.clients.host.shell import Shell, shell
from pytest_deploygate.clients.host.side_by_side import side_by_side
from pytest_deploygate.judging.silent_hosts import Failure
from pytest_deploygate.model import CannotTell

#: A clock's offset that is known within this is clear enough: that of a good clock is then within 0.8 s, for sure.
_CLEAR_S = 0.4
#: How often it is asked for again at most, over the connection that is open by then; on a busy machine some are quick.
_MORE = 10
_CLOCKS_AT_ONCE = 3
#: For one answer: one that takes so long tells nothing. A host that is silent by now costs this once.
_CLOCK_WITHIN_S = 5.0


def fleet(hosts: Hosts) -> Fleet:
    """Ask every host. Why one did not answer is a value of the measurement."""
    ask_one = partial(_answer, timeout_s=hosts.timeout.total_seconds())
    answers = side_by_side(ask_one, hosts.servers, hosts.at_once)
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
    machine = answer.machine
    if machine is None or machine.clock is None or machine.clock.within_s <= _CLEAR_S:
        return answer
    within_s = min(_CLOCK_WITHIN_S, timeout.total_seconds())
    until = time.monotonic() + timeout.total_seconds()
    clock = _clearer(shell(host.connection, within_s), machine.clock, until)
    return replace(answer, machine=replace(machine, clock=clock))


def _ask(host: Host, timeout_s: float) -> Machine | Failure:
    told = ask(host.connection, host.run_as, commands.COMMANDS, timeout_s, host.run_as_password)
    return told if isinstance(told, Failure) else reading.machine(told.parts, told.asked_s, told.answered_s)


def _clearer(run: Shell, clock: Offset, until: float) -> Offset:
    """Ask for the time again while it is known too vaguely: the first answer took as long as the login and all facts.

    The offset is within each of the bounds, so within what they have in common.
    """
    for _ in range(_MORE):
        if clock.within_s <= _CLEAR_S or time.monotonic() > until:
            break
        began, asked_s = time.monotonic(), time.time()
        try:
            code, said, _ = run(commands.CLOCK)
        except CannotTell:
            break
        again = reading.offset(said.strip(), said.strip(), asked_s, asked_s + time.monotonic() - began)
        if code or again is None:
            break
        low, high = max(clock.low_s, again.low_s), min(clock.high_s, again.high_s)
        # A clock that was set meanwhile has no offset in common: the newer one counts.
        clock = Offset(low, high) if low <= high else again
    return clock
