"""Which values a template uses that are missing or empty, each with the first line that uses it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import meta, nodes

from pytest_deploygate.problems import nearest


def found(
    tree: nodes.Template, values: Mapping[str, Any], known: set[str], add: Mapping[str, str]
) -> Iterator[tuple[int, str]]:
    """Yield lines with what is wrong there. `known` are all names that there are, `add` says what adds a value."""
    used = meta.find_undeclared_variables(tree)
    missing = used - known - _guarded(tree)
    # An empty value leaves a hole in the text, unless the template asks whether there is one.
    empty = {name for name in used & {*values} if _is_empty(values[name])} - _asked_about(tree)
    for line, name in sorted((first_line(tree, name), name) for name in missing | empty):
        yield line, _of_missing(name, values, add) if name in missing else _of_empty(name, add)


def first_line(tree: nodes.Template, name: str) -> int:
    """Return the first line that uses a value, 0 for none."""
    return min((one.lineno for one in tree.find_all(nodes.Name) if one.name == name), default=0)


def _of_missing(name: str, values: Mapping[str, Any], add: Mapping[str, str]) -> str:
    if name in add:
        how = f": add {add[name]}"
    else:
        how = nearest(name, [*values, *add]) + f" (or add it to `notices.values`, or with `--set {name}=…`)"
    return f"there is no value {name!r}{how}"


def _of_empty(name: str, add: Mapping[str, str]) -> str:
    where = add.get(name, f"`notices.values.{name}` or `--set {name}=…`")
    return f"the value {name!r} is empty: fill in {where}, or ask `{{% if {name} %}}` in the template"


def _is_empty(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return not value or any(_is_empty(one) for one in value)
    return not str(value).strip()


def _guarded(tree: nodes.Template) -> set[str]:
    """Return the names that a template asks about before it uses them: `is defined`, or with a default."""
    tests = [t.node for t in tree.find_all(nodes.Test) if t.name in ("defined", "undefined")]
    filters = [f.node for f in tree.find_all(nodes.Filter) if f.name in ("default", "d")]
    return {node.name for node in (*tests, *filters) if isinstance(node, nodes.Name)}


def _asked_about(tree: nodes.Template) -> set[str]:
    """Return the names of which a template asks whether they are empty: `{% if name %}`, `or`, `default(…, true)`."""
    conditions: list[nodes.Node] = [one.test for one in tree.find_all(nodes.If)]
    conditions += [one.test for one in tree.find_all(nodes.CondExpr)]
    conditions += tree.find_all((nodes.Or, nodes.And))
    conditions += [f for f in tree.find_all(nodes.Filter) if f.name in ("default", "d") and len(f.args) > 1]
    inside = [name for one in conditions for name in one.find_all(nodes.Name)]
    # `is defined` says nothing about what is in it.
    defined = [t.node for t in tree.find_all(nodes.Test) if t.name in ("defined", "undefined")]
    found = [one for one in (*inside, *conditions) if isinstance(one, nodes.Name)]
    return {one.name for one in found if not any(one is node for node in defined)}
