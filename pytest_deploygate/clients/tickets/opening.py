"""Finding a ticket: which tracker of the inventory, which key, and the client for it."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_deploygate.clients.tickets.asking import MistakeError
from pytest_deploygate.clients.tickets.ticket import Ticket
from pytest_deploygate.fields.tickets import Tracker
from pytest_deploygate.problems import nearest


def named(trackers: Sequence[Tracker], text: str) -> tuple[Tracker, str]:
    """Return the tracker and the key of `SYSTEM:KEY`. Raises MistakeError with the nearest name."""
    name, colon, key = text.partition(":")
    if not trackers:
        raise MistakeError(
            "the inventory has no `tickets`; add for example "
            "`tickets: [{system: jira, url: https://jira.example.com, token: env:JIRA_TOKEN}]`"
        )
    known = {tracker.called: tracker for tracker in trackers}
    if not colon or not key:
        raise MistakeError(
            f"--ticket {text!r}: write SYSTEM:KEY, for example {next(iter(known))}:{key or 'OPS-42'}"
        )
    if name not in known:
        raise MistakeError(
            f"--ticket {text}: the inventory's `tickets` has no {name!r}{nearest(name, known)}"
        )
    if why := known[name].not_a_key(key):
        raise MistakeError(f"--ticket: {why}")
    return known[name], key


def of_change(trackers: Sequence[Tracker], change: str) -> tuple[Tracker, str]:
    """Return the tracker and the key in which the state of a change is read: those of the first entry. Raises MistakeError."""
    if not trackers:
        raise MistakeError("the inventory has no `tickets`; add the tracker that has the change's ticket")
    first = trackers[0]
    key = first.ticket or change
    if first.not_a_key(key):
        said = (
            "the run names no change"
            if key == "local"
            else f"the change {key!r} is not the key of a ticket of {first.called}"
        )
        raise MistakeError(f"{said}; run with --change KEY, or set `ticket` in its entry in `tickets`")
    return first, key


def opened(tracker: Tracker, key: str) -> Ticket:
    """Look a ticket up. Raises TicketError if it is not there, or cannot be seen."""
    if tracker.system == "servicenow":
        from pytest_deploygate.clients.tickets.servicenow import Change  # noqa: PLC0415 (one of four)

        return Change(tracker, key)
    if tracker.system == "jira":
        from pytest_deploygate.clients.tickets import jira  # noqa: PLC0415 (one of four)

        return jira.Issue(tracker, key)
    if tracker.system == "github":
        from pytest_deploygate.clients.tickets import github  # noqa: PLC0415 (one of four)

        return github.Issue(tracker, key)
    from pytest_deploygate.clients.tickets import gitlab  # noqa: PLC0415 (one of four)

    return gitlab.Issue(tracker, key)
