"""What pg_auto_failover's monitor says: only a state in which it can fail over is no reason to refuse a drill."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from pytest_deploygate.checks.replication.probe.managed.autofailover import AUTO_FAILOVER, parsed, unfit
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.model import CannotTell

#: As pg_auto_failover 2.0 prints it.
READY = """[
    {
        "health": 1,
        "node_id": 1,
        "group_id": 0,
        "nodehost": "127.0.0.1",
        "nodename": "db1",
        "nodeport": 55129,
        "nodecluster": "default",
        "reported_lsn": "0/40000D8",
        "reported_tli": 1,
        "formation_kind": "pgsql",
        "candidate_priority": 50,
        "replication_quorum": true,
        "current_group_state": "primary",
        "assigned_group_state": "primary"
    },
    {
        "health": 1,
        "node_id": 2,
        "group_id": 0,
        "nodehost": "127.0.0.1",
        "nodename": "db2",
        "nodeport": 44709,
        "nodecluster": "default",
        "reported_lsn": "0/40000D8",
        "reported_tli": 1,
        "formation_kind": "pgsql",
        "candidate_priority": 50,
        "replication_quorum": true,
        "current_group_state": "secondary",
        "assigned_group_state": "secondary"
    }
]
"""
NODES = [Node(name=name, host="127.0.0.1") for name in ("db1", "db2")]


def changed(at: int, **more: object) -> str:
    rows = json.loads(READY)
    rows[at] |= more
    return json.dumps(rows)


def added(**more: object) -> str:
    rows = json.loads(READY)
    return json.dumps([*rows, {**rows[1], "nodename": "db3", **more}])


def both(state: str, assigned: str = "") -> dict[str, str]:
    return {"current_group_state": state, "assigned_group_state": assigned or state}


def why(said: str, leaders: tuple[str, ...] = ("db1",), *, automatic: bool = True) -> str:
    return "; ".join(unfit(parsed(said), NODES, leaders, automatic))


def test_a_ready_formation_may_fail_over():
    assert why(READY) == ""
    assert why(added(candidate_priority=0)) == ""
    assert why(added(group_id=1, **both("primary"))) == ""


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (changed(1, **both("maintenance")), "db2 is in maintenance: `pg_autoctl disable maintenance` there first"),
        (changed(1, **both("secondary", "maintenance")), "db2 is in maintenance"),
        (changed(1, **both("maintenance", "catchingup")), "db2 is in maintenance"),
        (changed(1, **both("catchingup")), "db2 is catchingup, neither primary nor secondary"),
        (changed(1, **both("catchingup", "secondary")), "db2 is catchingup and shall become secondary"),
        (changed(0, **both("primary", "draining")), "db1 is primary and shall become draining"),
        (changed(0, **both("wait_primary")), "db1 is wait_primary, neither primary nor secondary"),
        (changed(0, **both("demote_timeout")), "the monitor has no node as primary, but the servers say db1 is"),
        (changed(1, **both("primary")), "the monitor has db1, db2 as primary, but the servers say db1 is"),
        (changed(1, health=0), "the monitor cannot reach db2"),
        (changed(1, health=-1), "the monitor has not looked at db2 yet"),
        (changed(1, nodename="node_2"), "the monitor does not know db2, only db1, node_2: name the nodes"),
        (changed(1, candidate_priority=0), "no secondary has a candidate priority above 0: the monitor promotes none"),
        (added(), "the monitor may promote db3, which the inventory does not name"),
    ],
)  # fmt: skip
def test_what_speaks_against_a_failover(said: str, says: str):
    assert says in why(said)


def test_who_leads_is_asked_of_the_servers():
    assert why(READY, ("db2",)).startswith("the monitor has db1 as primary, but the servers say db2 is")
    assert "but the servers say none of them is" in why(READY, ())


def test_nobody_need_be_a_candidate_where_the_inventory_promotes():
    assert why(changed(1, candidate_priority=0), automatic=False) == ""


def test_a_node_leads_once_it_has_reported_so_and_shall_go_on():
    def leading(state: dict[str, str]) -> list[str]:
        return [m.name for m in parsed(changed(1, **state)) if AUTO_FAILOVER.leads(m)]

    assert leading(both("wait_primary", "primary")) == ["db1", "db2"]
    assert leading(both("prepare_promotion", "wait_primary")) == ["db1"]
    assert leading(both("primary", "draining")) == ["db1"]


def test_a_node_outside_the_quorum_is_called_so():
    members = parsed(changed(1, replication_quorum=False))
    assert [AUTO_FAILOVER.priority(member) for member in members] == ["50", "50 without quorum"]


def odd() -> Iterator[tuple[str, str]]:
    yield "", "'', expected a list of nodes"
    yield "[]", "no node: the formation is empty, or another one"
    yield "{}", "no node"
    yield '{"a": 1}', "expected a list of nodes"
    yield "null", "expected a list of nodes"
    yield "[1]", "expected a list of nodes"
    yield "Name |  Node | Host:Port", "'Name |  Node | Host:Port', expected a list of nodes"
    yield READY[:400], "expected a list of nodes"
    yield READY.replace("db2", "db1"), "db1 twice"
    yield READY.replace("nodename", "node_name"), "KeyError: 'nodename'"
    for field, value in (
        ("health", 2), ("health", True), ("health", None), ("nodename", ""), ("nodename", 7), ("candidate_priority", "50"),
        ("replication_quorum", 1), ("current_group_state", None), ("group_id", 0.5),
    ):  # fmt: skip
        yield (
            changed(1, **{field: value}),
            "expected a list of nodes as pg_auto_failover 2.0 does (ValueError",
        )


@pytest.mark.parametrize(("said", "says"), list(odd()))
def test_anything_else_is_no_state(said: str, says: str):
    with pytest.raises(CannotTell) as unknown:
        parsed(said)
    assert says in str(unknown.value)
