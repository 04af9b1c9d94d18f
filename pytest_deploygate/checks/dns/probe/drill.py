"""The failover drill of a name: the primary site is stopped, the servers are polled, and the site is restored.

Disruptive: `failover_drill` is called only if that is allowed, and writes a dated record. `failover_evidence` reads
the last one.
"""

from __future__ import annotations

import json
import time
from typing import Any

from pytest_deploygate.checks.dns.facts import FailoverFacts
from pytest_deploygate.checks.dns.probe import names as dns
from pytest_deploygate.checks.dns.section import Dns, DnsFailover, DnsName
from pytest_deploygate.clients import budget as budgets
from pytest_deploygate.clients import own_lag, stopping
from pytest_deploygate.clients.budget import Budget, Spending
from pytest_deploygate.clients.host import commands
from pytest_deploygate.drills import record as drills
from pytest_deploygate.files import sha256
from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.model import CannotTell

Record = drills.Record[FailoverFacts]
Evidence = drills.Evidence[FailoverFacts]
_PAUSE_S = 0.1
_ITEM = "infra.dns-failover"
_UNWATCHED = "it stops the primary site itself"


def failover_evidence(
    settings: Dns, wanted: DnsName, drilled: Record | None, environment: str = ""
) -> Evidence:
    """Return the drill of this run, else the record of the last one. `environment` is the inventory's name.

    A missing or unusable record is a value of the evidence; nothing is raised.
    """
    now = drills.described(configuration(settings, wanted))

    def former(raw: dict[str, Any]) -> dict[str, Any]:
        """Earlier versions wrote `at`, and a digest of the configuration without its settings."""
        if "at" not in raw:
            return raw
        same = raw.get("digest") == _former_digest(settings, wanted)
        return (
            raw | {"date": raw["at"]} | ({"configuration": now, "digest": drills.digest(now)} if same else {})
        )

    return drills.evidence(
        wanted.failover.record if wanted.failover else None,
        FailoverFacts,
        ran=drilled,
        configuration=now,
        environment=environment,
        former=former,
    )


def configuration(settings: Dns, wanted: DnsName) -> dict[str, str]:
    """Return what a drill's result depends on: the zone, its servers, the standby, and the command that stops the site."""
    return {
        "zone": settings.zone,
        "name": wanted.name,
        "servers": ", ".join(sorted(server.name for server in settings.servers)),
        "standby": wanted.standby.address if wanted.standby else "",
        "stop": wanted.failover.stop if wanted.failover else "",
    }


def _former_digest(settings: Dns, wanted: DnsName) -> str:
    zone, name, _, standby, stop = configuration(settings, wanted).values()
    servers = sorted(server.name for server in settings.servers)
    return sha256(json.dumps([zone, name, servers, standby, stop]).encode())


def failover_drill(
    settings: Dns, wanted: DnsName, environment: str = "", budget: Budget | None = None
) -> Record:
    """Stop the primary site, wait for the standby in every authoritative answer, and always restore the site.

    Its questions draw on `budget`; left out, on one that is in no ledger. Raises CannotTell if the drill cannot begin, the primary site cannot be restored, or the record cannot be
    written.
    """
    failover, standby = wanted.failover, wanted.standby
    if failover is None or standby is None:
        raise CannotTell(f"a drill for {wanted.name} needs `standby` and `failover` in the inventory")
    before = _values(settings, wanted)
    if standby.address in before:
        raise CannotTell(
            f"{wanted.name} already points to the standby {standby.address}; restore the primary site first"
        )
    switched = back = None
    problem = ""
    lag = OwnLag()
    try:
        began = time.monotonic()
        drawn = budget or budgets.unrecorded(_ITEM)
        with own_lag.watching() as sampled, drawn.probe("failover drill", unwatched=_UNWATCHED) as spending:
            commands.must(failover.stop)
            switched = _wait(settings, wanted, {standby.address}, failover, began, spending)
            lag = sampled.since(began)
        if switched is None:
            problem = f"{wanted.name} did not point to {standby.address} in time"
    except CannotTell as error:
        problem = str(error)
    finally:
        with stopping.shielded():
            began = time.monotonic()
            commands.must(failover.restore)
            back = _wait(settings, wanted, before, failover, began)
    if not problem and back is None:
        problem = f"{wanted.name} did not switch back to {', '.join(sorted(before))} in time"
    record = drills.made(
        FailoverFacts(wanted.name, switched, back, lag),
        "failed" if problem else drills.GOOD,
        configuration(settings, wanted),
        reason=problem,
        environment=environment,
    )
    drills.write(failover.record, record)
    return record


def _values(settings: Dns, wanted: DnsName) -> set[str]:
    facts = dns.name(settings, wanted)
    found = [
        set(records.values) for server in facts.servers if not server.resolver for records in server.over
    ]
    if not found or any(values != found[0] for values in found):
        raise CannotTell(f"the servers disagree on {wanted.name} before the drill; nothing was stopped")
    return found[0]


def _wait(
    settings: Dns,
    wanted: DnsName,
    values: set[str],
    failover: DnsFailover,
    began: float,
    spending: Spending | None = None,
) -> float | None:
    """Poll until every authoritative server returns these values; return the time since `began`, in seconds."""
    while (elapsed := time.monotonic() - began) < failover.patience_s:
        if spending is not None:
            spending.take(requests=len(settings.servers), opens=0)
        facts = dns.name(settings, wanted, afresh=True)
        elapsed = time.monotonic() - began
        mine = [set(r.values) for server in facts.servers if not server.resolver for r in server.over]
        if all(found == values for found in mine):
            return round(elapsed, 3)
        time.sleep(_PAUSE_S)
    return None
