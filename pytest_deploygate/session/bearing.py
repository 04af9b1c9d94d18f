"""Which items a weaker inventory setting affects, derived from the bound tests without running them.

A test requests an inventory section by the name of an argument, so a setting affects the items of the tests that
request its section. If that cannot be determined, the setting counts for every scope, so that none is hidden.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from pytest_deploygate import checks
from pytest_deploygate.inventory import index, sections
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.inventory.weakening import Weaker
from pytest_deploygate.model import Weakening
from pytest_deploygate.session import fixtures
from pytest_deploygate.session.declared import Function

Path = tuple[str, ...]

#: The whole inventory: a test that may read any section.
_ALL: Path = ()
#: Sections about the decision itself, not about single items.
_ABOUT_THE_DECISION = (("policy",), ("rollback",))
#: The fixture for connections to the cluster.
_CLUSTER = ("database",)
#: Fixtures that read nothing from the inventory: pytest's own, used by shipped tests and fixtures.
_READ_NOTHING = ("request", "pytestconfig", "tmp_path", "capsys")


def weakenings(
    found: Sequence[Weaker], functions: Sequence[Function], inventory: Inventory
) -> list[Weakening]:
    """Return each weaker setting with the items that it affects."""
    among = _subjects([one.path for one in found])
    reads = {function: tuple(_reads(function, among, inventory)) for function in functions} if found else {}
    return [Weakening(one.text, _items(one.path, reads, inventory)) for one in found]


def _subjects(settings: Sequence[Path]) -> Collection[str]:
    """Return the subjects of settings: sections of others are not imported, since these settings are not in them."""
    if any(map(index.holds_others, settings)):
        return ("", *checks.subjects())
    return {"", *map(index.subject_at, settings)}


def _items(setting: Path, reads: dict[Function, tuple[Path, ...]], inventory: Inventory) -> tuple[str, ...]:
    section = sections.innermost(inventory, setting)
    if section in _ABOUT_THE_DECISION:
        return ()
    bearing = [f.items for f, paths in reads.items() if any(_concerns(p, setting, section) for p in paths)]
    return tuple(dict.fromkeys(item for items in bearing for item in items))


def _concerns(read: Path, setting: Path, section: Path) -> bool:
    """Tell whether a setting affects a test that reads one part of the inventory: it is inside, around or beside it."""
    if read == _CLUSTER:
        # A connection is not a limit: sections of `database` with a name of their own are requested by that name.
        return section == read
    return read[: len(setting)] == setting[: len(read)] or read[: len(section)] == section


def _reads(function: Function, among: Collection[str], inventory: Inventory) -> Iterator[Path]:
    """Yield the parts of the inventory that a test reads, as far as they are of the subjects `among`."""
    if any(read == "self" or read.startswith("self.") for read in function.reads):
        yield _ALL  # what a class provides to its tests is not known
    for argument in function.arguments:
        yield from _read_by(argument, function.reads, among, inventory)


def _read_by(
    argument: str, reads: Sequence[str], among: Collection[str], inventory: Inventory
) -> Iterator[Path]:
    """Yield what an argument reads: a section, or what its fixture reads; `reads` is how the test body uses it."""
    source = fixtures.declared().get(argument)
    if sections.subject_of(argument) is not None:
        yield from _paths([argument], among, inventory)
    elif argument == "inventory":
        yield from _attributes(reads)
    elif source is not None:
        yield from _paths(source.sections, among, inventory)
        for taken in source.arguments:
            if taken != "sections":
                yield from _read_by(taken, source.reads, among, inventory)
    elif argument not in _READ_NOTHING:
        yield _ALL


def _paths(names: Iterable[str], among: Collection[str], inventory: Inventory) -> Iterator[Path]:
    for name in names:
        if sections.subject_of(name) in among:
            yield sections.path(inventory, name)


def _attributes(reads: Sequence[str]) -> Iterator[Path]:
    """Yield the parts of the inventory that are read: `inventory.writes` is `writes`, `inventory` alone is everything."""
    for read in reads:
        if read == "inventory" or read.startswith("inventory."):
            below = read.removeprefix("inventory").strip(".")
            yield tuple(below.split(".")) if below and not below.startswith("of") else _ALL
