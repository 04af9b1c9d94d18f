"""The inventory's `authentication` section: who logs in, with which tokens, and what each may do."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pytest_deploygate.fields.http import Method, Statuses, Url
from pytest_deploygate.fields.types import (
    Duration,
    ExistingPath,
    Given,
    InventoryKeys,
    SecretReference,
    Section,
    Text,
    Words,
)
from pytest_deploygate.fields.validating import After
from pytest_deploygate.problems import nearest

#: What may be left out, with a reason that is shown as a weakening.
Part = Literal[
    "expired",
    "audience",
    "issuer",
    "passwords",
    "sessions",
    "lockout",
    "roles",
    "objects",
    "cors",
    "discovery",
    "rotation",
    "revocation",
]


def _a_path(path: str) -> str:
    if not path.startswith(("/", "https://", "http://")):
        raise ValueError(f"{path!r} is no path such as /login and no URL")
    return path


#: A path on the platform, or the address of another server.
Place = Annotated[Text, After(_a_path)]


class User(Section):
    """An account made for checks. Users are known by `name`."""

    name: str = Field(description="the name of the account")
    password: SecretReference | None = Field(default=None, description="reference to its password")
    token: SecretReference | None = Field(
        default=None,
        description="reference to a bearer token of it, where tokens cannot be had for a password",
    )
    may: list[str] = Field(default=[], description="operations (operationId, or `GET /path`) that it may use")
    may_not: list[str] = Field(
        default=[], description="operations that its role may not use, and another user's may"
    )

    @model_validator(mode="after")
    def _has_credentials(self) -> Self:
        if self.password is None and self.token is None:
            raise ValueError(f"the user {self.name} needs `password: env:NAME`, or `token: env:NAME`")
        return self


class Granting(Section):
    """Where a token can be had for a user's password (RFC 6749, 4.3)."""

    path: Place = Field(default="/oauth/token", description="path or URL of the token endpoint")
    client_id: Text | None = Field(default=None, description="the client that asks")
    client_secret: SecretReference | None = Field(default=None, description="reference to its secret")
    scope: str | None = Field(default=None, description="scopes to ask for")


class Kept(Section):
    """Real tokens, kept: a token with a changed date or audience is refused for its signature, which proves nothing."""

    expired: SecretReference | None = Field(
        default=None, description="reference to a token that was good and has run out"
    )
    audience: SecretReference | None = Field(
        default=None, description="reference to a token of the same issuer for another audience"
    )
    issuer: SecretReference | None = Field(default=None, description="reference to a token of another issuer")


class Login(Section):
    """The login form and the session behind it."""

    path: Place = Field(default="/login", description="path of the form")
    user_field: str = Field(default="username", description="name of the form's field for the user")
    password_field: str = Field(default="password", description="name of the form's field for the password")
    user: str = Field(description="the user of `users` that logs in; it needs a password")
    cookie: str = Field(default="session", description="name of the session's cookie")
    same_site: list[Literal["Strict", "Lax"]] = Field(
        default=["Strict", "Lax"], description="values of SameSite that are good"
    )
    pages: list[Place] = Field(min_length=1, description="pages for logged-in users only")
    refused: Statuses = Field(
        default=[401], description="HTTP status of the answer to a wrong password, or a list of them"
    )
    logout: Place = Field(default="/logout", description="path that ends the session")
    logout_method: Method = Field(default="POST", description="its HTTP method")
    attempts: int = Field(
        default=96,
        ge=24,
        le=200,
        json_schema_extra={"weaker": "smaller"},
        description="logins with a wrong password, and as many with an unknown user, at most: fewer, from 24 on, where their "
        "times are compared as precisely as `similar`",
    )
    in_a_row: int = Field(
        default=3,
        ge=1,
        le=50,
        description="wrong passwords before a good login, so that the user is not locked out",
    )
    similar: Duration = Field(
        default=timedelta(milliseconds=50),
        json_schema_extra={"weaker": "larger"},
        description="by how much the times for a wrong password and an unknown user may differ",
    )


class Lockout(Section):
    """An account that is made for being locked."""

    name: str = Field(description="its name; no other check uses it")
    password: SecretReference = Field(description="reference to its password")
    after: int = Field(
        default=5,
        ge=1,
        le=20,
        json_schema_extra={"weaker": "larger"},
        description="wrong passwords after which the right one is refused",
    )
    other: str = Field(description="a user of `users` with a password, who must still be let in meanwhile")
    unlocks_after: Duration | None = Field(
        default=None, description="time after which the lock ends by itself; waited for if at most a minute"
    )
    unlock: Place | None = Field(
        default=None,
        description="path of a POST that unlocks the account, sent with the token of `unlock_as`",
    )
    unlock_as: str | None = Field(default=None, description="the user of `users` who may unlock")

    @model_validator(mode="after")
    def _can_be_undone(self) -> Self:
        if (self.unlock is None) != (self.unlock_as is None):
            raise ValueError("`unlock` and `unlock_as` belong together")
        if self.unlock is None and self.unlocks_after is None:
            raise ValueError(
                "say how the account is unlocked: `unlocks_after: 15m`, or `unlock: PATH` with `unlock_as: USER`"
            )
        return self


class Owned(Section):
    """An object of one user that another one must not reach."""

    owner: str = Field(description="the user of `users` whose object it is")
    other: str = Field(description="the user of `users` who must not reach it")
    listed_by: str = Field(
        description="operation that lists the owner's objects; the first is taken, and others must not see it there"
    )
    key: str = Field(default="id", description="property of a listed object that names it")
    operations: list[str] = Field(
        min_length=1,
        description="operations on the object, with one parameter in the path; other methods than GET only where the "
        "object may be changed or lost",
    )


class Cors(Section):
    """Which other origins may read answers."""

    path: Place = Field(description="path of an operation that pages of other origins use")
    allowed: list[str] = Field(
        default=[], description="origins that are let in, e.g. https://app.example.com"
    )
    credentials: bool = Field(default=False, description="they may send cookies")


class Rotation(Section):
    """A request after which the platform signs with another key."""

    path: Place = Field(description="path of the request")
    method: Method = Field(default="POST", description="its HTTP method")
    user: str = Field(description="the user of `users` who may do that")


class Authentication(Section):
    """Logins, tokens and sessions of the platform."""

    url: Url = Field(
        description="address of the platform; requests go nowhere else but where a path is a URL"
    )
    ca_file: ExistingPath | None = Field(
        default=None, description="file with certificates to trust instead of the system's (PEM)"
    )
    timeout: Duration = Field(default=timedelta(seconds=10), description="response timeout")
    connections: int = Field(default=4, ge=1, le=32, description="requests at the same time")
    opt_in: str = Field(
        default="",
        description="the inventory's name: bad tokens and wrong passwords may be sent to this environment. Without it, they "
        "are sent with `--allow-disruptive` only",
    )
    document: Place = Field(
        default="/openapi.json", description="path or URL of the OpenAPI document (JSON or YAML)"
    )
    open: list[str] = Field(
        default=[],
        description="operations (operationId, or `GET /path`) that anybody may use; those of the document without `security` "
        "must be among them",
    )
    leave_out: list[str] = Field(
        default=[],
        json_schema_extra={"weaker": "any"},
        description="protected operations that are not tried",
    )
    parameters: dict[str, Text] = Field(
        default={}, description="values of parameters by name, where the document has no example that exists"
    )
    users: list[User] = Field(min_length=1, description="accounts made for checks; the first is tried first")
    granting: Granting = Field(default=Granting(), description="where a token can be had for a password")
    discovery: Place = Field(
        default="/.well-known/openid-configuration", description="path or URL of the OIDC discovery document"
    )
    issuer: Text | None = Field(
        default=None,
        description="the issuer that it must name, if that is not the address before /.well-known",
    )
    revocation: Place | None = Field(
        default=None,
        description="path or URL at which a token is ended before its time (RFC 7009), if the discovery document does not name "
        "it; tokens that were ended there must be refused",
    )
    signing_key: SecretReference | None = Field(
        default=None,
        description="reference to a private key (PEM) whose signatures this environment accepts: with it, expired tokens and "
        "those for another audience or of another issuer are made",
    )
    kept: Kept = Field(
        default=Kept(), description="real tokens that must be refused, in place of `signing_key`"
    )
    login: Login | None = Field(default=None, description="the login form and its session")
    lockout: Lockout | None = Field(default=None, description="the account that is made for being locked")
    objects: list[Owned] = Field(default=[], description="objects that other users must not reach")
    cors: Cors | None = Field(default=None, description="which other origins may read answers")
    rotation: Rotation | None = Field(
        default=None, description="a request after which the platform signs with another key"
    )
    without: dict[Part, Words] = Field(
        default={},
        json_schema_extra={"weaker": "any"},
        description="parts that this platform does not have, each with the reason",
    )

    @model_validator(mode="after")
    def _names_its_users(self) -> Self:
        known = [user.name for user in self.users]
        if len(set(known)) < len(known):
            raise ValueError("two entries of `users` have the same name")
        for key, name in self._named():
            if name not in known:
                raise ValueError(f"{key}: no user in `users` is named {name!r}{nearest(name, known)}")
        with_password = [("login.user", self.login.user)] if self.login else []
        with_password += [("lockout.other", self.lockout.other)] if self.lockout else []
        for key, name in with_password:
            if self.user(name).password is None:
                raise ValueError(f"{key}: the user {name} needs a `password`")
        if self.lockout and self.lockout.name in known:
            raise ValueError(
                f"lockout.name: {self.lockout.name} is in `users`, too; it will be locked, so no other check may use it"
            )
        return self

    def _named(self) -> list[tuple[str, str]]:
        """Return each name of a user with its key."""
        found = [("login.user", self.login.user)] if self.login else []
        if self.lockout:
            found.append(("lockout.other", self.lockout.other))
            if self.lockout.unlock_as:
                found.append(("lockout.unlock_as", self.lockout.unlock_as))
        for each in self.objects:
            found += [("objects.owner", each.owner), ("objects.other", each.other)]
        if self.rotation:
            found.append(("rotation.user", self.rotation.user))
        return found

    def user(self, name: str) -> User:
        """Return a user by name. Raises KeyError for an unknown one."""
        return {each.name: each for each in self.users}[name]


class Keys(InventoryKeys):
    """The key `authentication`."""

    authentication: Annotated[
        Authentication | None,
        Given(
            "authentication",
            "authentication: {url: https://app.example.com, opt_in: staging, users: [{name: viewer, password: "
            "env:VIEWER_PASSWORD}], login: {user: viewer, pages: [/dashboards]}}",
        ),
    ] = Field(default=None, description="logins, tokens and sessions of the platform")
