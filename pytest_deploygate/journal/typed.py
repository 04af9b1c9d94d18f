"""Values of a journal's lines as the dataclasses that they were written from, each of the type that it has there.

A forger or another version may have written anything. What is of another type is refused here, with its name, where one
line is read: the report or a decision would stumble over it later, without a name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from pytest_deploygate.moments import number_of, time_of

_Made = TypeVar("_Made")


def made(cls: type[_Made], plain: Mapping[str, Any], **others: Any) -> _Made:
    """Return an instance from its plain JSON types; `others` are fields that were read already.

    Raises AttributeError, TypeError or ValueError for anything else.
    """
    values = {**plain}
    for name, read in _reading(cls):  # type: ignore[arg-type]  # a class can be hashed
        if name in values:
            values[name] = read(values[name], name)
    values.update(others)
    return cls(**values)


def text(value: Any, name: str = "it") -> str:
    """Return a text. Raises TypeError."""
    if not isinstance(value, str):
        raise TypeError(f"{name} is of type {type(value).__name__}, not a text")
    return value


def texts(value: Any, name: str = "it") -> tuple[str, ...]:
    """Return a list of texts. Raises TypeError."""
    return tuple(text(one, name) for one in listed(value, name))


def listed(value: Any, name: str = "it") -> Sequence[Any]:
    """Return a list. Raises TypeError."""
    if not isinstance(value, list | tuple):
        raise TypeError(f"{name} is of type {type(value).__name__}, not a list")
    return value


def flag(value: Any, name: str = "it") -> bool:
    """Return true or false. Raises TypeError."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} is of type {type(value).__name__}, not true or false")
    return value


def _number(value: Any, name: str) -> Any:
    try:
        number_of(value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from None
    return value


def _scalar(value: Any, name: str) -> Any:
    if not isinstance(value, str | int | float | None):
        raise TypeError(f"{name} is of type {type(value).__name__}, not a text or a number")
    return _number(value, name) if isinstance(value, int) and not isinstance(value, bool) else value


def _or_none(read: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    return lambda value, name: None if value is None else read(value, name)


#: How the annotations of these dataclasses are read; fields with other annotations are read by the callers.
_BY_ANNOTATION: dict[str, Callable[[Any, str], Any]] = {
    "str": text,
    "bool": flag,
    "int": _number,
    "float": _number,
    "float | None": _or_none(_number),
    "bool | None": _or_none(flag),
    "Scalar": _scalar,
    "tuple[str, ...]": texts,
    "datetime": lambda value, _name: time_of(value),
}


@cache
def _reading(cls: type) -> tuple[tuple[str, Callable[[Any, str], Any]], ...]:
    return tuple(
        (field.name, _BY_ANNOTATION[str(field.type)])
        for field in dataclasses.fields(cls)
        if str(field.type) in _BY_ANNOTATION
    )
