"""The database probes of before and after the day on every PostgreSQL from 13 to 18, and with roles as on managed servers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from pytest_deploygate.checks.backups.probe import archiving, source
from pytest_deploygate.checks.migrations.judge import lint as judge_migration_lint
from pytest_deploygate.checks.migrations.probe import lint as migration_lint
from pytest_deploygate.checks.migrations.section.lint import MigrationLint
from pytest_deploygate.checks.postgres.judge import after_load as judge_after_load
from pytest_deploygate.checks.postgres.judge import caches as judge_caches
from pytest_deploygate.checks.postgres.judge import servers as judge_servers
from pytest_deploygate.checks.postgres.judge import statements as judge_statements
from pytest_deploygate.checks.postgres.probe import after_load, caches, servers, statements
from pytest_deploygate.checks.postgres.section.after_load import AfterLoad
from pytest_deploygate.checks.postgres.section.servers import ClusterSettings
from pytest_deploygate.checks.postgres.section.statements import Buffers, Monitoring, Statements
from pytest_deploygate.checks.privacy.judge import audit_trail as judge_audit_trail
from pytest_deploygate.checks.privacy.judge import retention as judge_retention
from pytest_deploygate.checks.privacy.probe import audit_trail, retention, sweep
from pytest_deploygate.checks.privacy.probe.operations import new_subject
from pytest_deploygate.checks.privacy.section import AuditTrail, Erasure, Retained
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell, Judgement

SUBJECT = new_subject("00aa00aa00aa00aa")
AUDIT = AuditTrail.model_validate(
    {"table": "app.version", "role": {"user": "plain"}, "operation": [{"sql": "SELECT 1"}], "query": "SELECT 1"}
)  # fmt: skip
ERASURE = Erasure.model_validate(
    {"role": {"user": "plain"}, "create": [{"sql": "SELECT 1"}], "erase": [{"sql": "SELECT 1"}],
     "expected": ["app.m.name"], "backups": [{"name": "none", "keep": "1d"}]}
)  # fmt: skip
#: The speed of a statement does not depend on the version.
PATIENT = Statements(min_calls=1, max_mean=timedelta(hours=1), max_p99=timedelta(hours=1))
LOADED = AfterLoad(schemas=["app"])


@pytest.fixture
def retained(tmp_path: Path) -> Retained:
    tab, status = tmp_path / "crontab", tmp_path / "status.json"
    tab.write_text("* * * * * remove-old\n")
    status.write_text('{"finished": "2000-01-01T00:00:00Z", "exit_code": 0}')
    return Retained.model_validate(
        {"table": "app.part", "column": "at", "keep": "30d", "schedule": {"crontab": str(tab), "command": "remove-old"},
         "last_run": {"status_file": str(status)}, "job_slack": "20000d"}
    )  # fmt: skip


@pytest.fixture
def lint(tmp_path: Path) -> MigrationLint:
    (tmp_path / "V2.sql").write_text("SET lock_timeout = '5s';\nALTER TABLE app.m ADD COLUMN x int;\n")
    return MigrationLint(files=[tmp_path / "V2.sql"], small=1, rehearse=False)


def checks(
    cluster: Cluster, retained: Retained, lint: MigrationLint, major: int
) -> dict[str, Callable[[], Judgement]]:
    """Every check that reads, by item."""
    wanted = ClusterSettings.model_validate(
        {"version": str(major), "memory": "4GB", "checksums": False, "extensions": {"amcheck": "newest"}}
    )
    buffers = Buffers(min_hit_ratio=0, min_blocks=1)
    return {
        "db.cluster": lambda: judge_servers.judge_server(
            servers.server_state(cluster, cluster.primary), wanted
        ),
        "db.monitoring-queries": lambda: judge_statements.judge_monitoring(
            statements.monitoring(cluster), Monitoring(slow_log=None)
        ),
        "stab.slow-queries": lambda: judge_statements.judge_slow(
            statements.counted_statements(cluster, PATIENT), PATIENT
        ),
        "stab.caching": lambda: judge_caches.judge_cache(caches.buffers(cluster), buffers),
        "db.retention": lambda: judge_retention.judge_retention(
            retention.retained_rows(cluster, retained), retained
        ),
        "comp.audit-trail": lambda: judge_audit_trail.judge_rights(
            audit_trail.audit_rights(cluster, AUDIT), AUDIT
        ),
        "guard.after-load": lambda: judge_after_load.judge_after_load(
            after_load.left_by_load(cluster, LOADED), LOADED
        ),
        "guard.migration-lint": lambda: judge_migration_lint.judge_lint(
            migration_lint.pending_migrations(cluster, lint, None), lint
        ),
    }


def answered(check: Callable[[], Judgement]) -> tuple[str, str]:
    """Return verdict and reason; CannotTell from a probe is inconclusive, as in a run."""
    try:
        judged = check()
    except CannotTell as unknown:
        return "inconclusive", str(unknown)
    return str(judged.verdict), judged.reason


def test_all_is_well(pair, cluster, retained, lint):
    """Every check passes on every version, except that the test's servers run without fsync."""
    pair.sql("ANALYZE")
    found = {name: answered(check) for name, check in checks(cluster, retained, lint, pair.major).items()}
    verdict, reason = found.pop("db.cluster")
    assert verdict == "fail"
    assert (
        reason
        == "db1: fsync is off: a crash of the machine can destroy the database; ALTER SYSTEM SET fsync = 'on' and reload"
    )
    assert {name: answer for name, answer in found.items() if answer[0] != "pass"} == {}


def test_a_person_is_found_on_the_replica(pair, cluster):
    """The sweep reads every table's text on every version."""
    pair.sql(f"INSERT INTO app.m VALUES (7000000, '{SUBJECT.email}')")
    try:
        found = sweep.sweep(cluster, ERASURE, SUBJECT)
    finally:
        pair.sql("DELETE FROM app.m WHERE id = 7000000")
    assert found.node == "db2"
    assert found.unread == ()
    assert [(hit.place, hit.rows) for hit in found.hits] == [("app.m.name", 1)]


def test_what_a_restore_needs_of_its_source_is_read(pair, cluster):
    """Version, a superuser's name, settings of recovery, and the state of archiving."""
    found = source.facts(cluster)
    assert (found.major, found.superuser) == (pair.major, "postgres")
    assert found.at_least["max_connections"] == "100"
    assert archiving.state(cluster).failed == 0


@pytest.mark.parametrize("role", ["monitor", "plain"])
def test_less_rights_are_never_a_pass_or_a_trace(pair, retained, lint, role):
    """What a role may not see is inconclusive and names the grant; nothing raises."""
    cluster = pair.cluster(role)
    try:
        found = {name: answered(check) for name, check in checks(cluster, retained, lint, pair.major).items()}
    finally:
        cluster.close()
    for name in ("db.retention", "guard.after-load"):
        verdict, reason = found[name]
        assert verdict == "inconclusive", (name, found[name])
        assert "grant" in reason.lower(), (name, reason)
    if role == "plain":
        assert found["stab.slow-queries"][0] == "inconclusive", found["stab.slow-queries"]
