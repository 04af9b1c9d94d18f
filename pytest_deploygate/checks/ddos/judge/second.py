"""Judges whether a second source is served while the first one is refused."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from pytest_deploygate.checks.ddos.facts import Attempt, Trial
from pytest_deploygate.checks.ddos.judge import estimate
from pytest_deploygate.checks.ddos.judge.estimate import refused
from pytest_deploygate.checks.ddos.judge.refusals import met
from pytest_deploygate.checks.ddos.judge.ways import AROUND
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Reading, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.ddos.section import Ddos, Limit

#: A limit for all sources together, which serves the second one by chance, must be less likely than this.
_BY_CHANCE = 0.01
_COUNT_SOURCE = "count by the client's address alone (nginx: `limit_req_zone $binary_remote_addr`; HAProxy: `http-request track-sc0 src`)"


def judge_second(
    trial: Trial,
    limit: Limit,
    ddos: Ddos,
    to: Collector,
    where: str,
    *,
    around: dict[str, bool] | None = None,
) -> None:
    """Judge whether the other source was served meanwhile, and what the limit counts by."""
    open_ways = around or {}
    paths = [AROUND[phase] for phase in ("query", "path") if open_ways.get(phase)]
    during = _during(trial, ("control", "recovery", "share"), "burst")
    # 503 may also mean that the service is overloaded: it is the limit's if that refused the first source with it.
    by_limit = {each.status for each in estimate.plain(trial) if refused(each, limit)}
    turned_away = [each for each in during if refused(each, limit) and each.status in by_limit]
    within_s = ddos.second_within.total_seconds()
    slowest = max((each.answered_s - each.sent_s for each in during if each.served), default=None)
    lost = [each for each in during if not each.served and each not in turned_away]
    name = f"{where}: requests of the second source that were refused, of {len(during)}"
    if turned_away:
        if _same_to_the_front(trial):
            to.read(Reading(name, len(turned_away)))
            to.unknown(
                f"the second source was refused {len(turned_away)} times, but both are addresses of this machine and may be one to the "
                "front: use a host in another network (`second: {host: …}`)",
                where=where,
            )
            return
        if limit.same_network(trial.second, trial.source):
            to.read(Reading(name, len(turned_away)))
            to.unknown(
                f"the second source {trial.second} was refused {len(turned_away)} times, but it is of the same IPv6 network as "
                f"{trial.source}, which may count as one source: name an address of another /{limit.ipv6_prefix or 64} in `second`",
                where=where,
            )
            return
        to.read(Reading(name, len(turned_away), limit="0", ok=False))
        if paths:
            to.wrong(
                f"the limit counts by path, for all sources together: the second source was refused {len(turned_away)} of {len(during)} "
                f"times while another one asked too much, and {' and '.join(paths)} escaped it; {_COUNT_SOURCE}",
                where=where,
            )
        else:
            to.wrong(
                f"everybody is limited: the second source was refused {len(turned_away)} of {len(during)} times while another one asked "
                f"too much, so anybody can shut others out; {_COUNT_SOURCE}",
                where=where,
            )
        return
    if paths:
        to.wrong(
            f"the limit counts by path: {' and '.join(paths)} escape it; {_COUNT_SOURCE}, without the path or query",
            where=where,
        )
    if lost:
        to.read(Reading(f"{where}: requests of the second source that were not served", len(lost)))
        to.unknown(
            f"the second source met {met(lost[0])} in {len(lost)} of {len(during)} requests during the burst: is the service overloaded "
            "by what the limit lets through?",
            where=where,
        )
        return
    asked = estimate.plain(trial)
    # Where nobody was refused, the second source says nothing of what the limit counts by.
    chance = _chance(asked, len(during)) if any(not each.served for each in asked) else 0.0
    if chance > _BY_CHANCE:
        to.read(Reading(f"{where}: answers to the second source", len(during)))
        to.unknown(
            f"the second source got {len(during)} answers during the burst, which is too few: a limit for all sources together would have "
            f"let so many through with a chance of {chance:.0%}; this limit is too slow to be measured, or this machine",
            where=where,
        )
        return
    to.read(Reading(name, 0, limit="0", ok=True))
    if slowest is not None:
        _in_time(trial, slowest, within_s, to, where)
    _in_its_name(trial, limit, to, where)


def _during(trial: Trial, without: tuple[str, ...], phase: str) -> list[Attempt]:
    """Return what the second source met while the first one asked: in all its phases but some, or in that of the same name."""
    first = [e for e in trial.attempts if (e.phase not in without if without else e.phase == phase)]
    if not first:
        return []
    began, ended = min(e.sent_s for e in first), max(e.answered_s for e in first)
    return [e for e in trial.others if e.phase != "control" and began <= e.sent_s <= ended]


def _chance(attempts: list[Attempt], number: int) -> float:
    """Return the chance that one and the same limit lets a number of requests through, as it did others at that time."""
    refusals = [n for n, each in enumerate(attempts) if not each.served]
    after = attempts[refusals[0] :] if refusals else attempts
    if not after or not number:
        return 1.0
    share: float = sum(each.served for each in after) / len(after)
    return share**number


def _in_time(trial: Trial, slowest: float, within_s: float, to: Collector, where: str) -> None:
    name, limits = f"{where}: slowest answer to the second source", f"at most {words_for(within_s)}"
    if slowest <= within_s:
        to.read(Reading(name, round(slowest, 2), "s", limits, ok=True))
        return
    why = trial.lag.explains(slowest, within_s)
    said = f"the second source waited {words_for(slowest)} for an answer during the burst, limit {words_for(within_s)}"
    if why:
        to.read(Reading(name, round(slowest, 2), "s"))
        to.unknown(f"{said}, {why}", where=where)
        return
    to.read(Reading(name, round(slowest, 2), "s", limits, ok=False))
    to.wrong(f"{said}: what the limit lets through is too much for the service; lower the limit", where=where)


def _in_its_name(trial: Trial, limit: Limit, to: Collector, where: str) -> None:
    """Judge whether another one could use up the second source's limit by its name."""
    in_its_name = [each for each in trial.attempts if each.phase == "share"]
    if not in_its_name:
        to.note(
            f"nothing was sent in the name of the second source{'' if trial.second else ': give its `address`'}",
            where=where,
        )
        return
    shared = _during(trial, (), "share")
    sent, turned_away = len(in_its_name), sum(refused(each, limit) for each in shared)
    if not turned_away and _chance(in_its_name, len(shared)) > _BY_CHANCE:
        to.note(
            f"whether the second source can be shut out in its name is not known: it asked only {len(shared)} times meanwhile",
            where=where,
        )
        return
    name = f"{where}: refused after {sent} requests of another one in its name"
    to.read(Reading(name, turned_away, limit="0", ok=not turned_away))
    if turned_away:
        to.wrong(
            f"the second source was refused after another one had sent {sent} requests with its address in a header: anybody can shut "
            "others out by their address; take it from the connection, and from the header only behind proxies of yours",
            where=where,
        )


def _same_to_the_front(trial: Trial) -> bool:
    """Tell whether both sources may have the same address beyond a network that translates addresses."""
    if not trial.second_here or not trial.source:
        return False
    own, peer = ipaddress.ip_address(trial.source), ipaddress.ip_address(trial.address)
    return own.is_private and not peer.is_private
