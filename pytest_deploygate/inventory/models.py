"""The whole inventory: the keys for the gate itself, and those that each subject adds.

Every key except `name` may be left out: its items are then `not_covered`, with a reason that says what to add. A
subject's keys are in `checks/<subject>/section`; new subjects are discovered.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar, cast

from pydantic import Field, PrivateAttr, create_model, field_validator

from pytest_deploygate import checks
from pytest_deploygate.fields.contacts import Contact
from pytest_deploygate.fields.lists import from_file
from pytest_deploygate.fields.postgres import ConnectionSettings
from pytest_deploygate.fields.tickets import Tracker
from pytest_deploygate.fields.types import DatabaseKeys, Each, Given, InventoryKeys, Section
from pytest_deploygate.fields.validating import Before
from pytest_deploygate.inventory import index
from pytest_deploygate.inventory.policy import NotApplicable, Policy, Timetable, Writes
from pytest_deploygate.lazy import dataclass

K = TypeVar("K", bound=Section)


def _list_or_file(schema: dict[str, Any]) -> None:
    """Allow a path in place of the list."""
    of_list = {key: schema.pop(key) for key in ("type", "items") if key in schema}
    schema["anyOf"] = [of_list, {"type": "string", "format": "path"}]


_ADD_DATABASE = "database: {name: …, user: …, primary: db1.example.com}"


@dataclass(frozen=True)
class Named:
    """A section that tests request by name: its place, and what must be added for them to run; empty: nothing."""

    path: tuple[str, ...]
    lacking: str


@dataclass(frozen=True)
class Others:
    """The subjects whose keys a file has although its inventory was composed without them.

    `named` are their sections by name, `whole` the inventory with them. Raises InventoryError if it cannot be read again.
    """

    subjects: frozenset[str]
    named: Mapping[str, Named]
    whole: "Callable[[], Inventory]"


class _Whole(Section):
    """A section that subjects add keys to; `place` as in `index.keys`."""

    place: ClassVar[str] = ""
    _others: Others | None = PrivateAttr(default=None)

    def of(self, keys: type[K]) -> K:
        """Return this section typed with a subject's keys: `inventory.of(dns.section.Keys).dns`.

        A subject that the file has no keys of has all of them left out.
        """
        if keys.__base__ not in (InventoryKeys, DatabaseKeys):
            raise TypeError(f"{keys.__module__}.{keys.__qualname__} is not part of {type(self).__name__}")
        if isinstance(self, keys):
            return self
        whole = self._with(checks.subject_of(keys.__module__))
        return whole.of(keys) if whole else keys()

    def beside(self, others: Others) -> None:
        """Take the keys of other subjects from the whole inventory when this section is asked for them."""
        self._others = others

    def named_beside(self, name: str) -> Named | None:
        """Return a section that the file has, or may have, and that this inventory was composed without."""
        others = self._beside()
        return others.named.get(name) if others else None

    def _beside(self) -> Others | None:
        # By its name it is looked for as a key of the inventory first, which takes twenty times as long.
        private = self.__pydantic_private__
        return private["_others"] if private else None

    def _with(self, subject: str) -> "_Whole | None":
        """Return this section of the whole inventory, for a subject that this one was composed without."""
        others = self._beside()
        if others is None or subject not in others.subjects:
            return None
        whole = others.whole()
        return whole.database if self.place else whole

    if not TYPE_CHECKING:  # type checkers know the keys of each subject by `of`

        def __getattr__(self, name: str) -> object:
            """Return the key of a subject that the inventory was composed without; what it has if it is left out."""
            if name.startswith("_"):
                return super().__getattr__(name)
            if subject := index.keys().get((self.place, name)):
                if whole := self._with(subject):
                    return getattr(whole, name)
                for keys in keys_of(subject, DatabaseKeys if self.place else InventoryKeys):
                    if field := keys.model_fields.get(name):
                        return field.get_default(call_default_factory=True)
            return super().__getattr__(name)


class Database(_Whole, ConnectionSettings):
    """The database cluster: a primary, its replicas, and what is expected of them."""

    place: ClassVar[str] = "database"


class Inventory(_Whole):
    """One environment that can be gated."""

    renamed: ClassVar[Mapping[str, str]] = {"schedule": "timetable"}

    name: str = Field(description="name of the environment; `--allow-disruptive=NAME` must match it")
    description: str = Field(default="", description="one line, shown in the report")
    database: Annotated[
        Database | None,
        Given("postgres", _ADD_DATABASE),
        Each("node", _ADD_DATABASE, entries=lambda database: [(node.name, node) for node in database.nodes]),
    ] = Field(default=None, description="the database cluster")
    writes: Writes | None = Field(default=None, description="where the gate may write")
    not_applicable: list[NotApplicable] = Field(
        default=[], description="items that do not apply, each with a reason"
    )
    timetable: Timetable | None = Field(
        default=None,
        description="when the change is planned; its windows are shown in the plan and the report",
    )
    contacts: Annotated[
        list[Contact],
        Before(from_file),
        Given("contacts", "contacts: [{role: deployment-lead, phone: …, mail: …}]"),
    ] = Field(
        default=[],
        description="whom to call, by role; shown in the report. May be the path of a YAML file with such a list",
        json_schema_extra=_list_or_file,
    )
    tickets: list[Tracker] = Field(
        default=[],
        description="systems with change tickets, for `deploygate attach`; the first has the change's own",
    )
    policy: Policy = Field(default=Policy(), description="how findings are turned into a decision")
    discovered: list[str] = Field(
        default=[],
        description="places of this inventory that `deploygate discover` wrote and nobody confirmed, e.g. "
        "database.replicas[db2.example.com]; each counts like a weakening until `deploygate confirm` takes it out",
    )

    @field_validator("tickets")
    @classmethod
    def _one_tracker_of_a_name(cls, trackers: list[Tracker]) -> list[Tracker]:
        names = [tracker.called for tracker in trackers]
        if twice := next((name for name in names if names.count(name) > 1), ""):
            raise ValueError(f"two trackers are called {twice!r}: give one of them a `name`")
        return trackers


@cache
def composed(among: frozenset[str] | None = None) -> type[Inventory]:
    """Return the inventory with the keys of every subject, or only with those of the subjects `among`."""
    subjects = [subject for subject in checks.subjects() if among is None or subject in among]
    # Fields are ordered by base class, last to first: those of the whole inventory come first.
    bases: tuple[Any, ...] = (*reversed([k for s in subjects for k in keys_of(s, DatabaseKeys)]), Database)
    database: Any = create_model("Database", __base__=bases, __module__=__name__, __doc__=Database.__doc__)
    field = Inventory.model_fields["database"]
    fields: dict[str, Any] = {
        "database": (
            Annotated[database | None, *field.metadata],
            Field(default=None, description=field.description),
        )
    }
    bases = (*reversed([k for s in subjects for k in keys_of(s, InventoryKeys)]), Inventory)
    made: Any = create_model(
        "Inventory", __base__=bases, __module__=__name__, __doc__=Inventory.__doc__, **fields
    )
    return cast("type[Inventory]", made)


def keys_of(subject: str, kind: type[K]) -> Iterator[type[K]]:
    """Yield the classes of a subject that add keys of one kind."""
    module = checks.part(subject, "section")
    yield from _defined(module, kind) if module else ()


def _defined(module: ModuleType, kind: type[K]) -> Iterator[type[K]]:
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, kind) and value.__module__ == module.__name__:
            yield value
