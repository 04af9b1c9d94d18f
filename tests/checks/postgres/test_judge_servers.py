"""The judge of a server: durability, versions, extensions, memory, and settings that the role may not see."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pytest_deploygate.checks.postgres.facts import ServerState
from pytest_deploygate.checks.postgres.judge import servers
from pytest_deploygate.checks.postgres.section.servers import ClusterSettings
from pytest_deploygate.model import Verdict

MB, GB = 1024**2, 1024**3
SETTINGS = {
    "fsync": "on", "full_page_writes": "on", "zero_damaged_pages": "off", "ignore_checksum_failure": "off",
    "synchronous_commit": "on", "data_checksums": "on", "shared_preload_libraries": "pg_stat_statements",
    "max_connections": "100", "autovacuum_max_workers": "3", "wal_level": "replica",
}  # fmt: skip
SIZES = {"shared_buffers": GB, "work_mem": 4 * MB, "maintenance_work_mem": 64 * MB}
STATE = ServerState(
    "db1",
    True,
    "15.8",
    False,
    SETTINGS,
    SIZES,
    (),
    {"amcheck": "1.3", "timescaledb": "2.15.1"},
    {},
    1000,
    0,
    (),
    None,
    rules=(),
)
SERVERS = ClusterSettings.model_validate({"version": "15", "memory": "4GB", "extensions": {"amcheck": "any"}})


def setting(name, value):
    return replace(STATE, settings={**SETTINGS, name: value})


def test_a_sound_server_passes():
    """Also if extensions must have the newest version that the server provides."""
    newest = SERVERS.model_copy(update={"extensions": {"amcheck": "newest"}})
    assert servers.judge_server(STATE, newest).verdict is Verdict.PASS
    assert servers.judge_server(STATE, SERVERS).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("state", "more", "words"),
    [
        (STATE, {"version": "16"}, "runs PostgreSQL 15.8, expected 16"),
        (STATE, {"version": "1"}, "expected 1"),
        (setting("fsync", "off"), {}, "fsync is off"),
        (setting("full_page_writes", "off"), {}, "full_page_writes is off"),
        (setting("synchronous_commit", "off"), {}, "synchronous_commit is off"),
        (setting("zero_damaged_pages", "on"), {}, "silently zeroed"),
        (setting("data_checksums", "off"), {}, "pg_checksums --enable"),
        (replace(STATE, checksum_failures=2), {}, "2 pages failed their checksum"),
        (setting("shared_preload_libraries", ""), {}, "not in shared_preload_libraries"),
        (STATE, {"extensions": {"postgis": "any"}}, "CREATE EXTENSION postgis"),
        (STATE, {"extensions": {"timescaledb": "2.16"}}, "timescaledb is at 2.15.1, expected 2.16"),
        (replace(STATE, updates={"amcheck": "1.4"}), {"extensions": {"amcheck": "newest"}},
         "amcheck is at 1.3, expected newest (the server has 1.4): ALTER EXTENSION amcheck UPDATE"),
        (replace(STATE, updates={"amcheck": "no package"}), {"extensions": {"amcheck": "newest"}}, "the server has no package"),
        (STATE, {"settings": {"wal_level": "logical"}}, "wal_level is replica, expected logical"),
        (setting("max_connections", "900"), {"memory": "64GB"}, "max_connections is 900, limit 500"),
        (STATE, {"memory": "1GB"}, "more than half of the memory"),
        (replace(STATE, sizes={**SIZES, "work_mem": 64 * MB}), {}, "100 connections x work_mem 64 MB"),
        (replace(STATE, pending_restart=("max_connections",)), {}, "waits for a restart"),
        (replace(STATE, xid_age=1_900_000_000), {}, "1,900,000,000 old"),
        (replace(STATE, collations=("de_DE",)), {}, "REINDEX"),
        (replace(STATE, prepared=("tx1", timedelta(hours=5))), {}, "'tx1' is 5 h old"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_server_fails(state, more, words):
    found = servers.judge_server(
        state, SERVERS.model_validate({**SERVERS.model_dump(), "memory": SERVERS.memory, **more})
    )
    assert found.verdict is Verdict.FAIL, found.reason
    assert words in found.reason


@pytest.mark.parametrize("name", ["fsync", "shared_preload_libraries"])
def test_a_hidden_setting_is_inconclusive(name):
    found = servers.judge_server(setting(name, None), SERVERS)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "GRANT pg_monitor" in found.reason
