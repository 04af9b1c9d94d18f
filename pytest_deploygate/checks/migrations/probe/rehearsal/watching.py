"""What each statement did: locks, files, names, scans and plans, as the scratch server itself tells them.

Three sources, none of which reads SQL:
- an event trigger at the end of each DDL command, also of those within DO blocks and functions, logs the locks that its
  transaction holds, the settings in force, and which relations have another file or name than at the beginning;
- the server's messages of level DEBUG1 ("verifying table", "building index", "validating foreign key constraint") and
  the plans of auto_explain are in the same log, in order;
- after each message of the tool the same is asked in its session: that shows what is no DDL (TRUNCATE, LOCK, REINDEX).
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import field, replace
from typing import Any

import psycopg

from pytest_deploygate.checks.migrations.facts import Held, Observed
from pytest_deploygate.checks.migrations.probe.rehearsal.decisive import BUILT_IN, decisive
from pytest_deploygate.checks.migrations.probe.rehearsal.plans import Read, Target, read, targets
from pytest_deploygate.checks.migrations.probe.rehearsal.relay import Session, Turn
from pytest_deploygate.checks.migrations.probe.rehearsal.server import MARK, Server
from pytest_deploygate.lazy import dataclass

#: A migration's name is set by this statement, which our runner of Alembic sends before each.
SOURCE = "SET deploygate.source = "
_INSTALL = """
CREATE SCHEMA deploygate_rehearsal;
GRANT USAGE ON SCHEMA deploygate_rehearsal TO PUBLIC;
CREATE TABLE deploygate_rehearsal.base AS
SELECT c.oid, c.relfilenode AS file, format('%I.%I', n.nspname, c.relname) AS name, c.relkind::text AS kind,
  coalesce((SELECT format('%I.%I', tn.nspname, t.relname) FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
            JOIN pg_namespace tn ON tn.oid = t.relnamespace WHERE i.indexrelid = c.oid), '') AS of_table,
  c.oid IN (SELECT partdefid FROM pg_partitioned_table) AS is_default,
  (SELECT jsonb_object_agg(a.attnum, a.attname) FROM pg_attribute a
   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind <> 'i') AS columns,
  n.nspname AS in_schema, c.relname AS plain
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 'p', 'f', 'i', 'I', 'v') AND c.oid >= 16384
  AND n.nspname NOT IN ('deploygate_rehearsal', 'pg_toast', 'information_schema');
CREATE FUNCTION deploygate_rehearsal.look() RETURNS jsonb LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET client_min_messages = error SET log_min_messages = error AS $$
WITH held AS MATERIALIZED (
  SELECT relation::int8 AS oid, mode FROM pg_locks
  WHERE pid = pg_backend_pid() AND locktype = 'relation' AND granted AND relation >= 16384
    AND mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock'))
SELECT jsonb_build_object(
  'lock_timeout', (SELECT coalesce(min(nullif(setting::int8, 0)), 0) FROM pg_settings
    WHERE name IN ('lock_timeout', 'statement_timeout', 'transaction_timeout')),
  'triggers_off', current_setting('session_replication_role') = 'replica',
  'locks', (SELECT jsonb_agg(jsonb_build_array(oid, mode)) FROM held),
  'changed', (SELECT jsonb_agg(jsonb_build_array(c.oid::int8, c.relfilenode::int8, format('%I.%I', n.nspname, c.relname)))
    FROM deploygate_rehearsal.base b JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relfilenode <> b.file OR format('%I.%I', n.nspname, c.relname) <> b.name),
  'columns', (SELECT jsonb_agg(jsonb_build_array(a.attrelid::int8, a.attnum, a.attname,
      a.attnotnull AND NOT a.atthasdef AND a.attidentity = ''))
    FROM pg_attribute a JOIN deploygate_rehearsal.base b ON b.oid = a.attrelid
    WHERE a.attrelid IN (SELECT oid FROM held WHERE mode = 'AccessExclusiveLock')
      AND b.kind <> 'i' AND a.attnum > 0 AND NOT a.attisdropped))
$$;
CREATE FUNCTION deploygate_rehearsal.ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE LOG 'deploygate-ddl %', jsonb_build_object('tag', tg_tag) || deploygate_rehearsal.look();
END $$;
CREATE FUNCTION deploygate_rehearsal.dropped() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE LOG 'deploygate-drop %', (SELECT coalesce(jsonb_agg(jsonb_build_array(objid::int8, object_type, object_identity)), '[]')
    FROM pg_catalog.pg_event_trigger_dropped_objects() WHERE NOT is_temporary
      AND object_type IN ('table', 'table column', 'materialized view', 'foreign table'));
END $$;
CREATE EVENT TRIGGER deploygate_ddl ON ddl_command_end EXECUTE FUNCTION deploygate_rehearsal.ddl();
CREATE EVENT TRIGGER deploygate_dropped ON sql_drop EXECUTE FUNCTION deploygate_rehearsal.dropped();
ALTER EVENT TRIGGER deploygate_ddl ENABLE ALWAYS;
ALTER EVENT TRIGGER deploygate_dropped ENABLE ALWAYS;
"""
_PLANS = (
    "session_preload_libraries = 'auto_explain'", "auto_explain.log_min_duration = 0", "auto_explain.log_format = 'json'",
    "auto_explain.log_verbose = on", "auto_explain.log_nested_statements = on", "auto_explain.log_level = 'log'",
)  # fmt: skip
_BASE = "SELECT oid::int8, file::int8, name, kind, of_table, is_default, columns, in_schema, plain FROM deploygate_rehearsal.base"
_RECORD = re.compile(rf"^{MARK}(\d+){MARK} (\w+):  ", re.MULTILINE)
_VERIFYING = re.compile(r'verifying table "(.*)"')
_BUILDING = re.compile(r'building index "(?:.*)" on table "(.*?)"')
_IMPLIED = re.compile(r'updated partition constraint for default partition "(.*)" is implied')
_PLAN = re.compile(r"duration: [\d.]+ ms  plan:\n(.*)", re.DOTALL)
#: After these nothing can have changed, and a query of ours would make SET TRANSACTION impossible.
_QUIET = re.compile(
    r"^(BEGIN|START TRANSACTION|SET|RESET|SHOW|SAVEPOINT|RELEASE|PREPARE|DEALLOCATE|DISCARD)\b"
)
_ACCESS_EXCLUSIVE = "AccessExclusiveLock"


@dataclass()
class _Live:
    """A relation that was there at the beginning, and how it was last seen."""

    name: str
    kind: str
    of_table: str
    is_default: bool
    columns: dict[int, str]
    file: int
    called: str
    plain: str


@dataclass()
class _Said:
    """The server's messages since the last command."""

    verified: list[str] = field(default_factory=list)
    indexed: list[str] = field(default_factory=list)
    implied: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    foreign_key: bool = False

    def __bool__(self) -> bool:
        return bool(
            self.verified or self.indexed or self.dropped or self.targets or self.reads or self.foreign_key
        )


class Watch:
    """Collects what statements did. `source` is the migration that runs; `seen` pairs each with its plans' targets.

    `record` is the tool's table of versions, which was copied with its rows. `answers_decide`: what is selected goes to a program, or to psql's \\gexec or \\gset, which goes on by it.
    """

    def __init__(self, server: Server, database: str, record: str) -> None:
        self._record = record
        self.source = ""
        self.answers_decide = False
        self.seen: list[tuple[Observed, tuple[Target, ...]]] = []
        self.turns = 0
        self._server = server
        self._at: dict[int, int] = {}
        with server.connect(database) as connection:
            connection.execute(_INSTALL)
            rows = connection.execute(_BASE).fetchall()
            self._harmless = frozenset(name for (name,) in connection.execute(BUILT_IN).fetchall())
            #: Whether plans are seen: auto_explain is a contrib module, which a server may lack.
            self.plans = _explained(server, database, connection)
        self._live = {
            oid: _Live(
                name, kind, of, default, {int(k): v for k, v in (columns or {}).items()}, file, name, plain
            )
            for oid, file, name, kind, of, default, columns, _, plain in rows
        }
        #: The name of each relation as the server quotes it, by schema and name.
        self.quoted = {(schema, plain): name for _, _, name, *_, schema, plain in rows}
        self.names = frozenset(live.name for live in self._live.values() if live.kind not in ("i", "I", "v"))

    def ready(self, session: Session, turn: Turn) -> None:
        """Look at what the tool's last message did, while its session waits."""
        text = "; ".join(turn.texts)
        if text.startswith(SOURCE):
            self.source = text.removeprefix(SOURCE).strip("' ")
            return
        self.turns += 1
        said = _Said()
        for severity, message in self._log(session.pid):
            if severity == "LOG" and message.startswith("deploygate-ddl "):
                look = json.loads(message.partition(" ")[2])
                self._note(session, look["tag"], turn, look, said)
                said = _Said()
            else:
                self._hear(said, message)
        tag = " ".join(w for w in (turn.tags[-1] if turn.tags else "").split() if not w.isdigit())
        if turn.sqlstate:
            done = Observed(self.source, 0, text, tag, sqlstate=turn.sqlstate, message=turn.message)
            self.seen.append((done, tuple(said.targets)))
        elif turn.status != "E" and (said or not all(_QUIET.match(t) for t in turn.tags or ["SELECT"])):
            answer = session.ask("SELECT deploygate_rehearsal.look()")
            if answer:
                self._note(session, tag, turn, json.loads(answer[0]), said, last=True)
        if turn.status == "I":
            session.held.clear()

    def _log(self, pid: int) -> Iterator[tuple[str, str]]:
        """Yield severity and message of what a server process has logged since the last call."""
        with self._server.log.open(errors="replace") as log:
            log.seek(self._at.get(pid, 0))
            text = log.read()
            self._at[pid] = log.tell()
        heads = list(_RECORD.finditer(text))
        for head, following in zip(heads, [*heads, None][1:], strict=True):
            if int(head[1]) == pid:
                end = following.start() if following else len(text)
                yield head[2], text[head.end() : end].rstrip("\n").replace("\n\t", "\n")

    def _hear(self, said: _Said, message: str) -> None:
        if found := _VERIFYING.match(message):
            said.verified.append(found[1])
        elif found := _BUILDING.match(message):
            said.indexed.append(found[1])
        elif found := _IMPLIED.match(message):
            said.implied.append(found[1])
        elif message.startswith("validating foreign key constraint"):
            said.foreign_key = True
        elif found := _PLAN.match(message):
            said.targets += targets(found[1])
            said.reads += filter(None, [read(found[1])])
        elif message.startswith("deploygate-drop "):
            said.dropped += self._dropped(json.loads(message.partition(" ")[2]))

    def _dropped(self, objects: list[list[Any]]) -> Iterator[str]:
        """Yield dropped tables and columns that the live database has; not those of the migration's own tables."""
        for oid, kind, identity in objects:
            live = self._live.get(oid)
            if live and (kind != "table column" or _column(identity) in live.columns.values()):
                yield identity if kind == "table column" else live.name

    def _note(
        self, session: Session, tag: str, turn: Turn, look: dict[str, Any], said: _Said, *, last: bool = False
    ) -> None:
        """Add what one command did. `last` is the look after a message: it counts only if there is something new."""
        text = "; ".join(turn.texts)
        locks = {(oid, mode) for oid, mode in look["locks"] or []}
        held = tuple(
            Held(self._live[oid].name, mode, (oid, mode) not in session.held)
            for oid, mode in sorted(locks)
            if oid in self._live and self._live[oid].kind not in ("i", "I", "v")
        )
        session.held |= locks
        rewritten, reindexed, renamed = self._changed(look["changed"] or [])
        more, bare = self._columns(look["columns"] or [])
        # The server's messages name tables without their schema: those that are locked now are meant.
        here = {self._live[oid].plain: self._live[oid].name for oid, _ in locks if oid in self._live}
        scanned = [here[name] for name in said.verified if name in here]
        if said.foreign_key:
            scanned += [h.relation for h in held if h.new]
        if tag == "CREATE TABLE":
            # A new partition: the default one is read whole unless a constraint of it tells, but no message says so.
            defaults = {v.name for v in self._live.values() if v.is_default and v.plain not in said.implied}
            scanned += [
                h.relation for h in held if h.new and h.mode == _ACCESS_EXCLUSIVE and h.relation in defaults
            ]
        if tag == "ALTER DOMAIN":
            # Each table with a column of the domain is locked to be read whole; no message says so, and nothing else locks it.
            scanned += [h.relation for h in held if h.new]
        done = Observed(
            self.source, 0, text, tag, held, rewritten, reindexed, tuple(dict.fromkeys(scanned)),
            tuple(here[name] for name in said.indexed if name in here), tuple(said.dropped), renamed + more, bare,
            lock_timeout_ms=int(look["lock_timeout"]), triggers_off=look["triggers_off"] and tag not in ("COMMIT", "ROLLBACK"),
        )  # fmt: skip
        done = replace(
            done,
            depends_on=self._named(
                decisive(turn, said.reads, self._harmless, self._record, self.answers_decide)
            ),
        )
        empty = replace(done, held=(), lock_timeout_ms=0) == Observed(self.source, 0, text, tag)
        if last and empty and not said and not any(h.new for h in held):
            return
        self.seen.append((done, tuple(said.targets)))

    def _named(self, tables: Iterable[tuple[str, str]]) -> tuple[str, ...]:
        """Return the names of live tables as the server quotes them."""
        names = (self.quoted.get(table, "") for table in tables)
        return tuple(dict.fromkeys(name for name in names if name in self.names))

    def _changed(self, changed: list[list[Any]]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        files: list[str] = []
        indexes: list[str] = []
        renamed: list[str] = []
        now = {oid: (file, name) for oid, file, name in changed}
        for oid, live in self._live.items():
            if oid not in now:
                continue
            file, name = now[oid]
            if file != live.file:
                (indexes if live.kind in ("i", "I") else files).append(live.of_table or live.name)
                live.file = file
            if name != live.called:
                if live.kind in ("r", "p", "m", "f", "v"):
                    renamed.append(f"{live.called} to {name}")
                live.called = name
        return tuple(files), tuple(t for t in dict.fromkeys(indexes) if t not in files), tuple(renamed)

    def _columns(self, columns: list[list[Any]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        renamed: list[str] = []
        bare: list[str] = []
        for oid, number, name, without in columns:
            known = self._live[oid].columns
            if number not in known and without:
                bare.append(f"{self._live[oid].name}.{name}")
            elif number in known and known[number] != name:
                renamed.append(f"{self._live[oid].name}.{known[number]} to {name}")
            known[number] = name
        return tuple(renamed), tuple(bare)


def _column(identity: str) -> str:
    found = re.search(r'(?:"((?:[^"]|"")*)"|([^."]+))$', identity)
    return (found[1] or "").replace('""', '"') or found[2] or "" if found else ""


def _explained(server: Server, database: str, connection: psycopg.Connection[Any]) -> bool:
    try:
        connection.execute("LOAD 'auto_explain'")
    except psycopg.Error:
        return False
    for setting in _PLANS:
        connection.execute(f"ALTER SYSTEM SET {setting}".encode())
    connection.execute("SELECT pg_reload_conf()")
    # The server reads its settings a moment later, and only sessions that begin then have the module.
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        with server.connect(database) as later:
            if "auto_explain" in str(later.execute("SHOW session_preload_libraries").fetchone()):
                return True
        time.sleep(0.02)
    return False
