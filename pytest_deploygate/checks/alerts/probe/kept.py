"""The receivers that are watched during a test, and when each notification came."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping

from pytest_deploygate.checks.alerts.facts import Arrival, Watched
from pytest_deploygate.checks.alerts.probe.catchers import Catcher, Kept, Listener, Mailbox, Maildir
from pytest_deploygate.checks.alerts.probe.messages import Counted
from pytest_deploygate.checks.alerts.probe.services import InOpsgenie, InPagerDuty, InSlack
from pytest_deploygate.checks.alerts.section import Receiver
from pytest_deploygate.model import CannotTell

#: How each way to see arrivals is made, and how often it is asked: what people pay for is asked less often.
_WAYS: Mapping[str, tuple[Callable[[Receiver, str], Catcher], float]] = {
    "listen": (lambda receiver, label: Listener(str(receiver.listen), label), 0.0),
    "webhook": (lambda receiver, label: Kept(receiver.webhook, label), 0.0),  # type: ignore[arg-type]
    "maildir": (lambda receiver, _: Maildir(receiver.maildir), 0.0),  # type: ignore[arg-type]
    "imap": (lambda receiver, _: Mailbox(receiver.imap), 1.0),  # type: ignore[arg-type]
    "slack": (lambda receiver, _: InSlack(receiver.slack), 3.0),  # type: ignore[arg-type]
    "pagerduty": (lambda receiver, _: InPagerDuty(receiver.pagerduty), 3.0),  # type: ignore[arg-type]
    "opsgenie": (lambda receiver, _: InOpsgenie(receiver.opsgenie), 3.0),  # type: ignore[arg-type]
}


class Follow:
    """One receiver. Times are those of `time.monotonic`; an arrival came between two polls."""

    def __init__(self, receiver: Receiver, label: str) -> None:
        self.name, self.way = receiver.name, receiver.way
        make, self._every_s = _WAYS[receiver.way]
        self._catcher = make(receiver, label)
        self._seen: Counted = Counted()
        self._polled = time.monotonic()
        self.came: list[tuple[str, str, float, float]] = []
        self._begun = False
        self.problem = ""

    def begin(self) -> None:
        """Begin to look."""
        try:
            self._catcher.begin()
            self._begun = True
        except CannotTell as error:
            self.problem = str(error)
        self._polled = time.monotonic()

    def poll(self, numbers: Collection[str], now: bool) -> None:
        """Take what came since the last time. `now` asks even where it was asked a moment ago.

        What cannot be read for a time is counted later: only the time of its arrival is known less well.
        """
        before, asked = self._polled, time.monotonic()
        if not self._begun or (asked - before < self._every_s and not now):
            return
        try:
            counted = self._catcher.poll(numbers)
        except CannotTell as error:
            self.problem = str(error)
            return
        after, self.problem = time.monotonic(), ""
        for (number, state), times in (counted - self._seen).items():
            self.came += [(number, state, before, after)] * times
        self._seen, self._polled = counted | self._seen, asked

    def end(self) -> None:
        """End it."""
        self._catcher.end()

    def of(self, number: str, state: str | None = None) -> bool:
        """Return whether an alert has come, in a state or in any."""
        return any(one[0] == number and state in (None, one[1]) for one in self.came)

    def arrivals(self, number: str, sent: float, resolved: float) -> list[Arrival]:
        """Return the arrivals of an alert that was sent and resolved at these times, each in seconds since then."""
        found = []
        for each, state, before, after in self.came:
            if each == number:
                since = resolved if state == "resolved" else sent
                found.append(
                    Arrival(self.name, state, round(max(0.0, before - since), 3), round(after - since, 3))
                )
        return found

    @property
    def fact(self) -> Watched:
        """The receiver as a value."""
        return Watched(self.name, self.way, self.problem)
