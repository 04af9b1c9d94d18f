"""Which items a weaker setting of the inventory bears on, known from the bound tests: nothing is run.

A test asks for a section of the inventory by the name of an argument, so a setting bears on the items of the tests that
ask for its section. Where that cannot be told, the setting counts for every scope: none that may bear on it is hidden.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_deploygate.inventory import sections
from pytest_deploygate.inventory.weakening import Weaker
from pytest_deploygate.model import Weakening
from pytest_deploygate.session.declared import Function

Path = tuple[str, ...]

#: The whole inventory: a test that may read any section.
_ALL: Path = ()
#: Sections about the decision itself, not about single items.
_ABOUT_THE_DECISION = (("policy",), ("rollback",))
#: The fixture that stands for connections to the cluster, and the attribute that holds its section.
_CLUSTER, _SECTION_OF_CLUSTER = "postgres", "criteria"
#: What shipped arguments that are no section read. An argument that is not known here may read anything.
_READS: dict[str, tuple[Path, ...]] = {
    "gate": (),
    "allow_disruptive": (),
    "tmp_path": (),
    "show_propagation": (),
    "node": (("database", "primary"), ("database", "replicas")),
    "table": (("database", "tables"),),
    "snapshot": (("database", "tables"),),
    "expected_indexes": (("database", "tables"),),
    "edge": (("endpoints",), ("tls",)),
    "dns_observations": (("dns",),),
    "cutover_at": (("dns",), ("schedule",)),
    "bearable": (("rollback",),),
    "wanted_baseline": (("rollback",),),
    "runbook_tools": (("rollback",),),
}


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
        if argument == "inventory":
            yield from _attributes(function, argument, ())
        elif argument in _READS:
            yield from _READS[argument]
        elif argument in sections.declared():
            path = sections.declared()[argument].path
            yield path
            if argument == _CLUSTER:
                yield from _attributes(function, f"{_CLUSTER}.{_SECTION_OF_CLUSTER}", path)
        else:
            yield _ALL


def _attributes(function: Function, name: str, path: Path) -> Iterator[Path]:
    """Yield what the body reads below a name: `inventory.uptime` is `uptime`, `inventory` alone is everything."""
    for read in function.reads:
        if read == name or read.startswith(f"{name}."):
            below = read.removeprefix(name).strip(".")
            yield (*path, *below.split(".")) if below else _ALL
