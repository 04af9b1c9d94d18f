"""The inventory's `waf` section: where inert attacks and ordinary requests may be sent, and what must happen to them."""

import re
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from pytest_deploygate.checks.hosts.section import Hosts, not_listed_yet
from pytest_deploygate.fields.http import HttpAccess, HttpRequest, Statuses, Url
from pytest_deploygate.fields.types import (
    Duration,
    ExistingPath,
    FilePath,
    Given,
    InventoryKeys,
    Section,
    ShortForm,
    Text,
)
from pytest_deploygate.fields.validating import After
from pytest_deploygate.problems import nearest

AttackClass = Literal[
    "sqli", "xss", "lfi", "rfi", "rce", "ssrf", "php", "java", "protocol", "scanner", "upload", "other"
]
Placement = Literal["query", "path", "header", "cookie", "form", "json", "multipart", "upload", "body"]
#: Placements of the shipped corpus whose requests have a body: they go to `write`.
NEED_WRITE: tuple[Placement, ...] = ("form", "json", "multipart", "upload")
#: Kinds of ordinary requests that any platform has: OWASP CRS lets all of them pass at paranoia level 1.
USUAL = ("plain", "names", "json", "base64", "upload")
Usual = Literal["plain", "names", "json", "base64", "upload"]
#: Kinds for which OWASP CRS needs exclusions.
More = Literal["graphql", "prose", "code"]


def _a_path(path: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*", path):
        raise ValueError(f"{path!r} is not a path such as /search; a query is added by the corpus")
    return path


def _pattern(pattern: str | None) -> str | None:
    try:
        found = re.compile(pattern or "")
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
    if pattern is not None and found.search(""):
        raise ValueError(f"{pattern!r} matches an empty body too, so every answer would count")
    return pattern


Path = Annotated[str, After(_a_path)]
Pattern = Annotated[str | None, After(_pattern)]


class Blocked(Section):
    """What the answer to a blocked request looks like."""

    status: Statuses = Field(default=[403, 406, 429], description="HTTP status, or a list of them")
    pattern: Pattern = Field(
        default=None,
        description="regular expression in the body of the block page, whatever its status; needed if that is 200",
    )
    closes: bool = Field(
        default=False, description="a connection that is closed without an answer counts as blocked"
    )


class Reached(Section):
    """By what an answer of the application is known: its request was not blocked, even if it is an error."""

    header: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9-]+$",
        description="header that only the application sends, for example X-Request-Id",
    )
    pattern: Pattern = Field(
        default=None, description="regular expression in the body of the application's errors"
    )


class OwnRequest(HttpRequest):
    """An ordinary request of the platform's own users."""

    path: Path = Field(description="its path; the request must change nothing")
    query: str = Field(default="", description="query, without the question mark")


class BehindWaf(Section):
    """A server behind the WAF. Short form: its URL."""

    short_form = ShortForm(
        "url", r"^[A-Za-z][A-Za-z0-9+.-]*:.+", examples=("https://203.0.113.7", "https://[2001:db8::7]")
    )

    url: Url = Field(description="its address or name, for example http://10.0.0.7:8080")
    also_from: list[Text] = Field(
        default=[], description="names of `hosts.servers` from which it is tried besides `origins_from`"
    )

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"url": value} if isinstance(value, str) else value


class Corpus(Section):
    """Attacks in a folder, besides those that are shipped."""

    exactly_one = ("crs", "gotestwaf")
    instead = (
        "set one of `crs` (a checkout of coreruleset/coreruleset) and `gotestwaf` (its folder `testcases`)"
    )

    crs: ExistingPath | None = Field(
        default=None, description="checkout of coreruleset/coreruleset, or a folder with its regression tests"
    )
    gotestwaf: ExistingPath | None = Field(default=None, description="folder with test cases of gotestwaf")
    least_percent: float = Field(
        default=90,
        ge=0,
        le=100,
        json_schema_extra={"weaker": "smaller"},
        description="share of its attacks that must be blocked; of those of OWASP CRS, only tests of rules up to `paranoia` count",
    )

    @property
    def name(self) -> str:
        """What findings call it."""
        return "OWASP CRS" if self.crs else "gotestwaf"

    ordinary: bool = Field(
        default=False, description="its ordinary requests must pass, too (gotestwaf's `false-pos`)"
    )
    most: int = Field(
        default=5000,
        ge=1,
        le=20_000,
        description="attacks that are sent at most; the rest is left out and counted",
    )

    @model_validator(mode="after")
    def _a_share(self) -> Self:
        if self.gotestwaf and "least_percent" not in self.model_fields_set:
            raise ValueError(
                "gotestwaf does not say which of its attacks a rule set blocks (OWASP CRS 3.3.4 at level 1: 40 %): add "
                "`least_percent`"
            )
        return self


class Waf(HttpAccess):
    """The web application firewall in front of the platform."""

    url: Url = Field(description="address of the platform behind the WAF, without a path")
    read: Path = Field(
        description="path at which GET is safe with any query, header, cookie and path below it: it changes nothing"
    )
    write: Path | None = Field(
        default=None,
        description="path at which POST, PUT, PATCH and DELETE are safe with any body: they change nothing",
    )
    opt_in: str = Field(
        default="",
        description="the inventory's name: attacks may be sent to this environment. Without it, they are sent with "
        "`--allow-disruptive` only",
    )
    crs: int = Field(
        default=4,
        ge=3,
        le=4,
        json_schema_extra={"weaker": "smaller"},
        description="OWASP CRS from which blocking is expected, by major version; for other rule sets, the nearest one",
    )
    paranoia: int = Field(
        default=1,
        ge=1,
        le=4,
        json_schema_extra={"weaker": "smaller"},
        description="paranoia level up to which blocking is expected",
    )
    blocked: Blocked = Field(default=Blocked(), description="what the answer to a blocked request looks like")
    reached: Reached = Field(default=Reached(), description="by what an answer of the application is known")
    least_percent: float = Field(
        default=95,
        gt=0,
        le=100,
        json_schema_extra={"weaker": "smaller"},
        description="share of the expected attacks that must be blocked, in each class, placement and encoding",
    )
    expect: dict[AttackClass, Annotated[float, Field(ge=0, le=100)]] = Field(
        default={},
        json_schema_extra={"weaker": "any"},
        description="another share for a class, in percent, for example `{php: 0}` where nothing runs PHP",
    )
    without: list[Placement] = Field(
        default=[],
        json_schema_extra={"weaker": "any"},
        description="placements that the platform does not have, in which no attack is sent",
    )
    more_traffic: list[More] = Field(
        default=[],
        description="ordinary requests that this platform has besides: queries of GraphQL, prose that looks like SQL, "
        "code snippets in a forum",
    )
    without_traffic: list[Usual] = Field(
        default=[],
        json_schema_extra={"weaker": "any"},
        description="kinds of ordinary requests that the platform does not have",
    )
    ordinary: list[OwnRequest] = Field(
        default=[], description="ordinary requests of your own, which must not be blocked"
    )
    false_positives_percent: float = Field(
        default=0,
        ge=0,
        le=100,
        json_schema_extra={"weaker": "larger"},
        description="share of the ordinary requests that may be blocked",
    )
    unresolved_percent: float = Field(
        default=5,
        ge=0,
        le=100,
        json_schema_extra={"weaker": "larger"},
        description="share of the attacks that may get an answer which is neither a block nor the application's",
    )
    sources: list[Text] = Field(
        default=[],
        description="further local addresses that ordinary requests are sent from: they tell a ban from a WAF that "
        "blocks everyone",
    )
    origins: list[BehindWaf] = Field(
        default=[],
        description="servers behind the WAF by address or name, all addresses of which must be closed to us, for example "
        "http://203.0.113.7:8080; without them, and without `no_origins`, the item is inconclusive",
    )
    no_origins: Annotated[str | None, Field(min_length=10)] = Field(
        default=None,
        json_schema_extra={"weaker": "any"},
        description="why no server behind the WAF can be reached around it, for example that it listens on a Unix socket of "
        "the WAF's host; instead of `origins`",
    )
    origins_from: list[Text] = Field(
        default=[], description="names of `hosts.servers` from which origins are tried besides"
    )
    corpora: list[Corpus] = Field(default=[], description="attacks of others, in folders")
    connections: int = Field(default=16, ge=1, le=64, description="requests at the same time")
    within: Duration = Field(
        default=timedelta(minutes=5), description="the run is ended after this time, and then proves nothing"
    )
    record: FilePath | None = Field(default=None, description="file to which a run writes its dated record")
    max_age: Duration = Field(
        default=timedelta(days=90),
        json_schema_extra={"weaker": "larger"},
        description="a record older than this does not count",
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.write is None and (needing := [name for name in NEED_WRITE if name not in self.without]):
            raise ValueError(
                f"attacks in {', '.join(needing)} need `write: PATH`, a path at which POST changes nothing; if the "
                f"platform takes no such requests, say so: `without: [{', '.join(NEED_WRITE)}]`"
            )
        if self.origins and self.no_origins is not None:
            raise ValueError("`no_origins` says that there are none: leave it out, or `origins`")
        if re.search(r"://[^/]+/.", self.url):
            raise ValueError(f"{self.url!r} has a path; write it as `read` and `write`")
        return self

    @property
    def ways(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Each origin, and the names of the hosts from which it is tried besides from here."""
        return tuple(
            (each.url, tuple(dict.fromkeys([*self.origins_from, *each.also_from]))) for each in self.origins
        )

    @property
    def vantages(self) -> tuple[str, ...]:
        """The names of all hosts from which origins are tried."""
        own = [name for _, names in self.ways for name in names]
        return tuple(dict.fromkeys([*self.origins_from, *own]))

    def least_of(self, attack_class: str) -> float:
        """Return the share of a class that must be blocked, in percent."""
        return self.expect.get(attack_class, self.least_percent)  # type: ignore[call-overload, no-any-return]


class Keys(InventoryKeys):
    """The key `waf`."""

    waf: Annotated[
        Waf | None,
        Given(
            "waf",
            "waf: {url: https://app.example.com, read: /search, write: /api/echo, opt_in: staging, origins: "
            "[https://203.0.113.7]}",
        ),
    ] = Field(default=None, description="the web application firewall in front of the platform")

    @model_validator(mode="after")
    def _waf_names_known_hosts(self) -> Self:
        """The names of hosts are those of the section `hosts`, which the whole inventory has beside this one."""
        hosts: Hosts | None = getattr(self, "hosts", None)
        if hosts and not_listed_yet(hosts):
            return self
        known = [server.name for server in hosts.servers] if hosts else []
        for name in self.waf.vantages if self.waf else ():
            if name not in known:
                key = "origins_from" if self.waf and name in self.waf.origins_from else "origins.also_from"
                advice = nearest(name, known) or "; add it there"
                raise ValueError(f"waf.{key}: no server in `hosts.servers` is named {name!r}{advice}")
        return self
