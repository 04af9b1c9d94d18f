"""Schedulers on hosts: entries of crontabs, timers, services, processes, and commands that look."""

from __future__ import annotations

from pytest_deploygate.checks.jobs.probe.schedules import read_schedule
from pytest_deploygate.checks.schedulers.facts import Seen, State
from pytest_deploygate.checks.schedulers.section import Place
from pytest_deploygate.checks.stack.probe import processes
from pytest_deploygate.clients.host import asking
from pytest_deploygate.clients.host.shell import shell, unit_properties
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.fields.postgres import OtherDatabase
from pytest_deploygate.fields.schedule import Schedule
from pytest_deploygate.judging.silent_hosts import Failure
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact, shortened

_WITHIN_S = 20.0
_ACTIVE = ("active", "reloading", "refreshing", "activating")
_NONE = "no systemctl"


def scheduled(place: Place) -> Seen:
    """Read an entry of a crontab, a timer, or a job of pg_cron. Raises CannotTell."""
    schedule = place.schedule
    if schedule is None:
        raise AssertionError("the place names a schedule")
    # Without a job of pg_cron no database is asked.
    database = place.database or OtherDatabase(host="localhost", name="none", user="none")
    cluster = Cluster(database.settings)
    try:
        return _scheduled(cluster, schedule)
    finally:
        cluster.close()


def _scheduled(cluster: Cluster, schedule: Schedule) -> Seen:
    found = read_schedule(cluster, schedule)
    if found.problem:
        return Seen(State.UNKNOWN, found.problem)
    if not found.found:
        return Seen(State.ABSENT, found.detail)
    if not found.enabled:
        return Seen(State.STILL, f"switched off: {found.detail}")
    if found.wrong:
        return Seen(State.UNKNOWN, f"its scheduler may reject the entry: {found.wrong}")
    if found.kind == "systemd" and not found.has_next:
        return Seen(State.STILL, "it is active, but will not fire again")
    when = ", ".join(found.expressions) or (found.next_due.isoformat() if found.next_due else "")
    return Seen(State.RUNS, f"switched on{f' ({when})' if when else ''}")


def seen(place: Place) -> Seen:
    """Ask a host for a process, a service, or a command's exit code. Raises CannotTell."""
    if place.command is not None:
        return _command(place.host, place.command)
    if place.process is not None:
        text = _told(place.host, processes.command([place.process]))
        return _process(place.process, place.arguments, text)
    unit = place.unit or ""
    asked = (
        "if command -v systemctl >/dev/null; then systemctl show --no-pager "
        f"--property=LoadState,ActiveState,SubState,UnitFileState -- '{unit}'; else echo {_NONE}; fi"
    )
    return unit_seen(_told(place.host, asked))


def _told(host: str, command: str) -> str:
    told = asking.ask(host, None, {"asked": command}, _WITHIN_S)
    if isinstance(told, Failure):
        raise CannotTell(f"{host}: {told.said}")
    return told.parts.get("asked", "")


def _process(name: str, arguments: str, text: str) -> Seen:
    found, ticks = processes.listed(text)
    if not ticks:
        return Seen(State.UNKNOWN, "the host does not show its processes (/proc)")
    alive = [each for each in processes.of(name, "", found) if each.state not in "ZX"]
    if arguments and any(not each.arguments for each in alive):
        return Seen(State.UNKNOWN, "the host does not show the command lines of its processes")
    mine = [each for each in alive if arguments in each.arguments]
    # A process that was stopped by a signal goes on when somebody continues it, and it holds what it holds.
    words = ", ".join(f"pid {each.pid}" for each in mine[:4])
    if mine:
        return Seen(State.RUNS, f"{len(mine)} running ({words})")
    return Seen(State.STILL, f"none runs; of the name {name} there are {len(alive)}")


def unit_seen(text: str) -> Seen:
    """Read what `systemctl show` prints about a unit. Pure."""
    if text.strip() == _NONE:
        return Seen(State.UNKNOWN, "the host has no systemctl")
    shown = unit_properties(text.splitlines())
    load, active, sub = (shown.get(name, "") for name in ("LoadState", "ActiveState", "SubState"))
    if load == "not-found":
        return Seen(State.ABSENT, "there is no such unit on the host")
    if not load or not active:
        return Seen(State.UNKNOWN, f"systemctl does not tell its state: {shortened(redact(text), 160)}")
    starts = shown.get("UnitFileState", "") in ("enabled", "enabled-runtime")
    later = "; it is enabled, so the host's next start starts it: disable it" if starts else ""
    if active in _ACTIVE:
        return Seen(State.RUNS, f"{active} ({sub})")
    return Seen(State.STILL, f"{active} ({sub}){later}")


def _command(host: str, command: str) -> Seen:
    code, out, err = shell(host, _WITHIN_S)("sh -c %s", command)
    said = shortened(redact(" ".join(f"{out} {err}".split())), 160)
    words = f"exit code {code}{f': {said}' if said else ''}"
    state = {0: State.RUNS, 1: State.STILL}.get(code, State.UNKNOWN)
    return Seen(state, words)
