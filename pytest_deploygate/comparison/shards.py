"""Merging the journals of shards: each share of a comparison once, whole, and of the same comparison."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

from pytest_deploygate.comparison import differences, engine, journal, records
from pytest_deploygate.comparison.looking import EXAMPLES
from pytest_deploygate.comparison.outcome import Outcome, TableOutcome
from pytest_deploygate.comparison.parts import Plan
from pytest_deploygate.files import write_whole
from pytest_deploygate.lazy import dataclass

_LONGEST = 1 << 24
_SUMMED = (
    "parts_done",
    "source_rows",
    "target_rows",
    "missing",
    "extra",
    "changed",
    "transient",
    "unsettled",
)


class CannotMerge(Exception):  # noqa: N818 (it is an answer, not an error)
    """Raised where shards are missing, doubled, unfinished or of another comparison; the text says which, and what to do."""


@dataclass(frozen=True)
class _Read:
    """The journal of one shard."""

    folder: Path
    number: int
    of: int
    header: Mapping[str, Any]
    lines: Sequence[Mapping[str, Any]]

    @property
    def plans(self) -> dict[str, Mapping[str, Any]]:
        return {line["plan"]: line for line in self.lines if "plan" in line}


def merge(folders: Sequence[Path], into: Path) -> Outcome:
    """Merge the shards of these folders and write differences and result into a folder.

    Raises CannotMerge and OSError.
    """
    shards = sorted((_read(folder) for folder in folders), key=lambda shard: shard.number)
    _are_whole(shards)
    tables = tuple(_table(name, shards) for name in shards[0].plans)
    into.mkdir(parents=True, exist_ok=True)
    written = _differences([shard.folder for shard in shards], list(shards[0].plans), into / differences.NAME)
    results = [json.loads((shard.folder / engine.RESULT).read_text()) for shard in shards]
    outcome = Outcome(
        tables=tables,
        unknown=tuple(dict.fromkeys(text for result in results for text in result["unknown"])),
        notes=tuple(dict.fromkeys(text for result in results for text in result["notes"])),
        file=differences.NAME if written else "",
        written=written,
        cut=any(result["cut"] for result in results),
        checksum=shards[0].header["checksum"],
        seconds=max((table.seconds for table in tables), default=0.0),
    )
    write_whole(into / engine.RESULT, json.dumps(records.as_json(outcome, timed=False), indent=1) + "\n")
    return outcome


def _read(folder: Path) -> _Read:
    path = folder / journal.NAME
    try:
        lines, _ = journal.read(path)
    except (OSError, ValueError) as error:
        raise CannotMerge(
            f"{path} cannot be read: {error}; name the folders that shards were compared in"
        ) from None
    if not lines or "shard" not in lines[0]:
        raise CannotMerge(f"{path} is no journal of a comparison: its first line is no header")
    number, of = map(int, lines[0]["shard"].split("/"))
    return _Read(folder, number, of, lines[0], lines[1:])


def _are_whole(shards: Sequence[_Read]) -> None:
    """Raise CannotMerge unless the shards are those of one comparison, each once and finished."""
    if not shards:
        raise CannotMerge("no folder of a shard is given")
    first = shards[0]
    for shard in shards[1:]:
        if shard.of != first.of:
            raise CannotMerge(f"{shard.folder} is one of {shard.of} shards, {first.folder} one of {first.of}")
        wanted = journal.Header(shard.header["shard"], first.header["checksum"], first.header["fingerprint"])
        if changed := journal.differing(shard.header, wanted):
            raise CannotMerge(f"{shard.folder} is of another comparison than {first.folder}: {changed}")
    numbers = Counter(shard.number for shard in shards)
    if doubled := [str(number) for number, times in numbers.items() if times > 1]:
        raise CannotMerge(
            f"shard {', '.join(doubled)} of {first.of} is given more than once: name each folder once"
        )
    if missing := [str(number) for number in range(1, first.of + 1) if number not in numbers]:
        raise CannotMerge(
            f"shard {', '.join(missing)} of {first.of} is missing: compare it, and name its folder"
        )
    for shard in shards:
        if not shard.lines or "joined" not in shard.lines[-1]:
            raise CannotMerge(
                f"shard {shard.number} of {shard.of} in {shard.folder} is not finished: go on with --resume"
            )
        for name, plan in first.plans.items():
            if shard.plans.get(name) != plan:
                raise CannotMerge(
                    f"{shard.folder} divides {name} in other parts than {first.folder}: the table's statistics changed "
                    "between them; compare all shards again, one soon after the other"
                )


def _table(name: str, shards: Sequence[_Read]) -> TableOutcome:
    """Return the outcome of a table in all shards together."""
    outcomes: list[TableOutcome] = []
    where: Counter[int] = Counter()
    sums: dict[int, tuple[int, int]] = {}
    for shard in shards:
        looked: Mapping[str, Any] = {}
        for line in shard.lines:
            if line.get("done") == name:
                outcomes.append(records.table_from_json(line["outcome"]))
            elif line.get("looked") == name:
                looked = line["found"]
            elif line.get("table") == name and line["side"] == "source":
                sums.update({part: (rows, 0) for part, rows, _ in line["sums"]})
        where.update(dict(looked.get("where", ())))
    line = shards[0].plans[name]
    plan = Plan(tuple(tuple(bound) for bound in line["bounds"]), line["bits"], line["by_hash"])
    columns: Counter[str] = Counter()
    for outcome in outcomes:
        columns.update(dict(outcome.columns))

    def total(of: str) -> int:
        return sum(getattr(outcome, of) for outcome in outcomes)

    counts: dict[str, Any] = {of: total(of) for of in _SUMMED}
    return replace(
        outcomes[0],
        **counts,
        columns=tuple(sorted(columns.items())),
        where=records.places(plan, sums, where),
        examples=tuple(one for outcome in outcomes for one in outcome.examples)[:EXAMPLES],
        seconds=max(outcome.seconds for outcome in outcomes),
    )


def _differences(folders: Sequence[Path], tables: Sequence[str], whole: Path) -> int:
    """Write the lines of all shards, table by table in the order of the shards; return how many there are."""
    csv.field_size_limit(_LONGEST)
    streams = [_by_table(folder / differences.NAME) for folder in folders]
    waiting = [next(stream, None) for stream in streams]
    written = 0
    unfinished = whole.with_name(f".{whole.name}.part")
    with unfinished.open("w", newline="") as out:
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(differences.FIELDS)
        for table in tables:
            for n, stream in enumerate(streams):
                group = waiting[n]
                if group is not None and group[0] == table:
                    for row in group[1]:
                        rows.writerow(row)
                        written += 1
                    waiting[n] = next(stream, None)
    unfinished.replace(whole)
    return written


def _by_table(path: Path) -> Iterator[tuple[str, Iterator[list[str]]]]:
    with path.open(newline="") as file:
        rows = csv.reader(file)
        next(rows, None)
        yield from groupby(rows, key=lambda row: row[0])
