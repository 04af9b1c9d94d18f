"""Who gets a notice: the contacts of roles, people of lists, and channels, each once."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol

import pydantic

from pytest_deploygate.fields.mail import checked
from pytest_deploygate.fields.notices import Audience, Notices, Person
from pytest_deploygate.files import bounded, sha256
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.problems import Problem, nearest

_COLUMNS = ("mail", "name", "language", "zone")


class Contact(Protocol):
    """What is read of a contact of the inventory."""

    role: str
    name: str
    mail: str
    language: str
    zone: str


@dataclass(frozen=True)
class Recipient:
    """One who gets a notice. `to` is a mail address, or a channel's name; `called` is what may be shown of it anywhere."""

    kind: Literal["mail", "channel"]
    to: str
    called: str
    name: str
    language: str
    zone: str

    def key(self, change: str) -> str:
        """Return the digest that stands for the recipient in the record of a change.

        It is a pseudonym: whoever has a list of addresses can find them by it, and nobody can read them from it.
        """
        return sha256(f"notice\0{change}\0{self.kind}\0{self.to.lower()}".encode())[:16]


class UnaddressableError(ValueError):
    """Recipients are missing or wrong; `problems` say which."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def of(
    section: Notices, audience: Audience, contacts: Sequence[Contact], privacy: str = ""
) -> list[Recipient]:
    """Return who is in an audience, each address once. Raises UnaddressableError."""
    private = (privacy or section.privacy) == "digest"
    problems: list[Problem] = []
    found: dict[tuple[str, str], Recipient] = {}
    for one in _all(section, audience, contacts, problems, private=private):
        found.setdefault((one.kind, one.to.lower()), one)
    if problems:
        raise UnaddressableError(problems)
    return list(found.values())


def _all(
    section: Notices,
    audience: Audience,
    contacts: Sequence[Contact],
    problems: list[Problem],
    *,
    private: bool,
) -> Iterator[Recipient]:
    def mail(address: str, called: str, who: Contact | Person) -> Recipient:
        language, zone = who.language or section.language, who.zone or section.zone
        return Recipient(
            "mail", address, called if private else f"{called} <{address}>", who.name, language, zone
        )

    where = f"notices.audiences, {audience.name}"
    for role in audience.roles:
        known = [contact for contact in contacts if contact.role == role]
        if not known:
            roles = dict.fromkeys(contact.role for contact in contacts)
            problems.append(
                Problem(where, 0, f"there is no contact of the role {role!r}{nearest(role, roles)}")
            )
        elif not any(contact.mail for contact in known):
            problems.append(Problem(where, 0, f"the contact of {role} has no `mail`"))
        for contact in known:
            if contact.mail:
                try:
                    yield mail(checked(contact.mail), role, contact)
                except ValueError as error:
                    problems.append(Problem(where, 0, f"the contact of {role}: {error}"))
    people = list(audience.people)
    if audience.file is not None:
        people += _people(audience.file, problems)
    for person in people:
        # The last part tells two people of a list apart, and does not say who they are.
        called = f"{audience.name} {sha256(person.mail.lower().encode())[:6]}" if private else audience.name
        yield mail(person.mail, called, person)
    for name in audience.channels:
        channel = section.channel(name)
        yield Recipient(
            "channel",
            name,
            f"channel {name}",
            "",
            channel.language or section.language,
            channel.zone or section.zone,
        )


def _people(file: Path, problems: list[Problem]) -> Iterator[Person]:
    """Yield the people of a CSV file. A line that cannot be read becomes a problem with its number."""
    try:
        text = bounded.text(file)
    except OSError as error:
        problems.append(Problem(str(file), 0, f"cannot be read: {error.strerror}"))
        return
    except bounded.OddTextError as error:
        problems.append(Problem(str(file), error.line, str(error)))
        return
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    columns = [column.strip() for column in rows.fieldnames or ()]
    rows.fieldnames = columns
    if "mail" not in columns:
        problems.append(
            Problem(
                str(file), 1, f"has no column `mail`; its first line must name columns: {', '.join(_COLUMNS)}"
            )
        )
        return
    if unknown := [column for column in columns if column not in _COLUMNS]:
        problems.append(Problem(str(file), 1, f"has a column {unknown[0]!r}{nearest(unknown[0], _COLUMNS)}"))
        return
    some = False
    for row in rows:
        told = {key: value.strip() for key, value in row.items() if isinstance(value, str) and value.strip()}
        if not told:
            continue
        some = True
        try:
            yield Person.model_validate(told)
        except pydantic.ValidationError as error:
            first = error.errors()[0]
            problems.append(
                Problem(
                    str(file),
                    rows.line_num,
                    f"{'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}",
                )
            )
    if not some:
        problems.append(Problem(str(file), 0, "lists nobody"))
