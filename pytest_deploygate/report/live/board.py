"""What the server's threads know: one thread reads the journal, and all others are told what it read last."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from pytest_deploygate.journal import utcnow
from pytest_deploygate.report.live import page, parts, stands
from pytest_deploygate.report.live.following import Change, Following, Seen
from pytest_deploygate.report.live.page import Live, Signature
from pytest_deploygate.report.live.parts import Parts
from pytest_deploygate.report.live.stands import Stands

#: A look takes milliseconds; after so long without one nothing is known.
STALE_S = 10.0
#: Returns the signatures that are there of a change, by the slug of their role.
LooksAtSignatures = Callable[[Change], Mapping[str, Signature]]


class Board:
    """What was read last, for all threads. `number` counts the pages that differed."""

    def __init__(self, folder: Path, signed: LooksAtSignatures) -> None:
        self._following, self._signed_now = Following(folder), signed
        self._changed = threading.Condition()
        self._parts = Parts()
        self._seen: Seen | None = None
        self._signed: Mapping[str, Signature] = {}
        self._live: Live | None = None
        self._state: tuple[Stands, bool] | None = None
        self.number, self._looked = 0, 0.0
        self._closed = False
        self.refresh()

    @property
    def stale(self) -> bool:
        """True if the journal was not looked at for so long that what is known may be wrong."""
        return time.monotonic() - self._looked > STALE_S

    @property
    def seen(self) -> Seen:
        """The journal as it was read last; nothing, if that is too long ago."""
        if self.stale:
            return Seen(utcnow(), "The journal could not be looked at for a while: its disk does not answer.")
        return self._known()

    def _known(self) -> Seen:
        assert self._seen is not None  # noqa: S101 (for mypy: the first look sees something)
        return self._seen

    def refresh(self) -> None:
        """Look at the journal; a decision or a clock that ran out since the last look changes the page, too."""
        seen = self._following.look()
        self._looked = time.monotonic()
        known = seen or self._known()
        at, change = utcnow(), known.change
        signed = self._signed_now(change) if change else {}
        state = stands.now(known, at), bool(change and change.clock and change.clock.until <= at)
        if seen is None and state == self._state and signed == self._signed:
            return
        live = page.live(known, at, signed)
        with self._changed:
            self._seen, self._state, self._signed, self._live = known, state, signed, live
            if self._parts.update(live, self.number + 1):
                self.number += 1
                self._changed.notify_all()

    def after(self, number: int, patience_s: float) -> tuple[int, dict[str, str]]:
        """Return the parts that came after the page of a number, once there are some; none after a while."""
        with self._changed:
            self._changed.wait_for(lambda: self.number != number or self._closed, patience_s)
            return self.number, self._parts.since(number)

    def document(self, change: str) -> str:
        """Return the whole page."""
        live = self._live
        assert live is not None  # noqa: S101 (for mypy: the first look made one)
        return parts.document(live, change, utcnow())

    def close(self) -> None:
        """Let nobody wait any longer: browsers must hear at once that nothing comes."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
