"""Judge which backend served how many fresh connections.

Each backend's count is tested against its declared share with the exact binomial distribution, at the error of the whole
test divided by the number of backends (Bonferroni): together they are a test of the multinomial distribution. Only counts
that are too small are named, because where one gets too much, another gets too little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_deploygate.checks.load_balancer.facts import Control, Share, Shares, State
from pytest_deploygate.judging import binomial, proportions
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, Verdict

if TYPE_CHECKING:
    from pytest_deploygate.checks.load_balancer.section import Pool

#: It follows the weights closely. HAProxy draws lots on a ring with uneven parts; loads and keys differ.
_EXACT = "roundrobin"
#: Share of connections that may fail without a word: a lost packet is none of the balancer's.
_FEW_ERRORS = 0.01


def judge_shares(found: Shares, expected: Pool) -> Judgement:
    """Pass when each backend got more than its floor of all fresh connections, and its share where weights are exact.

    For a failure see whether it is repeated.
    """
    collector = Collector(about=expected.name)
    if found.problem:
        collector.unknown(found.problem)
    if expected.from_one_place and not expected.told_by.counters:
        _from_one_place(found, expected, collector)
    else:
        for share in found.entries:
            _counts(share, found.controls, expected, collector)
    total = sum(share.connections for share in found.entries)
    return collector.judgement(
        lambda: (
            f"{expected.name}: each of {len(expected.shares)} backends got its share of {total} fresh connections "
            f"({expected.balance}, error {expected.error:.2g})"
        )
    )


def _from_one_place(found: Shares, expected: Pool, collector: Collector) -> None:
    """All our connections reach one backend, as declared: the shares are seen by counters only."""
    for share in found.entries:
        _stays(share, expected, collector)
        _strangers(share, expected, collector)
        _failed(share, collector)
    collector.unknown(
        "all connections from one address reach one backend, as declared, so the shares are not seen from here: set "
        "`told_by: {counters: true}` with `control`"
    )


def _counts(share: Share, controls: tuple[Control, ...], expected: Pool, collector: Collector) -> None:
    where = share.entry
    if share.uncounted:
        collector.unknown(share.uncounted, where=where)
        return
    _failed(share, collector)
    _strangers(share, expected, collector)
    if share.mute:
        collector.unknown(
            f"{share.mute} of {share.connections} answers do not tell their backend: correct `told_by`",
            where=where,
        )
    if not expected.from_one_place:
        _stays(share, expected, collector)
    counts = dict(share.counts)
    total = sum(counts.get(name, 0) for name in expected.shares)
    if not total:
        if not share.mute:
            collector.unknown("no connection was served by a declared backend", where=where)
        return
    alpha = expected.error / len(expected.shares)
    for name, declared in expected.shares.items():
        _share(name, counts.get(name, 0), total, declared, alpha, share, controls, expected, collector)


def _share(
    name: str,
    count: int,
    total: int,
    declared: float,
    alpha: float,
    share: Share,
    controls: tuple[Control, ...],
    expected: Pool,
    collector: Collector,
) -> None:
    limit = expected.floor * declared
    over = proportions.over(count, total, limit, alpha)
    even = expected.balance != _EXACT or binomial.at_most(count, total, declared) >= alpha
    bad = over.verdict is Verdict.FAIL or not even
    got = 100.0 * count / total
    ok = False if bad else True if over.verdict is Verdict.PASS else None
    about = f", about {100 * declared:.3g} %" if expected.balance == _EXACT else ""
    limit_said = f"over {100 * limit:.3g} %{about}" if ok is not None else ""
    collector.read(Reading(f"{share.entry}: {name}", round(got, 1), "%", limit_said, ok))
    if bad:
        what = "nothing" if not count else f"{got:.2g} %"
        collector.wrong(
            f"{name} got {what} of {total} {'requests' if share.by_counters else 'fresh connections'}, declared "
            f"{100 * declared:.3g} % ({_why(name, controls, expected)})",
            where=share.entry,
        )
    elif over.verdict is not Verdict.PASS:
        collector.unknown(
            f"{name} got {count} of {total}, which may be under its floor of {100 * limit:.3g} %: raise `most_connections`",
            where=share.entry,
        )


def _why(name: str, controls: tuple[Control, ...], expected: Pool) -> str:
    """Return what the balancers say of a backend that gets too little."""
    backend = next(each for each in expected.backends if each.name == name)
    said = [
        f"{control.name} says {member.says or member.state.value}"
        for control in controls
        for member in control.members
        if member.name in (backend.name, backend.address) and member.state is not State.IN
    ]
    if said:
        return f"{'; '.join(said)}: return it to rotation"
    return "look at its weight, at rules that send requests past it, and at limits of its connections"


def _strangers(share: Share, expected: Pool, collector: Collector) -> None:
    out = {each.name: each.out for each in expected.backends if each.out}
    for name, count in share.strangers:
        collector.read(Reading(f"{share.entry}: {name}", count, "connections", "0 connections", ok=False))
        collector.wrong(
            f"{name!r} served {count} connections, and no backend tells this: add it to `backends`, correct `tells`, or take "
            "it out",
            where=share.entry,
        )
    for name, count in share.counts:
        if name in out and count:
            collector.read(Reading(f"{share.entry}: {name}", count, "connections", "0 connections", ok=False))
            collector.wrong(
                f"{name} served {count} connections, declared {out[name]}: take it out of rotation, or correct the inventory",
                where=share.entry,
            )


def _failed(share: Share, collector: Collector) -> None:
    attempts = (
        share.connections if not share.by_counters else max(share.connections, share.errors + share.silent)
    )
    if share.silent:
        collector.unknown(
            f"{share.silent} of {attempts} connections got no answer ({share.first_error}): see whether this machine or "
            "the balancer is overloaded",
            where=share.entry,
        )
    if not share.errors:
        return
    verdict = proportions.under(share.errors, attempts, _FEW_ERRORS).verdict
    said = f"{share.errors} of {attempts} connections got an error (first: {share.first_error})"
    if verdict is Verdict.FAIL:
        collector.read(
            Reading(
                f"{share.entry}: errors",
                round(100 * share.errors / attempts, 2),
                "%",
                f"under {100 * _FEW_ERRORS:g} %",
                ok=False,
            )
        )
        collector.wrong(f"{said}: look at the balancer's log", where=share.entry)
    else:
        collector.note(said, where=share.entry)


def _stays(share: Share, expected: Pool, collector: Collector) -> None:
    if share.no_cookie:
        collector.read(Reading(f"{share.entry}: cookie for its backend", "none", limit="one", ok=False))
        collector.wrong(
            "declared sticky by a cookie, but a new client gets none: look at the balancer's `cookie … insert`",
            where=share.entry,
        )
    if not share.sticky:
        return
    collector.read(
        Reading(
            f"{share.entry}: connections that left their backend",
            share.strayed,
            limit="0",
            ok=not share.strayed,
        )
    )
    if share.strayed:
        what = "the same client" if expected.sticky or expected.balance == "hash-source" else "the same key"
        collector.wrong(
            f"{share.strayed} of {share.sticky} connections of {what} reached another backend than its first: clients lose "
            "their sessions; look at how the balancer is sticky",
            where=share.entry,
        )
