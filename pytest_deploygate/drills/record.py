"""The dated record of a drill: a JSON object that is written atomically, redacted, and read until it is too old.

Every record has `date` (ISO 8601 with time zone), `outcome` (`good`, or how the drill failed) and `reason`, the
`environment` (the inventory's name), the `configuration` that the drill tested, and that configuration's `digest`.
The other keys are the subject's own facts. A record written by a person needs `date`, `outcome` and the facts that have
no default.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, field, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Generic, TypeVar

import pydantic

from pytest_deploygate.files import bounded, sha256, write_whole
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact, redact_values

GOOD = "good"
FORMAT = "deploygate-drill/1"

Facts = TypeVar("Facts")
#: Converts the keys of an earlier version to the current ones; returns anything else unchanged.
Former = Callable[[dict[str, Any]], dict[str, Any]]

#: Our own keywords, times and digests: a weak password that equals one must not destroy a record.
_OURS = frozenset({"format", "date", "digest", "outcome", "sha256"})


@dataclass(frozen=True)
class Record(Generic[Facts]):
    """A drill that was run: when and where, on which configuration, how it ended, and the subject's own facts.

    `environment` and `digest` are empty if the record does not name them.
    """

    date: datetime
    outcome: str
    facts: Facts
    reason: str = ""
    environment: str = ""
    configuration: dict[str, str] = field(default_factory=dict)
    digest: str = ""

    def ended(self, outcome: str, reason: str) -> Record[Facts]:
        """Return it with an outcome. The first one stays; what is found later adds its reason."""
        reasons = f"{self.reason}; {reason}" if self.reason else reason
        return replace(self, outcome=self.outcome or outcome, reason=redact(reasons))

    def found(self, **facts: Any) -> Record[Facts]:
        """Return it with more facts."""
        return replace(self, facts=replace(self.facts, **facts))  # type: ignore[type-var]  # a dataclass of the subject


@dataclass(frozen=True)
class Evidence(Generic[Facts]):
    """A record, or why there is none (`problem`), with the current configuration, environment and time.

    `configuration` is None if a record counts for any configuration.
    """

    record: Record[Facts] | None
    problem: str
    path: str
    ran_now: bool
    configuration: dict[str, str] | None
    environment: str
    now: datetime

    @property
    def age(self) -> timedelta | None:
        """How long ago the drill was; negative for a date in the future."""
        return self.now - self.record.date if self.record else None


def made(
    facts: Facts,
    outcome: str,
    configuration: Mapping[str, str],
    *,
    reason: str = "",
    environment: str = "",
) -> Record[Facts]:
    """Return the record of a drill, dated now."""
    about = described(configuration)
    now = datetime.now(UTC).replace(microsecond=0)
    return Record(now, outcome, facts, redact(reason), environment, about, digest(about))


def described(configuration: Mapping[str, str]) -> dict[str, str]:
    """Return a configuration as a record keeps it: without secrets, also in its digest."""
    return {name: redact(value) for name, value in configuration.items()}


def digest(configuration: Mapping[str, str]) -> str:
    """Return the SHA-256 of a configuration: the same settings give the same digest, in any order."""
    return sha256(json.dumps(dict(configuration), sort_keys=True).encode())


def evidence(
    path: Path | None,
    facts: type[Facts],
    *,
    ran: Record[Facts] | None = None,
    configuration: Mapping[str, str] | None = None,
    environment: str = "",
    of: str = "",
    former: Former | None = None,
) -> Evidence[Facts]:
    """Return the drill of this run (`ran`), else the one on record; see `read` for `of` and `former`."""
    record, problem = ran, ""
    if record is None and path is None:
        problem = "the inventory names no file for its record"
    elif record is None and path is not None:
        record, problem = read(path, facts, of=of, former=former)
    about = None if configuration is None else described(configuration)
    return Evidence(record, problem, str(path or ""), ran is not None, about, environment, datetime.now(UTC))


def read(
    path: Path, facts: type[Facts], *, of: str = "", former: Former | None = None
) -> tuple[Record[Facts] | None, str]:
    """Read a record; return it, or why there is none.

    `of` names one of several records in a file. `former` gets the object as it was read, for files of earlier versions.
    """
    try:
        raw = bounded.from_json(bounded.read(path, bounded.MADE), parse_constant=_no_number)
        if not isinstance(raw, dict):
            return None, f"the record {path} cannot be read: it is not a JSON object"
        if former:
            raw = former(raw)
        if of:
            raw = raw.get("drills", {}).get(of)
            if raw is None:
                return None, f"there is no record of {of} in {path}"
        return _record(raw, facts, path)
    except FileNotFoundError:
        return None, f"there is no record {path}"
    except pydantic.ValidationError as error:
        return None, f"the record {path} cannot be read: {_said(error)}"
    except bounded.OddTextError as error:
        return None, f"the record {path} cannot be read: it {error}"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return None, f"the record {path} cannot be read: {type(error).__name__}: {error}"


def write(path: Path, record: Record[Any], *, of: str = "") -> None:
    """Write a record atomically; with `of`, beside the other records in the file. Raises CannotTell."""
    plain: dict[str, Any] = redact_values(_plain(record), keep=_OURS)
    whole = {"format": FORMAT} | ({"drills": _others(path) | {of: plain}} if of else plain)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(whole, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    except OSError as error:
        raise CannotTell(f"the drill's record {path} cannot be written: {error.strerror}") from None


def _record(raw: Any, facts: type[Facts], path: Path) -> tuple[Record[Facts] | None, str]:
    common = {each.name for each in fields(Record)} - {"facts"}
    parts = {name: value for name, value in raw.items() if name in common}
    own = {name: value for name, value in raw.items() if name not in common}
    text = json.dumps(parts | {"facts": own})
    record: Record[Facts] = pydantic.TypeAdapter(Record[facts]).validate_json(text, strict=True)  # type: ignore[valid-type]
    if record.date.tzinfo is None:
        return None, f"the record {path} has a date without time zone"
    return record, ""


def _others(path: Path) -> dict[str, Any]:
    """Return the records to keep in a file; an unreadable file is replaced."""
    try:
        found = bounded.from_json(bounded.read(path, bounded.MADE))["drills"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _plain(record: Record[Any]) -> dict[str, Any]:
    found = asdict(record)
    found |= found.pop("facts")
    plain: dict[str, Any] = json.loads(json.dumps(found, default=_iso, allow_nan=False))
    return plain


def _iso(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"a record keeps no {type(value).__name__}")


def _no_number(name: str) -> object:
    raise ValueError(f"{name} is not a number")


def _said(error: pydantic.ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in each['loc'] if part != 'facts')}: {each['msg']}"
        for each in error.errors()[:3]
    )
