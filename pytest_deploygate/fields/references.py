"""References to values kept elsewhere: `scheme:NAME`, with a scheme from `fields/sources/`.

The validators here are called while an inventory is read. Relative paths start at the folder of the inventory's file,
which `reading(...)` sets while it is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from pytest_deploygate.fields.sources import Absent, sources
from pytest_deploygate.redaction import Secret, hide_those_of_url

_base: ContextVar[Path] = ContextVar("base")
_missing: ContextVar[list[str] | None] = ContextVar("missing", default=None)
#: A reference, what it stands for, and whether it was read as a secret.
Value = tuple[str, str, bool]
#: What the references of the inventory being read stand for.
_values: ContextVar[list[Value] | None] = ContextVar("values", default=None)
#: The files and folders whose existence was asked for.
_looked: ContextVar[list[Path] | None] = ContextVar("looked", default=None)
#: A key that any section may have: the section is ignored if the source deliberately has no such value.
ONLY_WHERE = "only_where"
NO_FILE = "no such file or folder:"
#: Placeholders for a missing value and secret, while missing ones are only collected.
_NO_VALUE = "1"
_NO_SECRET = "this-secret-is-not-there-yet"  # noqa: S105 (it is none)


@contextmanager
def reading(
    inventory_file: Path,
    missing: list[str] | None = None,
    values: list[Value] | None = None,
    looked: list[Path] | None = None,
) -> Iterator[None]:
    """Resolve paths relative to `inventory_file` while it is read.

    What is missing is added to `missing`, each resolved reference to `values`, each path that must exist to `looked`, if
    they are given.
    """
    tokens = _base.set(inventory_file.resolve().parent), _missing.set(missing), _values.set(values)
    looking = _looked.set(looked)
    try:
        yield
    finally:
        _base.reset(tokens[0])
        _missing.reset(tokens[1])
        _values.reset(tokens[2])
        _looked.reset(looking)


def read(reference: str, *, secret: bool) -> None:
    """Read what a reference stands for, as where an inventory has it. Raises ValueError if that is not possible."""
    if secret:
        as_secret(reference)
    else:
        looked_up(reference)


def _note(reference: str, value: str, *, secret: bool = False) -> str:
    hide_those_of_url(value)
    noted = _values.get()
    if noted is not None:
        noted.append((reference, value, secret))
    return value


def pattern(*, secret: bool = False) -> str:
    """Return the regular expression for references as used in the JSON schema: to secrets, or to other values."""
    schemes = [source.scheme for source in sources().values() if secret or source.text]
    return f"^({'|'.join(schemes)}):.+" if len(schemes) > 1 else f"^{schemes[0]}:.+"


def only_where_pattern() -> str:
    """Return the regular expression for values of `only_where`."""
    schemes = [source.scheme for source in sources().values() if source.lacks]
    return f"^({'|'.join(schemes)}):.+" if len(schemes) > 1 else f"^{schemes[0]}:.+"


def _absent(why: str) -> None:
    """Record that the target of a reference is missing. Raises ValueError unless missing values are collected."""
    collected = _missing.get()
    if collected is None:
        raise ValueError(why) from None
    if why not in collected:
        collected.append(why)


def _value(scheme: str, name: str, instead: str) -> str:
    """Return a value that is not secret; `instead` if it is missing and missing values are only collected."""
    read = sources()[scheme].text
    if read is None:
        raise ValueError(f"{scheme}: is for secrets only")
    try:
        return _note(f"{scheme}:{name}", read(name, _base.get(Path.cwd())))
    except Absent as absent:
        _absent(str(absent))
        return instead


@cache
def _whole() -> re.Pattern[str]:
    """Return the pattern of a value that is only a reference. `lab:8080` is a host with its port."""
    return re.compile(rf"({_schemes()}):(?!\d+$)(.+)", re.DOTALL)


@cache
def _within() -> re.Pattern[str]:
    """Return the pattern of a reference inside a longer text, where its name has a dot."""
    return re.compile(rf"(?<![A-Za-z0-9])({_schemes()}):([a-z0-9-]+(?:\.[a-z0-9-]+)+)")


def _schemes() -> str:
    return "|".join(source.scheme for source in sources().values() if source.text)


def is_reference(value: object) -> bool:
    """Tell whether a value is only a reference to a value that is not secret."""
    return isinstance(value, str) and _whole().fullmatch(value) is not None


def looked_up(value: object, instead: str = _NO_VALUE) -> object:
    """Resolve a reference; return any other value unchanged.

    `instead` replaces a missing value while missing values are only collected. Raises ValueError for a reference that
    cannot be resolved.
    """
    found = _whole().fullmatch(value) if isinstance(value, str) else None
    return _value(found[1], found[2], instead) if found else value


def looked_up_or_left_out(value: object) -> object:
    """Return what `looked_up` returns; None if a reference has an empty value."""
    found = looked_up(value)
    return found if found or not is_reference(value) else None


def filled_in(value: object, instead: str = _NO_VALUE) -> object:
    """Return a text with each reference in it resolved, also in the middle: `http://127.0.0.1:lab:front.port/`.

    `instead` replaces the whole text if it is a reference to a missing value. Raises ValueError like
    `looked_up`.
    """
    if not isinstance(value, str) or is_reference(value):
        return looked_up(value, instead)
    return _within().sub(lambda found: _value(found[1], found[2], _NO_VALUE), value)


def lacks(reference: object) -> bool:
    """Tell whether the source of `scheme:NAME` deliberately has no such value."""
    scheme, _, name = reference.partition(":") if isinstance(reference, str) else ("", "", "")
    source = sources().get(scheme)
    return bool(source and source.lacks and source.lacks(name, _base.get(Path.cwd())))


def as_path(value: object) -> Path:
    """Parse a path; a reference is resolved, a relative path starts at the inventory's folder."""
    if isinstance(value, Path):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a path")  # noqa: TRY004
    return _base.get(Path.cwd()) / Path(str(looked_up(value))).expanduser()


def as_existing_path(value: object) -> Path:
    """Parse a path as `as_path` does; raises ValueError if it does not exist."""
    path = as_path(value)
    if (looked := _looked.get()) is not None:
        looked.append(path)
    placeholder = is_reference(value) and path.name == _NO_VALUE
    if not path.exists() and not placeholder:
        _absent(f"{NO_FILE} {path}")
    return path


def as_port(value: object) -> int:
    """Parse a port number; a reference is resolved."""
    found = looked_up(value)
    if isinstance(found, bool) or not str(found).isdigit():
        raise ValueError(f"{found!r} is not a port number")
    return int(str(found))


def as_secret(value: object) -> Secret:
    """Parse a reference to a secret.

    Raises ValueError for a plaintext secret (without repeating it), a variable that is not set, a file that
    cannot be read, an empty secret.
    """
    if isinstance(value, Secret):
        return value
    text = value if isinstance(value, str) else ""
    scheme, _, name = text.partition(":")
    source = sources().get(scheme)
    if source is None or not name:
        if text:
            Secret(text)
        raise ValueError(f"secrets must not be in plaintext here; write {_advice()}")
    why = ""
    try:
        found = source.secret(name, _base.get(Path.cwd()))
    except Absent as absent:
        found, why = "", str(absent)
    if not found:
        _absent(why or f"the secret {text} is empty")
        return Secret(_NO_SECRET, text)
    return Secret(_note(text, found, secret=True), text)


def _advice() -> str:
    """Return how to write a secret, in words: `env:NAME or file:PATH`."""
    *others, last = (source.advice for source in sources().values() if source.advice)
    return f"{', '.join(others)} or {last}" if others else last
