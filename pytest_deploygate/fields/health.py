"""How an inventory describes a health check."""

from datetime import timedelta
from typing import Self

from pydantic import Field, model_validator

from pytest_deploygate.fields.http import HttpRequest, Url
from pytest_deploygate.fields.types import Duration, Text


class HealthCheck(HttpRequest):
    """A network endpoint: an HTTP request with a good response, or a TCP port."""

    exactly_one = ("url", "tcp")

    name: str = Field(description="name used in findings")
    url: Url | None = Field(default=None, description="URL to request, e.g. https://old.example.com/healthz")
    tcp: Text | None = Field(default=None, description="host:port that must accept connections")
    timeout: Duration = Field(default=timedelta(seconds=5), description="response timeout")

    @model_validator(mode="after")
    def _request_has_url(self) -> Self:
        if self.tcp is not None and (keys := self.misplaced()):
            raise ValueError(f"{keys} need `url`; for a `tcp` port only the connection is checked")
        return self
