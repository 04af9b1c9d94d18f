"""What repmgr prints of its cluster: only a state in which repmgrd can fail over is no reason to refuse a drill."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.replication.probe.managed.repmgr import parsed, unfit
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.model import CannotTell

#: As repmgr 5.3.3 prints it.
READY = """1,db1,primary,1,1,27688,0,100,-1,default
2,db2,standby,1,1,27718,0,100,0,default
3,db3,standby,1,1,27737,0,100,1,default
"""
DB2 = "2,db2,standby,1,1,27718,0,100,0,default"
NODES = [Node(name=name, host="127.0.0.1") for name in ("db1", "db2", "db3")]


def why(said: str, leaders: tuple[str, ...] = ("db1",), *, automatic: bool = True) -> str:
    return "; ".join(unfit(parsed(said), NODES, leaders, automatic))


def test_a_ready_cluster_may_fail_over():
    assert why(READY) == ""
    assert why(READY + "4,watcher,witness,1,1,77,0,0,0,default\n") == ""
    assert why(READY + "4,reports,standby,1,1,77,0,0,0,default\n") == ""


@pytest.mark.parametrize(
    ("db2", "says"),
    [
        ("2,db2,standby,1,0,-1,0,100,-1,default", "repmgrd does not run on db2"),
        ("2,db2,standby,1,1,27718,1,100,0,default", "repmgrd is paused on db2: `repmgr service unpause`"),
        ("2,db2,standby,1,0,-1,1,100,-1,default", "does not run on db2: nobody would be promoted by it there; "
         "repmgrd is paused on db2"),
        ("2,db2,standby,0,-1,-1,-1,100,-1,default", "repmgr cannot reach db2"),
        ("2,db2,standby,-1,-1,-1,-1,100,-1,default", "repmgr cannot reach db2"),
        ("2,db2,standby,1,-1,-1,-1,100,-1,default", "whether repmgrd runs on db2 is unknown"),
        ("2,db2,standby,1,1,27718,-1,100,0,default", "whether repmgrd runs on db2 is unknown"),
        ("2,db2,standby,1,1,27718,0,100,-1,default", "repmgrd on db2 does not see its upstream"),
        ("2,db2,standby,1,1,27718,0,100,61,default", "has not looked at its upstream for long on db2 (61 s): it stands still"),
        ("2,db2,primary,1,1,27718,0,100,-1,default", "repmgr has db1, db2 as primary, but the servers say db1 is"),
        ("2,db-2,standby,1,1,27718,0,100,0,default", "repmgr does not know db2, only db1, db-2, db3"),
        (DB2 + "\n4,db4,standby,1,1,9,0,50,0,default", "repmgr may promote db4"),
    ],
)  # fmt: skip
def test_what_speaks_against_a_failover(db2: str, says: str):
    assert says in why(READY.replace(DB2, db2))


def test_who_leads_is_asked_of_the_servers():
    assert "repmgr has db1 as primary, but the servers say db3 is" in why(READY, ("db3",))
    assert "repmgr has db1 as primary, but the servers say none of them is" in why(READY, ())
    failed = READY.replace("1,db1,primary,1,1", "1,db1,primary,0,-1").replace(
        "2,db2,standby", "2,db2,primary"
    )
    assert why(failed, ("db2",)) == "repmgr cannot reach db1"


def test_repmgrd_need_not_run_where_the_inventory_promotes():
    paused = READY.replace(",0,100", ",1,100")
    assert "paused on db1, db2, db3" in why(paused)
    assert why(paused, automatic=False) == ""


def test_standbys_without_priority_are_never_promoted():
    assert why(READY.replace("0,100,0", "0,0,0").replace("0,100,1", "0,0,1")) == (
        "no standby has a priority above 0: repmgrd promotes none"
    )


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ("", "nothing, expected a line for each node"),
        ("\n \n", "nothing"),
        (READY + READY, "db1 twice"),
        ("1,0,0\n2,0,1\n", "'1,0,0', expected ten values"),
        ("1,db1,primary,1,1,27688,0,100,-1\n", "expected ten values"),
        (READY + "Last login: today\n", "'Last login: today', expected ten values"),
        (READY.replace("standby", "replica"), "'2,db2,replica,"),
        (READY.replace("1,db1,primary,1,1", "1,db1,primary,yes,1"), "'1,db1,primary,yes,"),
        (READY.replace("1,db1,primary,1,1", "1,db1,primary,2,1"), "'1,db1,primary,2,"),
        (READY.replace(",-1,default", ",,default"), "expected ten values"),
        (READY.replace(",-1,default", ",-2,default"), "expected ten values"),
        (" ID | Name | Role    | Status    | Upstream | repmgrd | PID  | Paused? |\n", "expected ten values"),
    ],
)
def test_anything_else_is_no_state(said: str, says: str):
    with pytest.raises(CannotTell) as unknown:
        parsed(said)
    assert says in str(unknown.value)
