"""Read result and file of differences of the last comparison, and sort the differences into classes.

The file is read line by line: its length does not matter, only the number of classes.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pytest_deploygate.checks.comparison.probe import choose, servers
from pytest_deploygate.checks.discrepancies.facts import DifferenceClass, Discrepancies
from pytest_deploygate.checks.discrepancies.probe.kinds import kind
from pytest_deploygate.checks.migration.section import Migration
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.comparison import differences, engine, journal
from pytest_deploygate.files import bounded
from pytest_deploygate.model import CannotTell

__all__ = ["found"]
_COMPARE = "run `deploygate compare --inventory …`, or the item phase4.integrity"
_MOST_CLASSES = 1000
_LONGEST = 1 << 24
#: Of a value of an example so much is kept.
_MOST_CHARACTERS = 200


def found(postgres: Cluster, migration: Migration) -> Discrepancies:
    """Read what the last comparison of all tables of the migration wrote.

    Raises CannotTell if none has ended, its files do not agree with each other, or the tables cannot be listed.
    """
    folder = migration.folder
    result = _result(folder)
    at = _ended(folder)
    tables = {table["source"]: table for table in result["tables"]}
    chosen = choose(*servers(postgres.settings, migration), migration)
    lacking = [name for name in (t.name for t in chosen.tables) if name not in tables]
    path = folder / differences.NAME
    classes, lines = _classes(path)
    if lines != result["written"]:
        raise CannotTell(
            f"{path} has {lines} lines, but the comparison wrote {result['written']}: something else changed it; {_COMPARE}"
        )
    return Discrepancies(
        file=str(path),
        compared_at=at,
        now=datetime.now(UTC),
        tables=len(tables),
        rows=sum(table["source_rows"] for table in tables.values()),
        differences=result["differences"],
        classes=classes,
        unfinished=(
            *(f"{name} is not in the last comparison: {_COMPARE}" for name in lacking),
            *_unfinished(result),
        ),
        cut=lines if result["cut"] else 0,
    )


def _result(folder: Path) -> dict[str, Any]:
    path = folder / engine.RESULT
    try:
        result: dict[str, Any] = json.loads(bounded.read(path, bounded.MADE))
        result["tables"], result["written"], result["differences"], result["cut"], result["shard"]
    except FileNotFoundError:
        raise CannotTell(f"no comparison of rows has ended yet: there is no {path}; {_COMPARE}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CannotTell(
            f"{path} is no result of a comparison ({type(error).__name__}); {_COMPARE}"
        ) from None
    if result["shard"] != "1/1":
        raise CannotTell(
            f"{folder} has shard {result['shard']} only: merge all shards with `deploygate compare --merge DIR --merge DIR`"
        )
    return result


def _ended(folder: Path) -> datetime:
    """Return when the comparison ended; merged shards have no journal, and the time of their result counts."""
    try:
        lines, _ = journal.read(folder / journal.NAME)
    except FileNotFoundError:
        return datetime.fromtimestamp((folder / engine.RESULT).stat().st_mtime, UTC)
    except (OSError, ValueError) as error:
        raise CannotTell(f"{folder / journal.NAME} cannot be read: {error}; {_COMPARE}") from None
    if not lines or "joined" not in lines[-1] or "at" not in lines[-1]:
        raise CannotTell(
            f"the comparison in {folder} has not ended: wait for it, or go on with `deploygate compare --resume`"
        )
    return datetime.fromisoformat(lines[-1]["at"])


def _unfinished(result: dict[str, Any]) -> Iterator[str]:
    yield from result["unknown"]
    for table in result["tables"]:
        if table["problem"]:
            yield f"{table['source']} was not compared to its end: {table['problem']}"
        if table["unsettled"]:
            yield f"{table['unsettled']} rows of {table['source']} had other values each time that they were looked at"


def _classes(path: Path) -> tuple[tuple[DifferenceClass, ...], int]:
    """Return the classes in the order of the file, and the number of its lines. Raises CannotTell."""
    csv.field_size_limit(_LONGEST)
    first: dict[tuple[str, str, str], tuple[str, str | None, str | None]] = {}
    rows: dict[tuple[str, str, str], int] = {}
    lines = 0
    try:
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            for line in csv.DictReader(file):
                lines += 1
                source, target = (
                    None if line[side] == differences.NULL else line[side] for side in ("source", "target")
                )
                one = (line["table"], line["column"], kind(line["kind"], source, target))
                rows[one] = rows.get(one, 0) + int(line["rows"])
                first.setdefault(one, (line["key"], _short(source), _short(target)))
                if len(first) > _MOST_CLASSES:
                    raise CannotTell(
                        f"{path} has more than {_MOST_CLASSES} classes of differences (table, column and kind): "
                        "the migration is wrong as a whole; correct it and compare again"
                    )
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise CannotTell(f"{path} cannot be read as differences: {error}; {_COMPARE}") from None
    return tuple(DifferenceClass(*one, rows[one], *first[one]) for one in first), lines


def _short(text: str | None) -> str | None:
    return text if text is None or len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"
