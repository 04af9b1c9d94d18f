"""What the whole check of an inventory found, kept for runs of the same inventory that need only some of its sections.

To check an inventory whole means to make the models of all its sections, which takes longer than most items. A check has
the same outcome as long as all that it looked at is the same: the content of the file, our models, the values that the file
refers to, the files that it names. These are kept in the user's cache folder, but no secret and nothing made from one:
secrets are read again by each run. What others could have written there is not used.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import pydantic

from pytest_deploygate import checks, fields
from pytest_deploygate.fields import references, sources
from pytest_deploygate.fields.references import Value
from pytest_deploygate.files import bounded, sha256, write_whole
from pytest_deploygate.files.compiled import State, state
from pytest_deploygate.inventory.models import Named
from pytest_deploygate.inventory.weakening import Weaker
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.redaction import masked

#: The most inventories that are kept; the oldest are forgotten.
_MOST = 50


@dataclass(frozen=True)
class Checked:
    """What a check looked at, and what it found.

    `content` is the digest of what the inventory says and of what reads it. `values` has each reference with the digest of
    its value; None: it was read as a secret. `looked` are the files that it names, as they were. `named` are the sections
    of its subjects, `weaker` its weaker settings.
    """

    content: str
    values: tuple[tuple[str, str | None], ...]
    looked: tuple[State, ...]
    named: Mapping[str, Named]
    weaker: tuple[Weaker, ...]


def digest(plain: object) -> str:
    """Return the digest of what an inventory says, as plain data, and of what reads it."""
    read_by = [file for subject in checks.subjects() for file in checks.files(subject, "section")]
    for folder in (Path(__file__).parent, *map(Path, (*fields.__path__, *sources.__path__))):
        read_by += [
            Path(entry)
            for entry in sorted(os.scandir(folder), key=lambda entry: entry.name)
            if entry.is_file()
        ]
    return sha256(json.dumps([plain, state(read_by), pydantic.VERSION, sys.version], default=repr).encode())


def recall(inventory: Path, content: str) -> Checked | None:
    """Return what the check of this file found; None if it said something else then, or named files have changed."""
    try:
        place = _place(inventory)
        if not all(map(_is_ours, (place, place.parent))):
            return None
        known = json.loads(bounded.text(place))
        found = Checked(
            known["content"],
            tuple((reference, value) for reference, value in known["values"]),
            tuple((path, size, changed, made) for path, size, changed, made in known["looked"]),
            {name: Named(tuple(one["path"]), one["lacking"]) for name, one in known["named"].items()},
            tuple(Weaker(tuple(weak["path"]), weak["text"]) for weak in known["weaker"]),
        )
        same = found.content == content and found.looked == tuple(state(path for path, *_ in found.looked))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError):
        return None
    return found if same else None


def read_rest(known: Checked, values: Sequence[Value]) -> None:
    """Read the values again that are not among `values`: `references.reading` adds them, and masks secrets from then on.

    Raises ValueError if one cannot be read, or if any value is another one than then.
    """
    there = {(reference, secret) for reference, _, secret in values}
    for reference, value in known.values:
        if (reference, value is None) not in there:
            references.read(reference, secret=value is None)
    now = {reference: value for reference, value, secret in values if not secret}
    for reference, value in known.values:
        if value is not None and sha256(now.get(reference, "").encode()) != value:
            raise ValueError(f"{reference} has another value")


def keep(
    inventory: Path,
    content: str,
    values: Iterable[Value],
    looked: Iterable[Path],
    named: Mapping[str, Named],
    weaker: Sequence[Weaker],
) -> None:
    """Keep what a check found, if that is possible and no value has a secret within."""
    values = dict.fromkeys(values)
    if any(masked(value) != value for _, value, secret in values if not secret):
        return
    digests = ((reference, None if secret else sha256(value.encode())) for reference, value, secret in values)
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        found = Checked(content, tuple(digests), tuple(state(map(str, looked))), named, tuple(weaker))
        text = json.dumps(asdict(found))
        if masked(text) != text:
            return
        place = _place(inventory)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(place, text)
        for old in sorted(place.parent.glob("*.json"), key=lambda file: file.stat().st_mtime)[:-_MOST]:
            old.unlink(missing_ok=True)


def _is_ours(path: Path) -> bool:
    """Tell whether nobody but this user can have written a file, or into a folder."""
    status = path.stat()
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022


def _place(inventory: Path) -> Path:
    """Return where the check of a file is kept. Raises RuntimeError for a user without a home.

    Source: https://specifications.freedesktop.org/basedir-spec/latest/.
    """
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    caches = named if named.is_absolute() else Path.home() / ".cache"  # as the specification says
    return Path(
        caches, "pytest-deploygate", "inventories", f"{sha256(str(inventory.resolve()).encode())[:32]}.json"
    )
