"""Wait, with a deadline, until every server and resolver returns the new answer, and show the progress."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from pytest_deploygate.checks.dns.facts import Switch, is_new, says
from pytest_deploygate.checks.dns.probe import history as dns_history
from pytest_deploygate.checks.dns.probe import names as dns
from pytest_deploygate.checks.dns.section import Cutover, Dns
from pytest_deploygate.clients import budget as budgets
from pytest_deploygate.clients import own_lag
from pytest_deploygate.clients.budget import Budget, Spending
from pytest_deploygate.clients.own_lag import Lag
from pytest_deploygate.lazy import dataclass

_PAUSE_S = 0.5
_ITEM, _UNWATCHED = "golive.dns", "one question a round for each server, as resolvers ask"
#: A resolver with several caches returns the old answer now and then: one good round proves little.
_CLEAN_ROUNDS = 5
_CLEAN_PAUSE_S = 0.3


@dataclass(frozen=True)
class Progress:
    """The progress of a switch: for each server its answer and whether it is new, and the time so far."""

    name: str
    rows: tuple[tuple[str, str, bool], ...]
    elapsed_s: float
    deadline_s: float


def watch(
    settings: Dns,
    cutover: Cutover,
    history: Path,
    show: Callable[[Progress], None],
    budget: Budget | None = None,
) -> Switch:
    """Poll until every server has had the new answer in several rounds on end, or the deadline passes.

    A first disagreement is always confirmed.

    `show` gets the progress after each round, `history` is the file of earlier observations. The questions draw on
    `budget`; left out, on one that is in no ledger. Raises CannotTell if the file cannot be used.
    """
    drawn = budget or budgets.unrecorded(_ITEM)
    with own_lag.watching() as lag, drawn.probe("propagation", unwatched=_UNWATCHED) as spending:
        return _watch(settings, cutover, history, show, lag, spending)


def _watch(
    settings: Dns,
    cutover: Cutover,
    history: Path,
    show: Callable[[Progress], None],
    lag: Lag,
    spending: Spending,
) -> Switch:
    wanted, began = cutover.expected, time.monotonic()
    deadline_s = cutover.patience_s
    rounds = clean = 0
    first_all_s: float | None = None
    had: set[str] = set()
    fell_back: Counter[str] = Counter()
    while True:
        spending.take(requests=len(settings.servers), opens=0)
        facts = dns.name(settings, wanted, afresh=True)
        rounds += 1
        elapsed_s = time.monotonic() - began
        there = [is_new(server, wanted) for server in facts.servers]
        rows = tuple((s.server, says(s), new) for s, new in zip(facts.servers, there, strict=True))
        show(Progress(wanted.name, rows, elapsed_s, deadline_s))
        fell_back.update(
            s.server for s, new in zip(facts.servers, there, strict=True) if s.server in had and not new
        )
        had |= {s.server for s, new in zip(facts.servers, there, strict=True) if new}
        if all(there):
            clean += 1
            first_all_s = round(elapsed_s, 3) if first_all_s is None else first_all_s
        else:
            clean, first_all_s = 0, None
        if clean >= _CLEAN_ROUNDS or (not clean and lag.fair_s(began) >= deadline_s and rounds > 1):
            earlier = dns_history.remember(history, facts)
            gone_back = tuple(sorted(fell_back.items()))
            own = lag.since(began)
            signed = dns.signed(settings, wanted)
            return Switch(
                facts, rounds, round(elapsed_s, 3), first_all_s, earlier, clean, gone_back, own, signed
            )
        time.sleep(_CLEAN_PAUSE_S if clean else min(_PAUSE_S, max(0.05, deadline_s - elapsed_s)))
