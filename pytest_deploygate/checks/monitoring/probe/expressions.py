"""What an alert's expression watches: the selectors without whose series it can never fire."""

from __future__ import annotations

from typing import Any

from pytest_deploygate.lazy import dataclass

#: They are true because there is no series.
_ABSENT = ("absent", "absent_over_time")
#: Series that Prometheus writes only while an alert fires.
_OF_ALERTS = ("ALERTS", "ALERTS_FOR_STATE")


class Unread(Exception):  # noqa: N818 (it is an answer, not an error)
    """The expression could not be read; the text says why and what to do."""


@dataclass(frozen=True)
class Selected:
    """One selector: the metric's name (empty if only labels select), and its matchers as they are written."""

    name: str
    matchers: tuple[tuple[str, str], ...]

    def text(self, only: frozenset[str] | None = None) -> str:
        """Return it in PromQL, with all matchers or only those of some labels; offset and range are left out."""
        said = ", ".join(text for label, text in self.matchers if only is None or label in only)
        return f"{self.name}{{{said}}}" if said else self.name


def needs(expression: str) -> list[tuple[Selected, ...]]:
    """Return what must have series for the expression to have a result: of each entry, one selector. Raises Unread."""
    try:
        import promql_parser  # noqa: PLC0415 (an extra, and slow to import)
    except ImportError:
        raise Unread("`pip install 'pytest-deploygate[monitoring]'` lets expressions be read") from None
    try:
        parsed = promql_parser.parse(expression)
    except ValueError as error:
        raise Unread(f"it cannot be read: {error}") from None
    return [tuple(dict.fromkeys(entry)) for entry in _needs(parsed)]


def _needs(part: Any) -> list[list[Selected]]:
    kind = type(part).__name__
    if kind == "VectorSelector":
        found = _selected(part)
        return [] if found.name in _OF_ALERTS else [[found]]
    if kind == "MatrixSelector":
        return _needs(part.vector_selector)
    if kind == "BinaryExpr":
        left, right = _needs(part.lhs), _needs(part.rhs)
        operation = str(part.op)
        if operation == "or":
            # One side is enough. Where one of them needs nothing, such as vector(0), the whole needs nothing.
            return [[one for entry in left + right for one in entry]] if left and right else []
        return left if operation == "unless" else left + right
    if kind == "Call":
        return [] if part.func.name in _ABSENT else [entry for each in part.args for entry in _needs(each)]
    inner = getattr(part, "expr", None)
    return _needs(inner) if inner is not None else []


def _selected(part: Any) -> Selected:
    if part.matchers.or_matchers:
        raise Unread("its labels are joined by `or`, which is not read here")
    all_of_it = part.matchers.matchers
    texts = [(m.name, f"{m.name}{_sign(m)}{_quoted(m.value)}") for m in all_of_it if m.name != "__name__"]
    named = [m for m in all_of_it if m.name == "__name__"]
    name = part.name or ""
    if not name and len(named) == 1 and _sign(named[0]) == "=":
        name, named = named[0].value, []
    return Selected(
        name, tuple(texts + [("__name__", f"__name__{_sign(m)}{_quoted(m.value)}") for m in named])
    )


def _sign(matcher: Any) -> str:
    return {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}[str(matcher.op).rpartition(".")[2]]


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
