"""The inventory sections that tests request by name, and the messages for missing ones.

A section's field declares this with `Given` (one value) or `Each` (a test runs once for each entry), so that a new
section needs no other registration.
"""

import typing
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import UnionType

from pydantic import BaseModel

from pytest_deploygate import checks
from pytest_deploygate.fields.types import DatabaseKeys, Each, Given, InventoryKeys
from pytest_deploygate.files import compiled
from pytest_deploygate.inventory import index
from pytest_deploygate.inventory.models import Database, Inventory, Named, keys_of
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import NotCovered


@dataclass(frozen=True)
class Declared:
    """A section that tests name: its path (`("database", "indexes")`) and its field's declaration."""

    path: tuple[str, ...]
    said: Given | Each
    model: type[BaseModel] | None = None

    @property
    def defaults(self) -> BaseModel | None:
        """The section with all its defaults."""
        return self.model() if self.model else None

    @property
    def missing(self) -> str:
        """The message if it is missing."""
        return f"the inventory has no {'.'.join(self.path)}; add `{self.said.add}`"


@cache
def declared() -> dict[str, Declared]:
    """Return every section that tests can name, by name, outer sections before inner ones."""
    found: dict[str, Declared] = {}
    for subject in ("", *checks.subjects()):
        for name, section in of_subject(subject).items():
            if name in found:
                raise TypeError(f"two sections of the inventory are named {name}")
            found[name] = section
    return found


@cache
def of_subject(subject: str) -> dict[str, Declared]:
    """Return the sections of one subject that tests can name; without a subject, those of the inventory itself."""
    if not subject:
        return {section.said.name: section for section in _within(Inventory, ())}
    top = [section for keys in keys_of(subject, InventoryKeys) for section in _within(keys, ())]
    inner = [section for keys in keys_of(subject, DatabaseKeys) for section in _within(keys, ("database",))]
    return {section.said.name: section for section in (*top, *inner)}


def find(name: str) -> Declared | None:
    """Return the section that tests request by this name; only its own subject is imported."""
    subject = subject_of(name)
    return None if subject is None else of_subject(subject).get(name)


def subject_of(name: str) -> str | None:
    """Return the subject of a section, which is not imported: empty for the inventory's own, None for no section."""
    if name in of_subject(""):
        return ""
    return index.names()[name][0] if name in index.names() else None


def given() -> list[str]:
    """Return the names that stand for one section, not for each entry of a list."""
    own = [name for name, section in of_subject("").items() if isinstance(section.said, Given)]
    return [*own, *(name for name, (_, kind) in index.names().items() if kind == "Given")]


def around(path: tuple[str, ...]) -> list[Declared]:
    """Return the sections that contain a place of the inventory or are there, outer ones before inner ones."""
    subject = index.subject_at(path)
    found = [*of_subject("").values(), *(of_subject(subject).values() if subject else ())]
    return sorted((s for s in found if path[: len(s.path)] == s.path), key=lambda section: len(section.path))


def value(inventory: Inventory, name: str) -> object | None:
    """Return the section of that name; None if it, or one around it, is missing or empty."""
    if absent(inventory, name):
        return None
    section = _known(name)
    found = _at(inventory, section.path) or None
    if found is None and isinstance(section.said, Given) and section.said.defaults_with:
        return section.defaults if value(inventory, section.said.defaults_with) else None
    return found


def entries(inventory: Inventory, name: str) -> Sequence[tuple[str, object]]:
    """Return label and value of each entry in the list (`Each`) of that name.

    Raises ValueError if a file that the inventory names cannot be used.
    """
    said, found = _known(name).said, value(inventory, name)
    if isinstance(said, Each) and said.entries:
        return said.entries(found) if found is not None else []
    return [(label(entry), entry) for entry in found] if isinstance(found, list) else []


def absent(inventory: Inventory, name: str) -> bool:
    """Tell whether an inventory has no word of a section, and no defaults for it; the section is not imported."""
    subject = subject_of(name)
    database = inventory.database and type(inventory.database)
    if not subject or subject in _there(type(inventory), database):
        return False
    return inventory.named_beside(name) is None


@cache
def _there(whole: type[Inventory], database: type[Database] | None) -> frozenset[str]:
    """Return the subjects of the keys that an inventory and its `database` have, and those that have defaults without any."""
    known = {"": whole.model_fields, "database": database.model_fields if database else {}}
    keys = (subject for (section, key), subject in index.keys().items() if key in known[section])
    return index.with_defaults().union(keys)


def missing(inventory: Inventory, name: str) -> str:
    """Describe what to add for the section of that name: the outermost missing one. Empty: nothing is missing."""
    if value(inventory, name) is not None:
        return ""
    for section in around(_known(name).path):
        if not _at(inventory, section.path):
            return section.missing
    return ""


def lacking(inventory: Inventory, name: str) -> str:
    """Describe what must be added for a test that requests this name to run: as `missing`, or why it has no entries."""
    if known := inventory.named_beside(name):
        return known.lacking
    if words := missing(inventory, name):
        return words
    try:
        entries(inventory, name)
    except ValueError as error:
        return str(error)
    return ""


def path(inventory: Inventory, name: str) -> tuple[str, ...]:
    """Return the place of the section of that name; it is not read for that."""
    known = inventory.named_beside(name)
    return known.path if known else _known(name).path


def innermost(inventory: Inventory, setting: tuple[str, ...]) -> tuple[str, ...]:
    """Return the place of the innermost named section that contains a setting, else the outermost key."""
    subject = index.subject_at(setting)
    found = (path(inventory, name) for name in (*of_subject(""), *names({subject})))
    return max((each for each in found if setting[: len(each)] == each), key=len, default=setting[:1])


def named(inventory: Inventory, subjects: Collection[str]) -> dict[str, Named]:
    """Return the sections of some subjects by the names that tests request them by."""
    return {name: Named(path(inventory, name), lacking(inventory, name)) for name in names(subjects)}


def names(subjects: Collection[str]) -> list[str]:
    """Return the names that tests can request sections of some subjects by."""
    return [name for name, (subject, _) in index.names().items() if subject in subjects]


def optional(name: str) -> bool:
    """Tell whether a section, or one around it, is optional for tests whose items others cover."""
    return name in _optional()


def product(name: str) -> str:
    """Return the optional section that a section is in, or is itself: it describes a product that not every shop has."""
    return _optional().get(name, "")


@cache
def _optional() -> dict[str, str]:
    """Return the names of optional sections and of those within, each with its product; empty if it is of none."""
    files = [file for subject in sorted(index.with_optional()) for file in checks.files(subject, "section")]
    return compiled.kept("optional", (Path(__file__), *files), _read_optional)


def _read_optional() -> dict[str, str]:
    found: dict[str, str] = {}
    for subject in sorted(index.with_optional()):
        for name, section in of_subject(subject).items():
            said = [outer.said for outer in around(section.path) if outer.said.optional]
            products = [outer.name for outer in said if isinstance(outer, Given)]
            if said:
                found[name] = products[0] if products else ""
    return found


def label(entry: object) -> str:
    """Return the name of a list entry used in findings: its name, else its relation or table."""
    return next((str(found) for key in _LABELS if (found := getattr(entry, key, ""))), str(entry))


_LABELS = ("name", "relation", "table", "view")


def _known(name: str) -> Declared:
    if (section := find(name)) is None:
        raise KeyError(name)
    return section


def _at(section: object, path: tuple[str, ...]) -> object | None:
    for name in path:
        section = getattr(section, name, None)
    return section


def _within(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[Declared]:
    for name, field in model.model_fields.items():
        here = (*path, name)
        models = list(_models(field.annotation))
        said = [each for each in field.metadata if isinstance(each, Given | Each)]
        yield from (Declared(here, each, models[0] if models else None) for each in said)
        for inner in models:
            yield from _within(inner, here)


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    """Return the models in a type that are not list entries."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif typing.get_origin(annotation) in (typing.Union, UnionType):
        for member in typing.get_args(annotation):
            yield from _models(member)


class Handed:
    """The sections of one inventory, for fixtures (see `fields.handed.Sections`)."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory

    def need(self, name: str) -> object:
        """Return a section. Raises NotCovered, with the keys to add, if it is missing."""
        if words := missing(self._inventory, name):
            raise NotCovered(words)
        return value(self._inventory, name)

    def get(self, name: str) -> object | None:
        """Return a section, or None if it is missing."""
        return value(self._inventory, name)
