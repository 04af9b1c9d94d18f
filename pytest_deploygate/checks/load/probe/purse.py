"""The engine's part of the budget: it takes requests in lots and settles once a second, so that no request waits for it."""

from __future__ import annotations

from collections.abc import Mapping

import pycurl

from pytest_deploygate.checks.load.probe.own_answers import OwnAnswers
from pytest_deploygate.checks.load.probe.requests import Exchange
from pytest_deploygate.clients.budget import Spending

_LOT = 100


class Purse:
    """Counts what the engine sends, and looks whether the service bears it; `allowed_s` is the slowest answer's limit."""

    def __init__(self, spending: Spending, allowed_s: float) -> None:
        self._spending = spending
        self.answers = OwnAnswers(spending.bounds, allowed_s)
        self.headers: Mapping[str, str] = spending.headers
        self._left = self._peak = 0
        self._sent = self._received = self._connections = self._wrong = 0

    def take(self, open_now: int) -> None:
        """Take one request; `open_now` are open then. Raises Ended if the budget has none."""
        if not self._left:
            self._left = self._spending.reserve(_LOT)
        self._left -= 1
        self._peak = max(self._peak, open_now)

    def count(self, each: Exchange, *, wrong: bool) -> None:
        """Count an answer."""
        curl = each.curl
        self._sent += curl.getinfo(pycurl.REQUEST_SIZE) + each.sends
        self._received += curl.getinfo(pycurl.HEADER_SIZE) + each.size
        self._connections += curl.getinfo(pycurl.NUM_CONNECTS)
        self._wrong += wrong

    def settle(self) -> None:
        """Bring the counts into the ledger. Raises Ended if a limit is used up."""
        self._write()
        self._spending.take(requests=0, opens=0)

    def close(self) -> None:
        """Bring the last counts into the ledger, what the service was like, and give back what was not sent."""
        self._write()
        if self.answers.before is not None:
            self._spending.calm(self.answers.before)
        self._spending.give_back(self._left)
        self._left = 0

    def _write(self) -> None:
        self._spending.give(
            closes=0,
            sent_bytes=self._sent,
            received_bytes=self._received,
            connections=self._connections,
            wrong=self._wrong,
            peak=self._peak,
        )
        self._sent = self._received = self._connections = self._wrong = 0
