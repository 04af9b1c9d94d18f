"""Render what was found as the text of an inventory: one line for each value, with a comment where it was seen."""

from collections.abc import Iterable, Mapping

from pytest_deploygate.discovery.found import Fact, Found
from pytest_deploygate.files import yaml
from pytest_deploygate.inventory import unconfirmed
from pytest_deploygate.problems import one_line
from pytest_deploygate.redaction import redact

#: Keys in the order in which people write them; others follow as they were found.
_FIRST = ("name", "description", "database")
_CONNECTION = ("name", "user", "password", "sslmode", "sslrootcert", "primary", "replicas")


class _Branch:
    """The facts below one key: values, or entries of a list."""

    def __init__(self) -> None:
        self.below: dict[str, _Branch] = {}
        self.value: Fact | None = None
        self.entries: list[Fact] = []


def text(name: str, found: Found, written: str) -> str:
    """Return the inventory. `written` says by what and when, for its first line. Secrets are masked, whatever was found."""
    root = _Branch()
    for fact in found.facts:
        at = root
        for key in fact.place:
            at = at.below.setdefault(key, _Branch())
        if fact.entry:
            at.entries.append(fact)
        else:
            at.value = fact
    lines = [f"# {written}", f"name: {yaml.on_one_line(name)}"]
    for key in _in_order(root.below, _FIRST):
        lines += _lines(key, root.below[key], 0)
    if waiting := unconfirmed_of(found.facts):
        lines += [
            "",
            "# What was seen is not yet what should be. Each place counts like a weakened limit until somebody has looked",
            "# at it and taken it out: `deploygate confirm`.",
            f"{unconfirmed.KEY}:",
            *(f"  - {yaml.on_one_line(place)}" for place in waiting),
        ]
    return redact("\n".join(lines) + "\n")


def unconfirmed_of(facts: Iterable[Fact]) -> list[str]:
    """Return the places that nobody has confirmed, as `discovered` writes them."""
    return [fact.name for fact in facts if not fact.given]


def _lines(key: str, branch: _Branch, level: int) -> list[str]:
    indent = "  " * level
    if branch.value is not None:
        return [
            f"{indent}{yaml.on_one_line(key)}: {yaml.on_one_line(branch.value.value)}{_comment(branch.value)}"
        ]
    gap = [""] if level == 0 else []
    if branch.entries:
        return [
            *gap,
            f"{indent}{yaml.on_one_line(key)}:",
            *(f"{indent}  - {yaml.on_one_line(fact.value)}{_comment(fact)}" for fact in branch.entries),
        ]
    inner = [
        line
        for name in _in_order(branch.below, _CONNECTION if key == "database" else ())
        for line in _lines(name, branch.below[name], level + 1)
    ]
    return [*gap, f"{indent}{yaml.on_one_line(key)}:", *inner]


def _in_order(branches: Mapping[str, _Branch], first: tuple[str, ...]) -> list[str]:
    return sorted(branches, key=lambda key: first.index(key) if key in first else len(first))


def _comment(fact: Fact) -> str:
    return f"  # {one_line(fact.seen)}" if fact.seen else ""
