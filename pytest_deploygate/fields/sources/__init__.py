"""Where the values that an inventory refers to are kept: one module for each kind of reference, such as `env:NAME`.

A module here is a source. It defines `SOURCE`, and nothing else lists it: the readers in `fields.references`, the JSON
schema and the error messages find it by its being here.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path


class Absent(Exception):  # noqa: N818 (a plan can be made all the same)
    """What a reference names is not there, or not there yet."""


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of reference, `scheme:name`.

    Its functions take the name and the inventory's folder, where relative paths start. They raise Absent for a value
    that is not there (yet) and ValueError for a name that cannot be right.
    """

    scheme: str
    #: Returns the secret.
    secret: Callable[[str, Path], str]
    #: How the schema shows a secret of this source.
    example: str = ""
    #: How an error message says to write a secret of this source; empty: messages do not recommend it.
    advice: str = ""
    #: Returns a value that is not secret. None: only secrets are read from this source.
    text: Callable[[str, Path], str] | None = None
    #: Tells whether this source does without a value on purpose, for `only_where`. None: `only_where` cannot name it.
    lacks: Callable[[str, Path], bool] | None = None


@cache
def sources() -> dict[str, Source]:
    """Return every source by its scheme."""
    names = sorted(found.name for found in pkgutil.iter_modules(__path__))
    found: list[Source] = [importlib.import_module(f"{__name__}.{name}").SOURCE for name in names]
    return {source.scheme: source for source in found}
