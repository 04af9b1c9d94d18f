"""Patroni's REST API: https://patroni.readthedocs.io/en/latest/rest_api.html. Read with 3.0; 4.x differs in words only.

Answers are returned as they came, as a dictionary; every reader checks the keys that it needs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell, NotReached
from pytest_deploygate.redaction import redact, shortened

if TYPE_CHECKING:
    from pytest_deploygate.fields.patroni import Member, Patroni

#: Roles of a node that takes writes, by version: 4.0 says `primary`.
PRIMARY_ROLES = ("master", "primary")
#: Characters of an answer that are shown.
SHOWN = 200


@dataclass(frozen=True)
class Answer:
    """What a member answered. `clock_s` is its own time (Unix), None if it does not say so."""

    status: int
    document: Mapping[str, Any]
    clock_s: float | None


def get(patroni: Patroni, member: Member, path: str) -> Answer:
    """Read a path that answers with a JSON object, whatever the status. Raises CannotTell; NotReached if nothing answered."""
    import requests  # noqa: PLC0415 (takes long to import)

    from pytest_deploygate.clients.http import sending  # noqa: PLC0415 (the same)

    try:
        answer = sending.get(patroni, f"{member.url.rstrip('/')}{path}", patroni.timeout_s, afresh=True)
    except (requests.RequestException, OSError) as error:
        raise NotReached(
            f"Patroni of {member.name} ({member.url}) does not answer: {shortened(redact(sending.why(error)), SHOWN)}"
        ) from error
    document = _object(answer.content)
    if document is None:
        raise CannotTell(
            f"{member.url}{path} answers {answer.status_code} with what is no JSON object: is it Patroni's REST API?"
        )
    try:
        clock_s = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        clock_s = None
    return Answer(answer.status_code, document, clock_s)


def post(patroni: Patroni, member: Member, path: str, body: Mapping[str, object], timeout_s: float) -> str:
    """Send a change (`/switchover`, `/failover`); return why it was not done, empty if it was."""
    import requests  # noqa: PLC0415 (takes long to import)

    from pytest_deploygate.clients.http import sending  # noqa: PLC0415 (the same)

    try:
        answer = sending.post_json(patroni, f"{member.url.rstrip('/')}{path}", dict(body), timeout_s)
    except (requests.RequestException, OSError) as error:
        return f"Patroni of {member.name} does not answer: {shortened(redact(sending.why(error)), SHOWN)}"
    if answer.status_code in (200, 202):
        return ""
    said = shortened(redact(answer.text.strip()), SHOWN)
    step = "; name a user in `database.patroni.auth`" if answer.status_code in (401, 403) else ""
    return f"Patroni of {member.name} answers {answer.status_code} to {path}: {said}{step}"


def leader(patroni: Patroni) -> str:
    """Return the name of the member that says that it leads. Raises CannotTell if not exactly one does."""
    found, silent = [], []
    for member in patroni.members:
        try:
            if get(patroni, member, "/patroni").document.get("role") in PRIMARY_ROLES:
                found.append(member.name)
        except CannotTell as unknown:
            silent.append(str(unknown))
    if len(found) != 1:
        raise CannotTell(
            f"{len(found)} members of Patroni say that they lead ({', '.join(found) or 'none'})"
            + "".join(f"; {text}" for text in silent)
        )
    return found[0]


def _object(content: bytes) -> Mapping[str, Any] | None:
    try:
        found = json.loads(content)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
