"""The statements that a PostgreSQL server is asked, for one table on one side. Pure.

Values of a row become one value, whose checksums are summed up beside their count: equal rows that occur twice do not cancel
each other, as they do with XOR. The value is the row as it is sent (see `binary`); with md5 its text, `ROW(…)::text`, which
tells NULL from an empty text; and beside another kind of server the text that both can write: see `forms`.
"""

from __future__ import annotations

from pytest_deploygate.comparison import binary, hashing
from pytest_deploygate.comparison.adapter import Side
from pytest_deploygate.comparison.parts import Bound, Part
from pytest_deploygate.comparison.spec import ColumnPair, Table

#: Seed of the checksum by which rows are divided into parts: another one than that of their values.
_SEED = 1
#: No longer value is fetched, in characters.
_LONGEST = 1_000


class Postgres:
    """Statements for a table. `how` is the checksum's function."""

    def __init__(self, table: Table, side: Side, how: str) -> None:
        self._side, self._how = side, how
        self._from = ".".join(quoted(name) for name in (table.source if side == "source" else table.target))
        self._columns = [self._expression(column) for column in table.columns]
        as_text = counted if table.common else _record
        self._key = as_text([self._expression(c) for c in table.key]) if table.key else ""
        if how == hashing.FAST:
            sent = {
                column.name: binary.value(own, *types, replaced=bool(column.source_sql or column.target_sql))
                for column, own, types in zip(table.columns, self._columns, table.types, strict=True)
            }
            self._row = binary.record(list(sent.values()))
            self._divided = binary.record([sent[column.name] for column in table.key])
        else:
            self._row, self._divided = as_text(self._columns), self._key
        self._types = table.source_types if side == "source" else table.target_types
        self._ordered = [quoted(pair[0 if side == "source" else 1]) for pair in table.ordered]

    def sums(self, part: Part) -> str:
        """Ask for tail (of the key's checksum), rows, and sum of the rows' checksums, for each tail of the part."""
        if not part.bits:
            return (
                f"SELECT 0, count(*), coalesce(sum({self._hash()}), 0) FROM {self._from}{self._where(part)}"
            )
        mask = 2**part.bits - 1
        rows = f"SELECT {self._hash()} AS h, {self._divider()} AS k FROM {self._from}{self._where(part, tails=False)} OFFSET 0"
        tail = f"({'k' if self._key else 'h'} & {mask})"
        chosen = f" WHERE {tail} IN ({_listed(part.tails)})" if part.tails else ""
        return f"SELECT {tail}, count(*), sum(h) FROM ({rows}) AS rows{chosen} GROUP BY 1"

    def keys(self, part: Part) -> str:
        """Ask for key, checksum of the row, and how often both occur. The key of a table without one is the checksum."""
        key = self._key or f"{self._hash()}::text"
        return f"SELECT {key}, {self._hash()}, count(*) FROM {self._from}{self._where(part)} GROUP BY 1, 2"

    def rows(self, part: Part, keys: list[str]) -> str:
        """Ask for key, checksum, and the values as text of rows with these keys. Long values are cut, with their md5."""
        key = self._key or f"{self._hash()}::text"
        values = ", ".join(_cut(f"({column})::text") for column in self._columns)
        where = self._where(part)
        chosen = ", ".join(_literal(k) for k in keys)
        return (
            f"SELECT {key}, {self._hash()}, {values} FROM {self._from}{where}"
            f"{' AND' if where else ' WHERE'} {key} IN (SELECT unnest(ARRAY[{chosen}]))"
        )

    def extent(self) -> str:
        """Ask for the least and the greatest first value of the key, as text."""
        column = self._ordered[0]
        return f"SELECT min({column})::text, max({column})::text FROM {self._from}"

    def quantiles(self, ranges: int, percent: float | None) -> str:
        """Ask for keys that divide the table into so many ranges of about as many rows, from a sample of its pages."""
        listed = ", ".join(self._ordered)
        texts = ", ".join(f"{column}::text AS text{n}" for n, column in enumerate(self._ordered))
        numbers = ", ".join(str(n + 1) for n in range(len(self._ordered)))
        sample = "" if percent is None else f" TABLESAMPLE SYSTEM ({percent:.6f}) REPEATABLE (0)"
        return (
            f"SELECT DISTINCT {listed}, {texts} FROM (SELECT {listed}, row_number() OVER (ORDER BY {listed}) AS n,"
            f" count(*) OVER () AS total FROM {self._from}{sample}) AS sampled"
            f" WHERE n > 1 AND n * {ranges} / total <> (n - 1) * {ranges} / total ORDER BY {numbers}"
        )

    def _hash(self) -> str:
        return hashing.of(self._row, self._how)

    def _divider(self) -> str:
        return hashing.of(self._divided, self._how, _SEED) if self._key else "NULL"

    def _where(self, part: Part, *, tails: bool = True) -> str:
        found = []
        if part.lower is not None:
            found.append(f"({', '.join(self._ordered)}) >= ({self._bound(part.lower)})")
        if part.upper is not None:
            found.append(f"({', '.join(self._ordered)}) < ({self._bound(part.upper)})")
        if tails and part.bits:
            divider = self._divider() if self._key else self._hash()
            found.append(f"({divider} & {2**part.bits - 1}) IN ({_listed(part.tails)})")
        return f" WHERE {' AND '.join(found)}" if found else ""

    def _bound(self, bound: Bound) -> str:
        return ", ".join(f"{_literal(v)}::{name}" for v, name in zip(bound, self._types, strict=True))

    def _expression(self, column: ColumnPair) -> str:
        own = column.source_sql if self._side == "source" else column.target_sql
        return own or quoted(column.source if self._side == "source" else column.target)


def counted(columns: list[str]) -> str:
    """Return the expression of a row's text that every server can write: see `forms.counted`."""
    texts = [f"({column})::text" for column in columns]
    return "(" + " || ".join(f"coalesce(length({text}) || ':' || {text}, 'N')" for text in texts) + ")"


def _record(columns: list[str]) -> str:
    return f"ROW({', '.join(columns)})::text"


def quoted(name: str) -> str:
    """Quote a name of the catalog."""
    return '"' + name.replace('"', '""') + '"'


def _cut(text: str) -> str:
    more = f"'… (' || length({text}) || ' characters, md5 ' || md5({text}) || ')'"
    return f"CASE WHEN length({text}) > {_LONGEST} THEN left({text}, {_LONGEST}) || {more} ELSE {text} END"


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _listed(tails: tuple[int, ...]) -> str:
    return ", ".join(str(tail) for tail in tails)
