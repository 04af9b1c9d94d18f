"""How an inventory describes a mail server and mail addresses (RFC 5321)."""

import re
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pytest_deploygate.fields.types import Duration, ExistingPath, Port, SecretReference, Section, Text
from pytest_deploygate.fields.validating import After

_ADDRESS = re.compile(r"[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]+@[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]+\.[^\s@<>.]+")
_DISPLAYED = re.compile(r"\s*(?:\"([^\"<>]*)\"|([^\"<>]*))\s*<([^<>]*)>\s*")
#: RFC 5321, section 4.5.3.1.
_MOST_LOCAL, _MOST_PATH = 64, 254
#: The null sender: no server answers it with a mail of its own (RFC 5321, section 4.5.5).
NULL_SENDER = "<>"


def checked(value: str) -> str:
    """Return a mail address without blanks around it. Raises ValueError for what no mail can be sent to."""
    found = value.strip()
    local, _, _ = found.rpartition("@")
    if not _ADDRESS.fullmatch(found) or ".." in found or found.startswith(".") or local.endswith("."):
        raise ValueError(f"{value!r} is not a mail address; write for example operations@example.com")
    if len(local.encode()) > _MOST_LOCAL or len(found.encode()) > _MOST_PATH:
        raise ValueError(f"{value!r} is longer than a mail address can be (RFC 5321)")
    return found


def parted(value: str) -> tuple[str, str]:
    """Return the name and the address of `Platform operations <platform@example.com>`. Raises ValueError."""
    found = _DISPLAYED.fullmatch(value)
    if found is None:
        return "", checked(value)
    return " ".join((found[1] or found[2] or "").split()), checked(found[3])


def _displayed(value: str) -> str:
    parted(value)
    return value


def _envelope(value: str) -> str:
    return value if value.strip() in ("", NULL_SENDER) else checked(value)


MailAddress = Annotated[str, After(checked)]
#: An address, with a name before it where it has one.
Sender = Annotated[str, After(_displayed)]
#: An address for bounces, or `<>` for none.
Envelope = Annotated[str, After(_envelope)]


class MailServer(Section):
    """A server that takes mails: with STARTTLS, with TLS from the start, or without either. Certificates are verified."""

    host: Text = Field(min_length=1, description="its name or address")
    port: Port | None = Field(
        default=None, description="its port; default: 587 with `starttls`, 465 with `tls`, 25 with `none`"
    )
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls",
        json_schema_extra={"weaker": "any"},
        description="`starttls` (a server without it gets nothing), `tls` from the start, or `none`",
    )
    user: Text = Field(default="", description="user to log in with, where it asks for one")
    password: SecretReference | None = Field(default=None, description="reference to the user's password")
    ca_file: ExistingPath | None = Field(
        default=None, description="file with certificates to trust instead of the system's (PEM)"
    )
    timeout: Duration = Field(
        default=timedelta(seconds=60), description="time for one mail, from connecting to the answer"
    )
    hello: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9.:\[\]-]*$",
        description="name that EHLO says; default: this machine's",
    )

    @model_validator(mode="after")
    def _logs_in_safely(self) -> Self:
        if bool(self.user) != (self.password is not None):
            raise ValueError("`user` and `password` of a mail server belong together")
        if self.password is not None and self.security == "none":
            raise ValueError("a password is not sent without TLS; set `security: starttls` or `tls`")
        return self

    @property
    def at(self) -> int:
        """Its port."""
        return self.port or {"starttls": 587, "tls": 465, "none": 25}[self.security]
