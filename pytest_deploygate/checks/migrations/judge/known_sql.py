"""The SQL that is known not to rewrite, scan or lock anything for long. Nothing else is assumed to be harmless.

Sources: PostgreSQL's manual, "Explicit Locking" and the notes of ALTER TABLE and CREATE INDEX.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

# Statements that create something new, change only catalog entries, or write rows like any user.
_STATEMENTS = re.compile(
    r"^(SET|RESET|SHOW|BEGIN|START TRANSACTION|COMMIT|END|ROLLBACK|SAVEPOINT|RELEASE|NOTIFY|COMMENT ON|GRANT|REVOKE"
    r"|INSERT INTO|COPY|ANALYZE|VACUUM(?!.*\bFULL\b)|(UPDATE|DELETE FROM)\b.*\bWHERE"
    r"|CREATE (GLOBAL |LOCAL |TEMP |TEMPORARY |UNLOGGED )*TABLE|CREATE (TEMP |TEMPORARY )?SEQUENCE|ALTER SEQUENCE"
    r"|CREATE (OR REPLACE )?(TEMP |TEMPORARY |RECURSIVE )*(VIEW|FUNCTION|PROCEDURE|AGGREGATE)"
    r"|CREATE (SCHEMA|TYPE|DOMAIN|EXTENSION|COLLATION|STATISTICS|MATERIALIZED VIEW|ROLE|USER|GROUP|CAST|OPERATOR)"
    r"|ALTER (DEFAULT PRIVILEGES|ROLE|USER|GROUP)|ALTER TYPE \S+ ADD VALUE"
    r"|CREATE (OR REPLACE )?(CONSTRAINT )?TRIGGER|CREATE (UNIQUE )?INDEX CONCURRENTLY|DROP INDEX CONCURRENTLY"
    r"|REINDEX\b.*\bCONCURRENTLY|REFRESH MATERIALIZED VIEW CONCURRENTLY"
    r"|LOCK\b.*\bIN (ACCESS|ROW) SHARE MODE)\b",
    re.IGNORECASE,
)
# Parts that make any statement unknown: psql's own commands, other programs, rows that are written past triggers or anew.
_NEVER = re.compile(
    r"\\|^COPY\b.*\bPROGRAM\b|\bsession_replication_role\b|\bON CONFLICT\b.*\bDO UPDATE\b", re.IGNORECASE
)
# Actions of ALTER TABLE that hold their lock only for a moment.
_ACTIONS = re.compile(
    r"^(ADD (?!CONSTRAINT\b|CHECK\b|FOREIGN\b|PRIMARY\b|UNIQUE\b|EXCLUDE\b)(COLUMN )?|ADD .*\b(NOT VALID|USING INDEX)\b"
    r"|VALIDATE CONSTRAINT|DROP CONSTRAINT|RENAME CONSTRAINT"
    r"|ALTER (COLUMN )?\S+ (SET DEFAULT|DROP DEFAULT|DROP NOT NULL|DROP IDENTITY|SET STATISTICS|SET STORAGE|SET \(|RESET \()"
    r"|SET \(|RESET \(|OWNER TO|REPLICA IDENTITY|CLUSTER ON|SET WITHOUT CLUSTER|NO INHERIT|DETACH PARTITION .*\b(CONCURRENTLY|FINALIZE))",
    re.IGNORECASE,
)
_ALTER = re.compile(
    r"^(ALTER TABLE (IF EXISTS )?(ONLY )?(?:\"[^\"]+\"|[\w$.])+(?: \*)?) (.*)$", re.IGNORECASE
)
_READS = re.compile(r"^(SELECT|WITH|VALUES|TABLE)\b(?!.*\b(UPDATE|DELETE|INTO)\b)", re.IGNORECASE)
_CALLS = re.compile(r"([\w.$]+) ?\(")
_DEFAULT = re.compile(r"\bDEFAULT\b(.*)$", re.IGNORECASE)
# Functions that change and lock nothing, and keywords that may precede a parenthesis.
_FUNCTIONS = {
    "setval", "nextval", "currval", "lastval", "set_config", "current_setting", "count", "min", "max", "sum", "avg",
    "coalesce", "nullif", "greatest", "least", "now", "transaction_timestamp", "statement_timestamp", "lower", "upper",
    "length", "to_regclass", "pg_get_serial_sequence", "pg_notify", "exists", "in", "as", "and", "or", "not", "from",
    "where", "select", "values", "over", "on", "using", "interval", "cast", "numeric", "decimal", "varchar", "char",
    "check", "references", "any", "all", "array", "with", "by", "timestamp", "timestamptz", "time", "jsonb_build_object",
    "jsonb_build_array", "bit", "varying", "character", "default",
}  # fmt: skip


def pieces(statement: str) -> list[str]:
    """Return the actions of an ALTER TABLE as separate statements; any other statement is one piece."""
    found = _ALTER.match(statement)
    return [f"{found[1]} {action}" for action in parts(found[4])] if found else [statement]


def unknown(statement: str, judged: Callable[[str], bool]) -> Iterator[str]:
    """Yield the parts of a statement (strings emptied) that no rule judges and that are not known to be harmless."""
    if _ALTER.match(statement):
        for whole in pieces(statement):
            action = _ALTER.match(whole)
            if not judged(whole) and not (action and _harmless_action(action[4])):
                yield whole
    elif _NEVER.search(statement) or not (
        judged(statement) or _STATEMENTS.match(statement) or _harmless_read(statement)
    ):
        yield statement


def parts(text: str) -> Iterator[str]:
    """Split at the commas outside brackets and quoted names."""
    depth, quoted, start = 0, False, 0
    for at, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif not quoted:
            depth += (character in "([") - (character in ")]")
            if character == "," and depth == 0:
                yield text[start:at].strip()
                start = at + 1
    yield text[start:].strip()


def _harmless_action(action: str) -> bool:
    default = _DEFAULT.search(action)
    return bool(_ACTIONS.match(action)) and (default is None or _known_calls(default[1]))


def _harmless_read(statement: str) -> bool:
    return bool(_READS.match(statement)) and _known_calls(statement)


def _known_calls(text: str) -> bool:
    return all(name.lower().removeprefix("pg_catalog.") in _FUNCTIONS for name in _CALLS.findall(text))
