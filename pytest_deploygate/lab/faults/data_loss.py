"""Faults of acknowledged writes: what becomes of the gate's own rows, on real servers."""

from __future__ import annotations

from pytest_deploygate.lab import sql
from pytest_deploygate.lab.faults import Change, Fault, by_sql
from pytest_deploygate.lab.state import PRIMARY, Lab

_SCOPE = "criteria and performance"
_ITEMS = {"crit.data-loss": "fail"}
_TABLE = "deploygate.deploygate_replication"
_NODES = ("test_acknowledged_writes_are_on_every_node",)
_KEY = "deploygate_replication_pkey"


def _table(lab: Lab) -> None:
    """Create the gate's table as the gate would, so that it can be changed before the first write."""
    with sql.connect(lab, role="deploygate") as connection:
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {_TABLE} (run text NOT NULL, id bigint NOT NULL, application text NOT NULL"
            " DEFAULT 'deploygate', written_at timestamptz NOT NULL DEFAULT clock_timestamp(),"
            " PRIMARY KEY (run, id))".encode()
        )


def _trigger(body: str, each: str = "ROW", *before: str, when: str = "AFTER INSERT") -> Change:
    """Return a change that runs `body` after each insert, or when it is said, with the rights of a superuser."""

    def change(lab: Lab) -> None:
        _table(lab)
        sql.execute(
            lab,
            *before,
            "CREATE OR REPLACE FUNCTION public.planted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
            f" $$ BEGIN {body} RETURN NEW; END $$",
            f"CREATE OR REPLACE TRIGGER planted {when} ON {_TABLE} FOR EACH {each}"
            " WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION public.planted()",
        )

    return change


def _policy(using: str) -> Change:
    """Return a change after which readers see those rows only, and writers write all."""

    def change(lab: Lab) -> None:
        _table(lab)
        sql.execute(
            lab,
            f"ALTER TABLE {_TABLE} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
            f"CREATE POLICY planted ON {_TABLE} USING ({using}) WITH CHECK (true)",
        )

    return change


def _drop_table(lab: Lab) -> None:
    """Remove the gate's table with what was planted on it; the next run creates it again."""
    sql.execute(lab, f"DROP TABLE IF EXISTS {_TABLE}", "DROP FUNCTION IF EXISTS public.planted()")
    sql.wait_streaming(lab)


def _setting(setting: str, value: str | None) -> Change:
    change = f"RESET {setting}" if value is None else f"SET {setting} = '{value}'"
    return by_sql(f"ALTER SYSTEM {change}", "SELECT pg_reload_conf()", node=PRIMARY)


def _heal_setting(setting: str) -> Change:
    def heal(lab: Lab) -> None:
        _setting(setting, None)(lab)
        sql.wait_streaming(lab)

    return heal


REMOVED = Fault(
    "acknowledged-write-removed",
    "something removes every 25th of the rows that were acknowledged",
    _ITEMS,
    _trigger(f"DELETE FROM {_TABLE} WHERE run <> '' AND id % 25 = 0;", "STATEMENT"),
    _drop_table,
    says="db1, db2 and db3 lack",
    tests=(*_NODES, "test_acknowledged_writes_are_in_a_restored_backup"),
    scope=_SCOPE,
)
ASYNCHRONOUS = Fault(
    "commits-wait-for-nobody",
    "commits no longer wait for a replica, though the inventory says that they do",
    _ITEMS,
    _setting("synchronous_standby_names", ""),
    _heal_setting("synchronous_standby_names"),
    says="commits on db1 wait for no replica",
    tests=("test_zero_loss_was_shown_by_a_fault",),
    scope=_SCOPE,
)
SKIPPED = Fault(
    "acknowledged-write-not-on-replica",
    "db3 lacks every 25th of the rows that were acknowledged",
    _ITEMS,
    _policy("current_setting('cluster_name') <> 'db3' OR id % 25 <> 0"),
    _drop_table,
    says="db3 lacks",
    tests=_NODES,
    scope=_SCOPE,
)
PHANTOM = Fault(
    "phantom-row",
    "rows are in the gate's table that no writer wrote",
    _ITEMS,
    _trigger(f"INSERT INTO {_TABLE} (run, id) SELECT NEW.run, NEW.id + 1000000 WHERE NEW.id % 40 = 0;"),
    _drop_table,
    says="that no writer wrote",
    tests=_NODES,
    scope=_SCOPE,
)
DOUBLED = Fault(
    "write-applied-twice",
    "some acknowledged writes are there twice: the table has lost its primary key",
    _ITEMS,
    _trigger(
        f"INSERT INTO {_TABLE} (run, id) SELECT NEW.run, NEW.id WHERE NEW.id % 40 = 0;",
        "ROW",
        f"ALTER TABLE {_TABLE} DROP CONSTRAINT IF EXISTS {_KEY}",
    ),
    _drop_table,
    says="writes twice",
    tests=_NODES,
    scope=_SCOPE,
)
UPDATE_LOST = Fault(
    "acknowledged-update-lost",
    "every fourth update of a counter returns and is not kept",
    _ITEMS,
    _trigger(
        "IF NEW.run LIKE '% counter' AND NEW.id % 4 = 0 THEN NEW.id := OLD.id; END IF;", when="BEFORE UPDATE"
    ),
    _drop_table,
    says="acknowledged updates are lost",
    tests=_NODES,
    scope=_SCOPE,
)
STALE = Fault(
    "stale-reads",
    "readers see what was acknowledged half a second ago, not what was acknowledged last",
    _ITEMS,
    _policy("written_at < clock_timestamp() - interval '500ms'"),
    _drop_table,
    says="were stale",
    tests=_NODES,
    scope=_SCOPE,
)
CHANGED = Fault(
    "failover-drill-of-other-settings",
    "the settings of commits were changed after the failover drill, so that it proves nothing about them",
    {"crit.data-loss": "inconclusive"},
    _setting("synchronous_commit", "remote_apply"),
    _heal_setting("synchronous_commit"),
    says="synchronous_commit was 'on', is 'remote_apply'",
    tests=("test_zero_loss_was_shown_by_a_fault",),
    scope=_SCOPE,
)
