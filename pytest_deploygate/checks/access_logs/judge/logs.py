"""Judge the logs as a whole: the request is in each of them, without its secrets, and each file is as it must be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pytest_deploygate.checks.access_logs.facts import Followed, Hop, Line, Log, Sent
from pytest_deploygate.checks.access_logs.judge import file, line
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.judging.silent_hosts import listed
from pytest_deploygate.model import Judgement, Reading, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.access_logs.section import AccessLogs, Told

#: What one of the hops must log.
_ONE: tuple[Told, ...] = ("duration", "user")


def judge(measurement: Followed, criterion: AccessLogs) -> Judgement:
    """Pass if every request is in the log of each hop in time, whole and without secrets, and files are as required."""
    found = Collector(most=6, confirmed=True)
    requests = {sent.name: getattr(criterion, sent.name) for sent in measurement.sent}
    lost = [sent for sent in measurement.sent if sent.problem]
    for sent in lost:
        found.unknown(
            f"the request was not answered, so it says nothing about logs: {sent.problem}; check the address first",
            where=f"{sent.method} {requests[sent.name].url}",
        )
    _unread(measurement, found)
    declared = {hop.name: hop for hop in criterion.hops}
    for hop in measurement.hops:
        wanted = declared[hop.name]
        for log in hop.logs:
            _state(log, found)
            if log.file is not None:
                file.judge(log, log.file, wanted, found)
        for log in hop.more:
            _state(log, found, needed=False)
        if not lost:
            _logged(
                hop,
                measurement.sent,
                {name: r.status for name, r in requests.items()},
                measurement.lag,
                criterion,
                found,
            )
            line.judge(hop, wanted, measurement.sent, criterion, found)
        _secrets(hop, found)
    if not lost:
        _somewhere(measurement, criterion, found)
        _sources(measurement, found)
    return found.judgement(lambda: _good(measurement))


def _good(measurement: Followed) -> str:
    hops = len(measurement.hops)
    slowest = max(one.after_s for hop in measurement.hops for log in hop.logs for one in log.lines)
    carried = sorted({place for sent in measurement.sent for place in sent.carried})
    return (
        f"the request is in the log of {'the hop' if hops == 1 else f'all {hops} hops'} within {words_for(slowest)}, with "
        f"all that is required; {f'nothing of what it carried in {_and(carried)} is there' if carried else 'no secret was sent'}"
    )


def _and(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


def _unread(measurement: Followed, found: Collector) -> None:
    """Logs that cannot be read are unknown: many of one cause are one sentence."""
    problems: dict[str, list[str]] = defaultdict(list)
    for hop in measurement.hops:
        for log in (*hop.logs, *hop.more):
            if log.problem:
                problems[log.problem].append(log.name)
    for said, names in problems.items():
        found.unknown(said, where=listed(names))


def _state(log: Log, found: Collector, *, needed: bool = True) -> None:
    """A log that is not there is wrong, a further file excepted."""
    if log.problem:
        return
    if log.missing and needed:
        found.wrong(f"{log.missing}: turn logging on, or correct `file`", where=log.name)
    elif log.missing:
        found.note(f"{log.missing}, so it has no secret", where=log.name)


def _logged(
    hop: Hop,
    requests: Sequence[Sent],
    expected: Mapping[str, list[int]],
    lag: OwnLag,
    criterion: AccessLogs,
    found: Collector,
) -> None:
    """Judge that each request is in one of the logs of a hop, in time."""
    absent: list[Sent] = []
    for sent in requests:
        lines = [one for log in hop.logs for one in log.lines if one.request == sent.name]
        if lines:
            _in_time(hop, sent, min(lines, key=lambda one: one.after_s), lag, criterion, found)
        else:
            found.read(Reading(f"{hop.name}: the {sent.method} request is logged after", "not at all"))
            absent.append(sent)
        if len(lines) > 1:
            found.note(
                f"the {sent.method} request is there {len(lines)} times: it was repeated, or is logged more than once",
                where=hop.name,
            )
    idle = [log.name for log in hop.logs if not log.lines and not log.problem and not log.missing]
    if idle and len(absent) < len(requests):
        found.note(
            f"another host of {hop.name} answered, so it is not known whether this one logs",
            where=", ".join(idle),
        )
    # A log that cannot be read, or is not there, is said already.
    if absent and not any(log.problem or log.missing for log in hop.logs):
        _absent(hop, absent, expected, criterion, found)


def _in_time(hop: Hop, sent: Sent, first: Line, lag: OwnLag, criterion: AccessLogs, found: Collector) -> None:
    """Judge when a line was there. Between two readings of the log, the earlier one counts."""
    within_s = criterion.within.total_seconds()
    limit = f"at most {words_for(criterion.within)}"
    name = f"{hop.name}: the {sent.method} request is logged after"
    late = first.not_before_s > within_s
    after_s = first.not_before_s if first.after_s > within_s else first.after_s
    why = lag.explains(after_s, within_s) if late else ""
    if why:
        found.read(Reading(name, round(after_s, 2), "s"))
        found.unknown(
            f"the {sent.method} request is logged after {words_for(after_s)}, {why}", where=hop.name
        )
        return
    found.read(Reading(name, round(after_s, 2), "s", limit, ok=not late))
    if late:
        found.wrong(
            f"the {sent.method} request is logged after {words_for(after_s)}, {limit} is allowed",
            where=hop.name,
        )


def _absent(
    hop: Hop,
    absent: Sequence[Sent],
    expected: Mapping[str, list[int]],
    criterion: AccessLogs,
    found: Collector,
) -> None:
    where = ", ".join(log.name for log in hop.logs)
    if half := [log.name for log in hop.logs if log.half]:
        found.unknown(
            f"a request is there, but its line has no end after {words_for(criterion.within)}", where=half[0]
        )
        return
    other = [sent for sent in absent if sent.status not in expected[sent.name]]
    for sent in other:
        found.unknown(
            f"the {sent.method} request was answered with {sent.status}, expected is "
            f"{' or '.join(map(str, expected[sent.name]))}, so it may not have come as far as {hop.name}; choose another "
            "`url`, or correct `status`",
            where=where,
        )
    if missing := [sent.method for sent in absent if sent not in other]:
        which = f"{missing[0]} request is" if len(missing) == 1 else f"{' and '.join(missing)} requests are"
        found.wrong(_why(which, hop, criterion), where=where)


def _why(which: str, hop: Hop, criterion: AccessLogs) -> str:
    others = sum(log.others for log in hop.logs)
    said = f"the {which} not in it after {words_for(criterion.within)}"
    if others:
        return (
            f"{said}, while {others} other line{'s were' if others > 1 else ' was'} logged: look for a condition on what is "
            "logged, and for a part of the line that is left out (see `{marker}`)"
        )
    return (
        f"{said}, nor is anything else: turn logging on, correct the place of the log, or raise `within` above the time for "
        "which lines are buffered (`flush` in nginx)"
    )


def _secrets(hop: Hop, found: Collector) -> None:
    logs = [*hop.logs, *hop.more]
    number = sum(len(log.secrets) for log in logs)
    read = any(not log.problem for log in logs)
    if read:
        found.read(Reading(f"{hop.name}: secrets in the log", number, limit="0", ok=number == 0))
    for log in logs:
        for place in log.secrets:
            found.wrong(
                f"what the request carried in {place} is in the log: leave it out of the log, clean the old logs, and "
                "replace the secrets that are in them",
                where=log.name,
            )


def _lines(hop: Hop) -> Iterator[Line]:
    for log in hop.logs:
        yield from log.lines


def _somewhere(measurement: Followed, criterion: AccessLogs, found: Collector) -> None:
    """Judge what one of the hops must log. Before a line that cannot be read, it is unknown."""
    lines = [one for hop in measurement.hops for one in _lines(hop)]
    told = {name for one in lines for name, value in (one.told or {}).items() if line.says(name, value)}
    for name in _ONE:
        if name in criterion.may_lack or name in told or not lines:
            continue
        if any(one.told is None for one in lines) or any(
            log.problem for hop in measurement.hops for log in hop.logs
        ):
            continue  # said already as unknown
        found.wrong(
            f"no hop logs the {name} of a request: add it to one of the logs, name it in `fields`, or set "
            f"`may_lack: [{name}]`"
        )


def _sources(measurement: Followed, found: Collector) -> None:
    """Note a hop behind others that logs another source than the outermost one."""
    first: dict[str, tuple[str, str]] = {}
    for hop in measurement.hops:
        for one in _lines(hop):
            source = (one.told or {}).get("source", "")
            if not source:
                continue
            outer, logged = first.setdefault(one.request, (hop.name, source))
            if source != logged:
                found.note(
                    f"logs {source} as the source, {outer} logged {logged}: the client's address is lost between them",
                    where=hop.name,
                )
