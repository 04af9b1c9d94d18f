"""Faults of a cluster that Patroni manages, on real servers: `deploygate lab up --with patroni`."""

from __future__ import annotations

import os
import signal

from pytest_deploygate.lab import client, sql
from pytest_deploygate.lab.faults import Change, Fault
from pytest_deploygate.lab.services import patroni
from pytest_deploygate.lab.services.patroni_asked import ask, on
from pytest_deploygate.lab.services.patroni_asked import change as change_dynamic
from pytest_deploygate.lab.services.patroni_config import MEMBERS, STORES
from pytest_deploygate.lab.state import DATABASE, Lab, LabError

_INVENTORY = "lab-patroni"
_ITEMS = {"phase2.replication": "fail", "db.replication": "fail"}
_SCOPE = "phase2 or preflight and database"
_MINE = ("test_patroni_could_fail_over",)
_NEEDS = ("patroni1",)
_LAST = "patroni3"


def _set(**settings: object) -> Change:
    """Change Patroni's dynamic configuration, and wait until every member goes by it."""

    def change(lab: Lab) -> None:
        change_dynamic(lab, **settings)
        sql.wait_until(
            "the new configuration on every member",
            lambda: all(_has(lab, member, settings) for member in MEMBERS),
        )

    return change


def _has(lab: Lab, member: str, settings: dict[str, object]) -> bool:
    _, found = ask(lab, member, "/config")
    if not isinstance(found, dict):
        return False
    if "pause" in settings and ask(lab, member, "/patroni")[1].get("pause") is not settings["pause"]:
        return False
    return all(found.get(name) == value for name, value in settings.items())


def _tag(**tags: bool) -> Change:
    """Give the last member tags, and wait until the list of members has them."""

    def change(lab: Lab) -> None:
        patroni.tag(lab, _LAST, **tags)
        patroni.reload(lab, _LAST)
        sql.wait_until("the tags in the list of members", lambda: _tags(lab) == tags)

    return change


def _tags(lab: Lab) -> dict[str, bool]:
    _, found = ask(lab, MEMBERS[0], "/cluster")
    members = found.get("members", []) if isinstance(found, dict) else []
    return next((each.get("tags", {}) for each in members if each["name"] == _LAST), {})


def _without_quorum(lab: Lab) -> None:
    for name in STORES[1:]:
        client.stop(lab, name, signal.SIGTERM)


def _freeze_receiver(lab: Lab) -> None:
    """Freeze the receiver of the last member, and write more than Patroni lets it lack."""
    rows = on(lab, _LAST, "SELECT pid FROM pg_stat_wal_receiver")
    if not rows:
        raise LabError(f"{_LAST} has no WAL receiver to freeze")
    os.kill(int(rows[0][0]), signal.SIGSTOP)
    on(
        lab,
        MEMBERS[0],
        "SET synchronous_commit = local",
        "CREATE TABLE IF NOT EXISTS ballast AS SELECT repeat(md5(n::text), 20) FROM generate_series(1, 12000) n",
        "DROP TABLE ballast",
        database=DATABASE,
    )

    def seen() -> bool:
        _, found = ask(lab, MEMBERS[0], "/cluster")
        lags = [each.get("lag") for each in found.get("members", []) if each["name"] == _LAST]
        return any(isinstance(lag, int) and lag > 1024**2 for lag in lags)

    sql.wait_until(f"lag of {_LAST} in Patroni's list", seen)


def _stop_manager(lab: Lab) -> None:
    """Kill Patroni of the last member, not its server: nothing manages that any more."""
    client.stop(lab, _LAST, signal.SIGKILL)
    sql.wait_until(
        f"the end of {_LAST} in the list of members",
        lambda: _LAST not in str(ask(lab, MEMBERS[0], "/cluster")[1]),
    )


PAUSED = Fault(
    "patroni-paused",
    "Patroni was paused for maintenance and not resumed: no failover happens by itself",
    _ITEMS,
    _set(pause=True),
    patroni.repair,
    says="patronictl resume",
    tests=_MINE,
    needs=_NEEDS,
    scope=_SCOPE,
    inventory=_INVENTORY,
)
NO_FAILOVER = Fault(
    "patroni-nofailover",
    "patroni3 has the tag nofailover: one replica is left that could take over",
    _ITEMS,
    _tag(nofailover=True),
    patroni.repair,
    says="nofailover",
    tests=_MINE,
    needs=_NEEDS,
    scope=_SCOPE,
    inventory=_INVENTORY,
)
NO_SYNC = Fault(
    "patroni-nosync",
    "patroni3 has the tag nosync: it is never synchronous, so it never takes over",
    _ITEMS,
    _tag(nosync=True),
    patroni.repair,
    says="nosync",
    tests=_MINE,
    needs=_NEEDS,
    scope=_SCOPE,
    inventory=_INVENTORY,
)
WITHOUT_QUORUM = Fault(
    "patroni-dcs-without-quorum",
    "two of the three members of etcd are down: the DCS has no quorum",
    _ITEMS,
    _without_quorum,
    patroni.repair,
    says="has no quorum",
    tests=_MINE,
    needs=_NEEDS,
    scope=_SCOPE,
    inventory=_INVENTORY,
)
ASYNCHRONOUS = Fault(
    "patroni-asynchronous",
    "synchronous_mode is off although it is declared: a failover may lose acknowledged writes",
    _ITEMS,
    _set(synchronous_mode=False),
    patroni.repair,
    says="synchronous_mode is off",
    tests=_MINE,
    needs=_NEEDS,
    scope=_SCOPE,
    inventory=_INVENTORY,
)
NOT_FAILSAFE = Fault(
    "patroni-failsafe-off",
    "failsafe_mode is off although it is declared: without its DCS the leader takes no writes",
    _ITEMS,
    _set(failsafe_mode=False),
    patroni.repair,
    says="failsafe_mode is off",
    tests=_MINE,
    needs=_NEEDS,
    scope=_SCOPE,
    inventory=_INVENTORY,
)
LAGS = Fault(
    "patroni-replica-lags",
    "patroni3's receiver is frozen and it lacks more than maximum_lag_on_failover: Patroni would not promote it",
    _ITEMS,
    _freeze_receiver,
    patroni.repair,
    says="maximum_lag_on_failover",
    tests=(*_MINE, "test_replica_streams"),
    needs=_NEEDS,
    scope=_SCOPE,
    inventory=_INVENTORY,
)
UNMANAGED = Fault(
    "patroni-member-down",
    "Patroni of patroni3 has ended; its server still streams, and nothing manages it",
    _ITEMS,
    _stop_manager,
    patroni.repair,
    says="patroni3",
    tests=_MINE,
    needs=_NEEDS,
    scope=_SCOPE,
    inventory=_INVENTORY,
)
