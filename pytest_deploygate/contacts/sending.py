"""Sends each contact a code. How a message is delivered is the caller's matter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from pytest_deploygate.contacts import record
from pytest_deploygate.fields.contacts import Contact
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import words_for

VALID_FOR = timedelta(days=7)


@dataclass(frozen=True)
class Addressee:
    """Who gets a code: a contact, or the deputy of one."""

    role: str
    name: str
    mail: str
    deputy: bool = False

    @property
    def label(self) -> str:
        """The role, and that it is a deputy."""
        return f"deputy of {self.role}" if self.deputy else self.role


@dataclass(frozen=True)
class Sent:
    """What became of one contact's code. `problem`: it has not got one, and why."""

    to: Addressee
    problem: str = ""


class HasContacts(Protocol):
    """The part of the inventory that is needed here."""

    @property
    def contacts(self) -> list[Contact]:
        """The contact list."""


#: Delivers a subject and a text; raises an exception whose text says why it could not.
Deliver = Callable[[Addressee, str, str], object]


def addressees(contacts: Sequence[Contact]) -> Iterator[Addressee]:
    """Yield everybody who must be reached: each contact, then its deputies."""
    for contact in contacts:
        yield Addressee(contact.role, contact.name, contact.mail)
        for deputy in contact.deputies:
            yield Addressee(contact.role, deputy.name, deputy.mail, deputy=True)


def sends(
    inventory: HasContacts,
    deliver: Deliver,
    folder: Path,
    *,
    change: str = "local",
    valid_for: timedelta = VALID_FOR,
    now: datetime | None = None,
) -> list[Sent]:
    """Send a code to everybody in the contact list; return what became of each. Raises RecordError.

    `folder` is the change's. A code is recorded before its message leaves. One that fails does not stop the others.
    """
    found = []
    for to in addressees(inventory.contacts):
        if not to.mail:
            found.append(Sent(to, "it has no mail address"))
            continue
        at = now or datetime.now(UTC)
        code = record.sent(folder, to.role, to.mail, at + valid_for, at, deputy=to.deputy)
        try:
            deliver(to, *message(to, code, change, at + valid_for, valid_for))
        except Exception as error:  # noqa: BLE001 (whatever the caller's way of delivery raises)
            record.failed(folder, code)
            found.append(Sent(to, str(error) or type(error).__name__))
        else:
            found.append(Sent(to))
    return found


def message(
    to: Addressee, code: str, change: str, expires: datetime, valid_for: timedelta
) -> tuple[str, str]:
    """Return the subject and the text of a message with a code."""
    until = expires.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    option = "" if change == "local" else f" --change {change}"
    hello = f"Hello {to.name}," if to.name else "Hello,"
    return (
        f"Please acknowledge: {to.label} of the change {change}",
        f"""{hello}

you are in the contact list of the change {change} as {to.label}.
Please show that this message has reached you. On a machine with the change's folder, run

    deploygate ack {code}{option}

or give the code to whoever sent this message. It is valid for {words_for(valid_for)}, until {until}, and
works once. If you are not {to.label}, please say so: the list is wrong then.
""",
    )
