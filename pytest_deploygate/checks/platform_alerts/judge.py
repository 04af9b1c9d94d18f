"""Judge an alert that was caused: one, in time, in the list and on the page; it clears; no other came."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_deploygate.checks.platform_alerts.facts import Alert, Episode, OnPage
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.judging.sent_reading import not_taken
from pytest_deploygate.model import Judgement, Reading, words_for, words_for_count

if TYPE_CHECKING:
    from pytest_deploygate.checks.platform_alerts.section import PlatformAlerts

__all__ = ["judge"]

_FEW = 3


def judge(measurement: Episode, criterion: PlatformAlerts) -> Judgement:
    """Pass if exactly one alert was raised in time and cleared in time, and, if the page was watched, was shown there."""
    found = Collector(most=5)
    device = measurement.device
    if measurement.left:
        found.wrong(
            f"alert {', '.join(measurement.left)} fired before, and did not clear within {words_for(criterion.timeout)} after a "
            f"reading of {criterion.normal:g}",
            where=device,
        )
        return found.judgement(lambda: "")
    readings = [*measurement.over, *([measurement.normal] if measurement.normal else [])]
    untaken = [sent for sent in readings if not_taken(sent, device, found)]
    if not untaken:
        _raised(measurement, criterion, found)
        if measurement.page is not None:
            _shown(measurement, measurement.page, criterion, found)
    return replace(found.judgement(lambda: _good(measurement, criterion)), figures=measurement.pictures)


def _raised(measurement: Episode, criterion: PlatformAlerts, found: Collector) -> None:
    device, alerts = measurement.device, measurement.raised
    many = words_for_count(len(measurement.over), "reading", "readings")
    if not alerts:
        waited = words_for(criterion.timeout)
        if measurement.problem:
            found.unknown(
                f"the list of alerts {measurement.problem}, so whether one was raised is unknown",
                where=device,
            )
            return
        found.read(Reading("alerts raised", 0, limit="= 1", ok=False))
        found.wrong(
            f"no alert within {waited} after {many} of {criterion.over:g} were taken: see its limit, and what evaluates it",
            where=device,
        )
    else:
        found.read(Reading("alerts raised", len(alerts), limit="= 1", ok=len(alerts) == 1))
        if len(alerts) > 1:
            found.wrong(
                f"{len(alerts)} alerts ({_ids(alerts)}) for {many} of {criterion.over:g}, one was expected",
                where=device,
            )
        _time(
            "alert raised after",
            measurement.raised_after_s,
            criterion.within.total_seconds(),
            measurement.lag,
            device,
            found,
        )
        _cleared(measurement, criterion, found)
    if measurement.others:
        devices = sorted({alert.device for alert in measurement.others})
        shown = ", ".join(devices[:_FEW]) + (
            f" and {len(devices) - _FEW} more" if len(devices) > _FEW else ""
        )
        found.read(Reading("alerts of other devices", len(measurement.others), limit="0", ok=False))
        found.wrong(
            f"{words_for_count(len(measurement.others), 'alert', 'alerts')} of other devices came with it ({shown}), whose "
            "readings nobody changed here",
            where=device,
        )
    else:
        found.read(Reading("alerts of other devices", 0, limit="0", ok=True))


def _cleared(measurement: Episode, criterion: PlatformAlerts, found: Collector) -> None:
    device, ids = measurement.device, _ids(measurement.raised)
    if measurement.cleared_after_s is not None:
        limit_s = criterion.clears_within.total_seconds()
        _time(
            "alert cleared after", measurement.cleared_after_s, limit_s, measurement.clear_lag, device, found
        )
    elif measurement.problem:
        found.unknown(
            f"the list of alerts {measurement.problem}, so whether {ids} cleared is unknown", where=device
        )
    else:
        found.read(Reading("alerts that did not clear", len(measurement.raised), limit="0", ok=False))
        found.wrong(
            f"alert {ids} still fires {words_for(criterion.timeout)} after a reading of {criterion.normal:g}",
            where=device,
        )


def _shown(measurement: Episode, page: OnPage, criterion: PlatformAlerts, found: Collector) -> None:
    """Judge what the page showed. Without an alert in the list there is nothing to look for."""
    where = criterion.page.url if criterion.page else "the page"
    for said in page.failed[:_FEW]:
        found.note(f"on the page: {said}")
    if page.status in (401, 403):
        found.unknown(f"answered {page.status}: `page.form` must name a user who may see alerts", where=where)
    elif page.status is None or page.status >= 400:
        found.wrong("cannot be opened" if page.status is None else f"answered {page.status}", where=where)
    elif measurement.raised:
        ids, limit_s = _ids(measurement.raised), criterion.within.total_seconds()
        if page.shown_after_s is None:
            found.read(Reading("alerts shown on the page", 0, limit="= 1", ok=False))
            instead = f"it has {page.shown!r} there" if page.shown else "it has no element for it"
            found.wrong(
                f"does not show that alert {ids} of {measurement.device} fires, {words_for(criterion.timeout)} after it was "
                f"caused; {instead}",
                where=where,
            )
        else:
            _time("alert shown after", page.shown_after_s, limit_s, measurement.lag, where, found)
            if page.gone_after_s is not None:
                clears_s = criterion.clears_within.total_seconds()
                _time(
                    "alert cleared on the page after",
                    page.gone_after_s,
                    clears_s,
                    measurement.clear_lag,
                    where,
                    found,
                )
            elif measurement.cleared_after_s is not None:
                found.read(Reading("alerts that the page still shows as firing", 1, limit="0", ok=False))
                found.wrong(f"still shows alert {ids} as firing, which has cleared", where=where)


def _time(
    name: str, after_s: float | None, limit_s: float, lag: OwnLag, where: str, found: Collector
) -> None:
    if after_s is None:
        return
    limit = f"at most {words_for(limit_s)}"
    if after_s <= limit_s:
        found.read(Reading(name, round(after_s, 2), "s", limit, ok=True))
        return
    said = f"{name} {words_for(after_s)}, {limit} is allowed"
    if why := lag.explains(after_s, limit_s):
        found.read(Reading(name, round(after_s, 2), "s"))
        found.unknown(f"{said}, {why}", where=where)
    else:
        found.read(Reading(name, round(after_s, 2), "s", limit, ok=False))
        found.wrong(said, where=where)


def _ids(alerts: tuple[Alert, ...]) -> str:
    more = f" and {len(alerts) - _FEW} more" if len(alerts) > _FEW else ""
    return ", ".join(alert.id for alert in alerts[:_FEW]) + more


def _good(measurement: Episode, criterion: PlatformAlerts) -> str:
    many = words_for_count(len(measurement.over), "reading", "readings")
    parts = [
        f"{many} of {criterion.over:g} raised one alert of {measurement.device} ({_ids(measurement.raised)}) after "
        f"{words_for(measurement.raised_after_s or 0.0)}"
    ]
    if measurement.page is not None:
        parts.append(f"the page showed it after {words_for(measurement.page.shown_after_s or 0.0)}")
    parts.append(
        f"it cleared {words_for(measurement.cleared_after_s or 0.0)} after a reading of {criterion.normal:g}"
    )
    return "; ".join([*parts, "no other alert came"])
