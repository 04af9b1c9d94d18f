"""A notice as a mail (RFC 5322, 2045) and as the JSON that Slack, Teams and other services take."""

from __future__ import annotations

from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any

from pytest_deploygate.fields.mail import NULL_SENDER, parted
from pytest_deploygate.fields.notices import Channel, Notices
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.notices.templates import Rendered

#: Slack's limit for a section's text, and for a header's (reference of Block Kit).
_MOST_SECTION, _MOST_HEADER = 3000, 150


@dataclass(frozen=True)
class Addressed:
    """What a mail has on its envelope and in its header."""

    sender: str
    to: str
    message_id: str
    at: datetime


def envelope_sender(section: Notices) -> str:
    """Return the address for bounces, empty for the null sender."""
    if section.bounces.strip() == NULL_SENDER:
        return ""
    return section.bounces.strip() or (parted(section.sender)[1] if section.sender else "")


def domain(section: Notices) -> str:
    """Return the domain that ids of messages and of calendar entries end with."""
    return parted(section.sender)[1].rpartition("@")[2] if section.sender else "deploygate.invalid"


def origin(section: Notices) -> tuple[str, str]:
    """Return the domain that calendar entries end with, and the address of who publishes them, empty for none."""
    return domain(section), parted(section.sender)[1] if section.sender else ""


def mail(
    section: Notices, rendered: Rendered, addressed: Addressed, name: str, calendar: bytes | None
) -> bytes:
    """Return a mail as bytes of 7 bits with CRLF, whose text and HTML say the same.

    It is marked as sent by a program, so that no absence note answers it (RFC 3834).
    """
    made = _headed(section, addressed, name, rendered.subject)
    made.set_content(rendered.text, cte="quoted-printable")
    made.add_alternative(rendered.html, subtype="html", cte="quoted-printable")
    if calendar is not None:
        made.add_attachment(
            calendar, maintype="text", subtype="calendar", filename="window.ics", params={"method": "PUBLISH"}
        )
    return made.as_bytes()


def plain_mail(section: Notices, addressed: Addressed, name: str, subject: str, text: str) -> bytes:
    """Return a mail of text alone, otherwise as `mail`."""
    made = _headed(section, addressed, name, subject)
    made.set_content(text, cte="quoted-printable")
    return made.as_bytes()


def _headed(section: Notices, addressed: Addressed, name: str, subject: str) -> EmailMessage:
    made = EmailMessage(policy=SMTP)
    shown, address = parted(section.sender or "")
    made["From"] = _address(shown, address)
    made["To"] = _address(name, addressed.to)
    if section.reply_to:
        made["Reply-To"] = _address("", section.reply_to)
    made["Subject"] = subject
    made["Date"] = format_datetime(addressed.at)
    made["Message-ID"] = f"<{addressed.message_id}>"
    made["Auto-Submitted"] = "auto-generated"
    made["X-Auto-Response-Suppress"] = "All"
    return made


def _address(name: str, address: str) -> Address:
    local, _, host = address.rpartition("@")
    return Address(name, local, host if host.isascii() else host.encode("idna").decode())


def document(channel: Channel, rendered: Rendered, about: dict[str, str]) -> dict[str, Any]:
    """Return the JSON that a channel's webhook takes."""
    if channel.kind == "slack":
        return _slack(rendered)
    if channel.kind == "teams":
        return _teams(rendered)
    return {**about, "subject": rendered.subject, "text": rendered.text}


def _slack(rendered: Rendered) -> dict[str, Any]:
    """Incoming webhooks: `text` is what notifications show, `blocks` what the channel does. `&`, `<` and `>` are escaped."""
    parts = _parts(rendered.text)
    header = {
        "type": "header",
        "text": {"type": "plain_text", "text": rendered.subject[:_MOST_HEADER], "emoji": False},
    }
    sections = [
        {"type": "section", "text": {"type": "mrkdwn", "text": part, "verbatim": True}} for part in parts
    ]
    return {"text": _escaped(rendered.subject), "blocks": [header, *sections]}


def _parts(text: str) -> list[str]:
    """Return a text, escaped, in parts that each fit into a section; lines and escapes stay whole."""
    parts = [""]
    for line in text.strip().splitlines(keepends=True):
        rest = line
        while len(_escaped(rest)) > _MOST_SECTION:
            # The longest escape has five letters.
            rest, piece = rest[_MOST_SECTION // 5 :], rest[: _MOST_SECTION // 5]
            parts.append(_escaped(piece))
        if len(parts[-1]) + len(_escaped(rest)) > _MOST_SECTION:
            parts.append("")
        parts[-1] += _escaped(rest)
    return [part for part in parts if part.strip()]


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _teams(rendered: Rendered) -> dict[str, Any]:
    """Workflows ("when a Teams webhook request is received"): a message with one adaptive card."""
    paragraphs = [part for part in rendered.text.strip().split("\n\n") if part]
    body: list[dict[str, Any]] = [
        {"type": "TextBlock", "text": rendered.subject, "weight": "Bolder", "size": "Large", "wrap": True}
    ]
    body += [{"type": "TextBlock", "text": part.replace("\n", "\n\n"), "wrap": True} for part in paragraphs]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    return {"type": "message", "attachments": [attachment]}
