"""Which items a weaker inventory setting affects, derived from the bound tests without running them.

A test requests an inventory section by the name of an argument, so a setting affects the items of the tests that
request its section. If that cannot be determined, the setting counts for every scope, so that none is hidden.
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
#: The fixture for connections to the cluster.
_CLUSTER = ("database",)
#: Fixtures that read nothing from the inventory: pytest's own, used by shipped tests and fixtures.
_READ_NOTHING = ("request", "pytestconfig", "tmp_path", "capsys")


def weakenings(found: Sequence[Weaker], functions: Sequence[Function]) -> list[Weakening]:
    """Return each weaker setting with the items that it affects."""
    reads = {function: tuple(_reads(function)) for function in functions}
    return [Weakening(one.text, _items(one.path, reads)) for one in found]


def _items(setting: Path, reads: dict[Function, tuple[Path, ...]]) -> tuple[str, ...]:
    section = _section(setting)
    if section in _ABOUT_THE_DECISION:
        return ()
    bearing = [f.items for f, paths in reads.items() if any(_concerns(p, setting, section) for p in paths)]
    return tuple(dict.fromkeys(item for items in bearing for item in items))


def _section(setting: Path) -> Path:
    """Return the innermost named section that contains a setting, else the outermost key."""
    return max((section.path for section in sections.around(setting)), key=len, default=setting[:1])


def _concerns(read: Path, setting: Path, section: Path) -> bool:
    """Tell whether a setting affects a test that reads one part of the inventory: it is inside, around or beside it."""
    if read == _CLUSTER:
        # A connection is not a limit: sections of `database` with a name of their own are requested by that name.
        return section == read
    return read[: len(setting)] == setting[: len(read)] or read[: len(section)] == section


def _reads(function: Function) -> Iterator[Path]:
    """Yield the parts of the inventory that a test reads."""
    if any(read == "self" or read.startswith("self.") for read in function.reads):
        yield _ALL  # what a class provides to its tests is not known
    for argument in function.arguments:
        yield from _read_by(argument, function.reads)


def _read_by(argument: str, reads: Sequence[str]) -> Iterator[Path]:
    """Yield what an argument reads: a section, or what its fixture reads; `reads` is how the test body uses it."""
    source = fixtures.declared().get(argument)
    if section := sections.find(argument):
        yield section.path
    elif argument == "inventory":
        yield from _attributes(reads)
    elif source is not None:
        yield from (section.path for name in source.sections if (section := sections.find(name)))
        for taken in source.arguments:
            if taken != "sections":
                yield from _read_by(taken, source.reads)
    elif argument not in _READ_NOTHING:
        yield _ALL


def _attributes(reads: Sequence[str]) -> Iterator[Path]:
    """Yield the parts of the inventory that are read: `inventory.writes` is `writes`, `inventory` alone is everything."""
    for read in reads:
        if read == "inventory" or read.startswith("inventory."):
            below = read.removeprefix("inventory").strip(".")
            yield tuple(below.split(".")) if below and not below.startswith("of") else _ALL
