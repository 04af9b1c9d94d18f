"""Many ids in little memory: one bit each, in pages that exist only where there are ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableSet
from typing import Any

#: Bits of a page: 8 KiB hold 65,536 ids.
_BITS = 1 << 16
_BYTES = _BITS // 8


class Ids(MutableSet[int]):
    """A set of ids from 0 on. A million ids that follow each other take 125 kB. Iteration is in order."""

    __slots__ = ("_count", "_pages")

    def __init__(self, ids: Iterable[int] = ()) -> None:
        self._pages: dict[int, bytearray] = {}
        self._count = 0
        for each in ids:
            self.add(each)

    def add(self, value: int) -> None:
        """Add an id. Raises ValueError for a negative one."""
        if value < 0:
            raise ValueError(f"an id is 0 or more, not {value}")
        page = self._pages.get(value // _BITS)
        if page is None:
            page = self._pages[value // _BITS] = bytearray(_BYTES)
        at, bit = (value % _BITS) >> 3, 1 << (value & 7)
        if not page[at] & bit:
            page[at] |= bit
            self._count += 1

    def discard(self, value: int) -> None:
        """Remove an id if it is there."""
        if value in self:
            self._pages[value // _BITS][(value % _BITS) >> 3] &= ~(1 << (value & 7))
            self._count -= 1

    def __contains__(self, value: Any) -> bool:
        page = self._pages.get(value // _BITS)
        return page is not None and bool(page[(value % _BITS) >> 3] & (1 << (value & 7)))

    def __iter__(self) -> Iterator[int]:
        for number in sorted(self._pages):
            for at, byte in enumerate(self._pages[number]):
                if byte:
                    first = number * _BITS + at * 8
                    yield from (first + bit for bit in range(8) if byte & (1 << bit))

    def __len__(self) -> int:
        return self._count

    def __repr__(self) -> str:
        return f"Ids({len(self)})"

    @property
    def held_bytes(self) -> int:
        """How many bytes the pages take."""
        return _BYTES * len(self._pages)
