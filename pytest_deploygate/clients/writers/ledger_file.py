"""An account of writes in a file: it grows by 16 bytes an answer, and is whole after `kill -9`.

The first line is JSON: who wrote what where. Then one record for each answer, in the order in which the answers came. An id
that was sent and has no record (the process was killed meanwhile) is the one after its writer's last: ids of writer n
are n + 1, n + 1 + writers, and so on, each sent after the answer of the one before.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from pytest_deploygate.judging.histories.history import Kind, Outcome, Row
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

FORMAT = "deploygate-writes/1"
#: When it began (in units of 0.1 ms), how long it took (in µs), id, client, kind, outcome.
_RECORD = struct.Struct("<IIIHBB")
_TICK_S = 1e-4
_MOST = 2**32 - 1
_LONGEST_HEADER = 4096
_PIECE = _RECORD.size * 8192


@dataclass(frozen=True)
class About:
    """The first line: the table (schema and name), the number of writers, the way, when it began, and the inventory."""

    schema: str
    table: str
    writers: int
    through: str
    began: str
    inventory: str
    format: str = FORMAT


class LedgerFile:
    """The file while writers append to it. `add` may be called by several threads."""

    def __init__(self, path: Path, about: About) -> None:
        """Make the file. Raises CannotTell if it cannot be made or is there already."""
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            os.write(self._fd, json.dumps(asdict(about), sort_keys=True).encode() + b"\n")
        except FileExistsError:
            raise CannotTell(
                f"{path} is there already: account for it with `--account {path}`, or name another file with --ledger"
            ) from None
        except OSError as error:
            raise CannotTell(f"the ledger {path} cannot be written: {error.strerror}") from None

    def add(
        self, client: int, begin_s: float, end_s: float, kind: Kind, outcome: Outcome, value: int
    ) -> None:
        """Append one answer; it is in the file, not only in this process, when this returns. Raises OSError on a full disk."""
        took_us = min(_MOST, max(0, int((end_s - begin_s) * 1e6)))
        # One write of an append-only file is whole: records of several threads do not mix.
        os.write(
            self._fd,
            _RECORD.pack(min(_MOST, int(begin_s / _TICK_S)), took_us, value, client, kind, outcome),
        )

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def about(path: Path) -> About:
    """Read the first line. Raises CannotTell if this is no ledger."""
    try:
        with path.open("rb") as file:
            line = file.readline(_LONGEST_HEADER)
        found = About(**json.loads(line))
    except FileNotFoundError:
        raise CannotTell(f"there is no ledger {path}") from None
    except OSError as error:
        raise CannotTell(f"the ledger {path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError) as error:
        raise CannotTell(f"{path} is no ledger of `deploygate load --writes`: {error}") from None
    if found.format != FORMAT:
        raise CannotTell(f"{path} has the format {found.format}, this version reads {FORMAT}")
    return found


def rows(path: Path) -> Iterator[Row]:
    """Return its records. One that is cut off at the end (the machine crashed) is left out."""
    with path.open("rb") as file:
        file.readline(_LONGEST_HEADER)
        while piece := file.read(_PIECE):
            whole = len(piece) - len(piece) % _RECORD.size
            for ticks, took_us, value, client, kind, outcome in _RECORD.iter_unpack(piece[:whole]):
                begin_s = ticks * _TICK_S
                yield client, begin_s, begin_s + took_us * 1e-6, kind, outcome, value, 0


def unanswered(path: Path) -> list[int]:
    """Return the ids that may have been sent and have no record: one for each writer."""
    writers = about(path).writers
    last = {client: client + 1 - writers for client in range(writers)}
    last.update((client, value) for client, _, _, kind, _, value, _ in rows(path) if kind == Kind.WRITE)
    return [value + writers for value in last.values()]
