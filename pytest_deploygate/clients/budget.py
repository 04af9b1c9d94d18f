"""The budget of active probes: what they may send, when they must end, and who sent what.

A probe gets the `budget` of its test, and everything that it sends is sent within `budget.probe(…)`:

    with budget.probe("corpus", control=harmless) as spending:
        for attack in attacks:
            with spending.request(len(attack.body)) as asked:
                answer = send(attack, headers=spending.headers)
                asked.answered(len(answer.content), wrong=answer.status_code >= 500)

`Ended` comes out of it when the budget is used up, everything was stopped, or the service suffers. It makes the item
inconclusive with its text, so a probe does not catch it. What a probe takes away or restores stands around the block.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_deploygate import __version__
from pytest_deploygate.clients import stopping
from pytest_deploygate.clients.ledger import Full, Ledger
from pytest_deploygate.clients.stopping import Ended
from pytest_deploygate.judging.spending import TOGETHER, UNBOUNDED, Baseline, Bounds, Harm, Limits, middle

if TYPE_CHECKING:
    from pytest_deploygate.clients.own_lag import Lag

__all__ = ["AGENT", "HEADER", "Asked", "Budget", "Ended", "Spending", "headers", "unrecorded"]

#: The beginning of every request's `User-Agent`.
AGENT = f"deploygate/{__version__}"
#: The header by which operators can tell the requests of active probes and block them; its value is the item's id.
HEADER = "Deploygate-Probe"
#: Harmless requests before a probe begins, and their distance while it runs.
_BEFORE, _EVERY_S = 5, 0.25
#: Asks the service for something harmless. Returns whether the answer was good; it has a timeout of its own.
Control = Callable[[], bool]


def headers(item: str) -> dict[str, str]:
    """Return the headers that every request of an active probe has."""
    return {"User-Agent": AGENT, HEADER: item}


class Budget:
    """What the active probes of one test may use. `item` is the first that the test's marker names."""

    def __init__(
        self, item: str, ledger: Ledger, limits: Limits | None = None, bounds: Bounds | None = None
    ) -> None:
        self.item = item
        self.ledger = ledger
        self.limits = limits or Limits()
        self.bounds = bounds or Bounds()
        self._left: list[tuple[str, str, Callable[[], bool]]] = []

    @contextlib.contextmanager
    def probe(
        self, name: str, *, control: Control | None = None, connects: bool = True, unwatched: str = ""
    ) -> Iterator[Spending]:
        """Run an active probe, which is called `name` in the ledger. Raises Ended, before anything is sent or from within.

        With `control` the service is watched: its answers are taken before the probe begins, and the probe ends when they
        become worse; it `connects` if it opens a connection each time. Without it `unwatched` says why: the ledger shows it.
        """
        spending = Spending(self, name, control, unwatched, connects=connects)
        with stopping.ending(spending.look) as block:
            how, why = "done", ""
            try:
                spending.begin(block)
                yield spending
            except Ended as ended:
                how, why = ended.how, str(ended)
                raise
            except BaseException as error:
                how, why = "error", type(error).__name__
                raise
            finally:
                spending.end(how, why)

    def leaves(self, probe: str, what: str, gone: Callable[[], bool]) -> None:
        """Say what a probe begins that must be gone when the test has ended. `gone` must be quick."""
        self._left.append((probe, what, gone))

    def close(self) -> None:
        """Look whether what probes began is gone, and note what is not: the test has ended."""
        left, self._left = self._left, []
        for probe, what, gone in left:
            if not _is_gone(gone):
                self.ledger.note({"what": "left", "item": self.item, "probe": probe, "left": what})


class Spending:
    """One probe that runs. `headers` belong to each of its requests."""

    def __init__(
        self, budget: Budget, name: str, control: Control | None, unwatched: str, *, connects: bool
    ) -> None:
        self._connects = int(connects)
        self.item, self.name = budget.item, name
        self.limits, self.bounds = budget.limits, budget.bounds
        self.headers: Mapping[str, str] = headers(budget.item)
        self._ledger, self._control = budget.ledger, control
        self._unwatched = unwatched if control is None else ""
        self._harm: Harm | None = None
        self._harm_at: float | None = None
        self._own_end = ""
        self._budget = budget
        self._asking_since: float | None = None
        self._lag: Lag | None = None
        self._over = threading.Event()
        self._saw = threading.Lock()
        self._began = time.monotonic()
        self._used_s = self._all_used_s = 0.0
        self._process = os.getpid()

    def begin(self, block: stopping.Block) -> None:
        """Note the beginning, and take the service's answers before it."""
        self._block, self._began = block, time.monotonic()
        self._ledger.note(self._line("begin") | {"limits": dataclasses.asdict(self.limits)})
        self._used_s = self._ledger.used(self.item, self.name)["microseconds"] / 1e6
        self._all_used_s = self._ledger.used(*TOGETHER)["microseconds"] / 1e6
        if self._control is not None:
            self._measure_before(self._control)
            threading.Thread(target=self._watch, args=(self._control,), name="control", daemon=True).start()

    def end(self, how: str, why: str) -> None:
        """Note the end."""
        self._over.set()
        if self._own_end and how == "done":
            how, why = "itself", f"{self.name} of {self.item} ended by itself: {self._own_end}"
        now, block = time.monotonic(), self._block
        stopped = block.ending is not None and block.ending.how == "stopped"
        self._ledger.count(self.item, self.name, microseconds=round((now - self._began) * 1e6))
        ending = {
            "how": how,
            "why": why,
            "stop_s": round(now - block.asked, 3) if stopped else None,
            "harm_s": None if self._harm_at is None else round(now - self._harm_at, 3),
            "before": dataclasses.asdict(self._harm.before) if self._harm else None,
            "unwatched": self._unwatched,
        }
        self._ledger.note(self._line("end") | ending)

    def look(self) -> Ended | None:
        """Return why the probe must end by itself; asked by the thread that watches."""
        now = time.monotonic()
        if now - self._began + self._used_s > self.limits.seconds:
            return Ended("time", self._words(f"its {self.limits.seconds:g} seconds are used up"))
        if now - self._began + self._all_used_s > self._ledger.together.seconds:
            said = f"the {self._ledger.together.seconds:g} seconds of all probes together are used up"
            return Ended("time", self._words(said))
        since, harm, lag = self._asking_since, self._harm, self._lag
        if since is None or harm is None or now - since <= harm.longest_s:
            return None
        # What our own side was late by says nothing of the service.
        if lag is None or lag.fair_s(since) > harm.longest_s:
            self._harm_at = now
            said = f"a harmless request has had no answer for {now - since:.1f} s; {harm.before.median_s * 1000:.0f} ms were usual before"
            return Ended("harm", self._words(f"the service suffers: {said}"))
        return None

    def check(self) -> None:
        """Raise Ended if the probe must end: for loops that wait without sending anything."""
        self._block.check()

    def expects(self, received_bytes: int) -> None:
        """Raise Ended if an answer of this size is more than the budget has left: before it is asked for."""
        own, together = (self.item, self.name), self._ledger.together
        for who, limits, whose in (
            (own, self.limits, "its budget"),
            (TOGETHER, together, "the budget of all probes together"),
        ):
            if self._ledger.used(*who)["received_bytes"] + received_bytes > limits.received_bytes:
                limit = f"{limits.received_bytes:,}".replace(",", " ")
                said = f"{received_bytes} bytes would come, more than the {limit} bytes received of {whose}"
                self._block.end(Ended("spent", self._words(said)))
                self._block.check()

    def at_once(self, wanted: int) -> int:
        """Return how many requests may be open at a time, at most as many as wanted."""
        return max(1, min(wanted, self.limits.concurrency, self._ledger.together.concurrency))

    @contextlib.contextmanager
    def request(self, sent_bytes: int = 0, *, connects: bool = False) -> Iterator[Asked]:
        """Send one request in the block, on a new connection if it `connects`. Raises Ended if the budget does not allow it."""
        self.take(sent_bytes=sent_bytes, connections=int(connects))
        asked = Asked(self)
        try:
            yield asked
        finally:
            asked.close()

    def take(self, *, requests: int = 1, connections: int = 0, sent_bytes: int = 0, opens: int = 1) -> None:
        """Count what is about to be sent: for loops that send many at a time. Raises Ended. `give` closes what it opens."""
        self._block.check()
        full = self._ledger.spend(
            self.item,
            self.name,
            self.limits,
            requests=requests,
            connections=connections,
            sent_bytes=sent_bytes,
            opens=opens,
        )
        if full is not None:
            self._used_up(full)

    def reserve(self, most: int) -> int:
        """Take a lot of requests, at most so many, and return how many. Raises Ended if there are none. `give_back` the rest."""
        self._block.check()
        lot = self._ledger.reserve(self.item, self.name, self.limits, most)
        if not lot:
            self.take(opens=0)  # raises Ended with the limit that is used up
        return lot

    def give_back(self, requests: int) -> None:
        """Give back requests that were reserved and not sent."""
        self._ledger.count(self.item, self.name, requests=-requests)

    def give(
        self,
        *,
        closes: int = 1,
        received_bytes: int = 0,
        sent_bytes: int = 0,
        wrong: int = 0,
        connections: int = 0,
        peak: int = 0,
    ) -> None:
        """Count answers. `wrong` are those that were errors of the service, not refusals that the probe provoked.

        Loops that know only afterwards what they sent count it here, too; `peak` is how many requests were open then.
        """
        self._ledger.count(
            self.item,
            self.name,
            closes=closes,
            received_bytes=received_bytes,
            sent_bytes=sent_bytes,
            wrong=wrong,
            connections=connections,
            peak=peak,
        )

    def ended_itself(self, why: str) -> None:
        """Say that the probe ended early by a bound of its own, for the ledger."""
        self._own_end = why

    def saw(self, took_s: float, *, wrong: bool) -> None:
        """Take an answer of the service itself, without our own delay, beside those of the control."""
        harm = self._harm
        if harm is None or self._block.ending is not None:
            return
        with self._saw:  # requests of several threads are answered at the same time
            why = harm.add(time.monotonic(), took_s, wrong=wrong)
        if why:
            self._harm_at = time.monotonic()
            self._block.end(Ended("harm", self._words(why)))

    def calm(self, before: Baseline) -> None:
        """Set what the service was like before, for probes that measure it themselves and call `saw`."""
        self._harm, self._unwatched = Harm(self.bounds, before), ""

    def leaves(self, what: str, gone: Callable[[], bool]) -> None:
        """Say what the probe begins that must be gone when its test has ended: a session, a file, a process.

        `gone` must be quick.
        """
        self._budget.leaves(self.name, what, gone)

    def _measure_before(self, control: Control) -> None:
        found = [self._ask(control) for _ in range(_BEFORE)]
        before = Baseline(
            len(found), sum(wrong for _, wrong in found), middle([took_s for took_s, _ in found])
        )
        if before.errors >= 0.5:
            self._block.end(
                Ended(
                    "harm",
                    f"{self.name} of {self.item} was not begun: {before.wrong} of {before.answers} harmless requests were "
                    "answered with errors before it; repair the service first",
                )
            )
            self._block.check()
        self._harm = Harm(self.bounds, before)

    def _ask(self, control: Control) -> tuple[float, bool]:
        """Ask the service for something harmless; return how long it took and whether that was wrong."""
        full = self._ledger.spend(self.item, self.name, self.limits, requests=1, connections=self._connects)
        if full is not None:
            self._used_up(full)
        began = self._asking_since = time.monotonic()
        try:
            good = control()
        except Exception:  # noqa: BLE001 (whatever is raised: it is no good answer)
            good = False
        finally:
            self._asking_since = None
        took_s = time.monotonic() - began
        self._ledger.count(self.item, self.name, wrong=int(not good))
        return took_s, not good

    def _used_up(self, full: Full) -> None:
        """Raise Ended for a limit that is used up."""
        whose = "the budget of all probes together" if full.together else "its budget"
        self._block.end(Ended("spent", self._words(f"{full.words} of {whose} are used up")))
        self._block.check()

    def _watch(self, control: Control) -> None:
        from pytest_deploygate.clients import own_lag  # noqa: PLC0415 (only for probes with a control)

        with own_lag.watching() as lag, contextlib.suppress(Ended):
            self._lag = lag
            while not self._over.wait(_EVERY_S) and self._block.ending is None:
                began = time.monotonic()
                took_s, wrong = self._ask(control)
                self.saw(min(took_s, lag.fair_s(began)), wrong=wrong)

    def _words(self, why: str) -> str:
        key = "blast_radius.together" if "all probes" in why else f"blast_radius.items.{self.item}"
        raise_it = f"; lower what it sends, or raise `{key}`" if "budget" in why or "seconds" in why else ""
        return f"{self.name} of {self.item} was ended: {why}{raise_it}"

    def _line(self, what: str) -> dict[str, object]:
        return {"what": what, "item": self.item, "probe": self.name, "process": self._process}


class Asked:
    """One request. Unless it is said to be answered, it was an error of the service."""

    def __init__(self, spending: Spending) -> None:
        self._spending = spending
        self._received, self._wrong = 0, True

    def answered(self, received_bytes: int = 0, *, wrong: bool = False) -> None:
        """Say that an answer came, how large it was, and whether it was an error of the service."""
        self._received, self._wrong = received_bytes, wrong

    def close(self) -> None:
        """Count the answer."""
        self._spending.give(received_bytes=self._received, wrong=int(self._wrong))


def unrecorded(item: str = "none", limits: Limits = UNBOUNDED, stop_file: Path | None = None) -> Budget:
    """Return a budget outside of a run, for commands and tests: it counts, and nobody reads the ledger but the caller."""
    if stop_file is not None:
        stopping.begin(stop_file)
    return Budget(item, Ledger(), limits)


def _is_gone(gone: Callable[[], bool]) -> bool:
    try:
        return gone()
    except Exception:  # noqa: BLE001 (what cannot be looked at is not known to be gone)
        return False
