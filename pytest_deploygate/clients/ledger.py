"""The ledger of a run: what each probe used, counted by all processes of the run in one file.

Counters are in a small file that the processes share, so that they draw on one budget. How probes began and ended is in
the lines of a second file. Both are in the change's folder while a run lasts.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import mmap
import os
import struct
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_deploygate.judging.spending import TOGETHER, UNBOUNDED, Baseline, Limits, Spent
from pytest_deploygate.lazy import dataclass

_SLOTS, _KEY = 256, 128
_FORM = struct.Struct("<9q")
_SLOT = _KEY + _FORM.size
_NAMES = (
    "requests",
    "connections",
    "sent_bytes",
    "received_bytes",
    "wrong",
    "open",
    "peak",
    "largest_bytes",
    "microseconds",
)
_OF = {name: number for number, name in enumerate(_NAMES)}
_WORDS = {
    "requests": "requests",
    "connections": "connections",
    "sent_bytes": "bytes sent",
    "received_bytes": "bytes received",
}


@dataclass(frozen=True)
class Full:
    """Which limit is used up, as words: `the 500 requests`; `together`: it is one of all probes of the run."""

    words: str
    together: bool = False


class Ledger:
    """Counters by item and probe. `path` is the file of a run; None: a file of this process and its forks alone.

    `together` are the limits of all probes of the run, which have counters of their own.
    """

    def __init__(self, path: Path | None = None, together: Limits = UNBOUNDED) -> None:
        """Open the file, and create it if no process has. Raises OSError."""
        self.together = together
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        if path is None:
            self._counters, name = tempfile.mkstemp(prefix="deploygate-spent-")
            os.unlink(name)  # noqa: PTH108
            self._lines, name = tempfile.mkstemp(prefix="deploygate-spent-")
            os.unlink(name)  # noqa: PTH108
        else:
            self._counters = os.open(path, flags, 0o600)
            self._lines = os.open(path.with_suffix(".jsonl"), flags | os.O_APPEND, 0o600)
        os.ftruncate(self._counters, _SLOTS * _SLOT)
        self._map = mmap.mmap(self._counters, _SLOTS * _SLOT)
        self._slots: dict[bytes, int] = {}
        self._guard, self._process = threading.Lock(), os.getpid()

    def spend(
        self,
        item: str,
        probe: str,
        limits: Limits,
        *,
        requests: int = 0,
        connections: int = 0,
        sent_bytes: int = 0,
        opens: int = 0,
    ) -> Full | None:
        """Count what is about to be sent, all of it or nothing. Return which limit does not allow it."""
        more = {"requests": requests, "connections": connections, "sent_bytes": sent_bytes}
        with self._held():
            own, whole = self._place(item, probe), self._place(*TOGETHER)
            if said := _full(self._read(own), limits, more, opens):
                return Full(said)
            if said := _full(self._read(whole), self.together, more, opens):
                return Full(said, together=True)
            for place in (own, whole):
                now = self._read(place)
                for name, number in more.items():
                    now[_OF[name]] += number
                now[_OF["open"]] += opens
                now[_OF["peak"]] = max(now[_OF["peak"]], now[_OF["open"]])
                _FORM.pack_into(self._map, place, *now)
        return None

    def reserve(self, item: str, probe: str, limits: Limits, most: int) -> int:
        """Count up to `most` requests, as many as are left; return how many."""
        with self._held():
            places = (self._place(item, probe), limits), (self._place(*TOGETHER), self.together)
            left = [limit.requests - self._read(place)[_OF["requests"]] for place, limit in places]
            lot = int(max(0, min(most, *left)))
            for place, _ in places:
                now = self._read(place)
                now[_OF["requests"]] += lot
                _FORM.pack_into(self._map, place, *now)
        return lot

    def count(
        self,
        item: str,
        probe: str,
        *,
        requests: int = 0,
        received_bytes: int = 0,
        sent_bytes: int = 0,
        connections: int = 0,
        wrong: int = 0,
        closes: int = 0,
        microseconds: int = 0,
        peak: int = 0,
    ) -> None:
        """Count what has happened."""
        with self._held():
            for place in (self._place(item, probe), self._place(*TOGETHER)):
                now = self._read(place)
                now[_OF["requests"]] += requests
                now[_OF["received_bytes"]] += received_bytes
                now[_OF["sent_bytes"]] += sent_bytes
                now[_OF["connections"]] += connections
                now[_OF["wrong"]] += wrong
                now[_OF["open"]] = max(0, now[_OF["open"]] - closes)
                now[_OF["peak"]] = max(now[_OF["peak"]], peak)
                now[_OF["largest_bytes"]] = max(now[_OF["largest_bytes"]], received_bytes)
                now[_OF["microseconds"]] += microseconds
                _FORM.pack_into(self._map, place, *now)

    def used(self, item: str, probe: str) -> dict[str, int]:
        """Return the counters of a probe by name."""
        with self._held():
            return dict(zip(_NAMES, self._read(self._place(item, probe)), strict=True))

    def of_all(self) -> Spent | None:
        """Return what all probes of the run used together; None if only their own limits count."""
        if self.together == UNBOUNDED:
            return None
        used = self.used(*TOGETHER)
        seconds = round(used["microseconds"] / 1e6, 3)
        counted: dict[str, Any] = {name: used[name] for name in (*_WORDS, "wrong", "peak", "largest_bytes")}
        return Spent(*TOGETHER, limits=self.together, seconds=seconds, **counted)

    def note(self, line: Mapping[str, Any]) -> None:
        """Append a line about how a probe began or ended, in one write. Raises OSError."""
        os.write(self._lines, json.dumps(line).encode() + b"\n")

    def entries(self) -> list[Spent]:
        """Return what each probe used so far, in the order in which they began."""
        raw = os.pread(self._lines, os.fstat(self._lines).st_size, 0)
        told: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for line in raw.splitlines():
            one = json.loads(line)
            told.setdefault((one["item"], one["probe"]), []).append(one)
        return [self._entry(item, probe, lines) for (item, probe), lines in told.items()]

    def _entry(self, item: str, probe: str, lines: list[dict[str, Any]]) -> Spent:
        used, ends = self.used(item, probe), [line for line in lines if line["what"] == "end"]
        begins = [line for line in lines if line["what"] == "begin"]
        died = len(begins) > len(ends)
        stops = [line["stop_s"] for line in ends if line["stop_s"] is not None]
        harms = [line["harm_s"] for line in ends if line["harm_s"] is not None]
        before = next((line["before"] for line in reversed(ends) if line["before"]), None)
        return Spent(
            item=item,
            probe=probe,
            limits=Limits(**begins[-1]["limits"]),
            **{name: used[name] for name in (*_WORDS, "wrong", "peak", "largest_bytes")},
            seconds=round(used["microseconds"] / 1e6, 3),
            runs=len(begins),
            ended=tuple(dict.fromkeys([line["how"] for line in ends] + ([""] if died else []))),
            why=tuple(dict.fromkeys(line["why"] for line in ends if line["why"])),
            stop_s=max(stops, default=None),
            left=tuple(dict.fromkeys(line["left"] for line in lines if line["what"] == "left")),
            before=Baseline(**before) if before else None,
            unwatched="; ".join(dict.fromkeys(line["unwatched"] for line in ends if line["unwatched"])),
            harm_s=max(harms, default=None),
        )

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        """Hold the file against all other processes and threads.

        Locks of lockf belong to a process, so they also keep forks apart.
        """
        if self._process != os.getpid():  # a thread of our parent may have held it when we were forked
            self._guard, self._process = threading.Lock(), os.getpid()
        with self._guard:
            fcntl.lockf(self._counters, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self._counters, fcntl.LOCK_UN)

    def _read(self, place: int) -> list[int]:
        return list(_FORM.unpack_from(self._map, place))

    def _place(self, item: str, probe: str) -> int:
        """Return where a probe's counters are. Raises ValueError if there are too many."""
        key = f"{item} {probe}".encode()[:_KEY].ljust(_KEY, b"\0")
        if key not in self._slots:
            for number in range(_SLOTS):
                there = self._map[number * _SLOT : number * _SLOT + _KEY]
                if there == key or not there.strip(b"\0"):
                    self._map[number * _SLOT : number * _SLOT + _KEY] = key
                    self._slots[key] = number
                    break
            else:
                raise ValueError(f"more than {_SLOTS} probes in one run")
        return self._slots[key] * _SLOT + _KEY

    def close(self) -> None:
        """Close the files."""
        self._map.close()
        os.close(self._counters)
        os.close(self._lines)


def _full(now: list[int], limits: Limits, more: Mapping[str, int], opens: int) -> str:
    """Return which limit does not allow more, as words; empty if all do."""
    for name, number in more.items():
        used, limit = now[_OF[name]], getattr(limits, name)
        # Loops that learn afterwards what they sent may be over a limit already.
        if (number or used > limit) and used + number > limit:
            return f"the {limit:,} {_WORDS[name]}".replace(",", " ")
    if now[_OF["received_bytes"]] >= limits.received_bytes:
        return f"the {limits.received_bytes:,} bytes received".replace(",", " ")
    if now[_OF["microseconds"]] >= limits.seconds * 1e6:
        return f"the {limits.seconds:g} seconds"
    if now[_OF["open"]] + opens > limits.concurrency:
        return f"the {limits.concurrency} requests at a time"
    return ""
