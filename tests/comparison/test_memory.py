"""The memory of a comparison does not grow with the number of rows that differ."""

# ruff: noqa: ARG002 (the arguments are those of the interface)

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_deploygate.comparison import engine, hashing
from pytest_deploygate.comparison.adapter import Keyed, Sum, Values
from pytest_deploygate.comparison.forms import counted
from pytest_deploygate.comparison.parts import Part
from pytest_deploygate.comparison.spec import ColumnPair, Table

MB = 1024**2
COLUMNS = (ColumnPair("id", "id", "id", "id", "id"), ColumnPair("v", "v", "v", "v", "v"))


class Counting:
    """A server whose rows are computed when they are asked for: numbers from 1, every one different on the target."""

    def __init__(self, side: str, rows: int) -> None:
        self.name = self.side = side
        self.kind, self._rows = "counting", rows

    def identity(self) -> dict[str, str]:
        return {"encoding": "UTF8"}

    def checksums(self, how: str) -> list[int]:
        return hashing._md5(tuple(map(counted, hashing.ROWS)))

    def session(self, how: str) -> Counting:
        return self

    def sums(self, table: Table, part: Part) -> list[Sum]:
        found: dict[int, list[int]] = {}
        for n in self._in(part):
            one = found.setdefault(n & (2**part.bits - 1), [0, 0])
            one[0] += 1
            one[1] += self._checksum(n)
        return [(tail, rows, total) for tail, (rows, total) in found.items()]

    def keys(self, table: Table, part: Part) -> list[Keyed]:
        return [(counted([str(n)]), self._checksum(n), 1) for n in self._in(part)]

    def rows(self, table: Table, part: Part, keys: list[str]) -> list[Values]:
        wanted = [int(key.partition(":")[2]) for key in keys]
        text = "x" * 100 + self.side
        return [(counted([str(n)]), self._checksum(n), (str(n), f"{n} {text}")) for n in wanted]

    def extent(self, table: Table) -> tuple[str, str]:
        return "1", str(self._rows)

    def close(self) -> None:
        pass

    def cancel(self) -> None:
        pass

    def _in(self, part: Part) -> Iterator[int]:
        first = int(part.lower[0]) if part.lower else 1
        end = int(part.upper[0]) if part.upper else self._rows + 1
        step = 2**part.bits
        for tail in part.tails or range(step):
            yield from range(first + (tail - first) % step, end, step)

    def _checksum(self, n: int) -> int:
        return n * 0x9E3779B97F4A7C15 % 2**63 - (n if self.side == "target" else 0)


def peak(rows: int, folder: Path, *, scattered: bool) -> float:
    """Return the most megabytes that Python held while so many rows differed."""
    table = Table(
        ("a", "t"), ("a", "t"), COLUMNS, COLUMNS[:1], (("id", "id"),), ("int",), ("int",),
        rows=rows, whole=True, common=True, scattered=scattered,
    )  # fmt: skip
    tracemalloc.start()
    try:
        outcome = engine.compare([table], Counting("source", rows), Counting("target", rows), folder)
        assert (outcome.differences, outcome.cut) == (rows, False)
        return tracemalloc.get_traced_memory()[1] / MB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "scattered", [pytest.param(False, id="ranges", marks=pytest.mark.long), pytest.param(True, id="one pass")]
)
def test_memory_is_bounded_when_every_row_differs(tmp_path, scattered):
    few = peak(3_000, tmp_path / "few", scattered=scattered)
    many = peak(9_000, tmp_path / "many", scattered=scattered)
    assert many < few + 1
    assert many < 6
