"""What the templates of notices can say: the values of the inventory, in the language and the time zone of a recipient."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from pytest_deploygate.fields.mail import parted
from pytest_deploygate.fields.notices import Notices, Window, plain
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell
from pytest_deploygate.notices.recipients import Recipient
from pytest_deploygate.problems import Problem

#: What adds a value that the shipped templates need.
ADD = {
    "name": "`name` of the person or the contact",
    "product": "`notices.product`",
    "date": "`notices.window`",
    "day": "`notices.window`",
    "start": "`notices.window`",
    "end": "`notices.window`",
    "interruption": "`notices.window.interruption` (`0s`: none)",
    "changes": "`notices.changes`",
    "action": "`notices.action`",
    "look": "`notices.look`",
    "contact": "`notices.reply_to` or `notices.sender`",
    "sender": "`notices.sender`",
    "summary": "`--set summary=…`, one or two sentences",
    "impact": "`--set impact=…`, what users notice",
    "next_update": "`--set next_update=…`, such as `at 21:30`",
    "retry": "`--set retry=…`, a time such as 2026-12-08T20:00Z, or `--set retry=` where there is none yet",
    "runbook": "`notices.values.runbook`",
    "monitoring": "`notices.values.monitoring`",
    "on_call": "`notices.values.on_call`",
}


@dataclass(frozen=True)
class Said:
    """What is the same for all recipients: the section, the change, and what `--set` gave."""

    section: Notices
    change: str
    given: Mapping[str, str]

    @property
    def plain(self) -> dict[str, Any]:
        """All that decides what a notice says, as plain values."""
        return {"change": self.change, "given": dict(self.given), **plain(self.section)}


class UnspokenError(ValueError):
    """A value is there, but not in a recipient's language; `problem` says which."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem))


def of(said: Said, audience: str, recipient: Recipient) -> dict[str, Any]:
    """Return the values of a notice for a recipient. Raises UnspokenError, and CannotTell without the library for dates."""
    section, language = said.section, recipient.language
    name, address = parted(section.sender) if section.sender else ("", "")
    found: dict[str, Any] = {
        "change": said.change,
        "audience": audience,
        "name": recipient.name,
        "language": language,
        "sender": name or address or None,
        "contact": section.reply_to or address or None,
        "look": section.look,
        "product": _spoken("product", section.product, language),
        "changes": _spoken("changes", section.changes, language),
        "action": _spoken("action", section.action, language),
    }
    found |= {key: _spoken(f"values.{key}", value, language) for key, value in section.values.items()}
    found |= said.given
    zone = ZoneInfo(recipient.zone)
    if section.window is not None:
        found |= _times(section.window, zone, language)
    if found.get("retry"):
        found["retry"] = _moment(found["retry"], zone, language)
    return {key: value for key, value in found.items() if value is not None}


def _spoken(key: str, value: Any, language: str) -> Any:
    """Return a value in a language; one without languages is for all of them."""
    if not isinstance(value, dict):
        return value
    if language not in value:
        has = ", ".join(value)
        raise UnspokenError(Problem(f"notices.{key}", 0, f"has no text in {language!r}, only in {has}"))
    return value[language]


def _times(window: Window, zone: ZoneInfo, language: str) -> dict[str, str]:
    dates = _dates()
    locale = _locale(language)
    start, end = window.start.astimezone(zone), window.end.astimezone(zone)

    def clock(at: datetime) -> str:
        return str(dates.format_time(at, "short", tzinfo=zone, locale=locale)).replace("\u202f", "\u00a0")

    def day(at: datetime) -> str:
        return str(dates.format_date(at, "full", locale=locale))

    def then(at: datetime) -> str:
        return clock(at) if start.date() == at.date() else f"{day(at)}, {clock(at)}"

    zones = dict.fromkeys(_zone_of(at, zone, language) for at in (start, end))
    found = {
        "date": day(start),
        "day": str(dates.format_date(start, "long", locale=locale)),
        "start": clock(start),
        "end": then(end),
        # A window in which the clocks change begins in one and ends in the other.
        "zone": " → ".join(zones),
    }
    if window.interruption is not None:
        found["interruption"] = (
            str(dates.format_timedelta(window.interruption, granularity="minute", threshold=2, locale=locale))
            if window.interruption
            else ""
        )
    if window.decide_by is not None:
        found["decide_by"] = then(window.decide_by.astimezone(zone))
    return found


def _zone_of(at: datetime, zone: ZoneInfo, language: str) -> str:
    """Return a zone's name in words with its distance from UTC, so that nobody has to guess: `Eastern Standard Time, UTC-5`."""
    local = at.astimezone(zone)
    offset = local.utcoffset()
    minutes = int(offset.total_seconds() // 60) if offset else 0
    if not minutes and zone.key in ("UTC", "Etc/UTC"):
        return "UTC"
    hours, rest = divmod(abs(minutes), 60)
    distance = f"UTC{'-' if minutes < 0 else '+'}{hours}{f':{rest:02}' if rest else ''}"
    name = _dates().get_timezone_name(local, width="long", locale=_locale(language))
    return f"{name}, {distance}"


def _moment(text: str, zone: ZoneInfo, language: str) -> str:
    """Return a time in words, with its own zone: clocks may change before it. What is no time stays as it is."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    if at.tzinfo is None:
        return text
    dates, local = _dates(), at.astimezone(zone)
    day = dates.format_date(local, "full", locale=_locale(language))
    clock = dates.format_time(local, "short", tzinfo=zone, locale=_locale(language)).replace(
        "\u202f", "\u00a0"
    )
    return f"{day}, {clock} ({_zone_of(at, zone, language)})"


def _locale(language: str) -> Any:
    import babel  # noqa: PLC0415 (large)

    try:
        return babel.Locale.parse(language, sep="-")
    except (babel.UnknownLocaleError, ValueError):
        return babel.Locale.parse(language.partition("-")[0]) if "-" in language else babel.Locale("en")


def _dates() -> Any:
    try:
        from babel import dates  # noqa: PLC0415 (large)
    except ImportError:
        raise CannotTell(
            "dates in words need a library that is not installed: pip install 'pytest-deploygate[notices]'"
        ) from None
    return dates
