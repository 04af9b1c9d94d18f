"""Judge what is known of a message where it arrived: the host that logged it, when, and at which level."""

from __future__ import annotations

from datetime import UTC, tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from pytest_deploygate.checks.access_logs.facts import Stamp
from pytest_deploygate.checks.log_delivery.facts import Arrived, Delivered, Sender
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Reading, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.log_delivery.section import LogDelivery

#: Time zones differ by whole quarters of an hour.
_STEP_S = 900.0


def wanted_words(measurement: Delivered) -> str:
    """Return what every message has, in words."""
    arrived = [one for sender in measurement.senders for one in sender.arrived]
    values = {
        "host": all(one.host is not None for one in arrived),
        "time": all(one.stamp is not None for one in arrived),
        "level": all(one.level is not None for one in arrived),
    }
    names = [name for name, known in values.items() if known]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else "its text alone"


def judge(sender: Sender, criterion: LogDelivery, found: Collector) -> None:
    """Judge host, time and level of all that arrived of a sender."""
    for one in sender.arrived:
        if one.shape:
            found.unknown(
                f"a line with its message has another form than `format: {criterion.aggregator.format}`; it is like: {one.shape}",
                where=one.place,
            )
            continue
        if "host" not in criterion.may_lack:
            _host(sender, one, found)
        if "level" not in criterion.may_lack:
            _level(sender, one, criterion, found)
    if "time" not in criterion.may_lack:
        _times(sender, criterion, found)


def _host(sender: Sender, one: Arrived, found: Collector) -> None:
    if one.host is None:
        found.wrong("its message arrived without a host: add it to the template", where=sender.name)
    elif one.host.partition(".")[0] not in {name.partition(".")[0] for name in sender.names}:
        names = " or ".join(sender.names)
        found.wrong(
            f"its message arrived as that of {one.host!r}, expected is {names}: set the host name that its forwarder sends, or "
            "declare it in `named`",
            where=sender.name,
        )


def _level(sender: Sender, one: Arrived, criterion: LogDelivery, found: Collector) -> None:
    if one.level is None:
        found.wrong(
            "its message arrived without a level: add it to the template, or set `may_lack: [level]`",
            where=sender.name,
        )
    elif one.level != criterion.level:
        found.wrong(f"its message of level {criterion.level} arrived as {one.level}", where=sender.name)


def _times(sender: Sender, criterion: LogDelivery, found: Collector) -> None:
    """Judge the time that is farthest from when its message was logged."""
    stamps = [one.stamp for one in sender.arrived if not one.shape and one.stamp is not None]
    if any(not one.shape and one.stamp is None for one in sender.arrived):
        found.wrong(
            "its message arrived without a time, or with one in a form that is not known here (ISO 8601, seconds since 1970)",
            where=sender.name,
        )
    zone = criterion.aggregator.zone
    if any(not stamp.zoned for stamp in stamps) and zone is None:
        found.wrong(
            "the time of its message has no zone: let the aggregator write the offset, or declare `aggregator.zone`",
            where=sender.name,
        )
        return
    if not stamps:
        return
    off_s = max((_off(stamp, sender, ZoneInfo(zone) if zone else UTC) for stamp in stamps), key=abs)
    tolerance_s = criterion.clock_tolerance.total_seconds()
    limit, ok = f"at most {words_for(tolerance_s)}", abs(off_s) <= tolerance_s
    found.read(
        Reading(
            f"{sender.name}: logged time away from when it was logged", round(abs(off_s), 2), "s", limit, ok
        )
    )
    if not ok:
        found.wrong(_why(off_s, sender, tolerance_s), where=sender.name)


def _off(stamp: Stamp, sender: Sender, zone: tzinfo) -> float:
    """Return by how many seconds a time is outside of that in which the messages were logged; negative if it is before."""
    at = (stamp.at if stamp.zoned else stamp.at.replace(tzinfo=zone)).timestamp()
    if at > sender.to_s:
        return at - sender.to_s
    return min(0.0, at + stamp.resolution_s - sender.from_s)


def _why(off_s: float, sender: Sender, tolerance_s: float) -> str:
    direction = "ahead of" if off_s > 0 else "behind"
    said = f"the time of its message is {words_for(abs(off_s))} {direction} when it was logged"
    clock = sender.clock
    if clock.low_s - tolerance_s <= off_s <= clock.high_s + tolerance_s and (
        clock.low_s > tolerance_s or clock.high_s < -tolerance_s
    ):
        return f"{said}: so is the host's clock; synchronise it"
    steps = round(off_s / _STEP_S)
    if steps and abs(off_s - steps * _STEP_S) <= tolerance_s + (sender.to_s - sender.from_s):
        return f"{said}: a time zone is wrong by {abs(steps) / 4:g} h, in its forwarder, its environment or `aggregator.zone`"
    return f"{said}, and its clock is not the cause: look for a buffer on the way, or a template that has the time of arrival"
