"""Which items a weaker setting of the inventory bears on, known from the bound tests: nothing is run.

A test asks for a section of the inventory by the name of an argument, so a setting bears on the items of the tests that
ask for its section. Where that cannot be told, the setting counts for every scope: none that may bear on it is hidden.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_deploygate.inventory import sections
from pytest_deploygate.inventory.weakening import Weaker
from pytest_deploygate.model import Weakening
from pytest_deploygate.session import fixtures
from pytest_deploygate.session.declared import Function

Path = tuple[str, ...]

#: The whole inventory: a test that may read any section.
_ALL: Path = ()
#: Sections about the decision itself, not about single items.
_ABOUT_THE_DECISION = (("policy",), ("rollback",))
#: The fixture that stands for connections to the cluster.
_CLUSTER = "postgres"
#: Fixtures that read nothing of the inventory: pytest's own, which shipped fixtures take.
_READ_NOTHING = ("request", "pytestconfig", "tmp_path")


def weakenings(found: Sequence[Weaker], functions: Sequence[Function]) -> list[Weakening]:
    """Return each weaker setting with the items that it bears on."""
    reads = {function: tuple(_reads(function)) for function in functions}
    return [Weakening(one.text, _items(one.path, reads)) for one in found]


def _items(setting: Path, reads: dict[Function, tuple[Path, ...]]) -> tuple[str, ...]:
    section = _section(setting)
    if section in _ABOUT_THE_DECISION:
        return ()
    bearing = [f.items for f, paths in reads.items() if any(_concerns(p, setting, section) for p in paths)]
    return tuple(dict.fromkeys(item for items in bearing for item in items))


def _section(setting: Path) -> Path:
    """Return the innermost section with a name that holds a setting, else the outermost key."""
    named = [d.path for d in sections.declared().values() if d.path == setting[: len(d.path)]]
    return max(named, key=len, default=setting[:1])


def _concerns(read: Path, setting: Path, section: Path) -> bool:
    """Tell whether a test that reads one part of the inventory goes by a setting: it is inside, around or beside it."""
    if read == sections.declared()[_CLUSTER].path:
        # A connection is no limit: what has a name of its own in `database` is asked for by that name.
        return section == read
    return read[: len(setting)] == setting[: len(read)] or read[: len(section)] == section


def _reads(function: Function) -> Iterator[Path]:
    """Yield the parts of the inventory that a test reads."""
    if any(read == "self" or read.startswith("self.") for read in function.reads):
        yield _ALL  # what a class keeps for its tests is not known
    for argument in function.arguments:
        yield from _read_by(argument, function.reads)


def _read_by(argument: str, reads: Sequence[str]) -> Iterator[Path]:
    """Yield what comes with an argument: a section, or what the fixture reads; `reads` is what the body does with it."""
    source = fixtures.declared().get(argument)
    if argument in sections.declared():
        yield sections.declared()[argument].path
    elif argument == "inventory":
        yield from _attributes(reads)
    elif source is not None:
        yield from (sections.declared()[name].path for name in source.sections)
        for taken in source.arguments:
            if taken != "sections":
                yield from _read_by(taken, source.reads)
    elif argument not in _READ_NOTHING:
        yield _ALL


def _attributes(reads: Sequence[str]) -> Iterator[Path]:
    """Yield what is read of the inventory: `inventory.writes` is `writes`, `inventory` alone is everything."""
    for read in reads:
        if read == "inventory" or read.startswith("inventory."):
            below = read.removeprefix("inventory").strip(".")
            yield tuple(below.split(".")) if below and not below.startswith("of") else _ALL
