"""The inventory's `cdn` section: assets, their origin, private pages, and what may be tried on the cache."""

import ipaddress
import re
from datetime import timedelta
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from pytest_deploygate.fields.http import HttpAccess, HttpLogin, HttpRequest, Texts, Url
from pytest_deploygate.fields.types import (
    Duration,
    Each,
    ExistingPath,
    FilePath,
    Given,
    InventoryKeys,
    Port,
    Section,
    Size,
    Text,
)
from pytest_deploygate.fields.validating import After

Coding = Literal["gzip", "br", "zstd"]
#: In addresses of pages that are tried: where the random text stands that keeps real users apart.
BUSTER = "{buster}"


def _an_address(value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise ValueError(f"{value!r} is not an IP address, such as 192.0.2.10 or 2001:db8::10") from None
    return value


def _expression(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
    return pattern


Address = Annotated[Text, After(_an_address)]
Expression = Annotated[str, After(_expression)]


class Told(Section):
    """A header of this CDN's own by which a hit is known."""

    header: str = Field(description="its name, for example X-Edge-Result")
    hit: Expression = Field(description="regular expression that is found in its value on a hit")


class Origin(HttpAccess):
    """Where the CDN fetches from. It is asked for the path of each asset."""

    url: Url = Field(description="scheme, host and port, for example https://origin.example.com")


class Asset(Section):
    """A static file that the CDN must serve from its cache."""

    name: str = Field(description="name used in findings, for example `script`")
    url: Url = Field(description="its address at the CDN, as browsers load it")
    lifetime: Duration = Field(
        default=timedelta(days=30),
        json_schema_extra={"weaker": "smaller"},
        description="minimum time for which browsers may keep it without asking again (RFC 9111)",
    )
    max_lifetime: Duration | None = Field(
        default=None, description="maximum of that time, for a file whose name stays when its content changes"
    )
    immutable: bool = Field(
        default=False,
        description="its name changes with its content, so Cache-Control must say `immutable` (RFC 8246)",
    )
    codings: list[Coding] = Field(
        default=[], description="each of these must be served to a client that takes it alone"
    )
    compressed: bool | None = Field(
        default=None,
        json_schema_extra={"weaker": "false"},
        description="whether browsers must get it compressed; left out: if it is text of more than 1 kB",
    )
    ranges: bool | None = Field(
        default=None,
        json_schema_extra={"weaker": "false"},
        description="whether a part must be served as a part (206); left out: if it says `Accept-Ranges: bytes`; "
        "false: parts are not asked for",
    )
    content_type: str | None = Field(default=None, description="its Content-Type; left out: the origin's")
    sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")] | None = Field(
        default=None, description="SHA-256 of its content, in place of the origin's"
    )
    file: ExistingPath | None = Field(
        default=None, description="file of the build with its content, in place of the origin's"
    )

    @model_validator(mode="after")
    def _one_content(self) -> Self:
        if self.sha256 and self.file:
            raise ValueError("`sha256` and `file` are mutually exclusive")
        if self.max_lifetime is not None and self.max_lifetime < self.lifetime:
            raise ValueError("`max_lifetime` is below `lifetime`")
        if self.immutable and self.max_lifetime is not None:
            raise ValueError("a file that is `immutable` needs no `max_lifetime`: its name changes")
        return self


class Private(Section):
    """A page that shows each user something of their own, through the CDN, with the logins of two test accounts."""

    name: str = Field(description="name used in findings, for example `account`")
    url: Url = Field(description=f"its address; `{BUSTER}` in it is replaced, else a parameter is added")
    a: HttpLogin = Field(
        description="how the first account logs in; a session cookie is `{header: Cookie, value: env:NAME}`"
    )
    b: HttpLogin = Field(description="how the second account logs in")
    shows: Texts = Field(
        default=[], description="text that only the first account may see; left out: its page as a whole"
    )


class PurgeRequest(HttpRequest):
    """A request that purges. `PURGE` and `BAN` are methods of caches."""

    url: Url = Field(description="its address")
    method: Literal["GET", "POST", "PUT", "DELETE", "PURGE", "BAN"] = Field(  # type: ignore[assignment]
        default="POST", description="HTTP method"
    )


class Purge(Section):
    """How an object is purged, and how soon no node may serve the old one."""

    url: Url = Field(description="the object; it is fetched again from the origin afterwards")
    requests: list[PurgeRequest] = Field(
        default=[],
        description="requests that purge it, for example one for each node, or one to the CDN's API",
    )
    run: Text | None = Field(default=None, description="command that purges it, in place of `requests`")
    within: Duration = Field(
        default=timedelta(seconds=10),
        json_schema_extra={"weaker": "larger"},
        description="time after which no node may serve the old object",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.requests) == (self.run is not None):
            raise ValueError("set exactly one of `requests` and `run`")
        return self


class Down(Section):
    """A drill: the origin is stopped, and an object that is no longer fresh must still be served (RFC 5861)."""

    url: Url = Field(description="an object with a lifetime of a few seconds")
    stop: Text = Field(description="command after which the CDN cannot reach the origin")
    start: Text = Field(description="command that ends this; always run, also after an error")


class Tried(Section):
    """What is tried on the cache: poisoning, deception, a purge. It is run if `opt_in` is the inventory's name, or with
    `--allow-disruptive`; otherwise its dated record is judged.
    """

    opt_in: str = Field(default="", description="the inventory's name: this CDN may be tried")
    record: FilePath | None = Field(default=None, description="file that keeps the dated records")
    max_age: Duration = Field(
        default=timedelta(days=90),
        json_schema_extra={"weaker": "larger"},
        description="maximum age of a record",
    )
    pages: list[Url] = Field(
        min_length=1,
        description="pages that are cached and built from requests, which must change nothing; each is fetched with a random "
        f"parameter, or with `{BUSTER}` replaced, so that no user gets what we caused",
    )
    purge: Annotated[
        Purge | None, Given("cdn_purge", "purge: {url: URL, requests: [{url: URL, method: PURGE}]}")
    ] = Field(default=None, json_schema_extra={"weaker": "null"}, description="how an object is purged")
    origin_down: Annotated[
        Down | None,
        Given("cdn_origin_down", "origin_down: {url: URL, stop: COMMAND, start: COMMAND}", optional=True),
    ] = Field(default=None, description="drill with the origin down, if stale answers are promised")


class Cdn(Section):
    """The CDN, or the caches of your own, in front of the platform."""

    assets: Annotated[
        list[Asset],
        Each(
            "cdn_asset", "assets: [{name: script, url: https://cdn.example.com/app.3f2a.js, immutable: true}]"
        ),
    ] = Field(min_length=1, description="files to fetch, one of each kind")
    origin: Origin | None = Field(
        default=None, description="where the CDN fetches from; bodies are compared with its own"
    )
    private: list[Private] = Field(
        default=[], description="pages that users get through the CDN when they are logged in"
    )
    nothing_private: bool = Field(
        default=False,
        json_schema_extra={"weaker": "any"},
        description="in place of `private`: no page with a login goes through this CDN",
    )
    tried: Annotated[
        Tried | None,
        Given("cdn_tried", "tried: {pages: [URL], purge: {…}, opt_in: INVENTORY, record: FILE}"),
    ] = Field(
        default=None, json_schema_extra={"weaker": "null"}, description="what may be tried on the cache"
    )
    addresses: list[Address] = Field(
        default=[], description="addresses of the CDN to ask; left out: those of its name"
    )
    ca_file: FilePath | None = Field(
        default=None, description="file with certificates to trust instead of the system's (PEM)"
    )
    plain_port: Port | None = Field(
        default=80,
        json_schema_extra={"weaker": "null"},
        description="port of plain HTTP, which must redirect to HTTPS or be closed; null: not asked",
    )
    fetches: int = Field(
        default=40,
        ge=5,
        le=500,
        json_schema_extra={"weaker": "smaller"},
        description="fetches of each asset that count, each on a connection of its own",
    )
    min_hit_ratio: float = Field(
        default=0.8,
        ge=0,
        lt=1,
        json_schema_extra={"weaker": "smaller"},
        description="share of fetches that must be hits, with 95 % confidence",
    )
    hit: Told | None = Field(
        default=None, description="header that tells a hit, if it is none of the usual ones"
    )
    allowed_cookies: list[str] = Field(
        default=[], json_schema_extra={"weaker": "any"}, description="names of cookies that assets may set"
    )
    largest: Size = Field(default=20 * 1024**2, description="larger bodies are not read to their end")
    timeout: Duration = Field(default=timedelta(seconds=10), description="for each request")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for asset in self.assets:
            if urlsplit(asset.url).fragment:
                raise ValueError(f"{asset.url!r} has a fragment (#…), which is not sent to servers")
        if bool(self.private) == self.nothing_private:
            raise ValueError(
                "name a page with a login in `private`, or say `nothing_private: true` if none goes through this CDN"
            )
        return self


class Keys(InventoryKeys):
    """The key `cdn`."""

    cdn: Annotated[
        Cdn | None,
        Given(
            "cdn",
            "cdn: {assets: [{name: script, url: https://cdn.example.com/app.3f2a.js, immutable: true}], "
            "origin: {url: https://origin.example.com}, nothing_private: true}",
        ),
    ] = Field(default=None, description="the CDN in front of the platform")
