"""The shards that `deploygate merge` is given: what each has recorded, and whether together they are one whole run."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pytest_deploygate.checklist.vocabulary import time_words
from pytest_deploygate.decision import rules, standing
from pytest_deploygate.journal import FILE, ODD, Entry, JournalError, read, readable
from pytest_deploygate.judging.spending import KIND as SPENT
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import words_for
from pytest_deploygate.session.sharding import BELONGS, FOLDER, SECRETS_KEY

_RUN = re.compile(r"[A-Za-z0-9-]{1,100}")
_NAME = re.compile(r"[0-9]+-of-[0-9]+")


class Incomplete(Exception):  # noqa: N818 (it is an answer, not an error)
    """A shard is missing, was killed, or its record was damaged: one sentence for each."""


class Unlike(Exception):  # noqa: N818 (it is an answer, not an error)
    """The shards are not those of one run: one sentence for each difference."""


@dataclass(frozen=True)
class Piece:
    """What a shard has recorded in its last run, and in those that it resumed.

    `begin` is the run's first line, `tests` are its bound tests with their items, `lines` those with their findings,
    `spent` those of its probes' ledger, `others` the failed tests outside the checklist. `division` is the digest that all
    shards have in common, `disruptive` are tests of it that disturb the platform. `ended` is None if the run was killed,
    `head` is the hash of the last line. `lost` says which evidence could not be kept.
    """

    folder: Path
    run: str
    begin: Mapping[str, Any]
    tests: tuple[tuple[str, tuple[str, ...]], ...]
    lines: tuple[Entry, ...]
    spent: tuple[Mapping[str, Any], ...]
    others: tuple[str, ...]
    division: str
    disruptive: tuple[str, ...]
    started: datetime
    latest: datetime
    ended: datetime | None
    interrupted: bool
    head: str
    length: int
    lost: tuple[str, ...]

    @property
    def index(self) -> int:
        """Its number, from 1 on."""
        return int(self.begin["shard"]["index"])

    @property
    def of(self) -> int:
        """The number of all shards of its run."""
        return int(self.begin["shard"]["of"])

    @property
    def words(self) -> str:
        """The shard with its folder, as it is shown."""
        return f"shard {self.index} of {self.of} ({self.folder})"


def folders(given: Sequence[Path]) -> list[Path]:
    """Return the folders with a shard's journal: those given, or those within them. Raises Incomplete."""
    found: dict[Path, Path] = {}
    for place in given:
        within = [place] if (place / FILE).is_file() else []
        if not within or (place / FOLDER).is_dir():
            within = sorted(file.parent for file in place.rglob(FILE) if _NAME.fullmatch(file.parent.name))
        if not within:
            raise Incomplete(f"{place} has no shard's journal, neither itself nor in a folder such as 1-of-4")
        found |= {folder.resolve(): folder for folder in within}
    return list(found.values())


def piece(folder: Path) -> Piece:
    """Read a shard's folder. Raises Incomplete if its journal is damaged, Unlike if it is not that of a shard."""
    try:
        entries, length = read(folder)
    except JournalError as error:
        raise Incomplete(str(error)) from None
    runs = _chain(entries)
    if not runs:
        raise Incomplete(f"{folder} has no journal of a run")
    if not _RUN.fullmatch(str(runs[-1].body["run"])):  # it becomes the name of a file
        raise Incomplete(f"{folder / FILE} is no journal of ours: its run is called {runs[-1].body['run']!r}")
    if "shard" not in runs[-1].body:
        raise Unlike(f"{folder} has the journal of whole runs, not of a shard")
    if length != (size := (folder / FILE).stat().st_size):
        raise Incomplete(
            f"{folder / FILE} is cut off: its last {size - length} bytes are no whole line; "
            "copy it again, or run the shard again with --resume"
        )
    try:
        return _piece(folder, entries, [run.body["run"] for run in runs], length)
    except ODD as error:
        raise Incomplete(f"{folder / FILE} has an entry that this version cannot read: {error!r}") from None


def _chain(entries: Sequence[Entry]) -> list[Entry]:
    """Return the first lines of the last run and of those that it resumed, oldest first."""
    found: list[Entry] = []
    for entry in reversed([entry for entry in entries if entry.kind == "run"]):
        found.insert(0, entry)
        if not entry.body.get("resumes"):
            break
    return found


def _piece(folder: Path, entries: Sequence[Entry], chained: Sequence[str], length: int) -> Piece:
    run = chained[-1]
    mine = [entry for entry in entries if entry.body.get("run") == run]
    begin = next(entry for entry in mine if entry.kind == "run")
    bound = [entry.body for entry in mine if entry.kind == "bound"]
    end = next((entry for entry in mine if entry.kind == "end"), None)
    kept = set(begin.body["kept"])
    return Piece(
        folder=folder,
        run=run,
        begin=begin.body,
        tests=tuple((test, tuple(items)) for test, items in bound[-1]["tests"]) if bound else (),
        lines=tuple(_findings(entries, chained, kept)),
        spent=tuple(entry.body for entry in entries if entry.kind == SPENT and entry.body["run"] in chained),
        others=tuple(
            test for entry in mine if entry.kind == standing.OTHERS for test in map(str, entry.body["failed"])
        ),
        division=str(bound[-1]["division"]) if bound else "",
        disruptive=tuple(map(str, bound[-1]["disruptive"])) if bound else (),
        started=begin.at,
        latest=mine[-1].at,
        ended=end.at if end else None,
        interrupted=bool(end and end.body["interrupted"]),
        head=entries[-1].sha256,
        length=length,
        lost=tuple(_lost(mine)),
    )


def _findings(entries: Sequence[Entry], chained: Sequence[str], kept: set[str]) -> Iterator[Entry]:
    """Yield the lines of tests: those of the last run, and of tests that it kept those of the newest run before it."""
    newest = {
        entry.body["test"]: entry.body["run"]
        for entry in entries
        if entry.kind == "test" and entry.body["run"] in chained[:-1]
    }
    for entry in entries:
        if entry.kind != "test":
            continue
        test, run = entry.body["test"], entry.body["run"]
        if run == chained[-1] or (test in kept and newest.get(test) == run):
            yield entry


def _lost(mine: Sequence[Entry]) -> Iterator[str]:
    """Yield what a shard said about evidence that it could not keep: that is only in its decision."""
    decisions = [entry.body["decision"] for entry in mine if entry.kind == "decision"]
    for rule in decisions[-1]["rules"] if decisions else ():
        if rule["name"] == rules.KEPT:
            yield str(rule["because"])


@readable()
def check(found: Sequence[Piece], environ: Mapping[str, str] = os.environ) -> None:
    """Check that pieces are all shards of one run. Raises Unlike or Incomplete with a sentence for each problem."""
    if unlike := [*_doubled(found), *_different(found), *_secrets(found), *_of_another_run(found, environ)]:
        raise Unlike("\n".join(unlike))
    if missing := [*_missing(found), *_unfinished(found)]:
        raise Incomplete("\n".join(missing))


def _doubled(found: Sequence[Piece]) -> Iterator[str]:
    by_index: dict[int, list[Piece]] = {}
    for each in found:
        by_index.setdefault(each.index, []).append(each)
    for each, *others in by_index.values():
        for other in others:
            same = "the same run" if other.run == each.run else f"runs of {_begun(each)} and {_begun(other)}"
            yield f"shard {each.index} is there twice: {each.folder} and {other.folder} ({same}); leave one out"


def _begun(each: Piece) -> str:
    return time_words(each.started)


#: What must be the same in all shards of a run: a name for it, and where it is in a run's first line.
_SAME = (
    ("number of shards", ("shard", "of")),
    ("change", ("change",)),
    ("inventory", ("inventory", "name")),
    ("inventory file", ("inventory", "sha256")),
    ("values of the inventory's references", ("shard", "settings")),
    ("checklist", ("checklist", "sha256")),
    ("scope (-m)", ("shard", "expression")),
    ("scope (--items)", ("shard", "only")),
    ("--allow-disruptive", ("shard", "allow_disruptive")),
    ("--shard-durations", ("shard", "durations")),
    ("pipeline run", ("shard", "belongs")),
    ("commit", ("source", "commit")),
    ("tests", ("inputs", "sources")),
    ("records", ("records",)),
    ("policy", ("policy",)),
    ("version of pytest-deploygate", ("versions", "pytest-deploygate")),
)


def _different(found: Sequence[Piece]) -> Iterator[str]:
    first = found[0]
    for name, path in _SAME:
        for each in found[1:]:
            here, there = _at(first.begin, path), _at(each.begin, path)
            if here != there:
                said = f": {here} and {there}" if _is_short(here) and _is_short(there) else ""
                yield f"the {name} of shard {first.index} and shard {each.index} differ{said}"
                break
    divisions = {each.division for each in found if each.division}
    if len(divisions) > 1:
        yield "the shards divided different tests: they collected different files, or hosts listed from elsewhere changed"


def _secrets(found: Sequence[Piece]) -> Iterator[str]:
    """Yield which secrets of the inventory stand for something else in another shard, if all have a key to tell."""
    first, there = found[0], [dict(each.begin["shard"].get("secrets") or {}) for each in found]
    for each, its in zip(found[1:], there[1:], strict=True):
        between = f"of shard {first.index} and shard {each.index}"
        if bool(its) != bool(there[0]):
            has, lacks = (first, each) if there[0] else (each, first)
            yield f"shard {has.index} has {SECRETS_KEY} and shard {lacks.index} has not: their secrets cannot be compared"
        elif its.get(SECRETS_KEY) != there[0].get(SECRETS_KEY):
            yield f"the values of {SECRETS_KEY} {between} differ, so their secrets cannot be compared"
        elif differing := sorted(
            name for name in its.keys() | there[0].keys() if its.get(name) != there[0].get(name)
        ):
            yield f"the values of {', '.join(differing[:3])}{' …' if len(differing) > 3 else ''} {between} differ"


def secrets_compared(found: Sequence[Piece]) -> str:
    """Say which secrets were not compared, once `check` has found nothing; empty if there is none."""
    begin = found[0].begin
    secrets = begin["inputs"].get("secrets")
    if not secrets or begin["shard"].get("secrets"):
        return ""
    number = (
        "the value of a secret was" if len(secrets) == 1 else f"the values of {len(secrets)} secrets were"
    )
    return (
        f"{number} not compared between the shards: give all of them the same {SECRETS_KEY} (16 characters or more) to be "
        "told if one differs"
    )


def _of_another_run(found: Sequence[Piece], environ: Mapping[str, str]) -> Iterator[str]:
    """Yield which shards are not of the pipeline run that this merge is told to belong to.

    On a shared volume those of an earlier run lie in the same folder if no shard of this run has started.
    """
    if not (run := environ.get(BELONGS[0])):
        return
    for each in found:
        if (there := str(each.begin["shard"]["belongs"])) != f"{BELONGS[0]}={run}":
            yield f"{each.words} is of {there or 'no pipeline run'}, and this is {BELONGS[0]}={run}: run it in this one"


def _at(begin: Mapping[str, Any], path: Sequence[str]) -> object:
    value: Any = begin
    for key in path:
        value = value[key]
    return value


def _is_short(value: object) -> bool:
    return isinstance(value, str | int) and len(str(value)) <= 40


def _missing(found: Sequence[Piece]) -> Iterator[str]:
    of, there = found[0].of, {each.index for each in found}
    for index in range(1, of + 1):
        if index not in there:
            yield f"shard {index} of {of} is missing: name its folder, or run `{_command(found[0], index)}`"


def _command(like: Piece, index: int) -> str:
    """Return the command that runs a shard of the same run as another one."""
    shard = like.begin["shard"]
    words = ["pytest", *(("-m", str(shard["expression"])) if shard["expression"] else ())]
    words += [f"--items={','.join(shard['only'])}"] if shard["only"] else []
    words += [*map(str, like.begin["options"]), "--change", str(like.begin["change"])]
    return shlex.join([*words, "--shard", f"{index}/{like.of}"])


def _unfinished(found: Sequence[Piece]) -> Iterator[str]:
    for each in found:
        again = f"run it again where its folder is: `{_command(each, each.index)} --resume`"
        if each.ended is None:
            yield f"{each.words} was killed, or still runs: its last line is of {time_words(each.latest)}; {again}"
        elif each.interrupted:
            yield f"{each.words} was interrupted at {time_words(each.ended)}; {again}"
        elif not each.division:
            yield f"{each.words} ended before it had collected its tests; {again}"
        else:
            yield from (f"{each.words} lost evidence: {lost}; {again}" for lost in each.lost)
    old, new = min(each.latest for each in found), max(each.latest for each in found)
    allowed = float(found[0].begin["policy"]["decision_valid_s"])
    if (new - old).total_seconds() > allowed:
        oldest = next(each for each in found if each.latest == old)
        yield (
            f"{oldest.words} ended {words_for((new - old).total_seconds())} before the last one, and a decision is valid "
            f"for {words_for(allowed)} (policy.decision_valid): run it again"
        )
