"""Sources of the values that an inventory refers to: one module per kind of reference, such as `env:NAME`.

A module here is a source. It defines `SOURCE` and needs no registration: the readers in `fields.references`, the JSON
schema and the error messages discover it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

from pytest_deploygate.lazy import dataclass


class Absent(Exception):  # noqa: N818 (a plan can be made all the same)
    """The target of a reference does not exist, or not yet."""


@dataclass(frozen=True)
class Source:
    """One kind of reference, `scheme:name`.

    Its functions take the name and the inventory's folder, where relative paths start. They raise Absent for a value
    that does not exist (yet) and ValueError for an invalid name.
    """

    scheme: str
    #: Returns the secret.
    secret: Callable[[str, Path], str]
    #: The example of a secret of this source in the schema.
    example: str = ""
    #: The form recommended in error messages for a secret of this source; empty: not recommended.
    advice: str = ""
    #: Returns a value that is not secret. None: this source is for secrets only.
    text: Callable[[str, Path], str] | None = None
    #: Tells whether this source deliberately lacks a value, for `only_where`. None: not usable in `only_where`.
    lacks: Callable[[str, Path], bool] | None = None


@cache
def sources() -> dict[str, Source]:
    """Return every source by scheme."""
    names = sorted(found.name for found in pkgutil.iter_modules(__path__))
    found: list[Source] = [importlib.import_module(f"{__name__}.{name}").SOURCE for name in names]
    return {source.scheme: source for source in found}
