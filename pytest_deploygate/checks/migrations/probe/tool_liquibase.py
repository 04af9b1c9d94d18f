"""Liquibase: `databasechangelog` and changelogs in XML, YAML, JSON and formatted SQL (documentation: Changelog formats).

A change set is identified by its file, author and id. One for another database never runs here. One with a context or
label may or may not: that depends on how Liquibase is called, so the inventory says it with `contexts`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from pytest_deploygate.checks.migrations.facts import Compared
from pytest_deploygate.checks.migrations.probe.own_files import below, reading
from pytest_deploygate.files import bounded, yaml
from pytest_deploygate.lazy import dataclass

ROWS = "SELECT id, author, filename FROM {table} WHERE exectype IN ('EXECUTED', 'RERAN', 'MARK_RAN') ORDER BY orderexecuted"
_FORMATTED = re.compile(r"\s*--\s*liquibase\s+formatted\s+sql", re.IGNORECASE)
_CHANGESET = re.compile(
    r'^\s*--\s*changeset\s+(?P<author>"[^"\n]+"|[^:\n]+):\s*(?P<id>"[^"\n]+"|\S+)(?P<more>.*)$',
    re.IGNORECASE | re.MULTILINE,
)
_ATTRIBUTE = re.compile(r'(\w+):("[^"]*"|\S+)')
_OTHERS = (".groovy", ".kts", ".kt", ".xlsx")


@dataclass(frozen=True)
class ChangeSet:
    """One change set; `context` and `labels` are expressions, empty if it always runs."""

    file: str
    author: str
    id: str
    context: str = ""
    labels: str = ""
    dbms: str = ""

    def __str__(self) -> str:
        """Format it as people write it."""
        return f"{self.author}:{self.id} in {self.file}"


@dataclass(frozen=True)
class Changelogs:
    """All change sets, the files in formats that are not read, and the contexts that Liquibase is called with."""

    sets: tuple[ChangeSet, ...]
    unread: tuple[str, ...]
    contexts: tuple[str, ...] | None


def read(folder: Path, contexts: Iterable[str] | None = None) -> Changelogs:
    """Read the changelogs of a folder, with those in it."""
    sets: list[ChangeSet] = []
    unread: list[str] = []
    for file in below(folder):
        name, suffix = str(file.relative_to(folder)), file.suffix.lower()
        with reading(file):
            if suffix == ".sql":
                sets += _sql(name, bounded.text(file, bounded.SQL))
            elif suffix == ".xml":
                sets += _xml(name, ET.fromstring(bounded.text(file, bounded.SQL)))  # noqa: S314 (our own repository's changelogs)
            elif suffix in (".yml", ".yaml"):
                sets += _listed(name, yaml.load(bounded.text(file)))
            elif suffix == ".json":
                sets += _listed(name, bounded.from_json(bounded.read(file, bounded.SQL)))
            elif suffix in _OTHERS:
                unread.append(name)
    return Changelogs(tuple(sets), tuple(unread), None if contexts is None else tuple(contexts))


def compare(logs: Changelogs, rows: Sequence[Sequence[Any]]) -> Compared:
    """Compare as `liquibase status` does."""
    done = [(str(i), str(author), str(file)) for i, author, file in rows]
    here = [s for s in logs.sets if _for_postgresql(s.dbms)]
    waiting = [s for s in here if not any(_same(s, row) for row in done)]
    always = [s for s in waiting if not s.context and not s.labels]
    chosen = [s for s in waiting if s.context or s.labels]
    notes: list[str] = []
    unclear: list[str] = []
    if logs.contexts is None:
        if chosen:
            unclear.append(
                f"{len(chosen)} change sets have a context or label and did not run ({_some(chosen)}): name the contexts "
                "that Liquibase is called with as `contexts`"
            )
    else:
        wanted = [s for s in chosen if s.context and _matches(s.context, logs.contexts)]
        other = [s for s in chosen if s.labels and not s.context]
        always += wanted
        if other:
            unclear.append(
                f"{len(other)} change sets have labels and did not run ({_some(other)}): see `liquibase status`"
            )
        if left := [s for s in chosen if s not in wanted and s not in other]:
            notes.append(
                f"{len(left)} change sets are not of the contexts {', '.join(logs.contexts)}: {_some(left)}"
            )
    if logs.unread:
        unclear.append(f"{', '.join(logs.unread[:3])}: this format is not read; see `liquibase status`")
    strange = tuple(f"{a}:{i} in {f}" for i, a, f in done if not any(_same(s, (i, a, f)) for s in logs.sets))
    return Compared(
        tuple(map(str, always)),
        () if logs.unread else strange,
        ahead=False,
        unclear=tuple(unclear),
        notes=tuple(notes),
    )


def _sql(name: str, text: str) -> Iterator[ChangeSet]:
    if not _FORMATTED.match(text):
        return
    for found in _CHANGESET.finditer(text):
        more = {key.lower(): value.strip('"') for key, value in _ATTRIBUTE.findall(found["more"])}
        if more.get("ignore", "").lower() == "true":
            continue
        yield ChangeSet(
            more.get("logicalfilepath", name), found["author"].strip().strip('"'), found["id"].strip('"'),
            more.get("contextfilter", more.get("context", "")), more.get("labels", ""), more.get("dbms", ""),
        )  # fmt: skip


def _xml(name: str, root: ET.Element) -> Iterator[ChangeSet]:
    whole = root.get("logicalFilePath", name)
    for element in root.iter():
        if element.tag.rpartition("}")[2] == "changeSet" and element.get("ignore") != "true":
            yield _made({**element.attrib}, whole)


def _listed(name: str, whole: Any) -> Iterator[ChangeSet]:
    """Yield from a changelog in YAML or JSON; other files of these formats are no changelogs."""
    entries = whole.get("databaseChangeLog") if isinstance(whole, dict) else None
    entries = entries if isinstance(entries, list) else []
    known = [entry for entry in entries if isinstance(entry, dict)]
    path = next((str(e["logicalFilePath"]) for e in known if "logicalFilePath" in e), name)
    for entry in known:
        found = entry.get("changeSet")
        if isinstance(found, dict) and found.get("ignore") is not True:
            yield _made(found, path)


def _made(found: dict[str, Any], file: str) -> ChangeSet:
    return ChangeSet(
        str(found.get("logicalFilePath", file)), str(found.get("author")), str(found.get("id")),
        str(found.get("contextFilter", found.get("context", "")) or ""), str(found.get("labels", "") or ""),
        str(found.get("dbms", "") or ""),
    )  # fmt: skip


def _same(wanted: ChangeSet, row: tuple[str, str, str]) -> bool:
    """Compare identities; the recorded file begins where Liquibase's search path does, which the folder may not."""
    number, author, file = row
    if (wanted.id, wanted.author) != (number, author):
        return False
    one, other = _parts(wanted.file), _parts(file)
    shorter = min(len(one), len(other))
    return one[-shorter:] == other[-shorter:]


def _parts(file: str) -> list[str]:
    return [p for p in file.removeprefix("classpath:").replace("\\", "/").split("/") if p not in ("", ".")]


def _for_postgresql(dbms: str) -> bool:
    names = [name.strip().lower() for name in dbms.split(",") if name.strip()]
    if not names or "all" in names:
        return True
    no = [name[1:].strip() for name in names if name.startswith("!")]
    return "postgresql" in names or (bool(no) and "postgresql" not in no and len(no) == len(names))


def _matches(expression: str, contexts: tuple[str, ...]) -> bool:
    """Evaluate a context expression: a comma or `or`, `and`, `!` or `not`, brackets."""
    if not contexts:
        return "@" not in expression  # @name asks for a context by name
    words = re.findall(r"[()!,]|[^\s()!,]+", expression)
    python = {"(": "(", ")": ")", "!": " not ", ",": " or ", "and": " and ", "or": " or ", "not": " not "}
    known = {c.lower() for c in contexts}
    text = "".join(python.get(word.lower(), str(word.lower().lstrip("@") in known)) for word in words)
    try:
        return _truth(text.split())
    except (IndexError, ValueError):
        return True


def _truth(words: list[str]) -> bool:
    """Evaluate words of True, False, and, or, not and brackets."""
    rest: list[str] = re.findall(r"\(|\)|\w+", " ".join(words))

    def either() -> bool:
        value = both()
        while rest and rest[0] == "or":
            rest.pop(0)
            value = both() or value
        return value

    def both() -> bool:
        value = one()
        while rest and rest[0] == "and":
            rest.pop(0)
            value = one() and value
        return value

    def one() -> bool:
        word = rest.pop(0)
        if word == "not":
            return not one()
        if word == "(":
            value = either()
            rest.pop(0)
            return value
        return word == "True"

    return either()


def _some(sets: Sequence[ChangeSet]) -> str:
    more = f" and {len(sets) - 3} more" if len(sets) > 3 else ""
    return ", ".join(map(str, sets[:3])) + more
