"""Requests within the budget: each draws on it, and its answer tells whether the service suffers."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from pathlib import Path

from pytest_deploygate.checks.cdn.probe.wire import Answer, NoAnswer, Unreadable, Wire
from pytest_deploygate.checks.cdn.section import Cdn
from pytest_deploygate.clients.budget import Spending
from pytest_deploygate.clients.own_lag import Lag
from pytest_deploygate.judging.spending import Baseline

#: About what the headers of a request take.
_HEADERS = 400
_SERVER_ERROR = 500


class Asker:
    """Sends the requests of this check. One object serves one measurement."""

    def __init__(self, cdn: Cdn, spending: Spending, lag: Lag) -> None:
        self.spending = spending
        #: Whether an error of the server is what the item judges, and no sign that the service suffers from the probe.
        self.errors_are_judged = False
        self._wire = Wire(cdn)
        self._lag = lag
        self._before: list[tuple[float, bool]] = []
        self._calm = False

    def addresses(self, url: str) -> tuple[str, ...]:
        """Return the addresses of the CDN. Raises NoAnswer."""
        return self._wire.addresses(url)

    def calm(self) -> None:
        """Take what was asked so far for what the service is like: from now on, worse answers end the probe."""
        if self._before:
            took_s = statistics.median(took for took, _ in self._before)
            wrong = sum(bad for _, bad in self._before)
            self.spending.calm(Baseline(len(self._before), wrong, took_s))
            self._calm = True

    def ask(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "GET",
        address: str | None = None,
        body: bytes | None = None,
        roots: Path | None = None,
        odd: bool = False,
    ) -> Answer:
        """Send a request (see `Wire.send`). Raises NoAnswer, and Ended if the probe must end.

        The answer to an `odd` request does not tell whether the service suffers, nor does one that came and is broken.
        """
        sent = dict(self.spending.headers) | dict(headers or {})
        size = len(body or b"") + _HEADERS + sum(map(len, sent.values()))
        began, bad = time.monotonic(), True
        try:
            with self.spending.request(size, connects=True) as asked:
                try:
                    answer = self._wire.send(
                        url,
                        sent,
                        method=method,
                        address=address,
                        body=body,
                        roots=roots,
                        check=self.spending.check,
                    )
                except Unreadable:
                    bad = False
                    asked.answered()
                    raise
                bad = answer.status >= _SERVER_ERROR and not self.errors_are_judged
                asked.answered(len(answer.body), wrong=bad and not odd)
                return answer
        except NoAnswer:
            self.spending.check()  # the connection may have been cut
            raise
        finally:
            if not odd:
                self._saw(min(time.monotonic() - began, self._lag.fair_s(began)), bad=bad)

    def _saw(self, took_s: float, *, bad: bool) -> None:
        if self._calm:
            self.spending.saw(took_s, wrong=bad)
        else:
            self._before.append((took_s, bad))


def harmless(cdn: Cdn, url: str, headers: Mapping[str, str]) -> bool:
    """Fetch an address as any user does, outside of a probe; return whether it was answered without a server's error."""
    wire = Wire(cdn)
    try:
        return wire.send(url, headers, address=wire.addresses(url)[0]).status < _SERVER_ERROR
    except NoAnswer:
        return False
