"""Take places out of an inventory's `discovered`, and leave every other character of the file as it is.

Lines are cut where YAML says that an entry begins; what comes out is read again and compared with what went in.
"""

from collections.abc import Collection, Mapping
from typing import Any

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from pytest_deploygate.files import yaml
from pytest_deploygate.inventory import unconfirmed
from pytest_deploygate.problems import nearest


class NotConfirmedError(ValueError):
    """Nothing was changed; the text says why."""


def chosen(waiting: Collection[str], asked: Collection[str]) -> list[str]:
    """Return the waiting places that are named, or inside of one that is named. Raises NotConfirmedError."""
    for place in asked:
        if not any(unconfirmed.within(one, place) for one in waiting):
            near = nearest(place, waiting) or "; nothing in it is waiting"
            raise NotConfirmedError(f"{place} is not among the places to confirm{near}")
    return [one for one in waiting if any(unconfirmed.within(one, place) for place in asked)]


def without(text: str, places: Collection[str]) -> str:
    """Return an inventory's text without these entries of `discovered`; without the key when none is left.

    Raises NotConfirmedError where the text cannot be cut safely.
    """
    before = yaml.load(text)
    found = _discovered(yaml.compose(text))
    if found is None:
        raise NotConfirmedError("the inventory has no list `discovered`")
    key, entries = found
    remaining = [entry for entry in entries.value if str(entry.value) not in places]
    lines = text.splitlines(keepends=True)
    if not remaining:
        cut = list(range(key.start_mark.line, _last_line(entries, lines) + 1))
    elif entries.flow_style:
        return _compared(before, _flow(text, entries, remaining), places)
    else:
        cut = [entry.start_mark.line for entry in entries.value if str(entry.value) in places]
    return _compared(before, "".join(line for n, line in enumerate(lines) if n not in cut), places)


def _discovered(document: Node | None) -> tuple[ScalarNode, SequenceNode] | None:
    for key, value in document.value if isinstance(document, MappingNode) else ():
        if key.value == unconfirmed.KEY and isinstance(value, SequenceNode):
            return key, value
    return None


def _last_line(entries: SequenceNode, lines: list[str]) -> int:
    """Return the last line of a list; comments that are indented below its key belong to it."""
    if entries.flow_style:
        return int(entries.end_mark.line)
    last: int = entries.value[-1].end_mark.line if entries.value else entries.start_mark.line
    while (
        last + 1 < len(lines)
        and lines[last + 1].startswith((" ", "\t"))
        and lines[last + 1].strip()[:1] == "#"
    ):
        last += 1
    return last


def _flow(text: str, entries: SequenceNode, remaining: list[Node]) -> str:
    """Return the text with a shorter list between the same brackets."""
    start, end = entries.start_mark.index, entries.end_mark.index
    if _counts_otherwise(text, start):
        raise NotConfirmedError("write `discovered` as lines that begin with a dash, then confirm again")
    kept = ", ".join(text[node.start_mark.index : node.end_mark.index] for node in remaining)
    return f"{text[:start]}[{kept}]{text[end:]}"


def _counts_otherwise(text: str, start: int) -> bool:
    """Tell whether a place in the text is counted in bytes, which some versions of libyaml do."""
    return text[start : start + 1] != "["


def _compared(before: Any, text: str, places: Collection[str]) -> str:
    """Return the new text if it says the same as before except these places. Raises NotConfirmedError."""
    wanted = {str(key): value for key, value in before.items()}
    wanted[unconfirmed.KEY] = [place for place in before[unconfirmed.KEY] if place not in places]
    if not wanted[unconfirmed.KEY]:
        del wanted[unconfirmed.KEY]
    try:
        after = yaml.load(text)
    except Exception as error:  # whatever a parser says about a text that we cut wrongly
        raise NotConfirmedError("`discovered` could not be cut out of the file; edit it by hand") from error
    if not isinstance(after, Mapping) or dict(after) != wanted:
        raise NotConfirmedError("`discovered` could not be cut out of the file; edit it by hand")
    return text
