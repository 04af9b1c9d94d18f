"""Response times under load pass when the counts show it, the client kept up, and the run was complete.

A request that failed, timed out or was never sent counts as over every limit: a fast wrong answer does not count as fast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from pytest_deploygate.checks.load.facts import FIRST_BYTE, Client, Connected, Latencies, LoadRun
from pytest_deploygate.checks.load.tally import WHOLE, Tally
from pytest_deploygate.judging import quantiles
from pytest_deploygate.judging.quantiles import Decided
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Distribution, Figure, Judgement, Line, Reading, Series, Verdict, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.load.section import LatencyLimits, Load

#: The client's own delay may be at most a tenth of the limit, its floor at most half of it.
_LAG_SHARE, _FLOOR_SHARE = 0.1, 0.5
_KEPT = 0.99
#: So many of the slow requests must have in common what the reason says of them.
_MOST = 0.8
_BUSY = 0.02
_SLACK = 0.999


@dataclass(frozen=True)
class Criterion:
    """The limit of one quantile of one endpoint's response times. `alpha_fail` is alpha after Holm's correction.

    `status_only` names the endpoints whose answers are good by their status alone.
    """

    endpoint: str
    quantile: float
    limit_s: float
    alpha: float
    alpha_fail: float
    peak_per_second: float | None = None
    status_only: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """`p50`, `p99`."""
        return f"p{100 * self.quantile:g}"


def latency_criteria(run: LoadRun, load: Load) -> list[Criterion]:
    """Return the limits for p50 and p99, in seconds, of all requests together and of each endpoint.

    With many limits one of them is more likely to fail by chance, so Holm's method decides which of them may fail.
    """
    limits = {WHOLE: load.limits} | {e.label: load.limits_of(e) for e in load.endpoints}
    wanted = [(name, q, _limit(each, q), each.alpha) for name, each in limits.items() for q in (0.5, 0.99)]
    p_values = {
        f"{name} {q}": quantiles.decide(run.of(name).blocks(limit), q, alpha).p_fail
        for name, q, limit, alpha in wanted
    }
    failing = quantiles.holm(p_values, min(alpha for *_, alpha in wanted))
    trusted = [endpoint.label for endpoint in load.endpoints if endpoint.trusts_the_status]
    return [
        Criterion(
            name,
            q,
            limit,
            alpha,
            alpha if f"{name} {q}" in failing else 0.0,
            load.peak_per_second,
            tuple(label for label in trusted if name in (WHOLE, label)),
        )
        for name, q, limit, alpha in wanted
    ]


def _limit(limits: LatencyLimits, quantile: float) -> float:
    return (limits.p50 if quantile == 0.5 else limits.p99).total_seconds()


def look(load: Load) -> Callable[[Tally], str]:
    """Return a function that checks a running load once a second and returns why to stop it, or an empty text.

    A load stops early when p50 and p99 of all requests are certain to fail.
    """
    planned, limits, limits_s = round(load.planned_requests), load.limits, load.known_limits_s
    alpha = limits.alpha / (2 * (len(load.endpoints) + 1))

    def fails(tally: Tally, quantile: float) -> bool:
        blocks = tally.blocks(None, limits_s.index(_limit(limits, quantile)))
        return quantiles.fails_already(blocks, planned, quantile, alpha)

    return lambda tally: "p50 and p99 are certain to fail" if fails(tally, 0.5) and fails(tally, 0.99) else ""


def judge_latency(run: LoadRun, criterion: Criterion) -> Judgement:
    """Decide one quantile against its limit; what the run cannot decide is inconclusive."""
    found = run.of(criterion.endpoint)
    decided = quantiles.decide(
        found.blocks(criterion.limit_s), criterion.quantile, criterion.alpha, criterion.alpha_fail
    )
    blind, doubts = list(_client_doubts(run.client, criterion)), list(_plan_doubts(run, found, criterion))
    blind += _unsent(found, criterion, decided)
    if blind:
        verdict, reason = Verdict.INCONCLUSIVE, f"{_about(criterion)}: {'; '.join(blind)}"
    elif decided.verdict is Verdict.FAIL:
        verdict, reason = Verdict.FAIL, _fails(run, found, criterion, decided)
    elif doubts or decided.verdict is not Verdict.PASS:
        verdict = Verdict.INCONCLUSIVE
        reason = f"{_about(criterion)}: {'; '.join(doubts or [_undecided(criterion, decided)])}"
    else:
        verdict, reason = Verdict.PASS, _passes(found, criterion, decided)
    return Judgement(
        verdict,
        reason,
        readings=tuple(_readings(run, found, criterion, decided)),
        notes=tuple(_notes(run, found, criterion, decided)),
        figures=_figures(run, found, criterion, decided),
    )


def _client_doubts(client: Client, criterion: Criterion) -> Iterator[str]:
    """Yield the reasons why this client's figures cannot be trusted for this limit."""
    limit = criterion.limit_s
    if client.kept < _KEPT:
        yield (
            f"the client kept only {client.kept:.1%} of its schedule ({client.rate_achieved:.0f}/s of "
            f"{client.rate_planned:.0f}/s{_others(client)}): measure from a machine with more free CPU, or plan a lower rate"
        )
    if client.tool:
        return
    if client.lag_p99_s > limit * _LAG_SHARE:
        yield (
            f"the client itself was late by {_ms(client.lag_p99_s)} (p99 of its own lag), over a tenth of the limit "
            f"{_ms(limit)}{_others(client)}: measure from a less busy machine"
        )
    if client.floor is None:
        yield client.problem or "the client was not calibrated"
        return
    floor = client.floor.p50_s if criterion.quantile == 0.5 else client.floor.p99_s
    if floor > limit * _FLOOR_SHARE:
        yield (
            f"this client measures {criterion.name} {_ms(floor)} on a no-op server, over half of the limit "
            f"{_ms(limit)}: measure from a less busy machine"
        )


def _unsent(found: Latencies, criterion: Criterion, decided: Decided) -> Iterator[str]:
    """Yield why the failures of our own side decide: without them the rest would not fail. A pass counts them as slow."""
    if not found.ours or decided.verdict is Verdict.PASS:
        return
    left = [(decided.n - found.ours, max(0, decided.over - found.ours))]
    rest = quantiles.decide(left, criterion.quantile, criterion.alpha, criterion.alpha_fail)
    if not left[0][0] or rest.verdict is not Verdict.FAIL:
        yield (
            f"{found.ours} of {found.requests} requests never left this machine{_failures(found)}; correct the name or the "
            "route of `load.target`, then run this again"
        )


def _others(client: Client) -> str:
    """Say that other processes had the CPU, if that explains the delay."""
    share = client.cpu_wait_share
    return f", other processes had the CPU for {share:.0%} of the run" if share and share > _BUSY else ""


def _plan_doubts(run: LoadRun, found: Latencies, criterion: Criterion) -> Iterator[str]:
    """Yield the reasons why the run is not enough for a PASS."""
    if not found.requests:
        yield "no request was sent to it: increase its weight or the duration of the run"
        return
    if run.stopped:
        yield f"the run was stopped after {words_for(run.lasted_s)} of {words_for(run.planned_s)} ({run.stopped})"
    peak = criterion.peak_per_second
    if peak is not None and run.greatest_rate < peak * _SLACK:
        yield (
            f"the load was {run.greatest_rate:g}/s and the declared peak is {peak:g}/s, "
            "so the peak was not tested; raise `rate_per_second`"
        )
    needed = quantiles.needed(criterion.quantile, criterion.alpha)
    if found.requests < needed:
        yield f"{found.requests} requests are too few, {criterion.name} needs {needed} even if none is slow; run longer"
    if len(found.seconds) < quantiles.FEWEST_BLOCKS:
        yield (
            f"the run covers {len(found.seconds)} s, and stalls cannot be distinguished from chance in less than "
            f"{quantiles.FEWEST_BLOCKS} s; run longer"
        )


def _about(criterion: Criterion) -> str:
    return f"{criterion.name} of {criterion.endpoint} (limit {_ms(criterion.limit_s)}) cannot be determined"


def _fails(run: LoadRun, found: Latencies, criterion: Criterion, decided: Decided) -> str:
    return (
        f"{criterion.name} of {criterion.endpoint} is over {_ms(criterion.limit_s)}: {_share(decided)} of requests took "
        f"longer or failed, {1 - criterion.quantile:.0%} allowed; measured {criterion.name} {_measured(found, criterion)}"
        f"{_failures(found)}{_where(run, found, criterion)}{_ended(run)}; {_next_step(run, found, criterion, decided)}"
    )


def _next_step(run: LoadRun, found: Latencies, criterion: Criterion, decided: Decided) -> str:
    if _on_new_connections(run, found, criterion):
        return "look at what a new connection waits for: handshake, accept queue, or what the server sets up for each"
    if found.failed > decided.over / 2:
        return "look for these failures at that time in the logs of the server and its proxies"
    return "find the slow ones in the server's logs or traces at that time"


def _passes(found: Latencies, criterion: Criterion, decided: Decided) -> str:
    return (
        f"{criterion.name} of {criterion.endpoint} is under {_ms(criterion.limit_s)}: {_share(decided)} of requests took "
        f"longer or failed, {1 - criterion.quantile:.0%} allowed; measured {_measured(found, criterion)}"
    )


def _undecided(criterion: Criterion, decided: Decided) -> str:
    clustered = (
        f", as slow requests are clustered ({decided.n} count as {decided.n / decided.design_effect:.0f})"
        if decided.design_effect > 1.5
        else ""
    )
    held_back = (
        "; by itself it would fail, among so many endpoints it may be chance"
        if decided.p_fail <= criterion.alpha
        else ""
    )
    return (
        f"{_share(decided)} are over it, {1 - criterion.quantile:.0%} allowed: too close to decide with {decided.n} requests"
        f"{clustered}; the true share is between {decided.low:.2%} and {decided.high:.2%}{held_back}; run longer"
    )


def _share(decided: Decided) -> str:
    return f"{decided.over} of {decided.n} ({decided.over / decided.n:.2%})" if decided.n else "0 of 0"


def _measured(found: Latencies, criterion: Criterion) -> str:
    value = _quantile(found, criterion)
    return _ms(value) if value is not None else "not reached, too many failed"


def _quantile(found: Latencies, criterion: Criterion) -> float | None:
    return found.p50_s if criterion.quantile == 0.5 else found.p99_s


def _failures(found: Latencies) -> str:
    if not found.failed:
        return ""
    if len(found.failures) == 1:
        return f"; {found.failed} failed: {next(iter(found.failures))}"
    said = ", ".join(f"{count}× {what}" for what, count in list(found.failures.items())[:3])
    return f"; {found.failed} failed: {said}"


def _where(run: LoadRun, found: Latencies, criterion: Criterion) -> str:
    """Say what the slow requests have in common: their connections were new, or they were due together."""
    if said := _on_new_connections(run, found, criterion):
        return f"; {said}"
    return _when(found, criterion)


def _on_new_connections(run: LoadRun, found: Latencies, criterion: Criterion) -> str:
    """Say that requests are slow on new connections only, with both figures; empty if they are not.

    In a stall all connections are busy, so requests open new ones too: but then nothing sent later is answered meanwhile.
    """
    new, kept = found.opening, found.kept
    if new is None or kept is None or not kept.requests:
        return ""
    at = found.limits_s.index(criterion.limit_s)
    over, others = new.over[at], kept.over[at]
    if (
        new.overtaken[at] < _MOST * (over + others)
        or over < new.requests / 2
        or others >= kept.requests * (1 - criterion.quantile)
    ):
        return ""
    return (
        f"slow on new connections only: {over} of {new.requests} requests that opened one took {_ms(criterion.limit_s)} or longer "
        f"(p50 {_p50(new)}{_handshake(run, new)}), on kept connections {others} of {kept.requests} (p50 {_p50(kept)})"
    )


def _p50(found: Connected) -> str:
    return "not reached" if found.p50_s is None else _ms(found.p50_s)


def _handshake(run: LoadRun, new: Connected) -> str:
    """Name the part of opening a connection that takes most of the time, if one does."""
    opening = [phase for phase in run.phases if phase.name != FIRST_BYTE]
    longest = max(opening, key=lambda phase: phase.p50_s, default=None)
    if longest is None or new.p50_s is None or longest.p50_s < new.p50_s / 2:
        return ""
    return f", of which {longest.name} {_ms(longest.p50_s)}"


def _when(found: Latencies, criterion: Criterion) -> str:
    """Say when the slow requests were due, if they were together."""
    blocks = found.blocks(criterion.limit_s)
    over = sum(k for _, k in blocks)
    worst = [s.second for s, (n, k) in zip(found.seconds, blocks, strict=True) if n and k >= n * 0.5]
    inside = sum(k for s, (_, k) in zip(found.seconds, blocks, strict=True) if s.second in worst)
    if not worst or len(worst) > len(blocks) * 0.6 or inside < over * 0.5:
        return ""
    shown = ", ".join(str(second) for second in worst[:6]) + (" …" if len(worst) > 6 else "")
    return f"; most in second {shown} of the run: the server stalled then"


def _ended(run: LoadRun) -> str:
    return f"; the run ended after {words_for(run.lasted_s)} ({run.stopped})" if run.stopped else ""


def _readings(run: LoadRun, found: Latencies, criterion: Criterion, decided: Decided) -> Iterator[Reading]:
    may, client = 1 - criterion.quantile, run.client
    value = _quantile(found, criterion)
    yield Reading(
        criterion.name,
        None if value is None else round(value * 1000, 3),
        "ms",
        f"< {criterion.limit_s * 1000:g} ms",
        None if value is None else value < criterion.limit_s,
    )
    yield Reading(
        f"requests over {_ms(criterion.limit_s)}",
        round(100 * decided.over / decided.n, 3) if decided.n else None,
        "%",
        f"< {may:.0%}",
        decided.over < decided.n * may if decided.n else None,
    )
    yield Reading(
        "true share over it, upper bound",
        round(100 * decided.high, 3),
        "%",
        f"< {may:.0%}",
        decided.high < may,
    )
    yield Reading("true share over it, lower bound", round(100 * decided.low, 3), "%")
    yield Reading("requests", found.requests)
    yield Reading("failed requests", found.failed)
    yield Reading("design effect", round(decided.design_effect, 2))
    yield Reading(
        "rate",
        round(client.rate_achieved, 1),
        "/s",
        f"at least {client.rate_planned * _KEPT:.4g} /s",
        client.kept >= _KEPT,
    )
    limit = criterion.limit_s * _LAG_SHARE * 1000
    lag = client.lag_p99_s * 1000
    if not client.tool:
        yield Reading("client's own lag, p99", round(lag, 3), "ms", f"≤ {limit:g} ms", lag <= limit)
    if client.floor is not None:
        yield Reading("client's floor, p50", round(client.floor.p50_s * 1000, 3), "ms")
        yield Reading("client's floor, p99", round(client.floor.p99_s * 1000, 3), "ms")
    yield from (Reading(f"{phase.name}, p99", round(phase.p99_s * 1000, 3), "ms") for phase in run.phases)


def _notes(run: LoadRun, found: Latencies, criterion: Criterion, decided: Decided) -> Iterator[str]:
    yield _seen(run, criterion)
    if run.client.tool:
        yield f"{run.client.tool} measured this; how late it was itself is unknown, and counts as the platform's time"
        yield f"{run.client.tool} recorded no text of the answers: only their status was looked at"
    if decided.design_effect > 1.5:
        yield (
            f"slow requests are clustered: {decided.n} requests count as "
            f"{decided.n / decided.design_effect:.0f} independent ones for a pass"
        )
    if run.client.held:
        yield f"{run.client.held} requests waited for a free connection (`max_in_flight`); their wait is counted"
    if run.cut:
        yield f"{run.cut} requests were open, for less than their limits, when the run was stopped; their outcome is unknown"
    floor = run.client.floor
    if floor is not None and floor.p99_s > criterion.limit_s * _LAG_SHARE:
        yield f"this client's floor is high (p99 {_ms(floor.p99_s)} on a no-op server): the machine is busy"
    if criterion.status_only:
        few = ", ".join(criterion.status_only[:3]) + (" …" if len(criterion.status_only) > 3 else "")
        yield (
            f"only the status of {few} was looked at, so an error page with a good one counts as good: name text of the answer "
            "with `contains`"
        )
    if decided.verdict is not Verdict.FAIL and (said := _on_new_connections(run, found, criterion)):
        yield said
    if found.failed:
        yield f"{found.failed} of {found.requests} requests failed and count as over the limit{_failures(found)}"


def _seen(run: LoadRun, criterion: Criterion) -> str:
    """Say how long a single stall must be to fail a run of this length."""
    share = 1 - criterion.quantile
    seen = criterion.limit_s + share * run.lasted_s
    return (
        f"in {words_for(run.lasted_s)} a single stall fails {criterion.name} from about {words_for(seen)}; a shorter or "
        f"rarer one cannot be detected"
    )


def _figures(run: LoadRun, found: Latencies, criterion: Criterion, decided: Decided) -> tuple[Figure, ...]:
    low, high = _bounds(found, criterion, decided)
    title = f"{criterion.endpoint}: response times"
    milliseconds = tuple((value * 1000, share) for value, share in found.points)
    limit = criterion.limit_s * 1000
    spread = Distribution(title, "ms", milliseconds, criterion.quantile, limit, low, high, found.requests)
    lines = [
        Line("p50", _line(run, [(s.second, s.p50_s) for s in found.seconds])),
        Line("p99", _line(run, [(s.second, s.p99_s) for s in found.seconds])),
        Line("max", _line(run, [(s.second, s.max_s) for s in found.seconds])),
    ]
    return spread, Series(
        f"{criterion.endpoint}: response times by second", "ms", tuple(lines), limit, run.started
    )


def _line(run: LoadRun, values: Sequence[tuple[int, float | None]]) -> tuple[tuple[float, float | None], ...]:
    """Return one point per second, in ms; None if nothing was due, or if too many failed for a value."""
    known = dict(values)
    last = max(int(run.lasted_s), max(known, default=0))
    return tuple(
        (float(second), None if (value := known.get(second)) is None else round(value * 1000, 3))
        for second in range(min(last + 1, int(run.planned_s) or 1))
    )


def _bounds(found: Latencies, criterion: Criterion, decided: Decided) -> tuple[float | None, float | None]:
    """Return bounds of the true quantile, in ms, by the order statistics of the effective number of requests."""
    low, high = quantiles.order_bounds(decided.n / decided.design_effect, criterion.quantile, criterion.alpha)

    def at(share: float) -> float | None:
        return next((value * 1000 for value, reached in found.points if reached >= share - 1e-9), None)

    return at(low) if low > 0 else None, at(high) if high < 1 else None


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.0995 else f"{seconds * 1000:.3g} ms"
