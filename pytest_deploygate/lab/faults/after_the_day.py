"""Faults that show after the day: slow statements, a cold cache, what a load leaves behind, harmful migrations."""

from __future__ import annotations

from pytest_deploygate.lab import seed, sql
from pytest_deploygate.lab.faults import Change, Fault, by_sql
from pytest_deploygate.lab.state import Lab

_COLD = "deploygate.lab_cold"
_FORGET = "SELECT pg_stat_statements_reset(userid, dbid, queryid) FROM pg_stat_statements WHERE query LIKE '%lab: slow%'"


def _be_slow(lab: Lab) -> None:
    with sql.connect(lab, role="platform_app") as connection:
        for _ in range(6):
            connection.execute("SELECT /* lab: slow */ pg_sleep(0.45)")


def _forget_statements(lab: Lab) -> None:
    sql.execute(lab, "SELECT pg_stat_statements_reset()")


def _cool_down(lab: Lab) -> None:
    """Read a table of over a quarter of shared_buffers again and again: PostgreSQL does not keep such a scan."""
    sql.execute(
        lab,
        f"CREATE UNLOGGED TABLE {_COLD} AS SELECT n, repeat('x', 1000) AS filler FROM generate_series(1, 40000) AS n",
        "SELECT pg_stat_reset()",
        *[f"SELECT count(*) FROM {_COLD}"] * 12,
    )


def _warm_up(lab: Lab) -> None:
    sql.execute(lab, f"DROP TABLE IF EXISTS {_COLD}", "SELECT pg_stat_reset()")
    seed.work(lab)


def _upcoming(name: str, text: str) -> Change:
    """Return a change that puts a migration where the next ones wait."""
    return lambda lab: (lab.folder / "upcoming" / name).write_text(text)


def _withdraw(name: str) -> Change:
    return lambda lab: (lab.folder / "upcoming" / name).unlink(missing_ok=True)


SLOW = Fault(
    "statement-slow",
    "one statement of the platform takes half a second each time",
    {"stab.slow-queries": "fail"},
    _be_slow,
    by_sql(_FORGET),
    says="pg_sleep",
    scope="stabilization",
)
FORGOTTEN = Fault(
    "statements-reset",
    "the statistics of statements were reset a moment ago",
    {"stab.slow-queries": "inconclusive"},
    _forget_statements,
    seed.work,
    says="holds no statement",
    scope="stabilization",
)
COLD = Fault(
    "cache-cold",
    "most of what db1 reads is not in its buffers",
    {"stab.caching": "fail"},
    _cool_down,
    _warm_up,
    says="shared_buffers",
    scope="stabilization",
)
BEHIND = Fault(
    "sequence-behind",
    "the sequence of platform.messages.id is behind its rows, as after a load that brought ids along",
    {"guard.after-load": "fail"},
    by_sql("SELECT setval('platform.messages_id_seq', 5)"),
    by_sql("SELECT setval('platform.messages_id_seq', (SELECT max(id) FROM platform.messages))"),
    says="setval",
    scope="phase4 and guard",
)
NEAR_MAX = Fault(
    "sequence-near-max",
    "the sequence of platform.machines.id has used up nine tenths of its range",
    {"guard.after-load": "fail"},
    by_sql("SELECT setval('platform.machines_id_seq', 2000000000)"),
    by_sql("SELECT setval('platform.machines_id_seq', 12)"),
    says="machines_id_seq",
    scope="phase4 and guard",
)
NOT_VALID = Fault(
    "constraint-not-valid",
    "a check of platform.alerts was added again after the load, and never validated",
    {"guard.after-load": "fail", "phase2.tables": "fail"},
    by_sql(
        "ALTER TABLE platform.alerts DROP CONSTRAINT alerts_acknowledged_at_check,"
        " ADD CONSTRAINT alerts_acknowledged_at_check CHECK (acknowledged_at >= raised_at) NOT VALID"
    ),
    by_sql("ALTER TABLE platform.alerts VALIDATE CONSTRAINT alerts_acknowledged_at_check"),
    says="alerts_acknowledged_at_check",
    scope="phase2 or phase4 and guard",
)
REWRITES = Fault(
    "migration-rewrites-table",
    "the next migration would rewrite platform.readings while everybody waits",
    {"guard.migration-lint": "fail"},
    _upcoming(
        "0002_wider.sql",
        "SET lock_timeout = '5s';\nALTER TABLE platform.readings ALTER COLUMN quality TYPE integer;\n",
    ),
    _withdraw("0002_wider.sql"),
    says="rewrites the table",
    scope="phase2 and guard",
)
LOCKS = Fault(
    "migration-locks-table",
    "the next migration builds an index while writes wait, without a lock_timeout",
    {"guard.migration-lint": "fail"},
    _upcoming("0003_index.sql", "CREATE INDEX readings_value_idx ON platform.readings (value);\n"),
    _withdraw("0003_index.sql"),
    says="CONCURRENTLY",
    scope="phase2 and guard",
)
