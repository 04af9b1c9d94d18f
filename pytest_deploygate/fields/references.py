"""Values that stand elsewhere: `env:NAME`, `file:PATH`, and `lab:NAME` from the running lab's state.

The validators here are called while an inventory is read. Relative paths are relative to the inventory's file,
which `reading(...)` announces for the time of the reading.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from pytest_deploygate.files import sha256
from pytest_deploygate.redaction import Secret

_base: ContextVar[Path] = ContextVar("base")
_missing: ContextVar[list[str] | None] = ContextVar("missing", default=None)
STATE_FILE = "state.json"
#: A key that any section may have: it is left out where the lab does without the value named.
ONLY_WHERE = "only_where"
NO_FILE = "there is no file or folder"
#: Stand for a value of the lab and a secret that are not there, where what is missing is only collected.
_NO_VALUE = "1"
_NO_SECRET = "this-secret-is-not-there-yet"  # noqa: S105 (it is none)


@contextmanager
def reading(inventory_file: Path, missing: list[str] | None = None) -> Iterator[None]:
    """Make paths relative to `inventory_file` while it is read; what is not there is added to `missing`, if given."""
    token, other = _base.set(inventory_file.resolve().parent), _missing.set(missing)
    try:
        yield
    finally:
        _base.reset(token)
        _missing.reset(other)


def _absent(why: str) -> None:
    """Note what a reference leads to and is not there. Raises ValueError unless that is being collected."""
    collected = _missing.get()
    if collected is None:
        raise ValueError(why) from None
    if why not in collected:
        collected.append(why)


def lab_folder(start: Path | None = None) -> Path:
    """Return the lab's state folder: `$DEPLOYGATE_LAB`, else one under /var/tmp named after the project's folder.

    It is outside the project because servers run as another user, who must be able to walk to it, and because
    socket paths are limited to 107 bytes.
    """
    if named := os.environ.get("DEPLOYGATE_LAB"):
        return Path(named)
    here = (start or Path.cwd()).resolve()
    project = next(
        (folder for folder in (here, *here.parents) if (folder / "inventories" / "lab.yml").is_file()), here
    )
    digest = sha256(str(project).encode())[:8]
    return Path("/var/tmp") / f"deploygate-lab-{os.getuid()}-{digest}"  # noqa: S108 (our own folder, mode 0711)


def from_lab(name: str, instead: str = _NO_VALUE) -> str:
    """Return a value of the running lab, e.g. `db1.port`; `instead` where what is missing is only collected.

    Raises ValueError when no lab runs or it has no such value (with the names it has).
    """
    state = lab_folder(_base.get(Path.cwd())) / STATE_FILE
    try:
        values: dict[str, object] = json.loads(state.read_text())["values"]
    except (OSError, ValueError, KeyError):
        _absent("the lab is not running; start it with `deploygate lab up`")
        return instead
    if name not in values:
        raise ValueError(f"the lab has no value {name!r}; it has {', '.join(sorted(values))}")
    return str(values[name])


def with_lab(text: str) -> str:
    """Return a text with each `lab:NAME` in it replaced by its value. Raises ValueError like `from_lab`."""
    return re.sub(r"lab:([a-z0-9-]+(?:\.[a-z0-9-]+)+)", lambda found: from_lab(found[1]), text)


def lab_lacks(reference: object) -> bool:
    """Tell whether a running lab does without `lab:NAME`, because a program for it is not installed here.

    A lab that does not run lacks nothing: that it does not run is said where its values are read.
    """
    if not isinstance(reference, str) or not reference.startswith("lab:"):
        return False
    state = lab_folder(_base.get(Path.cwd())) / STATE_FILE
    try:
        return reference.removeprefix("lab:") not in json.loads(state.read_text())["values"]
    except (OSError, ValueError, KeyError):
        return False


def as_path(value: object) -> Path:
    """Read a path; `lab:NAME` is looked up, a relative one starts at the inventory's folder."""
    if isinstance(value, Path):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a path")  # noqa: TRY004
    text = from_lab(value.removeprefix("lab:")) if value.startswith("lab:") else value
    return _base.get(Path.cwd()) / Path(text).expanduser()


def as_existing_path(value: object) -> Path:
    """Read a path as `as_path` does; raises ValueError when nothing is there."""
    path = as_path(value)
    told = str(value).startswith("lab:") and path.name == _NO_VALUE
    if not path.exists() and not told:
        _absent(f"{NO_FILE} {path}")
    return path


def as_port(value: object) -> int:
    """Read a port number; `lab:NAME` is looked up."""
    if isinstance(value, str) and value.startswith("lab:"):
        value = from_lab(value.removeprefix("lab:"))
    if isinstance(value, bool) or not str(value).isdigit():
        raise ValueError(f"{value!r} is not a port number")
    return int(str(value))


def as_secret(value: object) -> Secret:
    """Read a reference to a secret.

    Raises ValueError for a secret in clear (without repeating it), a variable that is not set, a file that
    cannot be read, an empty secret.
    """
    if isinstance(value, Secret):
        return value
    text = value if isinstance(value, str) else ""
    kind, _, name = text.partition(":")
    if kind not in ("env", "file", "lab") or not name:
        if text:
            Secret(text)
        raise ValueError("a secret is not written here in clear; write env:NAME or file:PATH")
    if kind == "lab":
        name = from_lab(name)
        if name == _NO_VALUE:
            return Secret(_NO_SECRET, text)
    found, why = _from_environment(name) if kind == "env" else _from_file(name)
    if not found:
        _absent(why or f"the secret {text} is empty")
        return Secret(_NO_SECRET, text)
    return Secret(found, text)


def _from_environment(name: str) -> tuple[str, str]:
    """Return a secret, or why it is not there."""
    found = os.environ.get(name)
    if found is None:
        return "", f"the environment variable {name} is not set; export it before the run"
    return found, ""


def _from_file(name: str) -> tuple[str, str]:
    """Return a secret, or why it is not there."""
    path = as_path(name)
    try:
        return path.read_text().strip(), ""
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        return "", f"the secret's file {path} cannot be read: {reason}"
