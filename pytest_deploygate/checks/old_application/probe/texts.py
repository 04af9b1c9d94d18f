"""Texts of statements as pg_stat_statements keeps them: what kind they are, and what they insert. Pure.

Constants are replaced by `$1` there, so that `interval '1 day'` became `interval $1`, which no server reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_deploygate.lazy import dataclass

_NAME = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)(?:\s*\.\s*(?:"(?:[^"]|"")+"|[^\W\d][\w$]*))*'
#: Comments, and strings in each of their forms; quoted names are kept.
_SKIPPED = re.compile(
    r"(?P<name>\"(?:[^\"]|\"\")*\")|--[^\n]*|/\*.*?\*/|\bE'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'"
    r"|\$(?P<tag>[A-Za-z_]\w*|)\$.*?\$(?P=tag)\$",
    re.DOTALL | re.IGNORECASE,
)
_TYPED = re.compile(
    r"\b(interval|timestamp(?:tz)?(?:\s+with(?:out)?\s+time\s+zone)?|date|time(?:tz)?(?:\s+with(?:out)?\s+time\s+zone)?)"
    r"\s+(\$\d+)",
    re.IGNORECASE,
)
_PREFIX = re.compile(
    rf"\s*(?:PREPARE\s+{_NAME}(?:\s*\([^)]*\))?\s+AS|DECLARE\s+{_NAME}\s+(?:(?:BINARY|ASENSITIVE|INSENSITIVE|NO|SCROLL)\s+)*"
    r"CURSOR\s+(?:WITH(?:OUT)?\s+HOLD\s+)?FOR|EXPLAIN(?:\s*\([^)]*\)|\s+ANALYZE|\s+VERBOSE)*)\s+",
    re.IGNORECASE,
)
_INSERT = re.compile(
    rf"\bINSERT\s+INTO\s+(?P<table>{_NAME})(?:\s+AS\s+{_NAME})?\s*(?P<list>\((?P<columns>[^()]*)\)|DEFAULT\s+VALUES)?",
    re.IGNORECASE,
)
_MERGE = re.compile(rf"\bMERGE\s+INTO\s+(?:ONLY\s+)?(?P<table>{_NAME})", re.IGNORECASE)
_MERGED = re.compile(r"\bTHEN\s+INSERT\s*(?:\((?P<columns>[^()]*)\))?", re.IGNORECASE)
_COPY = re.compile(
    rf"\s*COPY\s+(?:BINARY\s+)?(?P<table>{_NAME})\s*(?:\((?P<columns>[^()]*)\))?\s*(?P<way>FROM|TO)\b",
    re.IGNORECASE,
)
_QUERY = re.compile(r"[\s(]*(SELECT|INSERT|UPDATE|DELETE|MERGE|WITH|VALUES|TABLE|CALL)\b", re.IGNORECASE)
_SESSION = re.compile(
    r"\s*(BEGIN|START|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|SET|RESET|SHOW|DISCARD|DEALLOCATE|CLOSE|FETCH|MOVE|LISTEN|"
    r"UNLISTEN|NOTIFY|CHECKPOINT)\b",
    re.IGNORECASE,
)
_NAMES_TABLE = re.compile(
    rf"\s*(?:TRUNCATE(?:\s+TABLE)?(?:\s+ONLY)?|LOCK(?:\s+TABLE)?(?:\s+ONLY)?|"
    rf"REFRESH\s+MATERIALIZED\s+VIEW(?:\s+CONCURRENTLY)?|ANALYZE|VACUUM)\s+(?P<table>{_NAME})",
    re.IGNORECASE,
)
_FIRST = re.compile(rf"\s*({_NAME})")


@dataclass(frozen=True)
class Inserted:
    """A table as written, and the columns that a statement names for it; None if it names none."""

    table: str
    columns: tuple[str, ...] | None
    copies: bool = False


def bare(text: str) -> str:
    """Return a statement without comments and with empty strings, for reading it."""
    return _SKIPPED.sub(lambda found: found["name"] or (" " if found[0][:2] in ("--", "/*") else "''"), text)


def readable(text: str) -> str:
    """Return a statement as a server reads it: the query of a cursor or PREPARE, and types before parameters as casts."""
    return _TYPED.sub(r"CAST(\2 AS \1)", _PREFIX.sub("", text, count=1)).rstrip().rstrip(";")


def is_query(text: str) -> bool:
    """Tell whether a server looks at the tables and columns of a statement when it prepares it."""
    return _QUERY.match(bare(readable(text))) is not None


def of_session(text: str) -> bool:
    """Tell whether a statement only controls its session or transaction."""
    return _SESSION.match(bare(text)) is not None and _PREFIX.match(text) is None


def named(text: str) -> str:
    """Return the table that a statement names which is no query; empty if none is known to be named."""
    plain = bare(text)
    found = _COPY.match(plain) or _NAMES_TABLE.match(plain)
    return found["table"] if found else ""


def inserted(text: str) -> Iterator[Inserted]:
    """Yield the tables that a statement inserts into, also within WITH, MERGE and COPY."""
    plain = bare(text)
    if copy := _COPY.match(plain):
        if copy["way"].upper() == "FROM":
            yield Inserted(copy["table"], _columns(copy["columns"]), copies=True)
        return
    for found in _INSERT.finditer(plain):
        if found["list"] is None or (found["columns"] and _QUERY.match(found["columns"])):
            yield Inserted(found["table"], None)
        else:
            yield Inserted(found["table"], _columns(found["columns"]) or ())
    for merge in _MERGE.finditer(plain):
        for found in _MERGED.finditer(plain, merge.end()):
            yield Inserted(merge["table"], _columns(found["columns"]))


def _columns(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    found = (_FIRST.match(part) for part in text.split(","))
    return tuple(_folded(one[1]) for one in found if one)


def _folded(name: str) -> str:
    first = name.split(".", maxsplit=1)[0].strip() if not name.startswith('"') else name
    return first[1:-1].replace('""', '"') if first.startswith('"') else first.lower()
