"""Write incident events as lines of the journal (kind `incident`), and read them back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_deploygate import moments
from pytest_deploygate.decision.incidents import Event, What
from pytest_deploygate.journal import ODD, Entry, JournalError
from pytest_deploygate.journal.typed import text, texts

KIND = "incident"


def to_json(event: Event) -> dict[str, Any]:
    """Return an event in the form that the journal stores."""
    plain = {
        "incident": event.incident,
        "what": event.what.value,
        "moment": moments.to_json(event.at),
        "by": event.by,
        "outcome": event.says,
        "reason": event.reason,
        "name": event.name,
        "items": list(event.items),
        "late_s": round(event.late_s, 3),
    }
    return plain | ({"signature": event.signature} if event.signature else {})


def events(entries: Sequence[Entry]) -> list[Event]:
    """Return the incident events of a journal. Raises JournalError if this version cannot read one."""
    return [event(entry) for entry in entries if entry.kind == KIND]


def event(entry: Entry) -> Event:
    """Read one event. Raises JournalError."""
    body = entry.body
    try:
        return Event(
            incident=text(body["incident"], "incident"),
            what=What(body["what"]),
            at=moments.from_json(body["moment"]),
            by=text(body["by"], "by"),
            says=text(body["outcome"], "outcome"),
            reason=text(body["reason"], "reason"),
            name=text(body["name"], "name"),
            items=texts(body["items"], "items"),
            late_s=moments.number_of(body["late_s"]),
            signature=text(body.get("signature", ""), "signature"),
        )
    except ODD as error:
        raise JournalError(
            f"line {entry.seq} of the journal is not a readable incident event: {error!r}"
        ) from None
