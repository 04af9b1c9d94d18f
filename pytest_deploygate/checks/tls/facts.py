"""Measurements of endpoints as frozen values: no I/O, no limit."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import ClassVar

from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Leaf:
    """A certificate that an address offers, as it was sent: `chain` excludes the leaf and keeps the order sent.

    It was received on `seen` connections. `staple` is the stapled OCSP response, `crl` its revocation list.
    `path` are the issuers by which OpenSSL reaches a root, the root last, `spare` those (SHA-256) without which it
    finds another path, `path_crls` the revocation lists of the issuers, each with the issuer's subject.
    """

    certificate: Certificate
    chain: tuple[Certificate, ...]
    trust: Trust
    covers_name: bool
    seen: int
    staple: Staple | None = None
    crl: Crl | None = None
    path: tuple[Certificate, ...] = ()
    spare: frozenset[str] = frozenset()
    path_crls: tuple[tuple[str, Crl], ...] = ()


@dataclass(frozen=True)
class Client:
    """What an ordinary client (Python's ssl, which is OpenSSL) gets. `code` is its X509_V_ERR, 0 on success.

    It is -1 if TLS failed otherwise, and -2 if nothing was learned (no answer in time).
    """

    ok: bool
    code: int
    text: str


@dataclass(frozen=True)
class Address:
    """What one address offers. `problem` says why nothing was seen, `not_probed` what could not be requested.

    `asks_client`: the server asks for a client's certificate. Of `connections` to it, `cut` ended without an answer.
    """

    address: str
    tries: int
    leaves: tuple[Leaf, ...] = ()
    problem: str = ""
    client: Client | None = None
    control: ClientControl | None = None
    not_probed: tuple[str, ...] = ()
    asks_client: bool = False
    connections: int = 0
    cut: int = 0


@dataclass(frozen=True)
class Certificates:
    """All addresses of one endpoint at one moment."""

    endpoint: str
    host: str
    at: datetime
    addresses: tuple[Address, ...]


@dataclass(frozen=True)
class Certificate:
    """One certificate. Serial and digest in hexadecimal; `server_auth` is None without extended key usage.

    `key` is rsa, ecdsa, ed25519, ed448 or other; `curve` is empty for RSA. `unread` says what could not be parsed.
    """

    subject: str
    issuer: str
    serial: str
    sha256: str
    not_before: datetime
    not_after: datetime
    key: str
    key_bits: int
    curve: str
    signature_hash: str
    version: int
    ca: bool
    self_issued: bool
    server_auth: bool | None
    names: tuple[str, ...]
    addresses: tuple[str, ...]
    responders: tuple[str, ...]
    crls: tuple[str, ...]
    must_staple: bool
    unread: str = ""

    def covers(self, host: str) -> bool:
        """Return whether the name is among its alternative names (RFC 6125: a `*` matches exactly one label)."""
        wanted = host.rstrip(".").lower()
        try:
            return str(ipaddress.ip_address(wanted)) in self.addresses
        except ValueError:
            return any(_matches(name.lower().rstrip("."), wanted) for name in self.names)


def _matches(pattern: str, host: str) -> bool:
    if not pattern.startswith("*."):
        return pattern == host
    _, _, parent = host.partition(".")
    return "." in parent and pattern[2:] == parent


@dataclass(frozen=True)
class Trust:
    """OpenSSL's result for a chain. `code` is 0 when it leads to a root, else X509_V_ERR (20: issuer missing)."""

    code: int
    text: str
    depth: int = 0


@dataclass(frozen=True)
class Page:
    """One answer. Header names are lower case; a header that was sent twice appears twice."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str = ""

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value of a header."""
        return tuple(value for key, value in self.headers if key == name)

    def first(self, name: str) -> str | None:
        """Return a header's first value."""
        return next(iter(self.all(name)), None)


@dataclass(frozen=True)
class HttpAnswers:
    """The HTTPS page and the plain HTTP answer; `…_problem` says why one is missing. `plain` is None where none is offered.

    `cors` is the page as requested by another origin, None where that got no answer.
    """

    ORIGIN: ClassVar[str] = "https://deploygate.invalid"

    page: Page | None
    page_problem: str = ""
    plain: Page | None = None
    plain_problem: str = ""
    plain_refused: bool = False
    cors: Page | None = None


@dataclass(frozen=True)
class Agreed:
    """What one address agreed to. `protocols` maps all versions to `accepted`, `refused`, `closed`, `timeout`, …

    `details` has the server's message for each, `closed_on` the key exchanges of a version on which it closed the
    connection without an alert. `dh_bits` is the smallest prime seen, None where no DHE suite was
    chosen. `client_renegotiation` is None where it could not be tried. `problem` says why nothing was seen at all.
    """

    address: str
    protocols: Mapping[str, str]
    details: Mapping[str, str] = field(default_factory=dict)
    closed_on: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    suites: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    dh_bits: int | None = None
    compression: bool = False
    secure_renegotiation: bool | None = None
    client_renegotiation: bool | None = None
    http: HttpAnswers | None = None
    problem: str = ""
    hellos: int = 0


@dataclass(frozen=True)
class Offers:
    """What an endpoint agrees to on all its addresses. `not_probed` is what this tool cannot offer."""

    endpoint: str
    addresses: tuple[Agreed, ...]
    not_probed: tuple[str, ...] = (
        "SSL 2.0",
        "suites for pre-shared keys, SRP and GOST",
        "early data (0-RTT)",
        "attacks on implementations (Heartbleed, ROBOT, padding oracles)",
    )


@dataclass(frozen=True)
class Staple:
    """A stapled OCSP response. `status` is good, revoked, unknown or what was wrong with the response."""

    status: str
    about_this: bool
    this_update: datetime | None
    next_update: datetime | None


@dataclass(frozen=True)
class Crl:
    """The result of a revocation list. `problem` says why it could not be read; `revoked` is None then."""

    url: str
    revoked: bool | None
    next_update: datetime | None
    problem: str = ""


@dataclass(frozen=True)
class Entry:
    """One attempt. `outcome` is let-in, refused or unclear; `detail` what was read or the error."""

    outcome: str
    detail: str


@dataclass(frozen=True)
class ClientControl:
    """The attempt with our certificate, and the negative control without any."""

    with_certificate: Entry
    without: Entry
