"""Send a corpus with ordinary requests and sentinels in between, over several connections, and say what became of each."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from pytest_deploygate.checks.waf import facts
from pytest_deploygate.checks.waf.facts import Result
from pytest_deploygate.checks.waf.probe import message, outcome
from pytest_deploygate.checks.waf.probe.corpus import Case, Usual
from pytest_deploygate.checks.waf.probe.exchange import Answer, Connection, Place
from pytest_deploygate.checks.waf.probe.message import Message
from pytest_deploygate.checks.waf.section import Waf
from pytest_deploygate.clients.budget import Spending
from pytest_deploygate.lazy import dataclass

#: From this status on, an answer is an error.
AN_ERROR = 400
#: Attacks between two sentinels.
_BETWEEN = 20
#: Attacks after which the other sources are asked, too.
_SOURCES_BETWEEN = 100


@dataclass(frozen=True)
class Sent:
    """What was sent, and how it ended."""

    controls: tuple[facts.Control, ...]
    sentinels: tuple[facts.Sentinel, ...]
    ordinary: tuple[facts.Ordinary, ...]
    attacks: tuple[facts.Attack, ...]
    requests: int
    ended: str


class Runner:
    """Sends requests to one place over several connections, until all are sent or something ends the run."""

    def __init__(self, waf: Waf, place: Place, spending: Spending) -> None:
        self._waf, self._place, self._spending = waf, place, spending
        self._lock = threading.Lock()
        self._until = time.monotonic() + waf.within.total_seconds()
        self._connections: deque[Connection] = deque()
        self._closed = False
        self._pages: set[str] = set()
        self.requests = 0
        self.ended = ""

    def send(self, item: Message, source: str = "") -> Answer:
        """Send one request on a connection that is free; from another source on one of its own."""
        with self._lock:
            self.requests += 1
            connection = self._connections.pop() if self._connections and not source else None
        if connection is None:
            connection = Connection(replace(self._place, source=source))
        try:
            return connection.ask(item, self._spending)
        finally:
            with self._lock:
                keep = not source and not self._closed
                if keep:
                    self._connections.append(connection)
            if not keep:
                connection.close()

    def close(self) -> None:
        """Close all connections; those in use are closed when their request ends, as a stop does not wait for them."""
        with self._lock:
            self._closed = True
            kept = list(self._connections)
        for connection in kept:
            connection.close()

    def each(self, jobs: Iterable[Callable[[], None]]) -> None:
        """Do jobs in their order, several at the same time, until one ends the run."""
        left = deque(jobs)

        def work(_: int) -> None:
            while not self.ended:
                with self._lock:
                    job = left.popleft() if left else None
                if job is None:
                    return
                if time.monotonic() > self._until:
                    self.ended = "within"
                    return
                job()

        at_once = self._spending.at_once(self._waf.connections)
        with ThreadPoolExecutor(at_once, "waf") as pool:
            list(pool.map(work, range(at_once)))

    def knows(self, answer: Answer) -> None:
        """Keep the page of an ordinary request."""
        with self._lock:
            self._pages.add(outcome.page(answer))

    def whole(self, attacks: Sequence[facts.Attack]) -> tuple[facts.Attack, ...]:
        """Return the attacks, with block pages told from those of ordinary requests."""
        return outcome.with_pages(attacks, self._pages)


def run(waf: Waf, place: Place, spending: Spending, cases: Sequence[Case], usual: Sequence[Usual]) -> Sent:
    """Send everything: first the controls and a sentinel, then attacks and ordinary requests with sentinels in between.

    If the first sentinel is blocked or not answered, no attack is sent; a later one ends the run. Raises Ended.
    """
    runner = Runner(waf, place, spending)
    sentinels: list[facts.Sentinel] = []
    try:
        first = _sentinel(runner, waf, 0, sentinels)
        for source in waf.sources:
            _sentinel(runner, waf, 0, sentinels, source)
        controls = _controls(runner, {case.control: case for case in cases})
        found = tuple(
            _control(case, controls[case.control], waf)
            for case in _by_control(cases)
            if case.control in controls
        )
        if runner.ended:
            return Sent(found, tuple(sentinels), (), (), runner.requests, runner.ended)
        if first is not Result.PASSED or int(sentinels[0].said) >= AN_ERROR:
            return Sent(found, tuple(sentinels), (), (), runner.requests, "first sentinel")
        attacks, ordinary = _all(runner, waf, cases, usual, controls, sentinels)
        if not runner.ended:
            _sentinel(runner, waf, len(attacks), sentinels)
            for source in waf.sources:
                _sentinel(runner, waf, len(attacks), sentinels, source)
        return Sent(
            found, tuple(sentinels), tuple(ordinary), runner.whole(attacks), runner.requests, runner.ended
        )
    finally:
        runner.close()


def _by_control(cases: Iterable[Case]) -> list[Case]:
    return list({case.control: case for case in cases}.values())


def _controls(runner: Runner, wanted: Mapping[Message, Case]) -> dict[Message, Answer]:
    answers: dict[Message, Answer] = {}

    def ask(item: Message) -> None:
        answers[item] = answer = runner.send(item)
        runner.knows(answer)

    runner.each([partial(ask, item) for item in wanted])
    return answers


def _control(case: Case, answer: Answer, waf: Waf) -> facts.Control:
    blocked = outcome.is_block(answer, waf)
    result = Result.UNRESOLVED if answer.status is None else Result.BLOCKED if blocked else Result.PASSED
    return facts.Control(f"{case.control.method} with {case.placement}", result, outcome.said(answer))


def _all(
    runner: Runner,
    waf: Waf,
    cases: Sequence[Case],
    usual: Sequence[Usual],
    controls: Mapping[Message, Answer],
    sentinels: list[facts.Sentinel],
) -> tuple[list[facts.Attack], list[facts.Ordinary]]:
    attacks: list[facts.Attack] = []
    ordinary: list[facts.Ordinary] = []

    def attack(case: Case) -> None:
        answer = runner.send(case.sent)
        result, said = outcome.result(answer, controls[case.control], waf)
        page = (
            outcome.page(answer)
            if result is Result.PASSED and not outcome.is_application(answer, waf)
            else ""
        )
        attacks.append(
            facts.Attack(
                case.name,
                case.corpus,
                case.attack_class,
                case.placement,
                case.encoding,
                case.cwe,
                case.levels,
                result,
                said,
                page,
            )
        )

    def plain(one: Usual) -> None:
        answer = runner.send(one.sent)
        blocked = outcome.is_block(answer, waf)
        if not blocked:
            runner.knows(answer)
        result = Result.UNRESOLVED if answer.status is None else Result.BLOCKED if blocked else Result.PASSED
        ordinary.append(facts.Ordinary(one.name, one.traffic, result, outcome.said(answer)))

    def watch(source: str = "") -> None:
        if _sentinel(runner, waf, len(attacks), sentinels, source) is not Result.PASSED and not source:
            runner.ended = "sentinel"
            for other in waf.sources:
                _sentinel(runner, waf, len(attacks), sentinels, other)

    jobs: list[Callable[[], None]] = [partial(attack, case) for case in cases]
    jobs += [partial(plain, one) for one in usual]
    # Classes and ordinary requests are mixed, the same way in each run.
    random.Random(len(jobs)).shuffle(jobs)  # noqa: S311
    mixed: list[Callable[[], None]] = []
    for number, job in enumerate(jobs, 1):
        mixed.append(job)
        if number % _BETWEEN == 0:
            mixed.append(watch)
        if number % _SOURCES_BETWEEN == 0:
            mixed += [partial(watch, source) for source in waf.sources]
    runner.each(mixed)
    return attacks, ordinary


def _sentinel(
    runner: Runner, waf: Waf, after: int, sentinels: list[facts.Sentinel], source: str = ""
) -> Result:
    answer = runner.send(message.plain(waf.read), source)
    expected = sentinels[0].said if sentinels else outcome.said(answer)
    if outcome.is_block(answer, waf):
        result = Result.BLOCKED
    elif answer.status is None or (outcome.said(answer) != expected and answer.status >= AN_ERROR):
        result = Result.UNRESOLVED
    else:
        result = Result.PASSED
        runner.knows(answer)
    sentinels.append(facts.Sentinel(after, result, outcome.said(answer), source, answer.problem))
    return result
