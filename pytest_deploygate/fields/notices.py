"""How an inventory describes the notices of a change: what they say, who gets them, and by which servers."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, WithJsonSchema, model_validator

from pytest_deploygate.fields.http import Url
from pytest_deploygate.fields.mail import Envelope, MailAddress, MailServer, Sender
from pytest_deploygate.fields.types import (
    Duration,
    ExistingPath,
    FilePath,
    SecretReference,
    Section,
)
from pytest_deploygate.fields.validating import After, Before
from pytest_deploygate.problems import nearest


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"unknown time zone {name!r}; write for example Europe/Berlin") from None
    return name


def _instant(value: object) -> datetime:
    try:
        found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f"{value} is not a time; write for example 2026-12-01T20:00:00Z") from None
    if found.tzinfo is None:
        raise ValueError(f"{value} has no time zone; write for example 2026-12-01T20:00:00Z, in quotes")
    return found.astimezone(UTC)


Zone = Annotated[str, After(_zone)]
Instant = Annotated[datetime, Before(_instant), WithJsonSchema({"type": "string", "format": "date-time"})]
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})?$")]
#: A text, or one for each language.
Spoken = str | dict[Language, str]
SpokenList = list[str] | dict[Language, list[str]]


class Window(Section):
    """When the change is made, and how long users are interrupted."""

    start: Instant = Field(description="start, ISO 8601 with a zone, e.g. 2026-12-01T20:00:00Z")
    end: Instant = Field(description="end, same format as `start`")
    interruption: Duration | None = Field(
        default=None, description="expected interruption; `0s` says that there is none"
    )
    decide_by: Instant | None = Field(
        default=None, description="when it is decided whether the change goes on or back"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end <= self.start:
            raise ValueError("a window must end after its start")
        if self.interruption is not None and self.interruption > self.end - self.start:
            raise ValueError("`interruption` is longer than the window")
        if self.decide_by is not None and not self.start <= self.decide_by <= self.end:
            raise ValueError("`decide_by` must be within the window")
        return self


class Person(Section):
    """Somebody who gets notices and is no contact."""

    mail: MailAddress = Field(description="mail address")
    name: str = Field(default="", description="name, which a notice may address")
    language: Language | None = Field(default=None, description="language; default: that of `notices`")
    zone: Zone | None = Field(default=None, description="time zone; default: that of `notices`")


class Channel(Section):
    """A chat or a service that is told by HTTPS. Its address is a secret: who has it may write there."""

    name: str = Field(min_length=1, description="name used in audiences and findings")
    kind: Literal["slack", "teams", "json"] = Field(
        description="`slack` (incoming webhook), `teams` (workflow that takes an adaptive card), or `json`"
    )
    url: SecretReference = Field(description="reference to the address of its webhook")
    token: SecretReference | None = Field(default=None, description="bearer token, for `json` alone")
    ca_file: ExistingPath | None = Field(
        default=None, description="file with certificates to trust instead of the system's (PEM)"
    )
    timeout: Duration = Field(default=timedelta(seconds=20), description="time for a request")
    language: Language | None = Field(default=None, description="language; default: that of `notices`")
    zone: Zone | None = Field(default=None, description="time zone; default: that of `notices`")


class Audience(Section):
    """Who gets a notice: roles of `contacts`, people of a list, and channels."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$", description="name, such as `customers`")
    roles: list[str] = Field(default=[], description="roles of `contacts` that have a mail address")
    people: list[Person] = Field(default=[], description="further people")
    file: ExistingPath | None = Field(
        default=None, description="CSV file of further people: `mail`, and `name`, `language`, `zone`"
    )
    channels: list[str] = Field(default=[], description="names of `channels`")

    @model_validator(mode="after")
    def _is_somebody(self) -> Self:
        if not (self.roles or self.people or self.file or self.channels):
            raise ValueError(
                f"nobody is in the audience {self.name}: add `roles`, `people`, `file` or `channels`"
            )
        return self


class Notices(Section):
    """Notices to people: `deploygate notify` previews and sends them, never a run of the gate."""

    sender: Sender | None = Field(
        default=None, description="who mails are from, e.g. `Platform operations <platform@example.com>`"
    )
    reply_to: MailAddress | None = Field(default=None, description="address for answers, if not the sender's")
    bounces: Envelope = Field(
        default="", description="address for bounces; `<>` for none; default: the sender's address"
    )
    server: MailServer | None = Field(default=None, description="the server that takes the mails")
    templates: FilePath | None = Field(
        default=None,
        description="folder of templates, one folder for each language; default: the shipped ones",
    )
    record: FilePath | None = Field(
        default=None,
        description="folder with the record of what was sent, a folder for each change; default: the change's own",
    )
    privacy: Literal["digest", "plain"] = Field(
        default="digest", description="whether the record has digests in place of names and addresses"
    )
    language: Language = Field(default="en", description="language of those who have none of their own")
    zone: Zone = Field(default="UTC", description="time zone of those who have none of their own")
    product: Spoken | None = Field(default=None, description="what is changed, in the words of its users")
    window: Window | None = Field(default=None, description="when the change is made")
    changes: SpokenList | None = Field(default=None, description="what changes for users")
    action: Spoken | None = Field(default=None, description="what users have to do")
    look: Url | None = Field(default=None, description="where users can look, such as a status page")
    values: dict[str, Spoken] = Field(default={}, description="further values of templates, by name")
    channels: list[Channel] = Field(default=[], description="chats and services")
    audiences: list[Audience] = Field(default=[], description="who gets notices")
    status_to: list[str] = Field(
        default=["stakeholders"], description="audiences that the status notice must have been sent to"
    )

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        for what, names in (
            ("audiences", [a.name for a in self.audiences]),
            ("channels", [c.name for c in self.channels]),
        ):
            if twice := next((name for name in names if names.count(name) > 1), None):
                raise ValueError(f"{names.count(twice)} {what} are named {twice!r}; each name must be unique")
        channels = [channel.name for channel in self.channels]
        for audience in self.audiences:
            for name in audience.channels:
                if name not in channels:
                    raise ValueError(
                        f"audience {audience.name}: there is no channel {name!r}{nearest(name, channels)}"
                    )
        return self

    def audience(self, name: str) -> Audience | None:
        """Return an audience by name."""
        return next((audience for audience in self.audiences if audience.name == name), None)

    def channel(self, name: str) -> Channel:
        """Return a channel by name. Raises StopIteration for none, which the section does not allow."""
        return next(channel for channel in self.channels if channel.name == name)


def plain(section: Notices) -> dict[str, Any]:
    """Return what the section has to say in notices, as plain values: no address, server or secret."""
    said = {"product", "window", "changes", "action", "look", "values"}
    return section.model_dump(mode="json", include=said)


__all__ = [
    "Audience",
    "Channel",
    "Notices",
    "Person",
    "Spoken",
    "SpokenList",
    "Window",
    "plain",
]
