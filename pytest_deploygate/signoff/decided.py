"""Signatures on people's decisions about an incident. They cover what the journal says and its place in the journal.

The signed text is computed from the journal and stored nowhere else. If one word of a decision is altered, or it is moved
to another change, incident or line, its signature no longer matches.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pytest_deploygate.decision import incident_log
from pytest_deploygate.decision.incidents import Event, What
from pytest_deploygate.journal import Entry, segments
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.signoff import ssh
from pytest_deploygate.signoff.result import BROKEN, UNSIGNED, Check

NAMESPACE = "deploygate-decision"
SCHEMA = "deploygate-decision/1"
#: Deciders that are not people: a policy's deadline, a run, a hook.
NOBODY = ("deadline", "gate", "hook")

State = Literal["signed", "unsigned", "altered", "untrusted"]


@dataclass(frozen=True)
class Decided:
    """A person's decision with the state of its signature. `line` is its line in the journal; `why` explains the state."""

    line: int
    event: Event
    state: State
    why: str

    @property
    def text(self) -> str:
        """The decision in words, with the state of its signature."""
        who = f"{self.event.name} ({self.event.by})" if self.event.name else self.event.by
        return f"{self.event.says} by {who} at {self.event.at.wall:%Y-%m-%d %H:%M:%S} UTC (line {self.line}): {self.why}"


def statement(event: Event, change: str, inventory: str, head: str) -> bytes:
    """Return what is signed: canonical JSON (sorted keys, no spaces, one final newline). `head` is the preceding line's hash."""
    plain = {
        "schema": SCHEMA,
        "change": change,
        "inventory": inventory,
        "incident": event.incident,
        "decision": event.says,
        "role": event.by,
        "name": event.name,
        "reason": event.reason,
        "at": event.at.wall.astimezone(UTC).isoformat(),
        "journal_head": head,
    }
    return (json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n").encode(
        errors="backslashreplace"
    )


def sign(event: Event, change: str, inventory: str, head: str, key: Path) -> str:
    """Return the signature of a decision that is about to be appended after `head`. Raises ssh.SshError."""
    raw = statement(event, change, inventory, head)
    return ssh.as_stored(ssh.sign(raw, key, NAMESPACE)).decode()


def read(entries: Sequence[Entry], allowed: Path | None, at: datetime) -> list[Decided]:
    """Return people's decisions in a journal with the state of their signatures. Raises JournalError, ssh.SshError."""
    found = []
    for entry in entries:
        if entry.kind != incident_log.KIND:
            continue
        event = incident_log.event(entry)
        if event.what is What.DECIDED and (event.by not in NOBODY or event.signature):
            state, why = _checked(entries, entry, event, allowed, at)
            found.append(Decided(entry.seq, event, state, why))
    return found


def _checked(
    entries: Sequence[Entry], entry: Entry, event: Event, allowed: Path | None, at: datetime
) -> tuple[State, str]:
    if not event.signature:
        return "unsigned", "not signed: anybody who can write the journal may have written it"
    begun = [run for run in segments(entries) if run.seq < entry.seq]
    if not begun:
        return "altered", "it was ALTERED: there is no run before it"
    begin = begun[-1].begin
    raw, armour = (
        statement(event, begin["change"], begin["inventory"]["name"], entry.body["prev"]),
        event.signature.encode(),
    )
    made = ssh.made_by(raw, armour, NAMESPACE)
    if not made.key:
        return "altered", f"it was ALTERED after it was signed, or moved here from elsewhere: {made.problem}"
    if allowed is None or not allowed.is_file():
        return "untrusted", f"signed by {made.key}; trust not established: there is no allowed-signers file"
    if why := untrusted(raw, event.signature, event, allowed, at):
        return "untrusted", why
    return "signed", f"signed by {made.key}, which may decide as {event.by}"


def untrusted(raw: bytes, armour: str, event: Event, allowed: Path, at: datetime) -> str:
    """Return why the key of a signature may not decide in the role, then and at `at`; empty if it may."""
    why = ssh.refused(raw, armour.encode(), event.by, allowed, (event.at.wall, at), NAMESPACE)
    key = ssh.made_by(raw, armour.encode(), NAMESPACE).key
    return f"the key {key} {why} in {allowed}: it may not decide as {event.by}" if why else ""


def checks(entries: Sequence[Entry], allowed: Path | None, at: datetime) -> Iterator[Check]:
    """Check people's decisions as `deploygate verify` lists them. Raises JournalError, ssh.SshError."""
    for one in read(entries, allowed, at):
        match one.state:
            case "signed":
                yield Check("decision", True, one.text)
            case "unsigned":
                yield Check("decision", None, one.text)
            case "altered":
                yield Check("decision", False, one.text, BROKEN)
            case "untrusted":
                yield Check("decision", False, one.text, UNSIGNED)
