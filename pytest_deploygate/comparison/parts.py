"""Parts of a table: ranges of its key, or the rows whose key has the same low bits in a checksum. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_deploygate.comparison.spec import Shard
from pytest_deploygate.lazy import dataclass

#: A range has about a five-hundredth of the table's rows: ten ranges that differ are then looked at for 2 % of a scan.
_RANGES = 500
_LEAST_ROWS, _MOST_ROWS = 2_000, 50_000
#: Rows of a part are fetched in pieces of about this many: the client's memory is bounded by it.
PIECE_ROWS = 4_096
_MOST_BITS = 14

Bound = tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """Rows with `lower` <= key < `upper` (None: open) whose key's checksum ends with one of `tails` in its last `bits`.

    No bits: all rows of the range.
    """

    lower: Bound | None = None
    upper: Bound | None = None
    bits: int = 0
    tails: tuple[int, ...] = ()


@dataclass(frozen=True)
class Plan:
    """How a table is divided: into ranges at `bounds`, or by the last `bits` of the key's checksum in one pass.

    With neither it is one part. `by_hash` is set for the pass.
    """

    bounds: tuple[Bound, ...] = ()
    bits: int = 0
    by_hash: bool = False

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return 2**self.bits if self.by_hash else len(self.bounds) + 1

    def part(self, number: int) -> Part:
        """Return a part by its number, from 0."""
        if self.by_hash:
            return Part(bits=self.bits, tails=(number,)) if self.bits else Part()
        return Part(
            self.bounds[number - 1] if number else None,
            self.bounds[number] if number < len(self.bounds) else None,
        )

    def whole(self) -> Part:
        """Return all parts at once: what one pass reads."""
        return Part(bits=self.bits)

    def first_key(self, number: int) -> str:
        """Return where a range begins, as text; empty for the first, and for parts by checksum."""
        return "" if self.by_hash or not number else ", ".join(self.bounds[number - 1])

    def units(self, table: int, shard: Shard) -> Sequence[int]:
        """Return what is read one after another: numbers of ranges, or -1 for a whole pass, of one shard.

        Ranges of a shard are neighbours. A table of one unit belongs to one shard, by its own number.
        """
        if self.by_hash or self.parts < shard.of:
            mine = table % shard.of == shard.number - 1
            return ([-1] if self.by_hash else list(range(self.parts))) if mine else []
        first, end = (self.parts * n // shard.of for n in (shard.number - 1, shard.number))
        return range(first, end)


def rows_per_range(rows: int) -> int:
    """Return about how many rows a range should have."""
    return min(max(rows // _RANGES, _LEAST_ROWS), _MOST_ROWS)


def bits_for(rows: int, most: int = _MOST_BITS) -> int:
    """Return by how many bits of a checksum so many rows are divided into pieces of a bounded size."""
    bits = 0
    while rows >> bits > PIECE_ROWS and bits < most:
        bits += 1
    return bits


def even(least: int, most: int, rows: int) -> tuple[Bound, ...]:
    """Return bounds that divide whole numbers from `least` to `most` evenly into ranges of the usual size."""
    ranges = max(1, round(rows / rows_per_range(rows)))
    step = max(1, -(-(most - least + 1) // ranges))
    return tuple((str(bound),) for bound in range(least + step, most + 1, step))
