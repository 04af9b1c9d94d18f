"""How an inventory names a health check."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from pytest_deploygate.fields.types import Duration, Section, Text


class HealthCheck(Section):
    """Something that answers over the network: an HTTP address with a status, or a TCP port."""

    exactly_one = ("url", "tcp")

    name: str = Field(description="how findings call it")
    url: Text | None = Field(default=None, description="address to GET, e.g. https://old.example.com/healthz")
    tcp: Text | None = Field(default=None, description="host:port that must take connections")
    status: int = Field(default=200, ge=100, le=599, description="HTTP status that it must answer")
    contains: str | None = Field(default=None, description="text that the answer must contain")
    timeout: Duration = Field(default=timedelta(seconds=5), description="it must answer by then")
