"""Earlier observations of a name: TTLs and answers, one JSON line each, kept for the days of a change.

Lowering a TTL an hour ago does not help users whose resolver cached the old one for a day; only an earlier observation
shows that. The file is in the change's folder, or at `dns.observations`.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from pytest_deploygate.checks.dns.facts import NameFacts, Observation
from pytest_deploygate.files import bounded
from pytest_deploygate.model import CannotTell

FILE = "dns-observations.jsonl"
_MOST_LINES = 20_000


def remember(file: Path, found: NameFacts) -> tuple[Observation, ...]:
    """Return the earlier observations of this name, and add this one. Raises CannotTell."""
    earlier = read(file, found.name)
    seen = [r for server in found.servers if not server.resolver for r in server.over if r.ttl_s is not None]
    none = [
        r.negative_ttl_s
        for server in found.servers
        if not server.resolver
        for r in server.over
        if r.negative_ttl_s is not None and not r.problem and r.rcode in ("NOERROR", "NXDOMAIN")
    ]
    if none and not seen:  # resolvers keep that there is no record, too (RFC 2308)
        add(file, Observation(found.at, found.name, (), max(none)))
    if seen:
        values = sorted({value for records in seen for value in records.values})
        add(file, Observation(found.at, found.name, tuple(values), max(r.ttl_s or 0 for r in seen)))
    return earlier


def add(file: Path, seen: Observation) -> None:
    """Add an observation. Raises CannotTell when the file cannot be written."""
    line = {"at": seen.at.isoformat(), "name": seen.name, "values": list(seen.values), "ttl_s": seen.ttl_s}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a") as target:
            target.write(json.dumps(line) + "\n")
    except OSError as error:
        raise CannotTell(f"the DNS observations {file} cannot be written: {error.strerror}") from None


def read(file: Path, name: str) -> tuple[Observation, ...]:
    """Return the earlier observations of a name, oldest first. Raises CannotTell for an unreadable or damaged file."""
    try:
        lines = bounded.text(file, bounded.MADE).splitlines()[-_MOST_LINES:]
    except FileNotFoundError:
        return ()
    except (OSError, bounded.OddTextError) as error:
        raise CannotTell(f"the DNS observations {file} cannot be read: {error}") from None
    try:
        found = [
            Observation(
                datetime.fromisoformat(one["at"]), one["name"], tuple(one["values"]), int(one["ttl_s"])
            )
            for one in map(json.loads, filter(None, lines))
            if one["name"] == name
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise CannotTell(f"the DNS observations {file} are damaged ({error}); move the file away") from None
    return tuple(sorted(found, key=lambda seen: seen.at))
