"""Running commands on a host, and reading what `systemctl show` prints."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Protocol

_TIME = re.compile(r"(?:[A-Z][a-z]{2} )?(\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2})(?:\.\d+)? (?:UTC|GMT)")
_EPOCH = re.compile(r"@(\d+)(?:\.\d+)?")


class Shell(Protocol):
    """Runs a command on some host: `%s` in it stand for quoted arguments. Raises CannotTell when the host is not there."""

    def __call__(self, command: str, *arguments: str) -> tuple[int, str, str]:
        """Return exit code, output, and errors on one line."""
        ...


def unit_properties(lines: Iterable[str]) -> dict[str, str]:
    """Read `Name=value` lines."""
    pairs = (line.partition("=") for line in lines)
    return {name.strip(): value.strip() for name, equals, value in pairs if equals}


def unit_time(text: str) -> datetime | None:
    """Read a time that systemctl printed with TZ=UTC; None for `n/a`, nothing, or another form."""
    if found := _TIME.fullmatch(text.strip()):
        return datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    if found := _EPOCH.fullmatch(text.strip()):
        return datetime.fromtimestamp(int(found[1]), UTC)
    return None
