"""The failover of a name really happening: the primary site is stopped, the servers are watched, it is brought back.

Disruptive: `drill` is called only where that was allowed. It leaves a dated record; `evidence` reads the last one.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from pytest_deploygate.checks.dns.facts import DrillRecord
from pytest_deploygate.checks.dns.probe import names as dns
from pytest_deploygate.checks.dns.section import Dns, DnsFailover, DnsName
from pytest_deploygate.clients.host import commands
from pytest_deploygate.model import CannotTell

_PAUSE_S = 0.1


def failover_evidence(
    settings: Dns, wanted: DnsName, drilled: DrillRecord | None
) -> tuple[DrillRecord | None, datetime, str]:
    """Return the drill of this run or the one on record (None: neither), the time now, and the digest that it must have.

    Raises CannotTell where there is a record that cannot be read.
    """
    now, digest = datetime.now(UTC), digest_of(settings, wanted)
    if drilled or wanted.failover is None:
        return drilled, now, digest
    file = wanted.failover.record
    try:
        kept = json.loads(file.read_text())
        return DrillRecord(**kept | {"at": datetime.fromisoformat(kept["at"]), "fresh": False}), now, digest
    except FileNotFoundError:
        return None, now, digest
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CannotTell(f"the drill's record {file} cannot be read: {error}") from None


def digest_of(settings: Dns, wanted: DnsName) -> str:
    """Return the digest of what a drill's result depends on: zone, names of servers, standby, commands."""
    failover = wanted.failover
    parts = [settings.zone, wanted.name, sorted(server.name for server in settings.servers)]
    parts += [wanted.standby.address if wanted.standby else "", failover.stop if failover else ""]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def failover_drill(settings: Dns, wanted: DnsName) -> DrillRecord:
    """Stop the primary site, wait for the standby in every authoritative answer, and bring it back whatever happens.

    Raises CannotTell where the drill cannot begin, the primary site cannot be brought back, or the record cannot be
    written.
    """
    failover, standby = wanted.failover, wanted.standby
    if failover is None or standby is None:
        raise CannotTell(f"a drill for {wanted.name} needs `standby` and `failover` in the inventory")
    before = _values(settings, wanted)
    if standby.address in before:
        raise CannotTell(
            f"{wanted.name} points to the standby {standby.address} already; bring the primary site back first"
        )
    switched = back = None
    outcome = "good"
    try:
        began = time.monotonic()
        commands.must(failover.stop)
        switched = _wait(settings, wanted, {standby.address}, failover, began)
        if switched is None:
            outcome = f"{wanted.name} did not point to {standby.address} in time"
    except CannotTell as error:
        outcome = str(error)
    finally:
        began = time.monotonic()
        commands.must(failover.restore)
        back = _wait(settings, wanted, before, failover, began)
    if outcome == "good" and back is None:
        outcome = f"{wanted.name} did not come back to {', '.join(sorted(before))} in time"
    record = DrillRecord(
        wanted.name, datetime.now(UTC), digest_of(settings, wanted), switched, back, outcome, fresh=True
    )
    _keep(failover.record, record)
    return record


def _values(settings: Dns, wanted: DnsName) -> set[str]:
    facts = dns.name(settings, wanted)
    found = [
        set(records.values) for server in facts.servers if not server.resolver for records in server.over
    ]
    if not found or any(values != found[0] for values in found):
        raise CannotTell(f"the servers do not agree on {wanted.name} before the drill; nothing was stopped")
    return found[0]


def _wait(
    settings: Dns, wanted: DnsName, values: set[str], failover: DnsFailover, began: float
) -> float | None:
    """Ask until every authoritative server gives these values; return the time since `began`, in seconds."""
    while (elapsed := time.monotonic() - began) < failover.within.total_seconds():
        facts = dns.name(settings, wanted)
        elapsed = time.monotonic() - began
        mine = [set(r.values) for server in facts.servers if not server.resolver for r in server.over]
        if all(found == values for found in mine):
            return round(elapsed, 3)
        time.sleep(_PAUSE_S)
    return None


def _keep(file: Path, record: DrillRecord) -> None:
    try:
        file.write_text(json.dumps(asdict(record) | {"at": record.at.isoformat()}, indent=1))
    except OSError as error:
        raise CannotTell(f"the drill's record {file} cannot be written: {error.strerror}") from None
