"""Whether each event came out at each exit, once and in order; and if not, which part of the platform lost it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pytest_deploygate.checks.pipeline.facts import Measured, Out, Sent
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Reading, words_for, words_for_count

if TYPE_CHECKING:
    from pytest_deploygate.checks.pipeline.section import Pipeline

_MOST_NAMED = 2


def judge(found: Measured, criterion: Pipeline, said: Collector) -> None:
    """Say what was refused, lost, doubled or out of order."""
    if not _could_look(found, criterion, said):
        return
    said.read(Reading("events sent", sum(at is not None for at in found.sent.sent_s)))
    _unsent(found.sent, said)
    _refused(found, said)
    _lost(found, criterion, said)
    _doubled(found, said)
    for out in found.outs:
        _order(found.sent, out, criterion, said)
        for each in out.breaks[:_MOST_NAMED]:
            said.note(f"after {words_for(max(0.0, each.at_s))}: {each.why}", where=out.name)


def named(sent: Sent, numbers: Sequence[int]) -> str:
    """Name the first of some events: `event 1b4e… of synthetic-1, sent 21:30:05.123Z`, and how many more there are."""
    began = datetime.fromisoformat(sent.began_at)
    words = []
    for number in numbers[:_MOST_NAMED]:
        at = began + timedelta(seconds=sent.sent_s[number] or sent.due_s[number])
        words.append(
            f"{sent.id_of(number)} of {sent.device(number)}, sent {at:%H:%M:%S}.{at.microsecond // 1000:03d}Z"
        )
    more = len(numbers) - len(words)
    return "; ".join(words) + (f"; and {more} more" if more else "")


def _could_look(found: Measured, criterion: Pipeline, said: Collector) -> bool:
    """Say which exits cannot be looked at, or show nothing; return whether any event was sent."""
    tried = {trial.entrance: trial for trial in found.sent.trials}
    dumb = {trial.entrance for trial in found.sent.trials if trial.refused and not trial.accepted}
    for trial in found.sent.trials:
        if trial.refused is not None and not trial.accepted:
            sentence = f"none of {trial.sent} events on trial was accepted: {trial.refused.why}"
            if trial.refused.broken:
                said.wrong(f"{sentence}; look into its log", where=trial.entrance)
            else:
                said.unknown(f"{sentence}; check address, credentials and message", where=trial.entrance)
    for out in found.outs:
        if out.problem:
            said.unknown(out.problem, where=out.name)
            continue
        for entrance in criterion.entrances:
            if entrance.name in out.ready or entrance.name in dumb:
                continue
            trial = tried[entrance.name]
            accepted = f"; {trial.accepted} were accepted" if entrance.acknowledges else ""
            elsewhere = [other.name for other in found.outs if entrance.name in other.ready]
            seen = f", and came out at {', '.join(elsewhere)}" if elsewhere else ""
            step = (
                "the broker says that nobody has subscribed: start the platform's consumer"
                if trial.unheard
                else f"look at what passes events on to {out.name}"
            )
            said.wrong(
                f"none of {trial.sent} events on trial that entered by {entrance.name} came out within "
                f"{words_for(criterion.within)}{accepted}{seen}; {step}",
                where=out.name,
            )
    return any(at is not None for at in found.sent.sent_s)


def _unsent(sent: Sent, said: Collector) -> None:
    unsent = [number for number, at in enumerate(sent.sent_s) if at is None]
    if unsent:
        said.unknown(
            f"{len(unsent)} of {len(sent.sent_s)} events could not be sent in time by {sent.entrance(unsent[0])}: it took the "
            "ones before too slowly"
        )


def _refused(found: Measured, said: Collector) -> None:
    """Refusals by the platform; what came without an answer is known only if it came out."""
    sent = found.sent
    by_why: dict[tuple[str, str, bool], list[int]] = defaultdict(list)
    for each in sent.refused:
        by_why[sent.entrance(each.number), each.why, each.answered].append(each.number)
    for (entrance, why, answered), numbers in by_why.items():
        count = f"{len(numbers)} of {len(sent.due_s)} events"
        if answered:
            said.wrong(
                f"{count} were not accepted: {why}; {named(sent, numbers)}; look into its log", where=entrance
            )
            continue
        nowhere = [n for n in numbers if all(out.by_s[n] is None for out in found.outs)]
        if nowhere:
            said.unknown(
                f"{words_for_count(len(nowhere), 'event', 'events')} got no answer ({why}) and came out nowhere: whether the "
                f"platform had them is not known: {named(sent, nowhere)}; look for them in its log",
                where=entrance,
            )
        if len(nowhere) < len(numbers):
            said.note(
                f"{len(numbers) - len(nowhere)} events got no answer ({why}), and came out all the same",
                where=entrance,
            )


@dataclass(frozen=True)
class _Loss:
    """What events that did not come out have in common. Exits are numbered."""

    entrance: str
    accepted: bool
    unheard: bool
    missing: tuple[int, ...]


def _lost(found: Measured, criterion: Pipeline, said: Collector) -> None:
    sent, outs = found.sent, found.outs
    refused = {each.number for each in sent.refused}
    unheard = set(sent.unheard)
    losses: dict[_Loss, list[int]] = defaultdict(list)
    for number, at in enumerate(sent.sent_s):
        if at is None or number in refused:
            continue
        entrance = sent.entrance(number)
        missing = tuple(n for n, out in enumerate(outs) if _looks(out, entrance) and out.by_s[number] is None)
        if missing:
            accepted = sent.accepted_s[number] is not None
            losses[_Loss(entrance, accepted, number in unheard, missing)].append(number)
    for n, out in enumerate(outs):
        if out.problem:
            continue
        lost = sum(len(numbers) for loss, numbers in losses.items() if n in loss.missing)
        broke = bool(out.breaks) and not criterion.exits[n].keeps
        judged = {} if lost and broke else {"limit": "0", "ok": not lost}
        said.read(Reading(f"events lost, {out.name}", lost, **judged))  # type: ignore[arg-type]
    for loss, numbers in sorted(losses.items(), key=lambda pair: -len(pair[1])):
        sentence = _lost_words(found, criterion, loss, numbers)
        broken = [outs[n] for n in loss.missing if outs[n].breaks and not criterion.exits[n].keeps]
        if len(broken) == len(loss.missing):
            why = broken[0].breaks[0].why
            said.unknown(
                f"{sentence}; but the connection to {broken[0].name} ended meanwhile ({why}), and events may have been sent "
                "then: run it again"
            )
        else:
            said.wrong(sentence)


def _looks(out: Out, entrance: str) -> bool:
    """Whether events of an entrance were looked for there: not if not even a trial came out."""
    return not out.problem and entrance in out.ready


def _lost_words(found: Measured, criterion: Pipeline, loss: _Loss, numbers: Sequence[int]) -> str:
    sent, outs = found.sent, found.outs
    where = [n for n, out in enumerate(outs) if _looks(out, loss.entrance)]
    keeps = [n for n in where if criterion.exits[n].keeps]
    missing = [outs[n].name for n in loss.missing]
    had = [outs[n].name for n in where if n not in loss.missing]
    stored = [outs[n].name for n in keeps if n not in loss.missing]
    unstored = [outs[n].name for n in keeps if n in loss.missing]
    entrance = next(each for each in criterion.entrances if each.name == loss.entrance)
    broker = entrance.way in ("mqtt", "kafka", "amqp")
    accepted = f"{loss.entrance} accepted" if loss.accepted else f"were sent by {loss.entrance}"
    count = f"{len(numbers)} of {len(sent.due_s)} events"
    subject = f"{count} that {'the broker of ' if broker and loss.accepted else ''}{accepted}"
    if loss.unheard:
        came, step = "came out nowhere: nobody has subscribed to their topic", "start the platform's consumer"
    elif not had and unstored:
        came = f"were never stored ({', '.join(unstored)}) and came out nowhere"
        step = (
            f"look at what reads from the broker of {loss.entrance}"
            if broker
            else f"look at what {loss.entrance} does after it accepted them"
        )
    elif not had:
        came, step = (
            f"came out nowhere ({', '.join(missing)})",
            f"look at what {loss.entrance} does with them",
        )
        if not keeps:
            came += ", and whether they were stored is not known: no exit is `api` or `database`"
    elif stored:
        came = f"were stored ({', '.join(stored)}) and never came out at {', '.join(missing)}"
        step = f"look at what passes stored events on to {missing[0]}"
    else:
        came = f"came out at {', '.join(had)} and never at {', '.join(missing)}"
        step = f"look at what writes to {missing[0]}"
    return f"{subject} {came} within {words_for(criterion.within)}: {named(sent, numbers)}; {step}"


def _doubled(found: Measured, said: Collector) -> None:
    by_exits: dict[tuple[int, ...], list[int]] = defaultdict(list)
    times: dict[int, int] = {}
    at: dict[int, set[int]] = defaultdict(set)
    for n, out in enumerate(found.outs):
        for each in out.doubled:
            at[each.number].add(n)
            times[each.number] = max(times.get(each.number, 0), each.times)
    for number, exits in at.items():
        by_exits[tuple(sorted(exits))].append(number)
    for out in found.outs:
        if not out.problem:
            count = len(out.doubled)
            judged = {} if count and out.breaks else {"limit": "0", "ok": not count}
            said.read(Reading(f"events doubled, {out.name}", count, **judged))  # type: ignore[arg-type]
    for places, numbers in sorted(by_exits.items(), key=lambda pair: -len(pair[1])):
        outs = [found.outs[n] for n in places]
        numbers.sort()
        most = max(times[number] for number in numbers)
        sentence = (
            f"{len(numbers)} of {len(found.sent.due_s)} events came out more than once at {', '.join(out.name for out in outs)}, "
            f"{'twice' if most == 2 else f'up to {most} times'}: {named(found.sent, numbers)}"
        )
        if all(out.breaks for out in outs):
            said.unknown(
                f"{sentence}; but a connection ended meanwhile ({outs[0].breaks[0].why}): run it again"
            )
        else:
            said.wrong(
                f"{sentence}; look for what sends or stores an event again, and drop an id that was there before"
            )


def _order(sent: Sent, out: Out, criterion: Pipeline, said: Collector) -> None:
    """Judge the order of each device's events.

    Where events enter by requests of their own, only those must stay in order of which one was accepted before the other
    was sent.
    """
    section = next(each for each in criterion.exits if each.name == out.name)
    if out.problem or not out.order or not section.has_order:
        return
    in_sequence = {entrance.name: entrance.in_sequence for entrance in criterion.entrances}
    overtaken = list(_overtaken(sent, out, in_sequence))
    said.read(Reading(f"events out of order, {out.name}", len(overtaken), limit="0", ok=not overtaken))
    if overtaken:
        late, early = overtaken[0]
        said.wrong(
            f"{len(overtaken)} of {len(sent.due_s)} events came out after a later one of the same device: of "
            f"{sent.device(late)}, event {sent.id_of(early)} came before {sent.id_of(late)}, which was sent "
            f"{words_for(round((sent.sent_s[early] or 0.0) - (sent.sent_s[late] or 0.0), 3))} earlier; look for what handles "
            "events of one device side by side",
            where=out.name,
        )


def _overtaken(sent: Sent, out: Out, in_sequence: dict[str, bool]) -> Iterator[tuple[int, int]]:
    """Yield events that came out after a later one of their device, with the latest of those."""
    latest: dict[str, int] = {}
    for number in out.order:
        device = sent.device(number)
        before = latest.get(device, -1)
        if before > number:
            done = sent.sent_s[number] if in_sequence[sent.entrance(number)] else sent.accepted_s[number]
            began = sent.sent_s[before]
            if done is not None and began is not None and began > done:
                yield number, before
        latest[device] = max(before, number)
