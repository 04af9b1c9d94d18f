"""The drill: the health of one backend turns bad and good again while new clients come at a constant rate.

What users would see is what counts: when its last answer came, when the first one came again, and whether anybody got an
error. Where all our connections reach one backend, the balancers are asked for its state instead.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol, Self

from pytest_deploygate.checks.load_balancer.facts import Drilled, DrillFacts, State
from pytest_deploygate.checks.load_balancer.probe.asking import Answer, Asker, named
from pytest_deploygate.checks.load_balancer.probe.states import health, read_all
from pytest_deploygate.checks.load_balancer.section import Drill, Pool
from pytest_deploygate.clients import own_lag, stopping
from pytest_deploygate.clients.budget import Budget, Spending
from pytest_deploygate.clients.host import commands
from pytest_deploygate.drills import record as drills
from pytest_deploygate.drills.record import Record
from pytest_deploygate.model import CannotTell

#: A backend has left when so many answers in a row came from others that chance explains it once in ten thousand.
_CHANCE = 1e-4
_LONGEST_BASELINE_S = 60.0
_AT_ONCE = 64
_STEP_S = 0.05
#: Long requests have this time to reach their backends before the health turns bad, and this to end.
_UNDER_WAY_S, _LONG_WITHIN_S = 0.3, 60.0
_MOST_LONG = 48
#: So many errors of clients are proof enough: it is repaired at once.
_MOST_ERRORS = 50
#: After the return the load goes on, so that errors on it are seen.
_AFTER_S = 0.5


def drilled(pool: Pool, ran: Record[DrillFacts] | None, environment: str) -> Drilled:
    """Return the drill of this run, else the one on record. An unreadable record is a value of the facts."""
    path = pool.drill.record if pool.drill else None
    return drills.evidence(
        path, DrillFacts, ran=ran, configuration=configuration(pool), environment=environment, of=pool.name
    )


def configuration(pool: Pool) -> dict[str, str]:
    """Return what a drill's result depends on: the pool, its backends, and how the health turns bad."""
    if pool.drill is None:
        return {}
    return {
        "pool": pool.url or str(pool.tcp),
        "balance": pool.balance,
        "backends": ", ".join(f"{each.name} {each.weight}" for each in pool.backends if each.out is None),
        "backend": pool.drill.backend,
        "break": pool.drill.break_,
        "long request": pool.drill.long_request or "none",
    }


def drill(pool: Pool, environment: str, budget: Budget) -> Record[DrillFacts]:
    """Let the health turn bad and good again, and write the record. The repair is always run.

    Raises CannotTell if the drill cannot begin, a command fails, or the record cannot be written.
    """
    wanted = pool.drill
    if wanted is None:
        raise CannotTell("a drill needs `drill: {backend: …, break: …, repair: …}` in the inventory")
    asker = Asker(pool)
    _must_be_healthy(pool, wanted)
    unwatched = "errors while a backend leaves are what it measures"
    with budget.probe(f"drill of {pool.name}", unwatched=unwatched) as spending:
        asker.use(spending)
        # Of what may be open at a time, long requests get half at most: where answers are slow, new clients pile up.
        most = spending.at_once(_AT_ONCE)
        with (
            _Health(wanted) as turn,
            own_lag.watching() as lag,
            _LongRequests(asker, pool, most // 2) as long,
            _loaded(asker, wanted.rate, max(1, most - long.number)) as load,
        ):
            spending.leaves(f"the health of {wanted.backend} is bad", lambda: not turn.is_bad)
            watch: _Watch = (
                _States(pool, wanted.backend, spending)
                if pool.from_one_place or pool.told_by.counters
                else _Answers(pool, load, wanted.backend, spending)
            )
            before, baseline = watch.baseline()
            seen = _through(pool, wanted, watch, lag, long, turn)
            time.sleep(_AFTER_S + (pool.slow_start.total_seconds() if pool.slow_start else 0.0))
    answers = load.answers()
    bad = [each for each in answers if each.error]
    if bad and all(each.ours for each in bad):
        raise CannotTell(f"{len(bad)} of {len(answers)} connections could not be made here: {bad[0].error}")
    found = replace(
        seen,
        baseline=baseline,
        before=before,
        connections=len(answers),
        errors=sum(not each.silent and not each.ours for each in bad),
        silent=sum(each.silent for each in bad),
        first_error=bad[0].error if bad else "",
    )
    whole = found.left_s is not None and found.back_s is not None
    record = drills.made(
        found,
        drills.GOOD if whole else "failed",
        configuration(pool),
        reason="" if whole else "it did not leave" if found.left_s is None else "it did not return",
        environment=environment,
    )
    if wanted.record:
        drills.write(wanted.record, record, of=pool.name)
    return record


def _must_be_healthy(pool: Pool, wanted: Drill) -> None:
    backend = next(each for each in pool.backends if each.name == wanted.backend)
    if backend.health is not None and (now := health(backend.name, backend.health)).good is not True:
        raise CannotTell(
            f"the drill did not begin: {wanted.backend}'s own health page answers {now.said or 'nothing'} already"
        )


class _Health:
    """The health of the drilled backend: what turned bad turns good again, whatever happens."""

    def __init__(self, wanted: Drill) -> None:
        self._wanted = wanted
        self.is_bad = False

    def bad(self) -> None:
        """Break it. Raises CannotTell if the command fails."""
        self.is_bad = True  # half of a command that failed may have been done
        commands.must(self._wanted.break_)

    def good(self) -> None:
        """Repair it. Raises CannotTell if the command fails."""
        with stopping.shielded():
            commands.must(self._wanted.repair)
            self.is_bad = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_bad:
            self.good()


def _through(
    pool: Pool, wanted: Drill, watch: _Watch, lag: own_lag.Lag, long: _LongRequests, turn: _Health
) -> DrillFacts:
    """Break, wait, repair, wait; return what was seen of the backend."""
    leaves_s, returns_s = wanted.patience_s
    backend = next(each for each in pool.backends if each.name == wanted.backend)
    long.begin()
    turn.bad()
    broken = time.monotonic()
    left_s = watch.left(broken, leaves_s)
    waited_s, leaving, keeping = time.monotonic() - broken, lag.since(broken), watch.said
    page = health(backend.name, backend.health)
    ended = [each for each in long.end() if each.ended > broken and not each.ours]
    turn.good()
    repaired = time.monotonic()
    back_s = watch.back(repaired, returns_s) if left_s is not None else None
    cut = [each for each in ended if each.error]
    name = named(pool)
    own = [each for each in ended if each.error or not each.backend or name(each.backend) == backend.name]
    return DrillFacts(
        backend.name,
        left_s,
        round(waited_s, 3),
        back_s,
        health_bad=None if page.good is None else not page.good,
        health_said=page.said,
        long=len(own),
        long_cut=len(cut),
        long_first_error=cut[0].error if cut else "",
        keeping=keeping,
        given_up=watch.gave_up,
        leaving=leaving,
        returning=lag.since(repaired),
    )


class _Load:
    """New connections at a constant rate, each due at its time whatever the others do, as long as few enough are open."""

    def __init__(self, asker: Asker, rate: float, at_once: int) -> None:
        self._asker, self._step_s = asker, 1.0 / rate
        self._answers: list[Answer] = []
        self._guard, self._over = threading.Lock(), threading.Event()
        self._threads = ThreadPoolExecutor(at_once, "drill-load")
        self._sender = threading.Thread(target=self._send, name="drill-load", daemon=True)
        self._sender.start()

    def answers(self) -> Sequence[Answer]:
        """Return what came so far, by the time when each connection began."""
        with self._guard:
            return sorted(self._answers, key=lambda each: each.began)

    def end(self) -> None:
        """End, and wait for what is under way."""
        self._over.set()
        self._sender.join()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _send(self) -> None:
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            self._threads.submit(self._one)
            due = max(due + self._step_s, time.monotonic() - 1.0)

    def _one(self) -> None:
        answer = self._asker.once()
        with self._guard:
            self._answers.append(answer)


@contextlib.contextmanager
def _loaded(asker: Asker, rate: float, at_once: int) -> Iterator[_Load]:
    load = _Load(asker, rate, at_once)
    try:
        yield load
    finally:
        load.end()


class _LongRequests:
    """Requests that run while the health turns bad: so many that one of them is on the backend, most likely."""

    def __init__(self, asker: Asker, pool: Pool, most: int) -> None:
        wanted = pool.drill
        self._path = (wanted.long_request or "") if wanted else ""
        share = pool.shares[wanted.backend] if wanted else 1.0
        self.number = min(_MOST_LONG, most, _in_a_row(share)) if self._path else 0
        self._asker = asker
        self._running: list[Future[Answer]] = []
        self._threads = ThreadPoolExecutor(max(1, self.number), "drill-long")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def begin(self) -> None:
        """Send them, and give them time to arrive."""
        for _ in range(self.number):
            self._running.append(
                self._threads.submit(self._asker.once, path=self._path, timeout_s=_LONG_WITHIN_S)
            )
        if self.number:
            time.sleep(_UNDER_WAY_S)

    def end(self) -> list[Answer]:
        """Wait for their ends."""
        return [each.result() for each in self._running]


class _Watch(Protocol):
    """Tells whether a backend is in rotation."""

    @property
    def said(self) -> str:
        """What the balancers said last; empty if none tells states at run time."""
        ...

    @property
    def gave_up(self) -> bool:
        """Whether it stopped waiting, because too many clients got errors."""
        ...

    def baseline(self) -> tuple[int, int]:
        """Return in how many of how many observations it is. Raises CannotTell if it is not in rotation."""
        ...

    def left(self, since: float, patience_s: float) -> float | None:
        """Wait until it has left; return after how many seconds, None if it has not."""
        ...

    def back(self, since: float, patience_s: float) -> float | None:
        """Wait until it is back; return after how many seconds, None if it is not."""
        ...


class _Answers:
    """By the answers of the load."""

    def __init__(self, pool: Pool, load: _Load, backend: str, spending: Spending) -> None:
        self._load, self._backend, self._name = load, backend, named(pool)
        self._row = _in_a_row(pool.shares[backend])
        self._states = _States(pool, backend, spending)
        self._check, self.gave_up = spending.check, False

    @property
    def said(self) -> str:
        """What the balancers said last."""
        return self._states.said

    def baseline(self) -> tuple[int, int]:
        """Wait for so many answers that one of them must be its own."""
        ends = time.monotonic() + _LONGEST_BASELINE_S
        while len(found := self._told()) < self._row and time.monotonic() < ends:
            self._check()
            time.sleep(_STEP_S)
        mine = sum(self._mine(each) for each in found)
        if not mine:
            raise CannotTell(
                f"the drill did not begin: none of {len(found)} answers before it was {self._backend}'s, so whether it "
                "leaves could not be seen; see the finding on shares"
            )
        return mine, len(found)

    def left(self, since: float, patience_s: float) -> float | None:
        """Wait for a row of answers of others, and until no balancer says that it is in rotation: one may hide its errors."""
        out_s: float | None = None
        while True:
            if out_s is None and not any(self._states.now()):
                out_s = round(time.monotonic() - since, 3)
            found = self._told()
            last = max((each.ended for each in found if self._mine(each)), default=since)
            others = sum(each.began > last and each.began > since for each in found)
            if others >= self._row and out_s is not None:
                # Without a balancer that tells states, the last answer decides.
                return max(round(max(0.0, last - since), 3), out_s if self._states.said else 0.0)
            passed_s = time.monotonic() - since
            if sum(bool(each.error) and each.began > since for each in self._load.answers()) > _MOST_ERRORS:
                self.gave_up = True
                return None
            # A row that has begun in time is waited for.
            if max(last - since, passed_s if out_s is None else 0.0) > patience_s:
                return None
            if passed_s > patience_s + _LONGEST_BASELINE_S:
                return None
            self._check()
            time.sleep(_STEP_S)

    def back(self, since: float, patience_s: float) -> float | None:
        """Wait for an answer of its own."""
        while True:
            mine = [each.ended for each in self._told() if self._mine(each) and each.began > since]
            if mine:
                return round(min(mine) - since, 3)
            if time.monotonic() - since > patience_s:
                return None
            self._check()
            time.sleep(_STEP_S)

    def _told(self) -> list[Answer]:
        return [each for each in self._load.answers() if each.backend and not each.error]

    def _mine(self, answer: Answer) -> bool:
        return self._name(answer.backend) == self._backend


class _States:
    """By what the balancers say that tell states at run time."""

    def __init__(self, pool: Pool, backend: str, spending: Spending) -> None:
        self._check, self.gave_up = spending.check, False
        own = next(each for each in pool.backends if each.name == backend)
        self._names = (own.name, own.address)
        self._backend = backend
        self._controls = pool.control
        self.said = ""

    def baseline(self) -> tuple[int, int]:
        """Ask once."""
        found = self.now()
        if not found or not all(found):
            raise CannotTell(
                f"the drill did not begin: {self._backend} must be in rotation before it, on every balancer of `control`, "
                "and one of them must tell states at run time"
            )
        return sum(found), len(found)

    def left(self, since: float, patience_s: float) -> float | None:
        """Wait until none says that it is in rotation."""
        return self._becomes(since, patience_s, wanted=False)

    def back(self, since: float, patience_s: float) -> float | None:
        """Wait until all say so."""
        return self._becomes(since, patience_s, wanted=True)

    def _becomes(self, since: float, patience_s: float, *, wanted: bool) -> float | None:
        while True:
            found = self.now()
            now = time.monotonic() - since
            if all(each is wanted for each in found):
                return round(now, 3)
            if now > patience_s:
                return None
            self._check()
            time.sleep(_STEP_S * 2)

    def now(self) -> list[bool]:
        """Return for each of those balancers whether the backend is in rotation. Raises CannotTell if one cannot be asked."""
        found, said = [], []
        for control in read_all(self._controls):
            if control.problem:
                raise CannotTell(f"{control.name}: {control.problem}")
            own = next((each for each in control.members if each.name in self._names), None)
            if control.live and own is not None:
                found.append(own.state is State.IN)
                said.append(f"{control.name} says {own.says or own.state.value}")
        self.said = ", ".join(said)
        return found


def _in_a_row(share: float) -> int:
    """Return how many answers of others in a row chance hardly explains."""
    return 1 if share >= 1 else math.ceil(math.log(_CHANCE) / math.log(1 - share))
