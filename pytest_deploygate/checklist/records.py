"""Records that people write as YAML files in the repository: attestations, waivers, the issue log.

Every scalar is read as the text in the file, so no time, number or word is converted: YAML reads `2021-07-07` as a
date and `no` as false. Mistakes are collected, each with file and line.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from yaml.error import MarkedYAMLError, YAMLError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from pytest_deploygate.files import bounded, sha256
from pytest_deploygate.files.yaml import TooMuchError, compose, where
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.problems import Problem, nearest, one_line
from pytest_deploygate.visible import says, visible

#: Placeholder for a time that could not be parsed; its record is never built.
NEVER = datetime.min.replace(tzinfo=UTC)


_ISO = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NULL = "tag:yaml.org,2002:null"
_PLACEHOLDERS = frozenset({"todo", "tbd", "fixme", "n/a", "na", "none", "null", "-", "?", "x", "xxx", "..."})


class RecordsError(Exception):
    """Records cannot be used; `problems` lists everything that is wrong with them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))


@dataclass(frozen=True)
class Document:
    """One file: its path as shown (relative to the root), its SHA-256 and its YAML (None if empty)."""

    file: str
    sha256: str
    node: Node | None


def read_folder(root: Path, folder: str, problems: list[Problem]) -> Iterator[Document]:
    """Read the YAML files directly in a folder, sorted by name. No folder means no records."""
    place = root / folder
    if not place.exists():
        return
    try:
        files = sorted(f for f in place.iterdir() if f.suffix.lower() in (".yml", ".yaml"))
    except OSError as error:
        problems.append(Problem(folder, 0, f"cannot be read: {error.strerror}"))
        return
    for file in files:
        if not file.name.isprintable():
            shown = one_line(f"{folder}/{file.name}")
            problems.append(
                Problem(shown, 0, "its name has characters that cannot be printed; rename the file")
            )
            continue
        document = read_file(file, f"{folder}/{file.name}", problems)
        if document is not None:
            yield document


def read_file(path: Path, shown: str, problems: list[Problem]) -> Document | None:
    """Read one file. Returns None and adds a problem if it is not readable YAML."""
    try:
        raw = bounded.read(path)
    except OSError as error:
        problems.append(Problem(shown, bounded.line_of(error), f"cannot be read: {error.strerror}"))
        return None
    return parse(raw, shown, problems)


def parse(raw: bytes, shown: str, problems: list[Problem]) -> Document | None:
    """Compose one YAML document. Returns None and adds a problem if it is not one."""
    try:
        text = bounded.decoded(raw)
        node = compose(text)
    except bounded.OddTextError as error:
        problems.append(Problem(shown, error.line, str(error)))
        return None
    except TooMuchError as error:
        problems.append(Problem(shown, error.problem_mark.line + 1, str(error.problem)))
        return None
    except (YAMLError, RecursionError) as error:
        marked = isinstance(error, MarkedYAMLError) and error.problem_mark
        line = error.problem_mark.line + 1 if isinstance(error, MarkedYAMLError) and marked else 0
        why = f": {error.problem}" if isinstance(error, MarkedYAMLError) and error.problem else ""
        if not line:
            line, why = where(error, text)
        problems.append(Problem(shown, line, f"this is not YAML{why}"))
        return None
    return Document(shown, sha256(raw), node)


class Fields:
    """The keys of one mapping, read one by one. Mistakes are added to `problems`, and `ok` becomes false."""

    def __init__(
        self, node: Node | None, file: str, valid: Collection[str], problems: list[Problem], example: str
    ) -> None:
        self.file = file
        self.ok = True
        self.line = node.start_mark.line + 1 if node is not None else 0
        self._problems = problems
        self._nodes: dict[str, Node] = {}
        if not isinstance(node, MappingNode):
            self.wrong("", f"must have keys, for example `{example}`")
            return
        for key_node, value in node.value:
            self._take(key_node, value, valid)

    def _take(self, key_node: Node, value: Node, valid: Collection[str]) -> None:
        key = key_node.value if isinstance(key_node, ScalarNode) else ""
        line = key_node.start_mark.line + 1
        if key not in valid:
            self._add(line, f"unknown key {key!r}{nearest(key, valid)}")
        elif key in self._nodes:
            self._add(line, f"duplicate key {key!r}")
        elif not (isinstance(value, ScalarNode) and value.tag == _NULL):
            self._nodes[key] = value

    def _add(self, line: int, text: str) -> None:
        self.ok = False
        self._problems.append(Problem(self.file, line, text))

    def wrong(self, key: str, text: str) -> None:
        """Add a problem with a key (empty: with the whole mapping)."""
        node = self._nodes.get(key)
        line = node.start_mark.line + 1 if node is not None else self.line
        self._add(line, f"{key}: {text}" if key else text)

    def has(self, key: str) -> bool:
        """Tell whether the key exists and has a value."""
        return key in self._nodes

    def text(self, key: str, *, need: str = "", least: int = 1) -> str:
        """Return a text with single spaces; `need` describes it and makes it required."""
        node = self._nodes.get(key)
        if node is None:
            if need:
                self.wrong(key, f"is missing ({need})")
            return ""
        if not isinstance(node, ScalarNode):
            self.wrong(key, "must be text")
            return ""
        value = " ".join(str(node.value).split())
        if (need or value) and not says(value, least):
            unseen = "" if value == visible(value) else " that can be seen"
            self.wrong(key, f"is too short; at least {least} characters{unseen} are needed ({need})")
        return value

    def said(self, key: str, *, need: str, least: int = 2) -> str:
        """Return a required text that needs thought: placeholders such as TODO are rejected."""
        value = self.text(key, need=need, least=least)
        if is_placeholder(value):
            self.wrong(key, f"{value!r} is a placeholder ({need})")
        return value

    def time(self, key: str, *, need: str = "") -> datetime:
        """Return an instant in UTC; NEVER if it is missing or wrong (wrong ones are problems)."""
        value = self.text(key, need=need)
        if not value:
            return NEVER
        try:
            return parse_time(value)
        except ValueError as error:
            self.wrong(key, str(error))
            return NEVER

    def choice(self, key: str, valid: Collection[str], *, need: str = "", default: str = "") -> str:
        """Return one of the valid words; `default` if it is missing and not required."""
        value = self.text(key, need=need)
        if value and value not in valid:
            self.wrong(key, f"unknown {key} {value!r}{nearest(value, valid)}")
            return default
        return value or default

    def sha256(self, key: str, *, need: str = "") -> str:
        """Return a SHA-256 in hexadecimal digits."""
        value = self.text(key, need=need).lower()
        if value and not _SHA256.fullmatch(value):
            self.wrong(key, "is not a SHA-256 (64 hexadecimal digits, as printed by sha256sum)")
        return value

    def path(self, key: str, *, need: str = "") -> str:
        """Return a path below the root, with forward slashes."""
        value = self.text(key, need=need)
        path = PurePosixPath(value)
        if value and (path.is_absolute() or ".." in path.parts or "\\" in value):
            self.wrong(key, f"{value!r} must be a path below the folder of the records' repository")
        return value

    def one(self, key: str, valid: Collection[str], example: str) -> Fields | None:
        """Return the mapping under a key; None if the key is missing."""
        node = self._nodes.get(key)
        return None if node is None else Fields(node, self.file, valid, self._problems, example)

    def many(self, key: str, valid: Collection[str], example: str) -> list[Fields]:
        """Return the mappings in the list under a key; none if the key is missing."""
        node = self._nodes.get(key)
        if node is None:
            return []
        if not isinstance(node, SequenceNode):
            self.wrong(key, f"must be a list, for example `- {example}`")
            return []
        return [Fields(entry, self.file, valid, self._problems, example) for entry in node.value]


def is_placeholder(text: str) -> bool:
    """Tell whether a text is a placeholder."""
    return text.casefold().strip(" .<>[]") in _PLACEHOLDERS


def parse_time(text: str) -> datetime:
    """Parse ISO 8601 with a zone, such as `2026-03-04T10:00:00Z`. Raises ValueError with the accepted form.

    Nothing is guessed: a parser that took 2021-07-07 for the year made every such record expire on 1 January.
    """
    if not _ISO.fullmatch(text):
        zone = " with a time zone" if re.match(r"\d{4}-\d{2}-\d{2}(T|$)", text) else ""
        raise ValueError(f"{text!r} is not ISO 8601{zone}; write for example 2026-03-04T10:00:00Z")
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} does not exist in the calendar") from None


def item_problem(item_id: str, known: Collection[str]) -> str:
    """Return what is wrong with an item's id, or an empty text."""
    return "" if item_id in known else f"no item {item_id!r} in the checklist{nearest(item_id, known)}"
