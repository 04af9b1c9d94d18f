"""Who is on call, by a calendar, by the API of PagerDuty or Opsgenie, or by a command.

Sources: PagerDuty, REST API v2, "List all of the on-calls"; Opsgenie, Schedule API, "Get Schedule Timeline". Both by
documentation only.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import requests

from pytest_deploygate.checks.on_call.facts import Rota, Shift
from pytest_deploygate.checks.on_call.probe import calendar
from pytest_deploygate.checks.on_call.section import Hook, OnCall, Opsgenie, PagerDuty
from pytest_deploygate.clients.host import shell
from pytest_deploygate.clients.http import sending
from pytest_deploygate.fields.http import HttpAccess
from pytest_deploygate.files import bounded
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact, shortened

_TIMEOUT_S = 15.0
_PAGE, _MOST_PAGES = 100, 20


def read(settings: OnCall, now: datetime | None = None) -> Rota:
    """Return the shifts from now on, for as long as the inventory says. Raises CannotTell."""
    start = now or datetime.now(UTC)
    end = start + settings.during
    if settings.calendar:
        return Rota("the calendar", start, end, calendar.shifts(settings.calendar, start, end))
    if settings.pagerduty:
        return Rota("PagerDuty", start, end, _pagerduty(settings.pagerduty, start, end))
    if settings.opsgenie:
        return Rota("Opsgenie", start, end, _opsgenie(settings.opsgenie, start, end))
    if settings.hook:
        return Rota("the hook", start, end, _hook(settings.hook))
    raise CannotTell(settings.instead)


def _pagerduty(settings: PagerDuty, start: datetime, end: datetime) -> tuple[Shift, ...]:
    found: list[Shift] = []
    for page in range(_MOST_PAGES):
        query = {
            "schedule_ids[]": settings.schedule,
            "include[]": "users",
            "since": _iso(start),
            "until": _iso(end),
            "limit": str(_PAGE),
            "offset": str(page * _PAGE),
        }
        sent = {
            "Authorization": f"Token token={settings.key.reveal()}",
            "Accept": "application/vnd.pagerduty+json;version=2",
        }
        said = _json(settings, f"{settings.url.rstrip('/')}/oncalls", query, sent, "PagerDuty")
        with _form("PagerDuty"):
            for one in said["oncalls"]:
                # Somebody who is always on call has neither a start nor an end.
                first, last = (
                    _time(one[key]) if one[key] else at for key, at in (("start", start), ("end", end))
                )
                who = (one["user"].get("email"), one["user"].get("name"), one["user"].get("summary"))
                found.append(Shift(_named(who), first, last))
            if not said["more"]:
                return tuple(found)
    raise CannotTell(
        f"PagerDuty has more than {_PAGE * _MOST_PAGES} shifts: name one schedule, or a shorter `during`"
    )


def _opsgenie(settings: Opsgenie, start: datetime, end: datetime) -> tuple[Shift, ...]:
    days = (end - start).days + 1
    query = {
        "identifierType": "name",
        "date": _iso(start),
        "interval": str(days),
        "intervalUnit": "days",
    }
    sent = {"Authorization": f"GenieKey {settings.key.reveal()}"}
    url = f"{settings.url.rstrip('/')}/v2/schedules/{quote(settings.schedule, safe='')}/timeline"
    said = _json(settings, url, query, sent, "Opsgenie")
    found = []
    with _form("Opsgenie"):
        for rotation in said["data"]["finalTimeline"]["rotations"]:
            for period in rotation.get("periods") or ():
                recipient = period.get("recipient")
                if not recipient or recipient.get("type") == "none":
                    continue  # nobody: a gap
                who = _named((recipient.get("name"), recipient.get("username")))
                found.append(Shift(who, _time(period["startDate"]), _time(period["endDate"])))
    return tuple(found)


def _hook(settings: Hook) -> tuple[Shift, ...]:
    code, output, errors = shell.shell("local://", settings.timeout.total_seconds())(settings.run)
    if code != 0:
        said = shortened(redact(errors or " ".join(output.split())), 200)
        raise CannotTell(f"the hook of on_call ended with exit code {code}: {said or 'it said nothing'}")
    try:
        found = bounded.from_json(output.encode())
    except ValueError as error:
        raise CannotTell(f"the hook of on_call: its output {error}") from None
    with _form("the hook of on_call"):
        return tuple(Shift(_named((one["who"],)), _time(one["start"]), _time(one["end"])) for one in found)


def _json(access: HttpAccess, url: str, query: dict[str, str], sent: dict[str, str], whose: str) -> Any:
    timeout_s = access.timeout.total_seconds() if access.timeout else _TIMEOUT_S
    try:
        answer = sending.get(access, url, timeout_s, headers=sent, params=query, allow_redirects=False)
    except (requests.RequestException, OSError) as error:
        raise CannotTell(f"{whose} cannot be asked who is on call: {sending.why(error)}") from None
    if answer.status_code in (401, 403):
        raise CannotTell(
            f"{whose} answered {answer.status_code}: the key is not valid, or may not read schedules"
        )
    if answer.status_code == 404:
        raise CannotTell(f"{whose} answered 404: there is no such schedule; correct `schedule`")
    if answer.status_code == 429:
        raise CannotTell(f"{whose} answered 429, too many requests: run again in a minute")
    if answer.status_code != 200:
        raise CannotTell(f"{whose} answered {answer.status_code} in place of 200")
    try:
        return bounded.from_json(answer.content)
    except ValueError as error:
        raise CannotTell(f"{whose}: its answer {error}") from None


class _form:  # noqa: N801 (read as a function)
    """Turn what an answer lacks into CannotTell: it has another form than documented."""

    def __init__(self, whose: str) -> None:
        self._whose = whose

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, KeyError | TypeError | ValueError | AttributeError):
            said = f"{type(error).__name__}: {shortened(redact(str(error)), 80)}"
            raise CannotTell(f"{self._whose}: its answer has another form than documented ({said})") from None


def _named(some: tuple[object, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for one in some if isinstance(one, str) and one))


def _iso(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return found.astimezone(UTC)
