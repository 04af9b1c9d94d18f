"""The statements that a MariaDB server is asked, for one table on one side. Pure.

Keys are compared as bytes: a collation that calls two of them equal would join their rows.
"""

from __future__ import annotations

from pytest_deploygate.comparison.adapter import Side
from pytest_deploygate.comparison.mariadb.forms import quoted
from pytest_deploygate.comparison.parts import Part
from pytest_deploygate.comparison.spec import ColumnPair, Table

#: Added to a sum for a row that has no checksum, because its text is longer than `max_allowed_packet`: CONCAT is NULL then.
#: More than all checksums of ten thousand million rows together.
NO_CHECKSUM = 10**30
_SEED = 1
_LONGEST = 1_000


class MariaDb:
    """Statements for a table."""

    def __init__(self, table: Table, side: Side) -> None:
        self._side = side
        self._from = ".".join(quoted(name) for name in (table.source if side == "source" else table.target))
        self._columns = [self._text(column) for column in table.columns]
        self._row = row(self._columns)
        self._key = row([self._text(c) for c in table.key]) if table.key else ""
        self._ordered = [quoted(pair[0 if side == "source" else 1]) for pair in table.ordered]
        self._whole = table.whole

    def sums(self, part: Part) -> str:
        """Ask for tail (of the key's checksum), rows, and sum of the rows' checksums, for each tail of the part."""
        if not part.bits:
            return f"SELECT 0, COUNT(*), COALESCE(SUM({self._counted()}), 0) FROM {self._from}{self._where(part)}"
        mask = 2**part.bits - 1
        chosen = f" AND (k & {mask}) IN ({_listed(part.tails)})" if part.tails else ""
        rows = f"SELECT {self._counted()} AS h, {self._divider()} AS k FROM {self._from}{self._where(part, tails=False)}"
        return f"SELECT k & {mask}, COUNT(*), SUM(h) FROM ({rows}) AS r WHERE TRUE{chosen} GROUP BY 1"

    def keys(self, part: Part) -> str:
        """Ask for key and checksum of each row. The key of a table without one is the checksum.

        They are not grouped: GROUP BY may look at the first `max_sort_length` bytes alone.
        """
        return f"SELECT {self._named()}, {self._counted()} FROM {self._from}{self._where(part)}"

    def rows(self, part: Part, keys: list[str]) -> str:
        """Ask for key, checksum, and the values as text of rows with these keys. Long values are cut, with their md5."""
        values = ", ".join(_cut(column) for column in self._columns)
        where = self._where(part)
        chosen = ", ".join(f"x'{key.encode().hex()}'" for key in keys)
        return (
            f"SELECT {self._named()}, {self._counted()}, {values} FROM {self._from}{where}"
            f"{' AND' if where else ' WHERE'} {self._named()} IN ({chosen})"
        )

    def extent(self) -> str:
        """Ask for the least and the greatest first value of the key, as text."""
        column = self._ordered[0]
        return f"SELECT CAST(MIN({column}) AS CHAR), CAST(MAX({column}) AS CHAR) FROM {self._from}"

    def following(self, after: str | None, rows: int) -> str:
        """Ask for the first value of the key, as text, that so many rows lie before, from the one given on."""
        column = self._ordered[0]
        where = "" if after is None else f" WHERE {column} > {self._bound(after)}"
        return (
            f"SELECT CAST({column} AS CHAR) FROM {self._from}{where} ORDER BY {column} LIMIT 1 OFFSET {rows}"
        )

    def _named(self) -> str:
        return f"CAST({self._key or f'CAST({checksum(self._row)} AS CHAR)'} AS BINARY)"

    def _counted(self) -> str:
        return f"COALESCE(CAST({checksum(self._row)} AS DECIMAL(20,0)), {NO_CHECKSUM})"

    def _divider(self) -> str:
        return checksum(self._key, _SEED) if self._key else checksum(self._row)

    def _where(self, part: Part, *, tails: bool = True) -> str:
        found = []
        if part.lower is not None:
            found.append(f"{self._ordered[0]} >= {self._bound(part.lower[0])}")
        if part.upper is not None:
            found.append(f"{self._ordered[0]} < {self._bound(part.upper[0])}")
        if tails and part.bits:
            found.append(f"({self._divider()} & {2**part.bits - 1}) IN ({_listed(part.tails)})")
        return f" WHERE {' AND '.join(found)}" if found else ""

    def _bound(self, value: str) -> str:
        return str(int(value)) if self._whole else f"_utf8mb4 x'{value.encode().hex()}'"

    def _text(self, column: ColumnPair) -> str:
        own = column.source_sql if self._side == "source" else column.target_sql
        plain = quoted(column.source if self._side == "source" else column.target)
        return f"CONVERT({own or plain} USING utf8mb4)"


def row(texts: list[str]) -> str:
    """Return the expression of a row's text: see `comparison.forms`."""
    values = [
        f"COALESCE(CONCAT(CHAR_LENGTH({text}), ':', {text}), IF({text} IS NULL, 'N', NULL))" for text in texts
    ]
    return f"CONCAT({', '.join(values)})"


def checksum(text: str, seed: int = 0) -> str:
    """Return the expression of a text's checksum: a signed number of 64 bits, NULL of a text that is NULL."""
    salted = f"CONCAT('{seed}:', {text})" if seed else text
    return f"CAST(CONV(LEFT(MD5({salted}), 16), 16, -10) AS SIGNED)"


def literal(value: str | None) -> str:
    """Return a text as a constant."""
    return "NULL" if value is None else f"_utf8mb4 x'{value.encode().hex()}'"


def _cut(text: str) -> str:
    more = f"'… (', CHAR_LENGTH({text}), ' characters, md5 ', MD5({text}), ')'"
    return f"IF(CHAR_LENGTH({text}) > {_LONGEST}, CONCAT(LEFT({text}, {_LONGEST}), {more}), {text})"


def _listed(tails: tuple[int, ...]) -> str:
    return ", ".join(str(tail) for tail in tails)
