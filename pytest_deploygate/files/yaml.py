"""YAML of bounded size: it is read in about a second, whatever is in the file.

An alias repeats what its anchor names. Nested, a few lines of them stand for more values than there is memory for, so
values are counted as if each alias were written out.
"""

from __future__ import annotations

from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, StringMark
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.reader import ReaderError

#: Values (aliases written out) and levels of nesting in one file.
MOST_VALUES, MOST_LEVELS = 20_000, 50
#: Digits of a number: more are no measure of anything, and converting them takes long.
_MOST_DIGITS = 300


class TooMuchError(MarkedYAMLError):
    """The file has more values, levels or digits than are read, or text that is none; `problem` says what."""


class _Composer(Composer):
    """Counts what is composed, and refuses what would take too long or cannot be written again."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader=loader)
        self._values = 0
        self._of_anchor: dict[str, int] = {}
        self._level = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose a value. Raises TooMuchError."""
        event = self.parser.peek_event()
        if isinstance(event, AliasEvent):
            if event.anchor in self.anchors and event.anchor not in self._of_anchor:
                raise _too_much(f"the alias {event.anchor!r} stands for something that contains it", event)
            self._count(self._of_anchor.get(event.anchor, 0), event)
            return super().compose_node(parent, index)
        before = self._values
        self._count(1, event)
        self._level += 1
        if self._level > MOST_LEVELS:
            raise _too_much(f"it is nested deeper than {MOST_LEVELS} levels", event)
        if event.anchor is not None:
            self._of_anchor.pop(event.anchor, None)
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
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise _too_much("it has half of a surrogate pair, which is no character", node) from None
        return node

    def _count(self, more: int, event: Any) -> None:
        self._values += more
        if self._values > MOST_VALUES:
            what = "with what its aliases stand for, " if isinstance(event, AliasEvent) else ""
            raise _too_much(f"{what}it has more than {MOST_VALUES:,} values", event)


def _too_much(why: str, at: Any) -> TooMuchError:
    mark: StringMark = at.start_mark
    return TooMuchError(problem=why, problem_mark=mark)


def reader(kind: str) -> YAML:
    """Return a reader of `kind` (`rt` keeps lines and comments, `safe` does not). It raises YAMLError as ruamel does."""
    yaml = YAML(typ=kind, pure=True)
    yaml.Composer = _Composer
    return yaml


def where(error: Exception, raw: bytes) -> tuple[int, str]:
    """Return line and reason of an error without a mark: a character that YAML does not allow, or nesting without end."""
    if isinstance(error, ReaderError):
        line = raw.decode(errors="replace")[: error.position].count("\n") + 1
        code = error.character if isinstance(error.character, int) else ord(str(error.character)[:1] or "\0")
        return line, f": the character U+{code:04X} is not allowed in it"
    if isinstance(error, RecursionError):
        return 1, f": it is nested deeper than {MOST_LEVELS} levels"
    return 1, ""
