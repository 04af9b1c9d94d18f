"""What to do about a statement that PostgreSQL refuses, by its error."""

from __future__ import annotations

import re

from pytest_deploygate.checks.migrations.facts import Observed

#: How a statement runs outside a transaction, by the tool that runs its file.
_ALONE = {
    ".py": "run it outside the transaction: Alembic: `with op.get_context().autocommit_block():`; Django: `atomic = False`",
    ".sql": (
        "let it run outside a transaction: no BEGIN before it, or a file of its own that its tool does not put into a "
        "transaction, alone in it where the tool sends each file as one query"
    ),
}
_ANY_TOOL = (
    "run it outside the transaction (Alembic: `with op.get_context().autocommit_block():`; Django: `atomic = False` and "
    "AddIndexConcurrently; Rails: `disable_ddl_transaction!`; plain SQL: a file of its own, without BEGIN)"
)
_BY_MESSAGE = (
    (
        r"index on partitioned table .* concurrently",
        "CREATE INDEX ON ONLY the parent, CREATE INDEX CONCURRENTLY on each partition, then ALTER INDEX … ATTACH PARTITION",
    ),
    (
        r"concurrently.*partition|partition.*concurrently",
        "do it for each partition by itself, CONCURRENTLY, then for the parent",
    ),
    (
        r"cannot refresh materialized view .* concurrently",
        "create a unique index on columns of the view first (no expression, no WHERE), or refresh it without CONCURRENTLY in a "
        "maintenance window",
    ),
    (
        r"wal_level|max_replication_slots|max_wal_senders|shared_preload_libraries",
        "change that setting on the live server and restart it before the migration",
    ),
    (
        r"unsafe use of new value",
        "commit after ALTER TYPE … ADD VALUE: use the new value in a later migration",
    ),
    (
        r"other objects depend|depends on|used by a view or rule",
        "drop and make again what depends on it in the same migration; CASCADE would drop it for good",
    ),
    (
        r"pending trigger events",
        "commit between the rows that it changes and the ALTER TABLE: two migrations",
    ),
    (
        r"cannot change name of (input parameter|view column)|cannot drop columns from view"
        r"|cannot change (return type|data type of view column)",
        "DROP it and CREATE it anew in the same migration; OR REPLACE may not change that",
    ),
    (
        r"cannot be cast automatically",
        "add `USING column::type`, after a look at the live rows that it must convert",
    ),
    (
        r"cannot be used in foreign key|no unique constraint matching",
        "make the unique constraint on the referenced columns first",
    ),
)
_BY_STATE = {
    "42P07": "it is there already: was it made by hand, or is the version table behind? Correct that, or use IF NOT EXISTS",
    "42710": "it is there already: was it made by hand, or is the version table behind? Correct that, or use IF NOT EXISTS",
    "42701": "the column is there already: was it made by hand, or is the version table behind? Correct that",
    "42P06": "it is there already: use IF NOT EXISTS if that is right",
    "42723": "it is there already: use CREATE OR REPLACE if that is right",
    "42P01": "the live schema has no such table: correct the name or search_path, or run first the migration that makes it",
    "42703": "the live schema has no such column: correct the name, or run first the migration that makes it",
    "42704": "the live schema has no such object: correct the name, use IF EXISTS, or make it first",
    "42883": "the live schema has no such function: correct name and argument types, or install the extension first",
    "3F000": "the live database has no such schema: CREATE SCHEMA first, or correct search_path",
    "42601": "correct the statement: this server does not read it",
    "42501": "run it as the owner, or GRANT what it needs",
    "0A000": "this server cannot do that: write it in another way, or upgrade first",
    "55P04": "commit after ALTER TYPE … ADD VALUE: use the new value in a later migration",
    "2BP01": "drop what depends on it first; CASCADE would drop it for good",
    "55006": "commit between the rows that it changes and the ALTER TABLE: two migrations",
    "25006": "it runs in a read-only transaction: leave default_transaction_read_only to the server",
}


def outside_a_transaction(source: str) -> str:
    """Return how a statement of this migration runs outside a transaction."""
    return next((step for end, step in _ALONE.items() if source.lower().endswith(end)), _ANY_TOOL)


def instead(done: Observed) -> str:
    """Return the next step for a refused statement."""
    if done.sqlstate == "25001":
        return outside_a_transaction(done.source)
    for pattern, step in _BY_MESSAGE:
        if re.search(pattern, done.message, re.IGNORECASE):
            return step
    return _BY_STATE.get(
        done.sqlstate, "correct the migration, and try it with psql on a copy of the live schema"
    )
