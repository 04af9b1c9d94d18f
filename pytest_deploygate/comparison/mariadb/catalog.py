"""Which tables, columns and keys a database of MariaDB or MySQL has, as far as a comparison needs them."""

from __future__ import annotations

import re
from collections import defaultdict

from pytest_deploygate.clients.mariadb import MariaDbConnection
from pytest_deploygate.comparison.described import Catalog, Column, Described
from pytest_deploygate.comparison.mariadb import forms
from pytest_deploygate.comparison.mariadb.forms import Stored

KIND = "mariadb"
_PAGE = 16_384
_TABLES = """
SELECT TABLE_NAME, COALESCE(TABLE_ROWS, 0), COALESCE(DATA_LENGTH, 0) FROM information_schema.TABLES
WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY 1
"""
_COLUMNS = """
SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, COALESCE(COLLATION_NAME, ''), IS_NULLABLE = 'NO'
FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME, ORDINAL_POSITION
"""
_JSON = """
SELECT TABLE_NAME, CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS
WHERE CONSTRAINT_SCHEMA = DATABASE() AND CHECK_CLAUSE LIKE 'json_valid(%'
"""
#: A part of a key may be a prefix of a column or, in MySQL, an expression: such a key does not identify rows.
_KEYS = """
SELECT TABLE_NAME, INDEX_NAME, COLUMN_NAME, NULLABLE = 'YES' OR SUB_PART IS NOT NULL OR COLUMN_NAME IS NULL
FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() AND NON_UNIQUE = 0
ORDER BY TABLE_NAME, INDEX_NAME <> 'PRIMARY', INDEX_NAME, SEQ_IN_INDEX
"""
_GRANTED = re.compile(r"^GRANT (?P<what>.+?) ON (?:TABLE )?(?P<where>\S+\.\*) TO ", re.DOTALL)


def read(connection: MariaDbConnection, database: str) -> Catalog:
    """Read the catalog of the session's database. Raises CannotTell."""
    json: set[tuple[str, str]] = set()
    if connection.maria:
        json = {(table, _checked(clause)) for table, clause in connection.rows(_JSON)}
    columns: dict[str, list[Stored]] = defaultdict(list)
    filled: dict[tuple[str, str], bool] = {}
    for table, name, data, kind, collation, never_null in connection.rows(_COLUMNS):
        columns[table].append(Stored(name, data.lower(), kind.lower(), collation, (table, name) in json))
        filled[table, name] = _true(never_null)
    keys: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    unfit: set[tuple[str, str]] = set()
    for table, index, name, incomplete in connection.rows(_KEYS):
        keys[table][index].append(name)
        if _true(incomplete):
            unfit.add((table, index))
    found = {}
    for table, rows, size in connection.rows(_TABLES):
        fit = [tuple(names) for index, names in keys[table].items() if (table, index) not in unfit]
        primary = keys[table]["PRIMARY"][:1] if "PRIMARY" in keys[table] else []
        found[database, table] = Described(
            (database, table),
            tuple(_column(one, filled[table, one.name], primary) for one in columns[table]),
            tuple(sorted(fit, key=len) if not primary else [fit[0], *sorted(fit[1:], key=len)]),
            int(rows),
            int(size) // _PAGE,
            kind=KIND,
        )
    return Catalog(found, 0, _unseen(connection, database))


def _column(stored: Stored, filled: bool, primary: list[str]) -> Column:
    order = forms.order(stored)
    return Column(
        stored.name,
        "json" if stored.json else stored.type,
        stored.data == "enum",
        filled,
        order == "bytes",
        1.0 if primary == [stored.name] else None,  # rows lie in the order of the primary key
        forms.of(stored),
        order,
        forms.problem(stored),
    )


def _unseen(connection: MariaDbConnection, database: str) -> str:
    """Say if the role lacks SELECT on the whole database: tables that it may not read do not appear at all."""
    for (line,) in connection.rows("SHOW GRANTS"):
        if found := _GRANTED.match(line):
            what = {one.strip() for one in found["what"].upper().split(",")}
            if what & {"ALL PRIVILEGES", "SELECT"} and _covers(found["where"].removesuffix(".*"), database):
                return ""
    return (
        f"the gate's role may not read all tables of {database}, and does not see those that it may not read: "
        f"GRANT SELECT ON {database}.*"
    )


def _covers(pattern: str, database: str) -> bool:
    """Tell whether a pattern of a grant, in backticks and with the wildcards of LIKE, names the database."""
    if pattern == "*":
        return True
    plain = pattern.strip("`").replace("``", "`")
    parts = re.findall(r"\\.|.", plain)
    wild = {"%": ".*", "_": "."}
    return re.fullmatch("".join(wild.get(p) or re.escape(p[-1]) for p in parts), database) is not None


def _checked(clause: str) -> str:
    return clause.removeprefix("json_valid(").removesuffix(")").strip("`").replace("``", "`")


def _true(flag: object) -> bool:
    return str(flag) == "1"
