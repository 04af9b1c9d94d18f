"""Whether the probes of a run kept to their budgets, ended when they had to, and left nothing behind."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.checks.blast_radius.facts import Ends, LedgerSeen
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.judging.spending import UNBOUNDED, overspent, went_on
from pytest_deploygate.model import Judgement, Reading


def judge_ledger(measurement: LedgerSeen, criterion: Ends) -> Judgement:
    """Pass if no probe spent more than its budget, went on after a stop or while the service suffered, or left something."""
    found = Collector(most=6, confirmed=True)
    for entry in measurement.entries:
        where = f"{entry.probe} of {entry.item}"
        found.wrong(*overspent(entry), *went_on(entry, criterion.within_s), where=where)
        found.wrong(*(f"it left {what}: remove it by hand" for what in entry.left), where=where)
        if "" in entry.ended:
            found.unknown(
                "its process died before it ended, so what it left is not known: look for it, and run it again",
                where=where,
            )
        for why in entry.why:
            if set(entry.ended) - {"done", "error", ""}:
                found.note(why)
    for whole in measurement.together:
        found.wrong(*overspent(whole), where="all probes together")
    if measurement.unread:
        found.unknown(f"the ledger of the run cannot be read: {measurement.unread}; run it again")
    else:
        entries = measurement.entries
        over = sum(bool(overspent(entry)) for entry in entries)
        late = sum(bool(went_on(entry, criterion.within_s)) for entry in entries)
        left = sum(len(entry.left) for entry in entries)
        unwatched = sum(entry.before is None for entry in entries)
        found.read(
            Reading("probes over their budget", over, limit="0", ok=over == 0),
            Reading("probes that went on", late, limit="0", ok=late == 0),
            Reading("left behind", left, limit="0", ok=left == 0),
            Reading("requests", sum(entry.requests for entry in entries)),
            *_together(measurement),
            Reading("probes that watched the service", f"{len(entries) - unwatched} of {len(entries)}"),
        )
    return found.judgement(lambda: _good(measurement))


def _together(measurement: LedgerSeen) -> Iterator[Reading]:
    for whole in measurement.together:
        most = whole.limits.requests
        yield Reading(
            "requests of all probes together",
            whole.requests,
            limit=f"at most {most}" if most < UNBOUNDED.requests else "",
            ok=whole.requests <= most if most < UNBOUNDED.requests else None,
        )


def _good(measurement: LedgerSeen) -> str:
    entries = measurement.entries
    if not entries:
        return "no active probe ran: the gate sent nothing but single reads"
    requests = sum(entry.requests for entry in entries)
    return (
        f"{len(entries)} active probe{'' if len(entries) == 1 else 's'} kept to {'its budget' if len(entries) == 1 else 'their budgets'} "
        f"({requests} requests in all) and left nothing behind"
    )
