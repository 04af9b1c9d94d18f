"""One run as history reads it from the journal's lines: what it was about, what it found, what was decided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import datetime
from typing import Any

from pytest_deploygate.decision.condensed import as_number
from pytest_deploygate.decision.frame import values_of
from pytest_deploygate.history.change import Key
from pytest_deploygate.journal import decision_from_json
from pytest_deploygate.journal.typed import listed, text, texts
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Decision, Outcome, Verdict, worst
from pytest_deploygate.moments import number_of, time_of

#: What every run of one checklist has in common: text and phase of each item.
Items = Mapping[str, tuple[str, str]]


@dataclass()
class Found:
    """What one run found about an item, over all of its tests and targets."""

    verdict: Verdict
    seconds: float
    numbers: dict[Key, float]


@dataclass()
class Run:
    """A run. `part` is true for one of the shards of a run. `same` is equal in runs of the same commit, inventory and checklist; None where that cannot be told."""

    change: str
    inventory: str
    started: datetime
    items: Items
    scope: frozenset[str]
    go_live: str
    named: bool
    part: bool
    same: tuple[Any, ...] | None
    committed: datetime | None
    no_commit: str
    found: dict[str, Found] = field(default_factory=dict)
    decisions: list[tuple[datetime, Outcome]] = field(default_factory=list)
    holding: frozenset[str] = frozenset()
    ended: bool = False

    @property
    def asks_go_live(self) -> bool:
        """Tell whether it asked for the go-live phase by name, not only for the whole checklist."""
        return self.named and any(self.items.get(item, ("", ""))[1] == self.go_live for item in self.scope)

    @property
    def covers_go_live(self) -> bool:
        """Tell whether every item of the go-live phase was in its scope."""
        mine = {item for item, (_, phase) in self.items.items() if phase == self.go_live}
        return bool(mine) and mine <= self.scope

    def finds(self, body: Mapping[str, Any]) -> None:
        """Add the findings of a test. Raises KeyError, TypeError, ValueError for another shape."""
        for finding in listed(body["findings"]):
            item, verdict = text(finding["item"]), Verdict(finding["verdict"])
            numbers = {
                (text(finding["target"]), text(one["name"]), text(one.get("unit", ""))): value
                for one in listed(finding["readings"])
                if (value := as_number(one["value"])) is not None
            }
            seconds = number_of(finding["duration_s"])
            if before := self.found.get(item):
                before.verdict = worst((before.verdict, verdict))
                before.seconds += seconds
                before.numbers.update(numbers)
            else:
                self.found[item] = Found(verdict, seconds, numbers)

    def decided(self, body: Mapping[str, Any]) -> None:
        """Add a decision; the last one says which items hold. Raises JournalError for another shape."""
        decision = decision_from_json(body["decision"])
        self.decisions.append((decision.at, decision.outcome))
        self.holding = frozenset(_holding(decision))


def begun(body: Mapping[str, Any], at: datetime, known: dict[str, Items]) -> Run:
    """Read how a run began; `known` keeps checklists by digest. Raises KeyError, TypeError, ValueError for another shape."""
    checklist, inventory = body["checklist"], body["inventory"]
    digest = text(checklist["sha256"])
    if digest not in known:
        known[digest] = {
            text(item["id"]): (text(item["text"]), text(item["phase"])) for item in listed(checklist["items"])
        }
    source = body.get("source") or {}
    commit, same = text(source.get("commit", "")), None
    committed, no_commit = _committed(source)
    if commit and not no_commit_of_tree(source):
        values = values_of(body)
        same = (
            commit,
            text(inventory["sha256"]),
            digest,
            None if values is None else tuple(sorted(values.items())),
        )
    return Run(
        change=text(body["change"]),
        inventory=text(inventory["name"]),
        started=at,
        items=known[digest],
        scope=frozenset(texts(body["scope_items"])),
        go_live=text(body["policy"]["rollback_from"]),
        named=bool(text(body["scope"])),
        part=bool(body.get("shard")),
        same=same,
        committed=committed,
        no_commit=no_commit,
    )


def no_commit_of_tree(source: Mapping[str, Any]) -> str:
    """Say why a run was of no commit; empty if it was of one."""
    if not source.get("commit"):
        return "the journal names no commit"
    if source.get("dirty"):
        return "files differed from the commit"
    return "it is unknown whether files differed from the commit" if source.get("problem") else ""


def _committed(source: Mapping[str, Any]) -> tuple[datetime | None, str]:
    if why := no_commit_of_tree(source):
        return None, why
    if not source.get("committed"):
        return None, "the journal has no time of the commit"
    return time_of(source["committed"]), ""


def _holding(decision: Decision) -> Iterable[str]:
    return (item for rule in decision.rules if rule.says is not Outcome.GO for item in rule.items)
