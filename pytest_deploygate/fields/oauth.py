"""How an inventory says that a token is fetched from a token endpoint (OAuth 2.0, RFC 6749)."""

from typing import Self

from pydantic import Field, model_validator

from pytest_deploygate.fields.http import HttpAccess, Url
from pytest_deploygate.fields.types import ExistingPath, SecretReference, Section, Text


class OAuth(Section):
    """A token endpoint and who asks it: a user with a password, a client with a secret, or both."""

    url: Url = Field(description="URL of the token endpoint")
    user: Text | None = Field(default=None, description="user, for the grant `password`")
    password: SecretReference | None = Field(default=None, description="reference to that user's password")
    client: Text | None = Field(
        default=None, description="id of the client; without a user, for the grant `client_credentials`"
    )
    secret: SecretReference | None = Field(default=None, description="reference to that client's secret")
    scope: str = Field(default="", description="scopes to ask for, with blanks between them")
    ca_file: ExistingPath | None = Field(
        default=None, description="file with certificates to trust instead of the system's (PEM)"
    )

    @model_validator(mode="after")
    def _somebody_asks(self) -> Self:
        if (self.user is None) != (self.password is None) or (self.secret and not self.client):
            raise ValueError("`user` needs `password`, and `secret` needs `client`")
        if self.user is None and self.secret is None:
            raise ValueError("say who asks for the token: `user` with `password`, or `client` with `secret`")
        return self

    @property
    def who(self) -> str:
        """The user or client, for findings."""
        return self.user or self.client or ""


class TokenAccess(HttpAccess):
    """How to reach an HTTP server that may want a token of a token endpoint."""

    oauth: OAuth | None = Field(
        default=None, description="token endpoint that a bearer token is fetched from, instead of `token`"
    )

    @model_validator(mode="after")
    def _one_way_to_log_in(self) -> Self:
        if self.oauth is not None and self.login is not None:
            raise ValueError("`oauth` excludes `token` and `auth`")
        return self
