"""Send each contact a code that it acknowledges."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import click

from pytest_deploygate.checks.notices import section as subject
from pytest_deploygate.cli.shared import inventories, journals, noticing, options
from pytest_deploygate.cli.shared.refusals import Command, Refused
from pytest_deploygate.contacts import record as codes
from pytest_deploygate.contacts import sending as contacts
from pytest_deploygate.contacts.sending import Addressee, Sent
from pytest_deploygate.fields.notices import Notices
from pytest_deploygate.journal import utcnow
from pytest_deploygate.model import CannotTell, parse_duration
from pytest_deploygate.notices import message
from pytest_deploygate.notices.message import Addressed
from pytest_deploygate.notices.record import State
from pytest_deploygate.notices.smtp import Post


@click.command(cls=Command)
@options.inventory
@options.change
@options.out
@click.option(
    "--valid-for",
    default="7d",
    show_default=True,
    metavar="DURATION",
    help="How long a code can be acknowledged.",
)
@options.as_json
def test(*, inventory: str, change: str, out: Path | None, valid_for: str, as_json: bool) -> None:
    """Send each contact and deputy a code by mail. Whoever types it with `deploygate ack` can be reached.

    `hand.contacts` counts an acknowledged code for more than an address that looks right. Every call sends new codes; those
    sent before stay valid until their end.

    Exit codes: 0 every mail was accepted; 1 one was not, or a contact has no address; 4 a mistake, and nothing was sent.

    \b
    deploygate notify test --inventory prod --change CHG-1234
    """
    lasts = _duration(valid_for)
    loaded = inventories.read(inventory)
    section = loaded.inventory.of(subject.Keys).notices
    if section is None or section.server is None or not section.sender:
        raise Refused(
            f"{loaded.file} does not say how mails are sent: add `notices: {{sender: …, server: {{host: …}}}}`"
        )
    if not loaded.inventory.contacts:
        raise Refused(f"{loaded.file} has no `contacts`")
    noticing.refuse_in_tests()
    post = Post(section.server)
    try:
        found = contacts.sends(
            loaded.inventory,
            lambda to, title, text: _deliver(post, section, to, title, text),
            journals.place_of(change, out),
            change=change,
            valid_for=lasts,
        )
    except codes.RecordError as error:
        raise Refused(str(error)) from None
    finally:
        post.close()
    click.echo(_as_json(found) if as_json else _words(found))
    raise SystemExit(1 if any(one.problem for one in found) else 0)


def _duration(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise Refused(f"--valid-for {text}: {error}") from None


def _deliver(post: Post, section: Notices, to: Addressee, title: str, text: str) -> None:
    """Send one mail. Raises CannotTell with what the server said."""
    sender = message.envelope_sender(section)
    addressed = Addressed(sender, to.mail, f"{uuid4().hex}@{message.domain(section)}", utcnow())
    mail = message.plain_mail(section, addressed, to.name, title, text)
    outcome = post.deliver(sender, to.mail, mail, lambda: None)
    if outcome.state is not State.ACCEPTED:
        raise CannotTell(outcome.said)


def _words(found: list[Sent]) -> str:
    lines = [f"{one.to.label}: {one.problem or 'a code was sent'}" for one in found]
    failed = sum(bool(one.problem) for one in found)
    if failed:
        return "\n".join(
            [*lines, f"{failed} of {len(found)} have no code: correct what is said above, and run this again"]
        )
    return "\n".join([*lines, "each acknowledges with `deploygate ack CODE`; hand.contacts says who did"])


def _as_json(found: list[Sent]) -> str:
    return json.dumps(
        [
            {"role": one.to.role, "deputy": one.to.deputy, "sent": not one.problem, "problem": one.problem}
            for one in found
        ],
        indent=1,
        ensure_ascii=False,
    )
