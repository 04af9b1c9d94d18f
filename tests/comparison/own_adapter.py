"""An adapter as a team would bring one: tables in a file of JSON, summed up in Python. The interface in about a hundred lines."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pytest_deploygate.comparison import hashing
from pytest_deploygate.comparison.adapter import Keyed, Side, Sum, Values
from pytest_deploygate.comparison.described import Catalog, Column, Described, Form
from pytest_deploygate.comparison.forms import counted
from pytest_deploygate.comparison.parts import Part
from pytest_deploygate.comparison.spec import Table
from pytest_deploygate.fields.any_server import AnyServer
from pytest_deploygate.model import CannotTell


def checksum(text: str, seed: int = 0) -> int:
    salted = f"{seed}:{text}" if seed else text
    return int.from_bytes(hashlib.md5(salted.encode()).digest()[:8], "big", signed=True)


class JsonServer:
    """`options: {file: …}` names the file: {table: {"types": {column: form}, "key": [column], "rows": [[text or null]]}}."""

    kind = "json"

    def __init__(self, login: AnyServer, side: Side, statement_s: float) -> None:  # noqa: ARG002 (part of the interface)
        self.name, self.side = login.primary.name, side
        self._path, self._schema = Path(login.options["file"]), login.name

    def read(self) -> dict:
        try:
            return json.loads(self._path.read_text())
        except OSError as error:
            raise CannotTell(f"{self.name}: {self._path} cannot be read: {error.strerror}") from error

    def identity(self) -> dict[str, str]:
        return {"version": "1", "encoding": "UTF8", "place": str(self._path)}

    def catalog(self) -> Catalog:
        found = {}
        for name, table in self.read().items():
            columns = tuple(
                Column(column, form, False, column in table["key"], True, 1.0, (Form(form, column),), "whole" if form == "whole" else "")
                for column, form in table["types"].items()
            )  # fmt: skip
            key = (tuple(table["key"]),) if table["key"] else ()
            rows = len(table["rows"])
            found[self._schema, name] = Described(
                (self._schema, name), columns, key, rows, rows // 50, kind=self.kind
            )
        return Catalog(found, 0)

    def checksums(self, how: str) -> list[int]:
        return [checksum(counted(row)) for row in hashing.ROWS] if how == hashing.COMMON else []

    def session(self, how: str) -> JsonSession:  # noqa: ARG002 (there is one function)
        return JsonSession(self)


class JsonSession:
    def __init__(self, server: JsonServer) -> None:
        self._server = server

    def sums(self, table: Table, part: Part) -> list[Sum]:
        found: dict[int, tuple[int, int]] = {}
        for key, number, _ in self._in(table, part):
            tail = _divider(table, key, number) & (2**part.bits - 1) if part.bits else 0
            rows, total = found.get(tail, (0, 0))
            found[tail] = rows + 1, total + number
        return [(tail, rows, total) for tail, (rows, total) in found.items()] or (
            [] if part.bits else [(0, 0, 0)]
        )

    def keys(self, table: Table, part: Part) -> list[Keyed]:
        return [(key, number, 1) for key, number, _ in self._in(table, part)]

    def rows(self, table: Table, part: Part, keys: list[str]) -> list[Values]:
        return [row for row in self._in(table, part) if row[0] in set(keys)]

    def bounds(self, table: Table, ranges: int) -> tuple[tuple[str, ...], ...]:
        first = sorted(int(values[0]) for _, _, values in self._in(table, Part()))
        return tuple((str(n),) for n in first[:: max(1, len(first) // ranges)][1:])

    def extent(self, table: Table) -> tuple[str | None, str | None]:
        first = sorted(int(values[0]) for _, _, values in self._in(table, Part()))
        return (str(first[0]), str(first[-1])) if first else (None, None)

    def busy(self) -> int:
        return 0

    def close(self) -> None:
        pass

    def cancel(self) -> None:
        pass

    def _in(self, table: Table, part: Part):
        stored = self._server.read()[table.source[1]]
        at = {name: n for n, name in enumerate(stored["types"])}
        for row in stored["rows"]:
            values = tuple(row[at[column.source_sql]] for column in table.columns)
            number = checksum(counted(values))
            key = counted([row[at[c.source_sql]] for c in table.key]) if table.key else str(number)
            tails = (
                part.bits == 0
                or not part.tails
                or _divider(table, key, number) & (2**part.bits - 1) in part.tails
            )
            first = int(row[at[table.ordered[0][0]]]) if table.ordered else 0
            above = part.lower is None or first >= int(part.lower[0])
            if tails and above and (part.upper is None or first < int(part.upper[0])):
                yield key, number, values


def _divider(table: Table, key: str, number: int) -> int:
    return checksum(key, 1) if table.key else number
