"""Judge what pending migrations did on the scratch server, with the sizes of the live tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from pytest_deploygate.checks.migrations.facts import LintFacts, Observed, Rehearsal, Relation
from pytest_deploygate.checks.migrations.judge import refusals
from pytest_deploygate.checks.migrations.judge.hit import Hit
from pytest_deploygate.checks.migrations.section.lint import ROWS, MigrationLint
from pytest_deploygate.model import words_for, words_for_bytes

#: Modes that keep others from writing, the strongest first; only the first keeps them from reading.
_STRONG = ("AccessExclusiveLock", "ExclusiveLock", "ShareRowExclusiveLock", "ShareLock")
#: Errors that come from missing rows or files and not from the migration: data exceptions, violated constraints,
#: errors that the migration raises itself, files of the server's host.
_OF_DATA = ("22", "23", "P0", "58", "02", "21")
_WRITES = ("UPDATE", "DELETE", "MERGE", "DO")
_TEXT = 80
#: The schema in which TimescaleDB keeps the chunks of hypertables.
_CHUNKS = "_timescaledb_internal."
_PER_CHUNK = "CREATE INDEX … WITH (timescaledb.transaction_per_chunk), which locks one chunk after the other"
_CONCURRENTLY = re.compile(
    r"\s*CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s.*?\bON\s+(?:ONLY\s+)?(?P<table>(?:\"[^\"]*\"|[^\s(;\"])+)",
    re.IGNORECASE | re.DOTALL,
)

#: Programs beside the database: of the server's host, or of psql's.
_PROGRAM = re.compile(
    r"\bCOPY\b[^;]*\bPROGRAM\b|\\!|\\(?:g|o|out|w|write)\s*\||\\set\s+\S+\s+`", re.IGNORECASE
)
_HOLDS_CODE = re.compile(r"(DO|CREATE (OR REPLACE )?(FUNCTION|PROCEDURE))\b", re.IGNORECASE)


def hits(ran: Rehearsal, found: LintFacts, lint: MigrationLint) -> Iterator[Hit]:
    """Yield what each statement would do to a live table that is not small, and what is not known of it."""
    sizes = {relation.name: relation for relation in ran.relations}
    live, without = sizes, any("timescaledb" in words for words in ran.left_out)
    absent = [r for r in ran.relations if not r.copied and not r.of_extension and r.size_bytes > lint.small]
    if absent:
        text = (
            f"the scratch server lacks {_named([r.name for r in absent], sizes)} of the live database "
            f"({'; '.join(ran.left_out[:2]) or 'made meanwhile'}): what would be done to it is unknown; install here what the "
            "live database has"
        )
        yield Hit("", 0, frozenset({"not-copied"}), text, certain=False)
    yield from _programs(found)
    for done in ran.observed:
        sizes = _with_chunks(done, live) if without else live
        if without:
            yield from _refused_on_hypertables(done, live)
        yield from _long(done, sizes, found, lint)
        yield from _always(done, sizes)
        yield from _locks(done, sizes, lint)
        yield from _error(done, ran)
        if done.triggers_off:
            yield _hit(
                done, "skips-triggers",
                "runs with session_replication_role = replica: neither triggers nor foreign keys look at its rows; review it "
                "and allow it",
                certain=False,
            )  # fmt: skip
        if rows := [n for n in done.depends_on if n in live and live[n].tree_bytes]:
            yield _hit(
                done, ROWS,
                f"reads rows of {_names(rows)} and goes on by them; a rehearsal has no rows, so what it would do is unknown: "
                f"try it on a copy with rows, then allow it (`rule: {ROWS}`, its text as `statement`)",
                certain=False,
            )  # fmt: skip
        if done.tag in _WRITES and any(words.startswith("auto_explain") for words in ran.left_out):
            yield _hit(
                done,
                "unknown-rows",
                "changes an unknown number of rows: its plan was not seen",
                certain=False,
            )
    if ran.problem and not any(done.sqlstate for done in ran.observed):
        yield Hit(
            "", 0, frozenset({"fails"}), f"the rehearsal did not run to its end: {ran.problem}", certain=False
        )


def _programs(found: LintFacts) -> Iterator[Hit]:
    """Yield statements that run programs: what these do is in no log of a server."""
    for step in found.steps:
        text = step.statement.text if _HOLDS_CODE.match(step.statement.bare) else step.statement.bare
        if _PROGRAM.search(text):
            yield Hit(
                step.file,
                step.statement.line,
                frozenset({"runs-program"}),
                f"{step.file}:{step.statement.line} [runs-program] runs a program beside the database, and what that does was "
                "not seen: review it and allow it, or load the data with the deployment's own tools",
                certain=False,
                statement=step.statement.text,
            )


def _refused_on_hypertables(done: Observed, live: dict[str, Relation]) -> Iterator[Hit]:
    """Yield what TimescaleDB refuses, and a server without it does not. An index that is built concurrently shows no
    table in a rehearsal, so its table is the one that the statement names.
    """
    if not (found := _CONCURRENTLY.match(done.text)):
        return
    named = found["table"].replace('"', "").lower()
    hyper = [
        name
        for name, relation in live.items()
        if _is_hyper(relation) and f".{name}".replace('"', "").lower().endswith(f".{named}")
    ]
    if hyper:
        yield _hit(
            done, "fails", f"TimescaleDB refuses CONCURRENTLY on a hypertable ({_names(hyper)}): {_PER_CHUNK}",
        )  # fmt: skip


def _is_hyper(relation: Relation) -> bool:
    return any(child.startswith(_CHUNKS) for child in relation.children)


def _with_chunks(done: Observed, live: dict[str, Relation]) -> dict[str, Relation]:
    """Return sizes in which a hypertable counts with its chunks where a statement reached it alone.

    Without the extension it is a parent of its chunks, and nothing carries an index or a foreign key on to them. What
    the server itself carries on, such as a new type, has reached the chunks, each with its own size. The plan of a
    write names each chunk that it may change, so there the parent is only itself.
    """
    reached = {
        *done.rewritten,
        *done.scanned,
        *done.indexed,
        *done.reindexed,
        *(h.relation for h in done.held),
    }
    alone = {name for name in reached & live.keys() if not reached.intersection(live[name].children)}
    return {
        name: replace(relation, size_bytes=relation.tree_bytes) if name in alone else relation
        for name, relation in live.items()
    }


def _long(done: Observed, sizes: dict[str, Relation], found: LintFacts, lint: MigrationLint) -> Iterator[Hit]:
    """Yield what takes time in proportion to a table: rewrites, and scans, indexes and writes."""
    strong = {h.relation: h.mode for mode in reversed(_STRONG) for h in done.held if h.mode == mode}
    own = 0
    if done.rewritten and done.tag != "TRUNCATE TABLE" and _large(done.rewritten, sizes, lint):
        own += 1
        view = done.tag == "REFRESH MATERIALIZED VIEW"
        yield _hit(
            done, "refreshes-view" if view else "rewrites-table",
            f"{'replaces the view' if view else 'rewrites the table'} under ACCESS EXCLUSIVE, which keeps readers out: "
            f"{_named(done.rewritten, sizes)}: "
            + ("use CONCURRENTLY (it needs a unique index)" if view else "make a new column or table, fill it in batches, switch over")
            + _wal(done.rewritten, sizes, found),
        )  # fmt: skip
    scanned = [name for name in done.scanned if name in strong and name not in done.rewritten]
    if _large(scanned, sizes, lint):
        own += 1
        earlier = any(h.relation in scanned and h.mode in _STRONG and not h.new for h in done.held)
        yield _hit(
            done, "scans-table",
            f"reads the whole table under {_mode(strong, scanned)}: {_named(scanned, sizes)}: "
            + ("commit before it: an earlier statement of the transaction took that lock" if earlier
               else "add the constraint NOT VALID (a CHECK instead of NOT NULL or a partition's bounds), commit, then VALIDATE"),
        )  # fmt: skip
    again = (*done.rewritten, *done.reindexed)
    indexed = [name for name in done.indexed if name in strong and name not in again]
    if _large(indexed, sizes, lint):
        own += 1
        yield _hit(
            done, "locks-for-index",
            f"builds an index under {_mode(strong, indexed)}, which blocks writes: {_named(indexed, sizes)}: "
            + (_PER_CHUNK if any(_is_hyper(sizes[n]) for n in indexed if n in sizes)
               else "CREATE INDEX CONCURRENTLY, outside a transaction (for a key: then ADD … USING INDEX)"),
        )  # fmt: skip
    if _large(done.reindexed, sizes, lint):
        own += 1
        yield _hit(
            done, "locks-for-reindex",
            f"rebuilds an index and blocks writes: {_named(done.reindexed, sizes)}: use CONCURRENTLY",
        )  # fmt: skip
    yield from _rows(done, sizes, found, lint)
    busy = [*done.scanned, *done.indexed, *done.rewritten, *(w.relation for w in done.writes if w.share != 0)]
    others = [name for name in strong if name not in busy]
    if not own and others and _large(busy, sizes, lint):
        yield _hit(
            done, "holds-lock",
            f"keeps {_mode(strong, others)} on {_names(others)} while it works through {_named(busy, sizes)}: commit before it",
        )  # fmt: skip


def _rows(done: Observed, sizes: dict[str, Relation], found: LintFacts, lint: MigrationLint) -> Iterator[Hit]:
    """Yield data statements that change more than what is small, by their plans on the live statistics."""
    known = [w for w in done.writes if w.share is not None]
    total = sum(sizes[w.relation].size_bytes * (w.share or 0) for w in known if w.relation in sizes)
    if total > lint.small:
        names = [w.relation for w in known]
        rows = sum(sizes[w.relation].rows * (w.share or 0) for w in known if w.relation in sizes)
        every = "every row" if all(not w.condition for w in known) else f"about {rows:.0f} rows"
        yield _hit(
            done, "updates-all-rows",
            f"writes {every} in one transaction: {_named(names, sizes)}: do it in batches" + _wal(names, sizes, found),
        )  # fmt: skip
    unknown = [w.relation for w in done.writes if w.share is None]
    if _large(unknown, sizes, lint):
        yield _hit(
            done, "unknown-rows",
            f"changes rows of {_named(unknown, sizes)}, and the plan does not tell how many: do it in batches with a LIMIT, "
            "or review it and allow it",
            certain=False,
        )  # fmt: skip


def _always(done: Observed, sizes: dict[str, Relation]) -> Iterator[Hit]:
    """Yield what hurts at any size."""
    gone = (*done.dropped, *(done.rewritten if done.tag == "TRUNCATE TABLE" else ()))
    if gone:
        yield _hit(
            done, "drops",
            f"removes data that the old version may still need: {_names(gone)}: do it in a release after the old version is "
            "retired",
        )  # fmt: skip
    if done.renamed:
        yield _hit(
            done, "renames",
            f"breaks the old version while it still runs: {_names(done.renamed)}: add the new name beside the old one",
        )  # fmt: skip
    filled = [c for c in done.bare_not_null if _relation(c, sizes).size_bytes or _relation(c, sizes).rows]
    if filled:
        yield _hit(
            done, "adds-not-null-without-default",
            f"fails on a table with rows: {_names(filled)}: give it a constant default",
        )  # fmt: skip


def _locks(done: Observed, sizes: dict[str, Relation], lint: MigrationLint) -> Iterator[Hit]:
    """Yield statements that wait too long for a lock on a large table, or take one without need."""
    new = [h for h in done.held if h.new and h.mode in _STRONG]
    names = list(dict.fromkeys([*(h.relation for h in new), *done.rewritten, *done.reindexed]))
    large = [name for name in names if name in sizes and sizes[name].tree_bytes > lint.small]
    if not large:
        return
    if done.tag == "LOCK TABLE":
        yield _hit(
            done, "takes-lock",
            f"holds a lock until its transaction ends: {_names(large)}: let each statement take the lock that it needs",
        )  # fmt: skip
    if lint.lock_timeout is None or lint.lock_timeout_is_set:
        return
    most = lint.lock_timeout / timedelta(milliseconds=1)
    if done.lock_timeout_ms == 0 or done.lock_timeout_ms > most:
        waits = (
            "indefinitely"
            if not done.lock_timeout_ms
            else f"up to {words_for(timedelta(milliseconds=done.lock_timeout_ms))} (limit {words_for(lint.lock_timeout)})"
        )
        yield _hit(
            done, "lock-timeout",
            f"waits {waits} for its lock on {_names(large)}, and other sessions queue behind it: "
            f"SET lock_timeout = '{words_for(lint.lock_timeout)}' before it",
        )  # fmt: skip


def _error(done: Observed, ran: Rehearsal) -> Iterator[Hit]:
    if not done.sqlstate:
        return
    rule = "concurrently-in-transaction" if done.sqlstate == "25001" else "fails"
    said = f"fails on {ran.server}: {done.message} (SQLSTATE {done.sqlstate})"
    step = refusals.instead(done)
    if not ran.problem:
        yield _hit(
            done,
            rule,
            f"{said}, and the tool went on: what it leaves behind is unknown; {step}",
            certain=False,
        )
    elif done.sqlstate.startswith(_OF_DATA):
        yield _hit(
            done, rule,
            f"{said}: it may need rows or files that a rehearsal has not: run it on a copy with rows, then allow it here "
            f"(`rule: {rule}`)",
            certain=False,
        )  # fmt: skip
    elif ran.left_out:
        yield _hit(
            done, rule,
            f"{said}; not all of the live schema could be copied: {'; '.join(ran.left_out[:2])}: install here what it lacks; if "
            f"it fails then, too: {step}",
            certain=False,
        )  # fmt: skip
    else:
        yield _hit(done, rule, f"{said}: {step}")


def _hit(done: Observed, rule: str, text: str, *, certain: bool = True) -> Hit:
    where = done.source + (f":{done.line}" if done.line else "")
    words = " ".join(re.sub(r"--[^\n]*", " ", done.text).split())
    words = re.sub(r"'[^']*'", "'…'", words)
    shown = words if len(words) <= _TEXT else words[:_TEXT] + "…"
    at = where if done.line else f"{where} ({shown})"
    return Hit(done.source, done.line, frozenset({rule}), f"{at} [{rule}] {text}", certain, done.text)


def _large(names: Sequence[str], sizes: dict[str, Relation], lint: MigrationLint) -> bool:
    return sum(sizes[n].size_bytes for n in dict.fromkeys(names) if n in sizes) > lint.small


def _named(names: Sequence[str], sizes: dict[str, Relation]) -> str:
    """Name the largest table, how many others there are, and the size of all."""
    unique = sorted({n for n in names if n in sizes}, key=lambda n: -sizes[n].size_bytes)
    total = words_for_bytes(sum(sizes[n].size_bytes for n in unique))
    more = f" and {len(unique) - 1} more" if len(unique) > 1 else ""
    return f"{unique[0] if unique else 'a table'}{more} ({total})"


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(list(names)[:3]) + more


def _mode(strong: dict[str, str], names: Sequence[str]) -> str:
    found = next(mode for mode in _STRONG if mode in {strong[name] for name in names})
    return " ".join(re.findall(r"[A-Z][a-z]+", found.removesuffix("Lock"))).upper()


def _relation(column: str, sizes: dict[str, Relation]) -> Relation:
    """Return the table of a column (schema.table.column)."""
    fits = [relation for name, relation in sizes.items() if column.startswith(f"{name}.")]
    return max(fits, key=lambda r: len(r.name), default=Relation("", 0, 0, 0.0))


def _wal(names: Sequence[str], sizes: dict[str, Relation], found: LintFacts) -> str:
    size = sum(sizes[n].size_bytes for n in dict.fromkeys(names) if n in sizes)
    limit = found.slot_limit_bytes
    if not limit or not found.replicas or size <= limit:
        return ""
    return (
        f"; its WAL of about {words_for_bytes(size)} is over max_slot_wal_keep_size ({words_for_bytes(limit)}): "
        "lagging replicas are lost"
    )
