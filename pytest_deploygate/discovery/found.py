"""What a source yields: places of the inventory with their values, and what could not be read."""

from collections.abc import Iterable, Iterator
from typing import Any

from pytest_deploygate.inventory.unconfirmed import label
from pytest_deploygate.lazy import dataclass

#: Keys from the top of the inventory to a value.
Place = tuple[str, ...]


@dataclass(frozen=True)
class Fact:
    """A value for one place of the inventory, as plain YAML types, and where it was seen.

    With `entry` the value is one more entry of the list at the place. What is `given` was told by the person who asked,
    so that nobody has to confirm it.
    """

    place: Place
    value: Any
    seen: str
    entry: bool = False
    given: bool = False

    @property
    def name(self) -> str:
        """The place as the inventory's `discovered` writes it: `database.replicas[db2]`."""
        path = ".".join(self.place)
        return f"{path}[{label(self.value)}]" if self.entry else path


@dataclass(frozen=True)
class Unread:
    """Something that could not be read: what, why, and what the source needs to show it."""

    what: str
    why: str
    needs: str

    def __str__(self) -> str:
        return f"{self.what}: {self.why}; {self.needs}"


@dataclass(frozen=True)
class Wanted:
    """A key that would make more checkable, which the source cannot know; `hint` is what it did see of it."""

    place: str
    hint: str

    def __str__(self) -> str:
        return f"{self.place}: {self.hint}"


@dataclass(frozen=True)
class Found:
    """Everything that one or several sources yielded. `remarks` are observations that no key of the inventory holds."""

    facts: tuple[Fact, ...] = ()
    unread: tuple[Unread, ...] = ()
    wanted: tuple[Wanted, ...] = ()
    remarks: tuple[str, ...] = ()


def together(found: Iterable[Found]) -> Found:
    """Return what several sources found as one. The first source wins where two speak of one place; a remark says so."""
    several = list(found)
    facts, doubled = _once(fact for each in _one_database(several) for fact in each)
    return Found(
        facts=tuple(facts),
        unread=tuple(unread for each in several for unread in each.unread),
        wanted=tuple(wanted for each in several for wanted in each.wanted),
        remarks=(*(remark for each in several for remark in each.remarks), *doubled),
    )


def _one_database(several: list[Found]) -> Iterator[list[Fact]]:
    """Yield each source's facts; the database is that of the first source that has one, as its parts belong together."""
    known = False
    for each in several:
        facts = [fact for fact in each.facts if not (known and fact.place[0] == "database")]
        known = known or any(fact.place[0] == "database" for fact in facts)
        yield facts


def _once(facts: Iterable[Fact]) -> tuple[list[Fact], list[str]]:
    kept: dict[str, Fact] = {}
    remarks = []
    for fact in facts:
        first = kept.setdefault(fact.name, fact)
        if first.value != fact.value:
            remarks.append(
                f"{fact.name}: {first.seen} and {fact.seen} say different things; the first is written, look at it"
            )
    return _without_contradictions(kept.values(), remarks), remarks


def _without_contradictions(facts: Iterable[Fact], remarks: list[str]) -> list[Fact]:
    """Leave out facts below or around a place that has a whole value already, as one of them would be lost."""
    kept: list[Fact] = []
    taken: set[Place] = set()
    for fact in facts:
        inside = any(fact.place[:n] in taken for n in range(1, len(fact.place)))
        if inside or (not fact.entry and any(other.place == fact.place and other.entry for other in kept)):
            remarks.append(f"{fact.name}: seen {fact.seen}, but another source wrote what is around it")
            continue
        kept.append(fact)
        if not fact.entry:
            taken.add(fact.place)
    return kept


def of_sections(facts: Iterable[Fact]) -> Iterator[str]:
    """Yield the sections that facts are of: `database.replication`, `endpoints`."""
    seen = dict.fromkeys(
        ".".join(fact.place[: 2 if fact.place[0] in ("database", "timescale", "monitoring") else 1])
        for fact in facts
    )
    yield from seen
