"""Judge a server's configuration: version, durability, checksums, memory, ages, and pending restarts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_deploygate.checks.postgres.facts import ServerState
from pytest_deploygate.checks.postgres.judge.logins import judge_logins
from pytest_deploygate.model import Judgement, Reading, Verdict, combine, words_for, words_for_bytes

if TYPE_CHECKING:
    from pytest_deploygate.checks.postgres.section.servers import ClusterSettings

#: Settings that acknowledged commits depend on, and those that make damage look like data.
_DURABLE = {"fsync": "on", "zero_damaged_pages": "off", "ignore_checksum_failure": "off"}
_WHY = {
    "fsync": "a crash of the machine can destroy the database",
    "zero_damaged_pages": "damaged pages are silently zeroed",
    "ignore_checksum_failure": "damaged pages are read as if they were intact",
    "full_page_writes": "a crash in the middle of a page write destroys the page",
}
#: Without these, tables grow, plans go wrong, and the server stops before transaction ids wrap around.
_MAINTAINED = {
    "autovacuum": "dead rows stay, statistics grow old, transaction ids are used up",
    "track_counts": "autovacuum does not know what changed",
}
_GRANT = "GRANT pg_monitor TO the gate's role"


def judge_server(found: ServerState, expected: ClusterSettings) -> Judgement:
    """Pass if the server is configured as the inventory requires and nothing that durability needs is switched off."""
    parts = [
        _version(found, expected),
        *_durability(found, expected),
        *_maintenance(found),
        _checksums(found, expected),
        *_preload(found, expected),
        *_extensions(found, expected),
        *_settings(found, expected),
        _connections(found, expected),
        _memory(found, expected),
        _restart(found),
        *_ages(found, expected),
        _idle(found, expected),
        judge_logins(found, expected),
    ]
    folded = combine(parts)
    if folded.verdict is not Verdict.PASS:
        return Judgement(folded.verdict, f"{found.node}: {folded.reason}", folded.readings, folded.notes)
    reason = (
        f"{found.node}: PostgreSQL {found.version}, durable, checksums {found.settings.get('data_checksums')}"
    )
    return Judgement(Verdict.PASS, reason, folded.readings, folded.notes)


def _part(wrong: str, name: str, value: str | int | None, limit: str) -> Judgement:
    reading = Reading(name, value, limit=limit, ok=not wrong)
    return Judgement(Verdict.FAIL if wrong else Verdict.PASS, wrong, (reading,))


def _version(found: ServerState, expected: ClusterSettings) -> Judgement:
    same = found.version == expected.version or found.version.startswith(f"{expected.version}.")
    wrong = "" if same else f"it runs PostgreSQL {found.version}, expected {expected.version}"
    return _part(wrong, "version", found.version, expected.version)


def _durability(found: ServerState, expected: ClusterSettings) -> Iterator[Judgement]:
    wanted = _DURABLE | ({"full_page_writes": "on"} if expected.full_page_writes else {})
    for name, value in wanted.items():
        is_now = found.settings.get(name)
        if is_now is None:
            yield Judgement(Verdict.INCONCLUSIVE, f"the server does not show {name}; {_GRANT}")
            continue
        step = f"{name} is {is_now}: {_WHY[name]}; ALTER SYSTEM SET {name} = '{value}' and reload"
        yield _part("" if is_now == value else step, name, is_now, value)
    commit = found.settings.get("synchronous_commit")
    wrong = "synchronous_commit is off: acknowledged commits are lost in a crash; set it to on and reload"
    yield _part(wrong if commit == "off" else "", "synchronous_commit", commit, "not off")
    if found.asynchronous:
        note = f"synchronous_commit is off for {', '.join(found.asynchronous)}: their commits do not wait and can be lost in a crash"
        yield Judgement(Verdict.PASS, "", notes=(note,))


def _maintenance(found: ServerState) -> Iterator[Judgement]:
    for name, why in _MAINTAINED.items():
        value = found.settings.get(name)
        wrong = f"{name} is off: {why}; ALTER SYSTEM SET {name} = 'on' and reload"
        yield _part(wrong if value == "off" else "", name, value, "on")


def _checksums(found: ServerState, expected: ClusterSettings) -> Judgement:
    value = found.settings.get("data_checksums")
    wrong = ""
    if expected.checksums and value != "on":
        wrong = "data checksums are off, damaged pages go unnoticed: stop the server and run pg_checksums --enable"
    parts = [_part(wrong, "data_checksums", value, "on" if expected.checksums else "any")]
    if found.checksum_failures:
        parts.append(
            _part(
                f"{found.checksum_failures} pages failed their checksum (pg_stat_database): the disk or the memory "
                "damages data; see the log for the files, restore them from a backup",
                "checksum failures", found.checksum_failures, "0",
            )
        )  # fmt: skip
    return combine(parts)


def _preload(found: ServerState, expected: ClusterSettings) -> Iterator[Judgement]:
    if not expected.preload:
        return
    value = found.settings.get("shared_preload_libraries")
    if value is None:
        yield Judgement(
            Verdict.INCONCLUSIVE, f"shared_preload_libraries is hidden from the gate's role; {_GRANT}"
        )
        return
    loaded = {name.strip().strip('"') for name in value.split(",")}
    missing = [name for name in expected.preload if name not in loaded]
    wrong = (
        f"{', '.join(missing)} is not in shared_preload_libraries ({value or 'empty'}): add it and restart"
    )
    yield _part(wrong if missing else "", "shared_preload_libraries", value, ", ".join(expected.preload))


def _extensions(found: ServerState, expected: ClusterSettings) -> Iterator[Judgement]:
    for name, version in expected.extensions.items():
        there = found.extensions.get(name)
        wrong = ""
        if there is None:
            wrong = f"the extension {name} is not in the database: CREATE EXTENSION {name}"
        elif not _in_version(there, version, found.updates.get(name)):
            newer = found.updates.get(name)
            have = f" (the server has {newer})" if newer else ""
            wrong = (
                f"the extension {name} is at {there}, expected {version}{have}: ALTER EXTENSION {name} UPDATE"
            )
        yield _part(wrong, f"extension {name}", there or "not installed", version)


def _in_version(there: str, version: str, newer: str | None) -> bool:
    if version == "newest":
        return newer is None
    return version in ("any", there) or there.startswith(f"{version}.")


def _settings(found: ServerState, expected: ClusterSettings) -> Iterator[Judgement]:
    for name, value in expected.settings.items():
        if name not in found.settings:
            yield Judgement(
                Verdict.INCONCLUSIVE,
                f"the server shows no setting {name}: it is misspelt, its library is not loaded, or it is hidden ({_GRANT})",
            )
            continue
        is_now = found.settings[name]
        sizes = found.sizes.get(name)
        same = is_now == value or (sizes is not None and words_for_bytes(sizes).replace(" ", "") == value)
        yield _part("" if same else f"{name} is {is_now}, expected {value}", name, is_now, value)


def _connections(found: ServerState, expected: ClusterSettings) -> Judgement:
    value = int(found.settings.get("max_connections") or 0)
    wrong = ""
    if value > expected.max_connections:
        wrong = (
            f"max_connections is {value}, limit {expected.max_connections}: each connection costs memory and slows "
            "snapshots; put a pooler in front, or raise the limit in the inventory"
        )
    return _part(wrong, "max_connections", value, f"at most {expected.max_connections}")


def _memory(found: ServerState, expected: ClusterSettings) -> Judgement:
    """Require room for shared_buffers and one work_mem per connection, although a query may take several."""
    buffers, work = found.sizes.get("shared_buffers", 0), found.sizes.get("work_mem", 0)
    workers = int(found.settings.get("autovacuum_max_workers") or 0)
    upkeep = found.sizes.get("maintenance_work_mem", 0)
    connections = int(found.settings.get("max_connections") or 0)
    need = buffers + connections * work + workers * upkeep
    words, limit = words_for_bytes(need), words_for_bytes(expected.memory)
    wrong = ""
    if buffers * 2 > expected.memory:
        wrong = f"shared_buffers is {words_for_bytes(buffers)}, more than half of the memory ({limit})"
    elif need > expected.memory:
        wrong = (
            f"it may use {words} of {limit} memory: shared_buffers {words_for_bytes(buffers)} + {connections} "
            f"connections x work_mem {words_for_bytes(work)} + {workers} autovacuum workers x maintenance_work_mem "
            f"{words_for_bytes(upkeep)}; lower one of them, or the kernel kills the server under load"
        )
    return _part(wrong, "memory it may use", words, f"at most {limit}")


def _restart(found: ServerState) -> Judgement:
    names = ", ".join(found.pending_restart)
    wrong = f"{names} was changed but waits for a restart: it runs with the old value; restart it in a maintenance window"
    return _part(wrong if names else "", "pending restart", names or "none", "none")


def _ages(found: ServerState, expected: ClusterSettings) -> Iterator[Judgement]:
    wrong = ""
    if found.xid_age > expected.max_xid_age:
        wrong = (
            f"the oldest transaction id is {found.xid_age:,} old, limit {expected.max_xid_age:,}: vacuum cannot "
            "freeze; look for old transactions, slots and prepared transactions before the server stops accepting writes"
        )
    yield _part(wrong, "age of the oldest transaction id", found.xid_age, f"at most {expected.max_xid_age}")
    if found.collations:
        yield _part(
            f"the collation library changed since {', '.join(found.collations)} was used for indexes: REINDEX "
            "indexes on text, then ALTER COLLATION … REFRESH VERSION (ALTER DATABASE … for the database's)",
            "collations", ", ".join(found.collations), "as when indexes were built",
        )  # fmt: skip
    if found.prepared and found.prepared[1] > expected.max_prepared_age:
        name, age = found.prepared
        yield _part(
            f"the prepared transaction {name!r} is {words_for(age)} old, limit {words_for(expected.max_prepared_age)}: "
            "it holds locks and keeps vacuum from removing dead rows; COMMIT PREPARED or ROLLBACK PREPARED it",
            "oldest prepared transaction", words_for(age), f"at most {words_for(expected.max_prepared_age)}",
        )  # fmt: skip


def _idle(found: ServerState, expected: ClusterSettings) -> Judgement:
    limit = words_for(expected.max_idle_in_transaction)
    idle = found.idle
    wrong = ""
    if idle and idle.age > expected.max_idle_in_transaction:
        who = f"{idle.role}{f' ({idle.application})' if idle.application else ''}"
        wrong = (
            f"process {idle.pid} of {who} is idle in a transaction that is {words_for(idle.age)} old, limit {limit}: it holds locks "
            f"and keeps vacuum from removing dead rows; end its work, or SELECT pg_terminate_backend({idle.pid}), and set "
            "idle_in_transaction_session_timeout"
        )
    if not wrong and found.unseen_sessions:
        reason = f"sessions that hide whether they are idle in a transaction: {found.unseen_sessions}; {_GRANT}, and leave track_activities on"
        reading = Reading("sessions that hide their state", found.unseen_sessions, limit="0", ok=False)
        return Judgement(Verdict.INCONCLUSIVE, reason, (reading,))
    return _part(
        wrong,
        "oldest transaction of an idle session",
        words_for(idle.age) if idle else "none",
        f"at most {limit}",
    )
