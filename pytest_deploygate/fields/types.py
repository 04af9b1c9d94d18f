"""The types of inventory fields, and what a field can declare besides its description.

Durations are written `30s`, `5m`, `2h`; sizes `16MB`; secrets and other values kept elsewhere as references
(`env:NAME`, `file:PATH`; see `fields.sources`).
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from pytest_deploygate.fields import references
from pytest_deploygate.fields.references import as_existing_path, as_path, as_port, as_secret
from pytest_deploygate.fields.renamed import Renamed, in_new_words
from pytest_deploygate.fields.sources import sources
from pytest_deploygate.fields.validating import After, Before
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import parse_duration, parse_size
from pytest_deploygate.redaction import Secret
from pytest_deploygate.visible import says


@dataclass(frozen=True)
class Given:
    """Declares the name under which tests and fixtures request this section; `add` is the YAML that would add it.

    `optional`: if the section is missing and another test covers the same items, no test requires it.
    `defaults_with`: if the section of this name exists, this one's defaults apply without it.
    """

    name: str
    add: str
    optional: bool = False
    defaults_with: str = ""


@dataclass(frozen=True)
class Each:
    """Declares that a test with the argument `name` runs once for each entry of this list; `add` as in `Given`.

    `optional`: if the list is missing and another test covers the same items, no test requires it.
    `entries`: returns (label, entry) pairs for a section that is not a list. Raises ValueError if unreadable.
    """

    name: str
    add: str
    optional: bool = False
    entries: Callable[[Any], Sequence[tuple[str, object]]] | None = None


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{value!r} has no unit; write for example 500ms, 30s, 5m or 2h")  # noqa: TRY004
    return parse_duration(value)


def _size(value: object) -> int:
    if isinstance(value, str):
        return parse_size(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is not a size; write for example 512kB, 16MB or 1GB")
    return value


def _not_negative(value: timedelta) -> timedelta:
    if value < timedelta(0):
        raise ValueError("this duration must not be negative")
    return value


Duration = Annotated[
    timedelta,
    Before(_duration),
    After(_not_negative),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(\d+(\.\d+)?\s*(ms|s|min|m|h|d|w)\s*)+$",
            "examples": ["30s", "5m", "1h30m"],
        }
    ),
]
Size = Annotated[
    int,
    Before(_size),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string", "pattern": r"^\d+(\.\d+)?\s*[kKMGT]?i?B$"}],
            "examples": ["16MB", "1GB"],
        }
    ),
]
SecretReference = Annotated[
    Secret,
    Before(as_secret),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": references.pattern(secret=True),
            "examples": [source.example for source in sources().values() if source.example],
        }
    ),
]
FilePath = Annotated[Path, Before(as_path), WithJsonSchema({"type": "string", "format": "path"})]
ExistingPath = Annotated[Path, Before(as_existing_path), WithJsonSchema({"type": "string", "format": "path"})]
#: The schema of a reference in place of a number, a word or a flag.
REFERENCE: dict[str, Any] = {"type": "string", "pattern": references.pattern()}
Port = Annotated[
    int,
    Before(as_port),
    Field(ge=1, le=65535),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, REFERENCE]}),
]
#: Text in which references are resolved, also in the middle of an address.
Text = Annotated[str, Before(references.filled_in), WithJsonSchema({"type": "string"})]


def _seen(value: str) -> str:
    if not says(value, len(value) // 2):
        raise ValueError("says nothing that can be seen: write it in words")
    return value


#: A reason, or who gives it: most of its characters can be seen, and some are letters.
Words = Annotated[str, After(_seen)]
#: Text in which a reference is resolved; an empty value counts as omitted.
OptionalText = Annotated[
    str | None,
    Before(references.looked_up_or_left_out),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "null"}]}),
]
#: True or false, or a reference; an empty value counts as omitted.
Flag = Annotated[
    bool,
    Before(references.looked_up_or_left_out),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, REFERENCE]}),
]


@dataclass(frozen=True)
class ShortForm:
    """Declares that a section may be written as a single text. `key` is its only required key."""

    key: str
    pattern: str
    examples: tuple[str, ...]


class Section(BaseModel):
    """A part of the inventory: no unknown keys, immutable.

    Exactly one of the keys in `exactly_one` must be set; `instead` is the message otherwise.
    `renamed` lists former names of keys: they are accepted for one version, with a note.
    `short_form` belongs to the validator that accepts it.
    """

    exactly_one: ClassVar[tuple[str, ...]] = ()
    instead: ClassVar[str] = ""
    renamed: ClassVar[Mapping[str, str | Renamed]] = {}
    short_form: ClassVar[ShortForm | None] = None

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, defer_build=True)

    @classmethod
    def former_keys(cls) -> dict[str, Renamed]:
        """Return the keys renamed in this section, or in one that it extends, by old key."""
        found: dict[str, Renamed] = {}
        for model in reversed(cls.__mro__):
            for old, new in vars(model).get("renamed", {}).items():
                found[old] = new if isinstance(new, Renamed) else Renamed(new)
        return found

    @model_validator(mode="before")
    @classmethod
    def _accept_former_keys(cls, value: Any) -> Any:
        return in_new_words(value, cls.former_keys()) if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _has_exactly_one(self) -> Self:
        keys = self.exactly_one
        if keys and sum(getattr(self, key) is not None for key in keys) != 1:
            raise ValueError(self.instead or f"set exactly one of {', '.join(f'`{key}`' for key in keys)}")
        return self


class InventoryKeys(Section):
    """What a subject adds to the inventory itself: each field is a top-level key of the file.

    `listed` has the fields whose section may have its entries from elsewhere (an Ansible inventory), each with the
    section's key that says where. The subject's module `listing` asks there when a run begins (`inventory.listing`).
    """

    listed: ClassVar[Mapping[str, str]] = {}


class DatabaseKeys(Section):
    """What a subject adds to the inventory's `database` section."""
