"""YAML 1.2 of bounded size: it is read in about a second, whatever is in the file.

libyaml reads the text (a tenth of the time that a parser in Python takes), where PyYAML was built with it. Words and
numbers mean what the core schema of YAML 1.2 says: `no`, `on` and `1:30` are text, `0o17` is fifteen.

An alias repeats what its anchor names. Nested, a few lines of them stand for more values than there is memory for, so
values are counted as if each alias were written out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.dumper import SafeDumper
from yaml.error import MarkedYAMLError
from yaml.events import AliasEvent
from yaml.nodes import MappingNode, Node
from yaml.reader import ReaderError
from yaml.resolver import BaseResolver

try:
    from yaml.cyaml import CParser as _Parser
except ImportError:  # PyYAML without libyaml
    from yaml.loader import Loader as _Parser

#: Values (aliases written out) and levels of nesting in one file.
MOST_VALUES, MOST_LEVELS = 150_000, 50
#: Digits of a number: more are no measure of anything, and converting them takes long.
_MOST_DIGITS = 300
_TOO_DEEP = f"it is nested deeper than {MOST_LEVELS} levels"
_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"


class TooMuchError(MarkedYAMLError):
    """The file has more values, levels or digits than are read, or text that is none; `problem` says what."""


class DuplicateKeyError(MarkedYAMLError):
    """A mapping has a key twice; `problem` is the key."""


class Mapping(dict[Any, Any]):
    """A mapping that knows its line (from 1) and those of its own keys; a key that was merged into it has none."""

    line = 0
    lines: dict[Any, int]


class Sequence(list[Any]):
    """A list that knows the lines (from 1) of its entries."""

    lines: tuple[int, ...] = ()


class _Resolver(BaseResolver):
    """The core schema of YAML 1.2 (chapter 10.3.2), with dates and merge keys, which people use as in YAML 1.1."""


_MEANINGS = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    (
        "float",
        r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?"
        r"|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
    ("int", r"[-+]?(?:0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)", "-+0123456789"),
    ("null", r"~|null|Null|NULL|", ("~", "n", "N", "")),
    ("merge", r"<<", "<"),
    (
        "timestamp",
        r"\d{4}-\d\d-\d\d|\d{4}-\d\d?-\d\d?(?:[Tt]|[ \t]+)\d\d?:\d\d:\d\d(?:\.\d*)?(?:[ \t]*(?:Z|[-+]\d\d?(?::\d\d)?))?",
        "0123456789",
    ),
)
for _name, _form, _begins in _MEANINGS:
    _Resolver.add_implicit_resolver(f"{_TAG}{_name}", re.compile(f"(?:{_form})$"), list(_begins))


class _Reader(Composer, _Parser, SafeConstructor, _Resolver):
    """Counts what is composed, and refuses what would take too long or cannot be written again."""

    def __init__(self, text: str) -> None:
        _Parser.__init__(self, text)
        Composer.__init__(self)
        SafeConstructor.__init__(self)
        _Resolver.__init__(self)
        self._values = 0
        self._of_anchor: dict[str, int] = {}
        self._level = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose a value. Raises TooMuchError."""
        event = self.peek_event()
        if isinstance(event, AliasEvent):
            if event.anchor in self.anchors and event.anchor not in self._of_anchor:
                raise _too_much(f"the alias {event.anchor!r} stands for something that contains it", event)
            self._count(self._of_anchor.get(event.anchor, 0), event)
            return super().compose_node(parent, index)
        before = self._values
        self._count(1, event)
        self._level += 1
        if self._level > MOST_LEVELS:
            raise _too_much(_TOO_DEEP, event)
        if event.anchor is not None:
            # From here on an anchor of the same name stands for the new value (YAML 1.2, chapter 3.2.2.2).
            self._of_anchor.pop(event.anchor, None)
            self.anchors.pop(event.anchor, None)
        node = super().compose_node(parent, index)
        self._level -= 1
        if event.anchor is not None:
            self._of_anchor[event.anchor] = self._values - before
        return node

    def compose_scalar_node(self, anchor: Any) -> Any:
        """Compose a scalar. Raises TooMuchError."""
        node = super().compose_scalar_node(anchor)
        value = node.value
        if len(value) > _MOST_DIGITS and str(node.tag).endswith((":int", ":float", ":timestamp")):
            raise _too_much(f"a number has more than {_MOST_DIGITS} digits", node)
        return node

    def _count(self, more: int, event: Any) -> None:
        self._values += more
        if self._values > MOST_VALUES:
            what = "with what its aliases stand for, " if isinstance(event, AliasEvent) else ""
            raise _too_much(f"{what}it has more than {MOST_VALUES:,} values", event)

    def construct_yaml_map(self, node: Any) -> Iterator[Mapping]:
        """Build a mapping. Raises DuplicateKeyError."""
        made = Mapping()
        made.line, made.lines = node.start_mark.line + 1, {}
        yield made
        for key_node, _ in node.value if isinstance(node, MappingNode) else ():
            if key_node.tag == _MERGE:
                continue
            key = self.construct_object(key_node, deep=True)
            try:
                twice = key in made.lines
            except TypeError:  # not hashable: PyYAML says so below
                break
            if twice:
                raise DuplicateKeyError(problem=str(key), problem_mark=key_node.start_mark)
            made.lines[key] = key_node.start_mark.line + 1
        made.update(self.construct_mapping(node))

    def construct_yaml_seq(self, node: Any) -> Iterator[Sequence]:
        """Build a list."""
        made = Sequence()
        yield made
        made.extend(self.construct_sequence(node))
        made.lines = tuple(entry.start_mark.line + 1 for entry in node.value)

    def construct_yaml_int(self, node: Any) -> int:
        """Build a whole number; a leading zero alone does not make it octal."""
        text = str(self.construct_scalar(node)).replace("_", "")
        digits = text.lstrip("+-")
        base = {"0b": 2, "0o": 8, "0x": 16}.get(digits[:2], 10)
        try:
            value = int(digits if base == 10 else digits[2:], base)
        except ValueError:
            raise MarkedYAMLError(problem="not a whole number", problem_mark=node.start_mark) from None
        return -value if text.startswith("-") else value


_Reader.add_constructor(f"{_TAG}map", _Reader.construct_yaml_map)
_Reader.add_constructor(f"{_TAG}seq", _Reader.construct_yaml_seq)
_Reader.add_constructor(f"{_TAG}int", _Reader.construct_yaml_int)


def _too_much(why: str, at: Any) -> TooMuchError:
    return TooMuchError(problem=why, problem_mark=at.start_mark)


def compose(text: str) -> Node | None:
    """Return the nodes of one document; None if there is none. Raises YAMLError, RecursionError."""
    with _reading(text) as reader:
        return reader.get_single_node()


def load(text: str) -> Any:
    """Return the value of one document; None if there is none. Raises YAMLError, RecursionError, ValueError (no such day)."""
    with _reading(text) as reader:
        return reader.get_single_data()


@contextmanager
def _reading(text: str) -> Iterator[_Reader]:
    reader = _Reader(text)
    try:
        yield reader
    except MarkedYAMLError as error:
        if error.problem != "exceeded maximum nesting depth":  # libyaml's own limit, of what is in brackets
            raise
        raise TooMuchError(problem=_TOO_DEEP, problem_mark=error.problem_mark) from None
    finally:
        reader.dispose()


def where(error: Exception, text: str) -> tuple[int, str]:
    """Return line and reason of an error without a mark: a character that YAML does not allow, or nesting without end."""
    if isinstance(error, ReaderError):
        position = error.position
        # libyaml counts bytes, PyYAML's own reader counts characters.
        before = text.encode()[:position].decode(errors="replace") if _counts_bytes() else text[:position]
        code = error.character if isinstance(error.character, int) else ord(str(error.character)[:1] or "\0")
        return before.count("\n") + 1, f": the character U+{code:04X} is not allowed in it"
    if isinstance(error, RecursionError):
        return 1, f": {_TOO_DEEP}"
    return 1, ""


def _counts_bytes() -> bool:
    return str(_Parser.__module__).endswith("_yaml")


class _Dumper(SafeDumper):
    """Writes lists indented below their key, as people write them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 (PyYAML's)
        """Begin a level."""
        super().increase_indent(flow, indentless=False)


for _kind, _form_of in ((dict, "dict"), (list, "list"), (str, "str")):
    _Dumper.add_multi_representer(_kind, getattr(_Dumper, f"represent_{_form_of}"))


def dumped(value: object) -> str:
    """Return a value as YAML, keys in the given order."""
    return yaml.dump(value, Dumper=_Dumper, width=100, sort_keys=False, allow_unicode=True)  # type: ignore[no-any-return]


class _OneLine(_Dumper):
    """Writes each value on one line: texts with line ends in double quotes, and nothing as an alias."""

    def represent_text(self, value: str) -> Any:
        """Represent a text."""
        return self.represent_scalar(f"{_TAG}str", value, style=None if value.isprintable() else '"')

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 (PyYAML's)
        """Write out what stands in several places."""
        return True


_OneLine.add_multi_representer(str, _OneLine.represent_text)
_OneLine.add_representer(str, _OneLine.represent_text)


def on_one_line(value: object) -> str:
    """Return a value as YAML on one line, keys in the given order; what YAML 1.1 reads as another type is in quotes."""
    dumped = yaml.dump(
        value,
        Dumper=_OneLine,
        default_flow_style=True,
        width=float("inf"),
        sort_keys=False,
        allow_unicode=True,
    )
    return str(dumped).removesuffix("\n").removesuffix("\n...")
