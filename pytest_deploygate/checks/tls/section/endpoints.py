"""The inventory's `endpoints` and `tls` sections: every TLS port that is offered, and what is expected of it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, WithJsonSchema, field_validator, model_validator

from pytest_deploygate.checks.tls.section.guidelines import ProfileName
from pytest_deploygate.fields.references import as_port
from pytest_deploygate.fields.types import (
    REFERENCE,
    Duration,
    ExistingPath,
    FilePath,
    Port,
    Section,
    ShortForm,
)
from pytest_deploygate.fields.validating import Before

StartTls = Literal["none", "postgresql", "smtp", "imap", "ldap"]
KeyKind = Literal["rsa", "ecdsa"]


def an_address(value: str) -> str:
    """Check an IP address. Raises ValueError."""
    try:
        return str(ip_address(value))
    except ValueError:
        raise ValueError(
            f"{value!r} is not an IP address; write for example 192.0.2.10 or 2001:db8::10"
        ) from None


def _port_or_none(value: object) -> int | str:
    """Read a port or the word `none`; a union would report two mistakes for one reference that cannot be resolved."""
    if value == "none":
        return "none"
    port = as_port(value)
    if not 1 <= port <= 65535:
        raise ValueError(f"{port} is not a port number (1 to 65535)")
    return port


PortOrNone = Annotated[
    int | Literal["none"],
    Before(_port_or_none),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 65535},
                REFERENCE,
                {"const": "none", "type": "string"},
            ]
        }
    ),
]


class Tls(Section):
    """Settings of every endpoint that does not override them."""

    renamed: ClassVar[Mapping[str, str]] = {"trust": "ca_file"}

    profile: ProfileName = Field(default="intermediate", description="Mozilla's profile to compare with")
    ca_file: FilePath | None = Field(
        default=None, description="file with certificates to trust instead of the system's (PEM)"
    )
    timeout: Duration = Field(default=timedelta(seconds=5), description="for each connection and each answer")
    tries: int = Field(
        default=3,
        ge=2,
        le=20,
        description="fresh connections to each address, kind of key, and before and in TLS 1.3: several backends may be behind one address",
    )
    fail_under: Duration = Field(
        json_schema_extra={"weaker": "smaller"},
        default=timedelta(days=14),
        description="a certificate fails with less time left than this or a sixth of its lifetime, whichever is smaller",
    )
    warn_under: Duration = Field(
        default=timedelta(days=30),
        description="a certificate warns with less time left than this or a third of its lifetime, whichever is smaller",
    )
    issuer_fail_under: Duration = Field(
        json_schema_extra={"weaker": "smaller"},
        default=timedelta(days=14),
        description="an issuer, up to the root, fails with less time left than this or a sixth of its lifetime, whichever is smaller",
    )
    issuer_warn_under: Duration = Field(
        default=timedelta(days=30),
        description="an issuer warns with less time left than this or a third of its lifetime, whichever is smaller",
    )
    valid_until: datetime | None = Field(
        default=None,
        description="certificates must be valid until 24 h after this time (the cutover); left out: 24 h from now",
    )
    renewed_within: Duration | None = Field(
        default=None, description="the newest renewal must not be older than this; for automatic renewal"
    )
    revocation: bool = Field(
        json_schema_extra={"weaker": "false"},
        default=True,
        description="check the revocation list that the certificate names, or the stapled OCSP response",
    )

    @field_validator("valid_until")
    @classmethod
    def _has_zone(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("this time has no zone; write for example 2026-12-01T22:00:00Z")
        return value


class ClientCertificate(Section):
    """The certificate that the gate presents where clients must have one."""

    certificate: ExistingPath = Field(description="file with the certificate and its chain (PEM)")
    key: ExistingPath = Field(description="file with the private key (PEM)")


class Http(Section):
    """What is expected of an HTTPS endpoint's answers."""

    path: str = Field(default="/", description="path that is fetched with GET", pattern="^/")
    redirect_port: PortOrNone = Field(
        default=80,
        description="port that must redirect to HTTPS, or `none` where plain HTTP is not offered: beside port 443, port 80 must not answer then",
    )
    hsts: bool = Field(
        json_schema_extra={"weaker": "false"},
        default=True,
        description="Strict-Transport-Security must be sent, with at least the max-age of the profile",
    )
    min_score: int = Field(
        json_schema_extra={"weaker": "smaller"},
        default=50,
        ge=0,
        le=145,
        description="minimum score of the security headers, as in Mozilla's Observatory (50 is a C)",
    )


class Endpoint(Section):
    """One TLS port. Short form: `app.example.com` or `app.example.com:8443`."""

    short_form = ShortForm(
        "host", r"^[A-Za-z0-9._:-]+$", examples=("app.example.com", "app.example.com:8443")
    )
    renamed: ClassVar[Mapping[str, str]] = {"trust": "ca_file"}

    name: str = Field(description="its name in findings; left out: the host")
    host: str = Field(
        description="name that clients use: it is resolved, sent as SNI and must be in the certificate",
        pattern=r"^[A-Za-z0-9._-]+$",
    )
    port: Port = Field(default=443, description="TCP port")
    addresses: list[Annotated[str, Before(an_address)]] = Field(
        default=[],
        description="addresses to check, each of them; left out: all that the name resolves to, IPv4 and IPv6",
    )
    starttls: StartTls = Field(default="none", description="protocol in which TLS is requested (STARTTLS)")
    keys: list[KeyKind] = Field(
        default=[], description="kinds of keys whose certificates must be offered; left out: at least one"
    )
    profile: ProfileName | None = Field(default=None, description="instead of `tls.profile`")
    ca_file: FilePath | None = Field(default=None, description="instead of `tls.ca_file` (PEM)")
    client_certificate: ClientCertificate | None = Field(
        default=None, description="clients must present a certificate; without one the first read must fail"
    )
    http: Http | None = Field(
        default=None, description="what is expected of its HTTP answers; left out: the defaults, on port 443"
    )
    stapling: bool = Field(
        json_schema_extra={"weaker": "false"},
        default=True,
        description="an OCSP response must be stapled if the certificate names a responder",
    )

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, str):
            host, colon, port = value.rpartition(":")
            if colon and port.isdigit():
                return {"name": value, "host": host, "port": int(port)}
            return {"name": value, "host": value}
        if isinstance(value, dict) and "name" not in value and "host" in value:
            return {"name": value["host"], **value}
        return value

    @field_validator("addresses", "keys")
    @classmethod
    def _not_empty(cls, value: list[str]) -> list[str]:
        if not value:
            raise ValueError("an empty list has no meaning; leave the key out")
        return value

    @model_validator(mode="after")
    def _http_needs_no_starttls(self) -> Self:
        if self.http is not None and self.starttls != "none":
            raise ValueError(f"`http` cannot be combined with `starttls: {self.starttls}`")
        return self

    @property
    def web(self) -> Http | None:
        """What is expected of its HTTP answers; None if it speaks another protocol."""
        return self.http or (Http() if self.port == 443 and self.starttls == "none" else None)
