"""The snapshot file: the expected structure as `deploygate snapshot` writes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from pytest_deploygate.files import bounded
from pytest_deploygate.lazy import dataclass

_FORMAT = "deploygate-snapshot/"
#: The formats that are read. The last one is written.
_FORMATS = (1, 2, 3)
LAST = _FORMATS[-1]
FORMAT = f"{_FORMAT}{LAST}"
#: What each format has that those before it have not, by the beginning of a line's or an object's name.
_NEW_LINES = {
    2: (
        "arguments",
        "on null input",
        "parallel",
        "aggregate",
        "foreign options",
        "contents",
        "partition ",
        "statistics ",
    ),
    3: ("inherits", "owned by", "setting "),
}
_NEW_OBJECTS = {
    2: ("database", "default privileges ", "foreign server ", "event trigger ", "publication "),
    3: ("operator ", "cast ", "collation ", "text search "),
}

TABLE_LIKE = ("table", "partitioned table", "view", "materialized view", "foreign table")


Aspects = Mapping[str, str]


@dataclass(frozen=True)
class Index:
    """An index of the snapshot: `definition` as pg_get_indexdef returns it."""

    name: str
    table: str
    definition: str


@dataclass(frozen=True)
class Structure:
    """The contents of some schemas. `relations` and `others` (functions, types, schemas) map names to their aspects.

    `children` maps a parent to what deviates in its partitions; `extensions` maps names to versions. `format` is the
    number of the file's format: an earlier one has fewer lines.
    """

    server_major: int
    schemas: tuple[str, ...]
    relations: Mapping[str, Aspects]
    others: Mapping[str, Aspects]
    indexes: tuple[Index, ...]
    children: Mapping[str, Aspects] = field(default_factory=dict)
    extensions: Mapping[str, str] = field(default_factory=dict)
    format: int = LAST

    @property
    def table_names(self) -> list[str]:
        """The relations that are judged one by one: tables and views, without sequences."""
        return [name for name, aspects in self.relations.items() if aspects["kind"] in TABLE_LIKE]

    def comparable(self, aspects: Aspects) -> Aspects:
        """Return those of a live object's lines that this snapshot's format has."""
        new = _later(_NEW_LINES, self.format)
        return {
            name: text.partition(" OPTIONS (")[0] if self.format == 1 and name.startswith("column ") else text
            for name, text in aspects.items()
            if not name.startswith(new)
        }

    def comparable_objects(self, others: Mapping[str, Aspects]) -> Mapping[str, Aspects]:
        """Return those of the live objects, with those of their lines, that this snapshot's format has."""
        return {
            name: self.comparable(aspects)
            for name, aspects in others.items()
            if not name.startswith(_later(_NEW_OBJECTS, self.format))
        }


def _later(new: Mapping[int, tuple[str, ...]], than: int) -> tuple[str, ...]:
    """Return what came with the formats after one."""
    return tuple(name for number, names in new.items() if number > than for name in names)


_READ = {f"{_FORMAT}{number}": number for number in _FORMATS}
_KINDS = (*TABLE_LIKE, "sequence")


def load_snapshot(path: Path) -> Structure:
    """Read a snapshot file. Raises ValueError, with what is wrong and how to create another."""
    again = "write it again with `deploygate snapshot`"
    try:
        document = bounded.from_json(bounded.read(path, bounded.MADE))
    except FileNotFoundError:
        raise ValueError(
            f"the snapshot {path} does not exist; write it with `deploygate snapshot`, review and commit it"
        ) from None
    except OSError as error:
        raise ValueError(f"the snapshot {path} cannot be read: {error.strerror}") from None
    except bounded.OddTextError as error:
        raise ValueError(f"the snapshot {path}, line {error.line}, {error}; {again}") from None
    if not isinstance(document, dict) or document.get("format") not in _READ:
        raise ValueError(f"{path} is not a snapshot of this version ({FORMAT}); {again}")
    try:
        structure = Structure(
            server_major=_major(document["server_major"]),
            schemas=tuple(_text(name) for name in document["schemas"]),
            relations={name: _aspects(lines) for name, lines in document["relations"].items()},
            others={name: _aspects(lines) for name, lines in document["others"].items()},
            indexes=tuple(
                Index(name, _text(index["table"]), _text(index["definition"]))
                for name, index in document["indexes"].items()
            ),
            extensions=_aspects(document.get("extensions", {})),
            format=_READ[document["format"]],
        )
        kinds = {name: aspects["kind"] for name, aspects in structure.relations.items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"the snapshot {path} is damaged ({type(error).__name__}: {error}); {again}"
        ) from None
    if strange := [f"{name} is a {kind!r}" for name, kind in kinds.items() if kind not in _KINDS]:
        raise ValueError(f"the snapshot {path} is damaged ({strange[0]}); {again}")
    if not structure.schemas or not structure.table_names:
        raise ValueError(f"the snapshot {path} contains no table; {again} and name its schemas")
    return structure


def _major(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"server_major is {value!r}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text is expected, not {value!r}")
    return value


def _aspects(value: Any) -> dict[str, str]:
    return {_text(name): _text(text) for name, text in value.items()}


def table_names(section: Any) -> list[tuple[str, object]]:
    """Return the tables of a `tables` section's snapshot, as pairs of a test's id and argument. Raises ValueError."""
    return [(name, name) for name in load_snapshot(section.snapshot).table_names]
