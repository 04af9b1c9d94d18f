"""How an inventory describes HTTP requests. Every section with a request uses these keys, with these meanings.

`token` logs in, `ca_file` names the certificates to trust, `body` is sent, `status` and `contains` are expected.
"""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, WithJsonSchema, field_validator, model_validator

from pytest_deploygate.fields import references
from pytest_deploygate.fields.types import Duration, ExistingPath, SecretReference, Section
from pytest_deploygate.fields.validating import After, Before

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SECRET_HEADERS = ("authorization", "cookie", "proxy-authorization")


def _filled_in(value: object) -> object:
    return references.filled_in(value, instead="https://127.0.0.1:1/")


def _url(value: str) -> str:
    if not re.match(r"https?://[^/\s]+", value):
        raise ValueError(f"{value!r} is not a URL; write for example https://app.example.com/healthz")
    if re.match(r"https?://[^/?#@]*@", value):
        raise ValueError(
            "a URL must not contain a user or password; add `token: env:NAME` or `auth` beside it"
        )
    return value


def _one_or_more(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _a_status(value: int) -> int:
    if not 100 <= value <= 599:
        raise ValueError(f"{value} is not an HTTP status (100 to 599)")
    return value


def _an_expression(pattern: str | None) -> str | None:
    try:
        found = re.compile(pattern or "")
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
    if pattern is not None and found.search(""):
        raise ValueError(f"{pattern!r} matches an empty body too, so every answer would be good")
    return pattern


def _a_text(text: str) -> str:
    if not text.strip():
        raise ValueError(
            "an empty text is in every answer; name text that a good one contains, or leave it out"
        )
    return text


#: An address with http:// or https://, in which references are resolved.
Url = Annotated[str, Before(_filled_in), After(_url), WithJsonSchema({"type": "string"})]
_STATUS = {"type": "integer", "minimum": 100, "maximum": 599}
#: One HTTP status, or a list of equally good ones.
Statuses = Annotated[
    list[Annotated[int, After(_a_status)]],
    Before(_one_or_more),
    Field(min_length=1),
    WithJsonSchema({"anyOf": [_STATUS, {"type": "array", "items": _STATUS, "minItems": 1}]}),
]
#: One text, or a list of texts that are all required.
Texts = Annotated[
    list[Annotated[str, After(_a_text)]],
    Before(_one_or_more),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


class HttpLogin(Section):
    """How requests authenticate: a bearer token, a user with a password, or a custom header."""

    exactly_one = ("token", "user", "header")
    instead = "use `token: env:TOKEN`, or `user` with `password`, or `header` with `value`"
    renamed: ClassVar[Mapping[str, str]] = {"bearer": "token"}

    token: SecretReference | None = Field(default=None, description="reference to a bearer token")
    user: str | None = Field(default=None, description="user for HTTP basic authentication")
    password: SecretReference | None = Field(default=None, description="reference to that user's password")
    header: str | None = Field(
        default=None, description="name of a header that carries a key, e.g. X-Api-Key"
    )
    value: SecretReference | None = Field(default=None, description="reference to that header's value")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.user is None) != (self.password is None) or (self.header is None) != (self.value is None):
            raise ValueError(self.instead)
        return self


class HttpAccess(Section):
    """How to reach an HTTP server: headers, authentication, trusted certificates, and timeout."""

    headers: dict[str, str] = Field(
        default={}, description="headers to send; put secrets in `token` or `auth`"
    )
    token: SecretReference | None = Field(
        default=None, description="reference to a bearer token, short for `auth: {token: …}`"
    )
    auth: HttpLogin | None = Field(default=None, description="authentication other than a bearer token")
    ca_file: ExistingPath | None = Field(
        default=None, description="file with certificates to trust instead of the system's (PEM)"
    )
    timeout: Duration | None = Field(default=None, description="response timeout")

    @property
    def login(self) -> HttpLogin | None:
        """The authentication of `token` or `auth`."""
        return HttpLogin(token=self.token) if self.token else self.auth

    @field_validator("headers")
    @classmethod
    def _headers(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not _HEADER.fullmatch(name) or "\n" in value or "\r" in value:
                raise ValueError(f"{name!r} is not a one-line header")
            if name.lower() in _SECRET_HEADERS:
                raise ValueError(
                    f"{name} carries a secret: use `token` or `auth`, with env:NAME or file:PATH"
                )
        return headers

    @model_validator(mode="after")
    def _one_login(self) -> Self:
        if self.token is not None and self.auth is not None:
            raise ValueError("`token` and `auth` are mutually exclusive")
        return self


class HttpRequest(HttpAccess):
    """A request and its expected response. Sections that extend this add the address: a `url`, or a `path`."""

    method: Method = Field(default="GET", description="HTTP method")
    body: str | None = Field(
        default=None,
        description="body to send; as application/json unless `headers` sets another Content-Type",
    )
    json_: dict[str, Any] | None = Field(default=None, alias="json", description="body to send, as JSON")
    status: Statuses = Field(default=[200], description="HTTP status of a good response, or a list of them")
    contains: Texts = Field(
        default=[], description="text that the body of a good response contains, or a list of such texts"
    )
    lacks: Texts = Field(
        default=[],
        description="text that the body of a good response must not contain, or a list of such texts",
    )
    matches: Annotated[str | None, After(_an_expression)] = Field(
        default=None, description="regular expression that must match in the body of a good response"
    )

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        if self.body is not None and self.json_ is not None:
            raise ValueError("`body` and `json` are mutually exclusive")
        return self

    @property
    def sent(self) -> str | None:
        """The body to send, if any."""
        return self.body if self.json_ is None else json.dumps(self.json_)

    @property
    def expected(self) -> str:
        """The statuses of a good response, in words."""
        return " or ".join(map(str, self.status))

    @property
    def looks_at_body(self) -> bool:
        """Whether a good response is recognized by its body, too."""
        return bool(self.contains or self.lacks) or self.matches is not None

    @property
    def trusts_the_status(self) -> bool:
        """Whether an error page with a good status would count as a good response."""
        return (
            not self.looks_at_body
            and self.method != "HEAD"
            and any(status not in (204, 205) for status in self.status)
        )

    def lacking(self, body: str) -> str:
        """Describe what is wrong with a body that should be that of a good response; empty if it is one."""
        for text in self.contains:
            if text not in body:
                return f"body without {text!r}"
        for text in self.lacks:
            if text in body:
                return f"body with {text!r}"
        if self.matches is not None and not re.search(self.matches, body):
            return f"body does not match {self.matches!r}"
        return ""

    def misplaced(self) -> str:
        """Return the keys of a request that are set, for sections that may be something else; empty if none is."""
        names = self.model_fields_set & (HttpRequest.model_fields.keys() - {"timeout"})
        return ", ".join(f"`{HttpRequest.model_fields[name].alias or name}`" for name in sorted(names))
