"""What is kept of a log while it is followed: the lines with a mark, and which secrets were in any line."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pytest_deploygate.checks.access_logs import facts
from pytest_deploygate.checks.access_logs.probe import formats, times
from pytest_deploygate.checks.access_logs.probe.formats import Reader
from pytest_deploygate.checks.access_logs.probe.marks import Prepared, carries, may_carry

#: More new lines than this with a mark are not kept.
_MOST = 20
_FEW = 8


class Kept:
    """One log. `read` is None for a file in which only secrets are looked for."""

    def __init__(self, name: str, read: Reader | None, sent: Sequence[Prepared]) -> None:
        self.name = name
        self.problem = self.missing = ""
        self.half = False
        self.clock = facts.Clock()
        self.file: facts.File | None = None
        self._read = read
        self._sent = sent
        self._answered = self._polled = self._polled_before = 0.0
        self._lines: list[facts.Line] = []
        self._others = 0
        self._secrets: list[str] = []

    def answered(self) -> None:
        """Count the time from now on: the requests were answered."""
        self._answered = self._polled = self._polled_before = time.monotonic()

    def polling(self) -> None:
        """Note that the log is read now: what is there next time was written after this."""
        self._polled_before, self._polled = self._polled, time.monotonic()

    @property
    def whole(self) -> bool:
        """Whether it has a line of each request."""
        return {line.request for line in self._lines} >= {request.name for request in self._sent}

    @property
    def has(self) -> set[str]:
        """The names of the requests that it has a line of."""
        return {line.request for line in self._lines}

    def take_all(self, lines: Sequence[str]) -> None:
        """Look at new lines. Of a busy server's thousands, those with nothing of ours are passed over together."""
        if not may_carry("\n".join(lines), self._sent):
            self._others += len(lines)
        elif len(lines) <= _FEW:
            for line in lines:
                self.take(line)
        else:
            middle = len(lines) // 2
            self.take_all(lines[:middle])
            self.take_all(lines[middle:])

    def take(self, line: str) -> None:
        """Look at a new line."""
        marked = [request for request in self._sent if request.mark in line]
        for request in self._sent:
            self._secrets += [place for place in carries(line, request.carried) if place not in self._secrets]
        if not marked:
            self._others += 1
        elif self._read is not None and len(self._lines) < _MOST:
            told = self._read(line) if len(line) <= formats.LONGEST else None
            stamp = times.stamp(told["time"]) if told and "time" in told else None
            after_s = round(max(0.0, time.monotonic() - self._answered), 3)
            shape = "" if told is not None else formats.shape(line)
            not_before_s = round(max(0.0, self._polled_before - self._answered), 3)
            self._lines += [
                facts.Line(request.name, told, stamp, after_s, shape, not_before_s) for request in marked
            ]

    def rest(self, text: str) -> None:
        """Look at what comes after the last whole line: an end that is still to come is not missed."""
        self.half = any(request.mark in text for request in self._sent)
        for request in self._sent:
            self._secrets += [place for place in carries(text, request.carried) if place not in self._secrets]

    def stamp_of(self, line: str) -> facts.Stamp | None:
        """Return the time of a line; None if it cannot be read."""
        told = self._read(line) if self._read is not None and len(line) <= formats.LONGEST else None
        return times.stamp(told["time"]) if told and "time" in told else None

    def fact(self) -> facts.Log:
        """Return what was seen."""
        return facts.Log(
            self.name,
            tuple(self._lines),
            self._others,
            tuple(self._secrets),
            half=self.half,
            problem=self.problem,
            missing=self.missing,
            clock=self.clock,
            file=self.file,
        )
