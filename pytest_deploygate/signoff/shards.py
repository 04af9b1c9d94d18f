"""The shards of merged runs: their journals vouch for what was taken from them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pytest_deploygate import journal
from pytest_deploygate.files import sha256
from pytest_deploygate.journal import JournalError
from pytest_deploygate.model import words_for_count
from pytest_deploygate.signoff.folder import SHARDS, Taken
from pytest_deploygate.signoff.recorded import Stands, shaped
from pytest_deploygate.signoff.result import BROKEN, Check


def checks(taken: Taken, stands: Stands) -> Iterator[Check]:
    """Check each merged run against the journals of its shards: their chains, their heads, and each finding."""
    merged = [entry for entry in stands.entries if entry.kind == "run" and entry.body.get("shards")]
    wrong = []
    number = 0
    for begin in merged:
        lines = [
            e.body for e in stands.entries if e.kind == "test" and e.body.get("run") == begin.body["run"]
        ]
        try:
            with shaped(taken.folder / journal.FILE):
                number += len(begin.body["shards"])
                wrong += [text for said in begin.body["shards"] if (text := _wrong(taken, said, lines))]
        except JournalError as error:
            wrong.append(str(error))
    for text in wrong:
        yield Check("shards", False, text, BROKEN)
    if merged and not wrong:
        yield Check(
            "shards",
            True,
            f"{words_for_count(number, 'shard', 'shards')} found what the record took from them",
        )


def _wrong(taken: Taken, said: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> str:
    """Say what is wrong with a shard, or with what was taken from it; empty if nothing is."""
    name = f"shard {said['index']} of {said['of']}"
    file = f"{SHARDS}/{said['run']}.jsonl"
    raw = taken.shards.get(str(said["run"]))
    if raw is None:
        return f"{file}, the journal of {name}, is missing"
    if sha256(raw) != said["sha256"]:
        return f"{file} was altered: it is not the journal of {name} that was merged"
    entries, _ = journal.parse(raw, taken.folder / file)
    if not entries or entries[-1].sha256 != said["head"]:
        return f"{file} does not end with the line that the merged run names as the head of {name}"
    tests = [entry.body for entry in entries if entry.kind == "test"]
    took = _counted(line for line in lines if line.get("shard") == said["index"])
    if foreign := took - _counted(tests):
        return f"{name} did not find what the record has of it for {min(foreign)[0]}"
    if lacking := _counted(line for line in tests if line["run"] == said["run"]) - took:
        return f"the record lacks what {name} found for {min(lacking)[0]}"
    return ""


def _counted(lines: Iterable[Mapping[str, Any]]) -> Counter[tuple[str, str]]:
    """Count each test's findings as they were recorded; `was` has those that `deploygate merge` changed."""
    return Counter(
        (str(line["test"]), json.dumps(line.get("was", line["findings"]), sort_keys=True)) for line in lines
    )
