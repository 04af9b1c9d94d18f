"""What our credential itself says: until when it is valid, and whether it is one for tests."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, time
from email.utils import parsedate_to_datetime

from pytest_deploygate.checks.integrations.facts import Validity
from pytest_deploygate.checks.integrations.probe.asking import Body
from pytest_deploygate.checks.integrations.section import Integration

#: How keys for tests begin where a partner marks them (Stripe, and those who do as they do).
_TEST_KEY = re.compile(r"(?:sk|pk|rk)_test_|test_|sandbox[-_]", re.IGNORECASE)


def validity(access: Integration, first: Body | None) -> Iterator[Validity]:
    """Yield until when the credential is valid, by each who says so. A fetched token says nothing: it is new each time."""
    expires = access.expires
    if expires is not None and expires.on is not None:
        yield Validity("the inventory", datetime.combine(expires.on, time.max, UTC))
    elif expires is not None and first is not None:
        found = first.at(expires.at) if expires.at else first.headers.get(expires.header or "")
        source = f"its answer at {expires.at}" if expires.at else f"its header {expires.header}"
        yield Validity(source, _moment(found), "nothing" if found is None else "what is no time")
    kept = access.token.source if access.token else ""
    if access.token is not None and kept and (until := _of_jwt(access.token.reveal())):
        yield Validity("the token itself", until)


def test_key(access: Integration) -> str:
    """Return how a credential for tests begins, where ours does; empty otherwise."""
    login = access.login
    secret = (login.token or login.value or login.password) if login else None
    found = _TEST_KEY.match(secret.reveal()) if secret else None
    return found[0] if found else ""


def _moment(found: object) -> datetime | None:
    """Read a time: ISO 8601, a date of HTTP, or seconds since 1970. A day is meant to its end."""
    if isinstance(found, int | float) and not isinstance(found, bool):
        return _of_seconds(float(found))
    if not isinstance(found, str):
        return None
    try:
        moment = datetime.fromisoformat(found)
        if re.fullmatch(r"\d{4}-\d\d-\d\d", found):
            moment = datetime.combine(moment.date(), time.max)
    except ValueError:
        try:
            moment = parsedate_to_datetime(found)
        except ValueError:
            return _of_seconds(float(found)) if re.fullmatch(r"\d{9,13}", found) else None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _of_seconds(seconds: float) -> datetime | None:
    """Some write milliseconds."""
    try:
        return datetime.fromtimestamp(seconds / 1000 if seconds > 10**11 else seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _of_jwt(token: str) -> datetime | None:
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return _moment(claims["exp"])
    except (ValueError, KeyError, TypeError):
        return None
