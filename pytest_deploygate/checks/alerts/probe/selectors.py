"""What series a rule needs: the selectors of its expression."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

_OPERATORS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
#: These ask whether series are missing: that there are none is an answer.
_ABSENCE = ("absent", "absent_over_time")
#: Prometheus' own series of alerts: while none fires there are none.
_OF_ALERTS = ("ALERTS", "ALERTS_FOR_STATE")


@dataclass(frozen=True)
class Selector:
    """One selector: the metric's name, empty if an expression stands for it, and the whole as PromQL without an offset."""

    metric: str
    text: str


def needed(query: str) -> list[Selector]:
    """Return the selectors of series that an expression needs. Raises CannotTell if it cannot be read."""
    try:
        import promql_parser  # noqa: PLC0415 (an extra, and slow to import)
    except ImportError:
        raise CannotTell(
            "expressions of rules are read with promql-parser: `pip install 'pytest-deploygate[monitoring]'`"
        ) from None
    try:
        parsed = promql_parser.parse(query)
    except ValueError as error:
        raise CannotTell(f"the expression {query} cannot be read: {error}") from None
    return list(dict.fromkeys(_in(parsed)))


def _in(part: Any) -> Iterator[Selector]:
    kind = type(part).__name__
    if kind == "VectorSelector":
        selector = _selector(part)
        if selector.metric not in _OF_ALERTS:
            yield selector
    elif kind == "MatrixSelector":
        yield from _in(part.vector_selector)
    elif kind == "Call":
        if part.func.name not in _ABSENCE:
            for argument in part.args:
                yield from _in(argument)
    elif kind == "BinaryExpr":
        yield from _in(part.lhs)
        # Of `a or b` and `a unless b` the right side may be empty.
        if str(part.op) not in ("or", "unless"):
            yield from _in(part.rhs)
    elif hasattr(part, "expr"):
        yield from _in(part.expr)


def _selector(part: Any) -> Selector:
    conditions = [
        (str(m.name), _OPERATORS[str(m.op).rpartition(".")[2]], str(m.value)) for m in part.matchers.matchers
    ]
    named = [value for name, how, value in conditions if name == "__name__" and how == "="]
    metric = part.name or (named[0] if named else "")
    return Selector(
        metric, part.prettify() if part.offset is None and part.at is None else _text(part.name, conditions)
    )


def _text(metric: str | None, conditions: list[tuple[str, str, str]]) -> str:
    def quoted(value: str) -> str:
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'

    return f"{metric or ''}{{{','.join(f'{name}{how}{quoted(value)}' for name, how, value in conditions)}}}"
