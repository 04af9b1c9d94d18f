"""A notice made ready for each of its recipients: rendered, addressed, and told apart from what was sent before."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from pytest_deploygate.fields.notices import Audience
from pytest_deploygate.files import sha256
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.notices import message, recipients, record, templates, values
from pytest_deploygate.notices.calendar import Diary
from pytest_deploygate.notices.queue import Queued
from pytest_deploygate.notices.recipients import Contact, Recipient, UnaddressableError
from pytest_deploygate.notices.record import Known, Notice, State
from pytest_deploygate.notices.templates import Rendered, Template, UnrenderableError
from pytest_deploygate.notices.values import Said, UnspokenError
from pytest_deploygate.problems import Problem

#: Notices that come with a calendar file.
WITH_CALENDAR = ("pre-deployment", "rollback")


@dataclass(frozen=True)
class Ready:
    """A notice for one recipient. `source` stands for all that it was made from, `digest` for what it says."""

    template: Template
    audience: str
    recipient: Recipient
    rendered: Rendered
    calendar: bytes | None
    digest: str
    source: str


@dataclass(frozen=True)
class Standing:
    """A notice for one recipient with what is known of it. `known` is None for one that was never queued."""

    ready: Ready
    id: str
    known: Known | None


def source_of(template: Template, said: Said) -> str:
    """Return the digest of all that decides what a notice says: its template and the values of the inventory."""
    return sha256(f"{template.digest}\0{json.dumps(said.plain, sort_keys=True, ensure_ascii=False)}".encode())


def all_of(
    said: Said,
    name: str,
    audiences: Sequence[Audience],
    contacts: Sequence[Contact],
    diary: Diary | None = None,
) -> list[Ready]:
    """Return a notice for each recipient, each once. Raises UnrenderableError or UnaddressableError with all that is wrong."""
    section = said.section

    @cache
    def template(language: str) -> Template:
        return templates.load(section.templates, language, name)

    problems: dict[str, Problem] = {}
    found: dict[tuple[str, str], Ready] = {}
    nobody: list[Problem] = []
    for audience in audiences:
        try:
            people = recipients.of(section, audience, contacts)
        except UnaddressableError as error:
            nobody += error.problems
            continue
        for one in people:
            try:
                ready = _ready(said, template(one.language), audience.name, one, diary)
            except UnrenderableError as error:
                problems |= {str(problem): problem for problem in error.problems}
            else:
                found.setdefault((one.kind, one.to.lower()), ready)
    if problems:
        raise UnrenderableError([*problems.values(), *nobody])
    if nobody:
        raise UnaddressableError(nobody)
    return list(found.values())


def _ready(said: Said, template: Template, audience: str, recipient: Recipient, diary: Diary | None) -> Ready:
    rendered = rendered_for(said, template, audience, recipient)
    attached = diary if recipient.kind == "mail" and template.name in WITH_CALENDAR else None
    what = b"\0".join(
        (
            rendered.subject.encode(),
            rendered.text.encode(),
            rendered.html.encode(),
            (attached.key if attached else "").encode(),
        )
    )
    return Ready(
        template,
        audience,
        recipient,
        rendered,
        attached.content if attached else None,
        sha256(what),
        source_of(template, said),
    )


def rendered_for(said: Said, template: Template, audience: str, recipient: Recipient) -> Rendered:
    """Return a notice as one recipient gets it. Raises UnrenderableError."""
    try:
        told: Mapping[str, Any] = values.of(said, audience, recipient)
    except UnspokenError as error:
        raise UnrenderableError([error.problem]) from None
    return templates.render(template, told, values.ADD)


def standing(
    found: Iterable[Ready], known: Mapping[str, Known], change: str, *, again: bool
) -> list[Standing]:
    """Return what is known of each. With `again`, one that was accepted or refused gets a new id, and is sent once more."""
    stands = []
    for ready in found:
        key = ready.recipient.key(change)
        number = 0
        while True:
            message_id = record.identity(change, ready.template.name, ready.digest, key, number)
            one = known.get(message_id)
            following = record.identity(change, ready.template.name, ready.digest, key, number + 1)
            if following in known or (
                again and one is not None and one.state in (State.ACCEPTED, State.REFUSED)
            ):
                number += 1
                continue
            stands.append(Standing(ready, message_id, one))
            break
    return stands


def notice(one: Standing, said: Said, reason: str) -> Notice:
    """Return the line of the record for a message."""
    ready = one.ready
    key = ready.recipient.key(said.change)
    number = 0
    while record.identity(said.change, ready.template.name, ready.digest, key, number) != one.id:
        number += 1
    return Notice(
        one.id,
        ready.template.name,
        ready.audience,
        ready.recipient.language,
        key,
        ready.recipient.called,
        ready.digest,
        ready.source,
        dict(said.given),
        number,
        reason,
    )


def queued(one: Standing, said: Said, at: datetime) -> Queued:
    """Return a message as it is sent."""
    ready, section = one.ready, said.section
    if ready.recipient.kind == "channel":
        about = {"change": said.change, "notice": ready.template.name, "id": one.id}
        document = message.document(section.channel(ready.recipient.to), ready.rendered, about)
        return Queued(one.id, "channel", ready.recipient.to, "", b"", document)
    sender = message.envelope_sender(section)
    addressed = message.Addressed(sender, ready.recipient.to, f"{one.id}@{message.domain(section)}", at)
    raw = message.mail(section, ready.rendered, addressed, ready.recipient.name, ready.calendar)
    return Queued(one.id, "mail", ready.recipient.to, sender, raw, {})
