"""Read the record of what `deploygate notify send` sent, and compare it with what the notice says now. Nothing is sent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_deploygate.checks.notices.facts import Delivery, Sent, Wanted
from pytest_deploygate.fields.notices import Notices
from pytest_deploygate.journal import JournalError
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import NotCovered
from pytest_deploygate.notices import preparing, recipients, record, templates
from pytest_deploygate.notices.recipients import Contact, Recipient, UnaddressableError
from pytest_deploygate.notices.record import Known, State
from pytest_deploygate.notices.templates import UnrenderableError
from pytest_deploygate.notices.values import Said

__all__ = ["sent"]


@dataclass(frozen=True)
class Told:
    """What is needed to read the record of a change beside the section: the contacts, and the change with its folder."""

    contacts: tuple[Contact, ...]
    inventory: str
    change: str
    change_folder: Path


def sent(section: Notices, told: Told, wanted: Wanted) -> Sent:
    """Return what is known of a notice to an audience. Raises NotCovered if the inventory has no such audience."""
    notice, audience = wanted.notice, wanted.audience
    found = section.audience(audience)
    if found is None:
        raise NotCovered(
            f"the inventory's `notices` has no audience {audience!r}; add `audiences: [{{name: {audience}, roles: […]}}]`"
        )
    command = (
        f"deploygate notify send {notice} --to {audience} --inventory {told.inventory} --change {told.change}"
    )
    try:
        people = recipients.of(section, found, told.contacts)
    except UnaddressableError as error:
        return Sent(notice, audience, (), tuple(map(str, error.problems)), commanded=command)
    try:
        known = [*record.read(record.folder_of(section.record, told.change_folder, told.change)).values()]
    except JournalError as error:
        return Sent(notice, audience, (), unknown=str(error), commanded=command)
    problems: dict[str, None] = {}
    deliveries = tuple(_delivery(section, told, wanted, one, known, problems) for one in people)
    return Sent(notice, audience, deliveries, tuple(problems), commanded=command)


def _delivery(
    section: Notices,
    told: Told,
    wanted: Wanted,
    one: Recipient,
    known: Sequence[Known],
    problems: dict[str, None],
) -> Delivery:
    notice, audience = wanted.notice, wanted.audience
    key = one.key(told.change)
    mine = [each for each in known if each.notice.template == notice and each.notice.key == key]
    last: Known | None = mine[-1] if mine else None
    given = last.notice.given if last else {}
    said = Said(section, told.change, given)
    try:
        template = templates.load(section.templates, one.language, notice)
        source = preparing.source_of(template, said)
        preparing.rendered_for(said, template, audience, one)
    except UnrenderableError as error:
        problems |= dict.fromkeys(map(str, error.problems))
        source = ""
    if last is None:
        return Delivery(one.called)
    # One that was accepted counts, also if an older text waits or was refused after it.
    accepted = [each for each in mine if each.state is State.ACCEPTED and each.notice.source == source]
    last = accepted[-1] if accepted else last
    return Delivery(
        one.called,
        last.state.value,
        last.said,
        last.notice.id[:8],
        not source or last.notice.source == source,
        last.at,
        last.tries,
        last.answered,
        tuple(dict.fromkeys(each.notice.reason for each in mine if each.notice.again)),
    )
