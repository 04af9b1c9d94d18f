"""The events of one test: their ids, their messages, and finding them in what comes out.

An id is a UUID whose first part is the test's and whose last part is the event's number: any system can keep it, and no
other test's events are taken for ours.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pytest_deploygate.checks.pipeline.section import Pipeline

#: Trials, which are sent before the first event, have numbers from here on.
TRIALS = 1 << 40
#: Texts that become numbers if nothing else stands beside them.
_NUMBERS = ("sequence", "sent_at_ms", "value")


class Events:
    """Makes the messages of a test, and finds their numbers."""

    def __init__(self, pipeline: Pipeline) -> None:
        token = secrets.token_hex(10)
        self.prefix = f"{token[:8]}-{token[8:12]}-4{token[12:15]}-8{token[15:18]}-"
        self.shares = pipeline.shares
        self.devices = tuple(device for device, _ in self.shares)
        self._messages = [pipeline.message_of(entrance) for entrance in pipeline.entrances]
        self._value = pipeline.value
        bare = self.prefix.replace("-", "")
        self._quick = (self.prefix, bare)
        self._mark = re.compile(f"(?:{self.prefix}|{bare})([0-9a-f]{{12}})", re.IGNORECASE)

    def id_of(self, number: int) -> str:
        """Return the id of an event."""
        return f"{self.prefix}{number:012x}"

    def message(self, number: int, device: str, entrance: int, sequence: int) -> bytes:
        """Return an event of a device as it is sent now by one of the entrances, as JSON."""
        now = datetime.now(UTC)
        values = {
            "id": self.id_of(number),
            "device": device,
            "sequence": sequence,
            "sent_at": now.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "sent_at_ms": int(now.timestamp() * 1000),
            "value": self._value,
        }
        return json.dumps(_filled(self._messages[entrance], values)).encode()

    def is_ours(self, text: str) -> bool:
        """Tell quickly whether a text may have an event of this test."""
        return any(mark in text for mark in self._quick) or bool(self._mark.search(text))

    def numbers(self, text: str, path: str = "") -> list[int]:
        """Return the numbers of the events in a message, one of them as often as it stands there.

        In JSON an object that has an id among its own values counts once, whatever else it contains; with `path` one whose
        id stands there. In any other text each id counts once.
        """
        if not self.is_ours(text):
            return []
        try:
            document = json.loads(text)
        except ValueError:
            return list(dict.fromkeys(self._in(text)))
        return self.numbers_of(document, path)

    def numbers_of(self, document: object, path: str = "") -> list[int]:
        """Return the numbers of the events in a document; see `numbers`."""
        found: list[int] = []
        self._walk(document, path.split(".") if path else [], found)
        return found

    def _walk(self, value: object, path: list[str], found: list[int]) -> None:
        if isinstance(value, Mapping):
            own = [_at(value, path)] if path else list(value.values())
            mine = list(
                dict.fromkeys(
                    n for each in own if not isinstance(each, Mapping | list | tuple) for n in self._in(each)
                )
            )
            found += mine
            if not mine:
                for inner in value.values():
                    self._walk(inner, path, found)
        elif isinstance(value, list | tuple):
            for inner in value:
                self._walk(inner, path, found)
        elif not path:
            found += self._in(value)

    def _in(self, value: object) -> list[int]:
        return [int(number, 16) for number in self._mark.findall(str(value))] if value is not None else []


def _at(value: object, path: list[str]) -> object:
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def _filled(template: Any, values: Mapping[str, object]) -> Any:
    if isinstance(template, Mapping):
        return {key: _filled(inner, values) for key, inner in template.items()}
    if isinstance(template, list):
        return [_filled(inner, values) for inner in template]
    if not isinstance(template, str):
        return template
    for name in _NUMBERS:
        if template == f"{{{name}}}":
            return values[name]
    return re.sub(r"\{(\w+)\}", lambda place: str(values[place[1]]), template)
