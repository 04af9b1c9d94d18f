"""Read one journal after the other, verified line by line, and keep only figures."""

from __future__ import annotations

import itertools
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import cached_property

from pytest_deploygate import journal
from pytest_deploygate.decision import incident_log
from pytest_deploygate.decision.incidents import Event
from pytest_deploygate.decision.unfinished import ROLLBACK
from pytest_deploygate.history import folders, golive, runs
from pytest_deploygate.history.change import ItemFigures, Key, Part, Values
from pytest_deploygate.history.dora import Dora, dora
from pytest_deploygate.history.figures import ItemTrend, trends
from pytest_deploygate.history.folders import Folder, Kind, Note
from pytest_deploygate.history.golive import Happened
from pytest_deploygate.history.runs import Items, Run
from pytest_deploygate.journal import FILE, Entry, JournalError, readable
from pytest_deploygate.journal.typed import text
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import NO_CHANGE
from pytest_deploygate.problems import one_line


@dataclass(frozen=True)
class History:
    """The parts of all changes that count, in the order in which they began, and what is said of folders."""

    parts: Sequence[Part]
    notes: Sequence[Note]

    @property
    def folders(self) -> int:
        """The number of folders that are in the figures."""
        return len({part.folder for part in self.parts})

    @cached_property
    def items(self) -> Sequence[ItemTrend]:
        """Every item that any run measured, by inventory."""
        return trends(self.parts)

    @cached_property
    def dora(self) -> Sequence[Dora]:
        """DORA's figures of each inventory."""
        return dora(self.parts)


def read(found: Iterable[Folder | Note]) -> History:
    """Read every folder. What cannot be counted becomes a note; nothing is raised."""
    parts: list[Part] = []
    notes: list[Note] = []
    owners: dict[tuple[str, str], str] = {}
    for one in found:
        if isinstance(one, Note):
            notes.append(one)
            continue
        try:
            mine, said = _change(one)
        except JournalError as error:
            notes.append(Note(str(one.path), Kind.DAMAGED, f"{_cause(error, one)}: not counted"))
            continue
        twice = [
            owners[part.change, part.inventory] for part in mine if (part.change, part.inventory) in owners
        ]
        if twice:
            why = f"has the change {mine[0].change} on the same inventory as {twice[0]}: not counted"
            notes.append(Note(str(one.path), Kind.TWICE, why))
            continue
        owners |= {(part.change, part.inventory): part.folder for part in mine}
        parts += mine
        notes += said
    return History(sorted(parts, key=lambda part: part.first), notes)


def _cause(error: JournalError, folder: Folder) -> str:
    """Return what is wrong with a journal, without its folder, which the line names, and without advice for a next run."""
    text = str(error).partition(". Move the folder aside")[0]
    return one_line(re.sub(rf"^{re.escape(str(folder.path / FILE))}:?(\d+)?", _place, text))


def _place(found: re.Match[str]) -> str:
    return f"line {found[1]}" if found[1] else FILE


class _Reader:
    """Takes the lines of one journal in their order."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.events: defaultdict[str, list[Event]] = defaultdict(list)
        self.rollbacks: defaultdict[str, list[datetime]] = defaultdict(list)
        self.latest: datetime | None = None
        self._last = ""
        self._known: dict[str, Items] = {}

    @readable()
    def take(self, entry: Entry) -> None:
        """Take one line. Raises JournalError for one that this version cannot read."""
        body = entry.body
        self.latest = max(self.latest or entry.at, entry.at)
        if entry.kind == "run":
            self._last = text(body["run"])
            self.runs[self._last] = runs.begun(body, entry.at, self._known)
        elif entry.kind == "test":
            self.runs[body["run"]].finds(body)
        elif entry.kind == "decision":
            self.runs[body["run"]].decided(body)
        elif entry.kind == "end":
            self.runs[body["run"]].ended = True
        elif entry.kind == incident_log.KIND:
            self.events[self._inventory].append(incident_log.event(entry))
        elif entry.kind == ROLLBACK and body["mark"] == "begun":
            self.rollbacks[self._inventory].append(entry.at)

    @property
    def _inventory(self) -> str:
        """The inventory of the last run: lines that commands write are about it."""
        return self.runs[self._last].inventory


@readable()
def _change(folder: Folder) -> tuple[list[Part], list[Note]]:
    """Read one journal. Raises JournalError."""
    path, reader = str(folder.path), _Reader()
    entries, torn = journal.stream(folder.path)
    for entry in entries:
        reader.take(entry)
    if not reader.runs or reader.latest is None:
        return [], [Note(path, Kind.EMPTY, "its journal has no run: not counted")]
    if any(run.part for run in reader.runs.values()):
        return [], [folders.part(folder.path)]
    changes = list(dict.fromkeys(run.change for run in reader.runs.values()))
    if len(changes) > 1:
        others = ", ".join(changes[:4])
        return [], [Note(path, Kind.FOREIGN, f"has runs of several changes ({others}): not counted")]
    if folder.named not in ("", changes[0]):
        why = f"was written for the change {changes[0]}: a copy, or renamed: not counted"
        return [], [Note(path, Kind.FOREIGN, why)]
    notes = []
    if torn:
        notes.append(Note(path, Kind.UNFINISHED, "its last line is unfinished: counted without that line"))
    if not list(reader.runs.values())[-1].ended:
        notes.append(
            Note(
                path,
                Kind.UNFINISHED,
                "its last run did not end, or goes on: counted as far as it is recorded",
            )
        )
    return list(_parts(reader, path, reader.latest)), notes


def _parts(reader: _Reader, folder: str, latest: datetime) -> Iterator[Part]:
    by_inventory: defaultdict[str, list[Run]] = defaultdict(list)
    for run in reader.runs.values():
        by_inventory[run.inventory].append(run)
    for name, mine in by_inventory.items():
        happened = Happened(reader.events[name], reader.rollbacks[name])
        yield Part(
            change=mine[0].change,
            inventory=name,
            folder=folder,
            numbered=mine[0].change != NO_CHANGE,
            first=mine[0].started,
            last=max(latest if run is mine[-1] else run.started for run in mine),
            runs=len(mine),
            unended=sum(not run.ended for run in mine),
            deployment=golive.deployment(mine, happened),
            items=_items(mine),
        )


def _items(mine: Sequence[Run]) -> dict[str, ItemFigures]:
    ids = dict.fromkeys(item for run in mine for item in run.found)
    return {item: _item(item, mine) for item in ids}


def _item(item: str, mine: Sequence[Run]) -> ItemFigures:
    with_it = [run for run in mine if item in run.found]
    found = [run.found[item] for run in with_it]
    known = [pair for pair in itertools.pairwise(with_it) if pair[0].same and pair[0].same == pair[1].same]
    deciding = [run for run in mine if run.decisions and item in run.scope]
    numbers: defaultdict[Key, list[float]] = defaultdict(list)
    for one in found:
        for key, value in one.numbers.items():
            numbers[key].append(value)
    words, phase = with_it[-1].items.get(item, ("", ""))
    return ItemFigures(
        text=words,
        phase=phase,
        verdicts=Counter(one.verdict for one in found),
        last=found[-1].verdict,
        seconds=_values([one.seconds for one in found]),
        pairs=len(known),
        changes=sum(a.found[item].verdict is not b.found[item].verdict for a, b in known),
        decided=len(deciding),
        held=sum(item in run.holding for run in deciding),
        readings={key: _values(values) for key, values in numbers.items()},
    )


def _values(numbers: Sequence[float]) -> Values:
    return Values(len(numbers), statistics.median(numbers), min(numbers), max(numbers), numbers[-1])
