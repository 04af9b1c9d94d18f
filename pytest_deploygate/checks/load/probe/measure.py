"""Measure a load: calibrate the client on its own server, run the plan, and return both results."""

from __future__ import annotations

import math
import subprocess
import sys
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pycurl

from pytest_deploygate.checks.load import section as inventory
from pytest_deploygate.checks.load.facts import Client, Floor, LoadRun, PhaseTimes
from pytest_deploygate.checks.load.probe import arrivals
from pytest_deploygate.checks.load.probe.engine import PHASES, Course, Engine, Look
from pytest_deploygate.checks.load.section import Load, LoadTarget, RateStage
from pytest_deploygate.checks.load.tally import Tally
from pytest_deploygate.clients import budget as budgets
from pytest_deploygate.clients import reach
from pytest_deploygate.clients.budget import Budget
from pytest_deploygate.model import CannotTell, NotReached

_CALIBRATION = timedelta(seconds=1)
_CALIBRATION_TRIES = 3
_GOOD_FLOOR_S = 0.005
_START_S = 15.0
_ITEM = "crit.p50"


def send(
    load: Load,
    name: str,
    *,
    look: Look | None = None,
    watch: Callable[[Engine], None] | None = None,
    calibrate: bool = True,
    budget: Budget | None = None,
    part: tuple[int, int] | None = None,
) -> LoadRun:
    """Run the load of the inventory called `name`. `watch` gets the engine before it runs (for a live display).

    It draws on `budget`; left out, on one that is in no ledger. `part` (2, 4) sends the second of four parts of the plan:
    others are sent by other machines at the same time, and `merged.merged` makes one run of all.

    Raises CannotTell if load is not allowed, if there is nothing to send, or if libcurl lacks a requested feature.
    """
    if refused := inventory.allowed(load, name):
        raise CannotTell(refused)
    target = load.target
    if target is None:
        raise CannotTell("`load` has no `target`: there is nothing to send load to")
    _can(target)
    _reachable(target)
    floor, problem = _floor(load) if calibrate else (None, "the client was not calibrated")
    plan = arrivals.plan(load.stages, [e.weight for e in load.endpoints], load.max_requests)
    if part is not None:
        plan = arrivals.part(plan, *part)
    tally = Tally([e.label for e in load.endpoints], load.known_limits_s)
    drawn = budget or budgets.unrecorded(_ITEM)
    with drawn.probe("load", unwatched="it ended before its first answers") as spending:
        engine = Engine(load, target, plan, tally, look, spending)
        if watch is not None:
            watch(engine)
        started = datetime.now(UTC)
        course = engine.run()
        if course.stopped:
            spending.ended_itself(course.stopped)
    whole, endpoints = tally.result()
    return LoadRun(
        target=target.origin,
        started=started.isoformat(timespec="seconds"),
        planned_s=plan.lasts_s,
        lasted_s=course.lasted_s,
        greatest_rate=load.greatest_rate,
        stopped=course.stopped,
        cut=course.cut,
        whole=whole,
        endpoints=endpoints,
        phases=_phases(course),
        client=_client(plan, course, floor, problem),
        connections=load.connections,
        http_version=target.http,
        part=part,
    )


def _can(target: LoadTarget) -> None:
    features = pycurl.version_info()[4]
    if target.http == "2" and not features & pycurl.VERSION_HTTP2:
        raise CannotTell(
            "HTTP/2 was requested, but this libcurl does not support it; set `http: 1.1`, or install pycurl's own wheel"
        )


def _reachable(target: LoadTarget) -> None:
    """Raise NotReached if no request could leave our own side, or the target was silent before in this run."""
    parts = urllib.parse.urlsplit(target.origin)
    host, port = (
        target.connect_to or parts.hostname or "",
        parts.port or (443 if parts.scheme == "https" else 80),
    )
    try:
        found = reach.addresses(host, port)
    except (OSError, UnicodeError) as error:
        raise NotReached(
            f"no load was sent: the name {host} of `load.target` does not resolve here ({error}); correct it, or set "
            "`connect_to`"
        ) from None
    silent = [silence for address in found if (silence := reach.known(reach.at(address, port)))]
    if len(silent) == len(found):
        raise NotReached(f"no load was sent: {silent[0]}")


def _client(plan: arrivals.Plan, course: Course, floor: Floor | None, problem: str) -> Client:
    lags = sorted(course.lags)
    planned = course.begun if course.stopped else len(plan.due_s)
    span = plan.lasts_s if not course.stopped else max(course.last_begun_s, 1e-9)
    return Client(
        planned=planned,
        begun=course.begun,
        kept=min(1.0, course.begun_in_time / planned) if planned else 0.0,
        rate_planned=planned / span if span else 0.0,
        rate_achieved=course.begun / max(span, course.last_begun_s),
        lag_p50_s=_nearest(lags, 0.5),
        lag_p99_s=_nearest(lags, 0.99),
        lag_max_s=lags[-1] if lags else math.inf,
        held=course.held,
        cpu_share=course.cpu_s / course.lasted_s if course.lasted_s else 0.0,
        floor=floor,
        problem=problem,
        cpu_wait_share=course.cpu_wait_s / course.lasted_s if course.cpu_wait_s and course.lasted_s else None,
    )


def _nearest(ordered: Sequence[float], share: float) -> float:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.inf


def _phases(course: Course) -> tuple[PhaseTimes, ...]:
    found = [(name, sorted(times)) for name, times in zip(PHASES, course.phases, strict=True) if times]
    return tuple(PhaseTimes(n, len(t), _nearest(t, 0.5), _nearest(t, 0.99)) for n, t in found)


def _floor(load: Load) -> tuple[Floor | None, str]:
    """Return what this client measures on its own server at the load's highest rate, the best of a few tries."""
    best: Floor | None = None
    try:
        with _own_server() as port:
            for _ in range(_CALIBRATION_TRIES):
                found = _calibrate(load, port)
                if found and (best is None or found.p99_s < best.p99_s):
                    best = found
                if best and best.p99_s < _GOOD_FLOOR_S:
                    break
    except (OSError, ValueError) as error:
        return None, f"the client could not be calibrated: its own server did not start ({error})"
    return best, "" if best else "the client could not be calibrated: its own server did not answer"


def _calibrate(load: Load, port: int) -> Floor | None:
    rate = max(100.0, load.greatest_rate)
    plain = Load.model_validate(
        {
            "peak_per_second": rate,
            "target": {"scheme": "http", "host": "127.0.0.1", "port": port},
            "endpoints": [{"path": "/"}],
            "connections": load.connections,
        }
    )
    plan = arrivals.plan([RateStage(rate=rate, lasts=_CALIBRATION)], [1.0], 100_000)
    tally = Tally(["/"], ())
    Engine(plain, plain.target or LoadTarget(host="127.0.0.1"), plan, tally).run()
    whole, _ = tally.result()
    if whole.p50_s is None or whole.p99_s is None:
        return None
    return Floor(whole.requests, rate, whole.p50_s, whole.p99_s)


@contextmanager
def _own_server() -> Iterator[int]:
    """Start the loopback server in a separate process and return its port. Raises OSError or ValueError."""
    command = [sys.executable, "-m", "pytest_deploygate.checks.load.probe.loopback"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(process.stdout.readline() if process.stdout else "")
        finally:
            process.kill()
            process.wait(_START_S)
