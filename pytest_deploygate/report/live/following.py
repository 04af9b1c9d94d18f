"""Follow a journal that another process writes, and say in a sentence what is wrong with it. It is only ever read."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from pytest_deploygate import moments
from pytest_deploygate.decision.incidents import Incident
from pytest_deploygate.files import bounded
from pytest_deploygate.journal import JournalError, readable, utcnow
from pytest_deploygate.journal.tail import Gone, Stamp, Tail
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Decision, Phase
from pytest_deploygate.report.live.state import Shown, State
from pytest_deploygate.report.record import Contact, GoneBack


@dataclass(frozen=True)
class Clock:
    """The running clock of an incident: what must be done until when."""

    name: str
    incident: str
    until: datetime


@dataclass(frozen=True)
class Change:
    """A change as its journal says. `items` are those in the scope of the last run, in the checklist's order.

    `whole` are the phases all of whose items are in that scope. `back_until` is when the latest rollback should be over,
    according to the policy. `stopped` says that the latest rollback stopped by itself.
    `head` and `lines` are the hash and the number of the journal's last line. `shard` is `2/4` for a part of a run.
    """

    name: str
    inventory: str
    scope: str
    phases: tuple[Phase, ...]
    whole: frozenset[str]
    items: tuple[Shown, ...]
    decision: Decision | None
    running: bool
    started: datetime
    latest: datetime
    valid_until: datetime | None
    incident: Incident | None
    clock: Clock | None
    gone_back: GoneBack | None
    back_until: datetime | None
    stopped: bool
    roles: tuple[str, ...]
    contacts: tuple[Contact, ...]
    head: str
    lines: int
    shard: str = ""


@dataclass(frozen=True)
class Seen:
    """A journal as it was read at a time. Without a `change`, `problem` says why there is none.

    `notes` are sentences about a change that can be shown: an unfinished last line, a journal that took another's place.
    """

    at: datetime
    problem: str
    notes: tuple[str, ...] = ()
    change: Change | None = None


class Following:
    """Reads what is new in the journal of one folder. Not for several threads."""

    def __init__(self, folder: Path) -> None:
        self._tail = Tail(folder)
        self._state = State()
        self._stamp: Stamp | str | None = ""  # no look has been taken yet
        self._said = ""

    def look(self) -> Seen | None:
        """Return what is there now; None if nothing has changed since the last look."""
        stamp = self._tail.stamp()
        if stamp == self._stamp and not self._tail.owes():
            return None
        unchanged, self._stamp = stamp == self._stamp, stamp
        said = self._said
        seen = self._read(stamp)
        return None if unchanged and said == self._said and not seen.problem else seen

    def _read(self, stamp: Stamp | None) -> Seen:
        at = utcnow()
        try:
            if stamp is None:
                self._again()
                return Seen(at, self._absent())
            with bounded.opened(self._tail.path) as file:
                self._take(file, at)
            return self._built(at)
        except OSError as error:
            self._again()
            why = f"{self._tail.path} cannot be read: {error.strerror}. Give this user the right to read it."
            return Seen(at, why)
        except JournalError as error:
            self._again()
            return Seen(at, f"The journal cannot be trusted: {error}.", self._notes())

    def _take(self, file: BinaryIO, at: datetime) -> None:
        """Read what is new, or all if this is another journal. A decision is shown only if all before it is as it was read."""
        for sure in (False, True):
            if gone := self._tail.gone(file, sure=sure):
                self._said = _words(gone, at)
                self._state = State()
            for entry in self._tail.lines(file):
                self._state.add(entry)
            if self._state.running:
                break

    def _again(self) -> None:
        self._tail.forget()
        self._state = State()

    def _absent(self) -> str:
        path = self._tail.path
        if self._tail.first:
            return (
                f"The journal {path} is gone: it was here when this page was served before. It was moved aside "
                "(--fresh) or removed. Nothing is known until a run writes a new one."
            )
        return f"There is no journal {path} yet: nothing was measured. This page shows the first run when it begins."

    def _notes(self) -> tuple[str, ...]:
        unfinished = (
            "The last line of the journal is unfinished: a run writes it now, or was killed while it did. "
            "It is not counted."
        )
        return tuple(filter(None, (self._said, unfinished if self._tail.unfinished else "")))

    @readable()
    def _built(self, at: datetime) -> Seen:
        state, about = self._state, self._state.about
        if about is None:
            return Seen(at, "The journal has no run yet: nothing was measured.", self._notes())
        incident, back = state.incident(), state.gone_back()
        change = Change(
            name=about.change,
            inventory=about.inventory,
            scope=(state.decision.scope if state.decision else "") or about.scope_words or "the whole checklist",
            phases=about.phases,
            whole=state.whole,
            items=state.items(),
            decision=state.decision,
            running=state.running,
            started=state.started,
            latest=state.latest,
            valid_until=_later(state.decision.at, about.decision_valid_s) if state.decision else None,
            incident=incident,
            clock=_clock(incident),
            gone_back=back,
            back_until=_later(back.began, back.allowed_s) if back else None,
            stopped=state.stopped,
            roles=about.roles,
            contacts=state.contacts,
            head=state.head,
            lines=state.lines,
            shard="{}/{}".format(*about.shard) if about.shard else "",
        )  # fmt: skip
        return Seen(at, "", self._notes(), change)


def _words(gone: Gone, at: datetime) -> str:
    when = f"at {at:%H:%M:%S} UTC"
    match gone:
        case Gone.REPLACED:
            return f"Another journal took this one's place {when}: what was shown before belongs to another record."
        case Gone.SHORTER:
            return f"The journal became shorter {when}: lines that were shown before are gone."
    return f"Lines of the journal that were shown before were changed {when}: all of it was read again."


def _later(at: datetime, seconds: float) -> datetime:
    return at + timedelta(seconds=seconds)


def _clock(incident: Incident | None) -> Clock | None:
    """Return the clock that runs; what is left is counted as `deploygate decide` counts it."""
    if incident is None or incident.clock is None:
        return None
    left = incident.left_s(moments.present())
    return None if left is None else Clock(incident.clock[0], incident.id, _later(utcnow(), left))
