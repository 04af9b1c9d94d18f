"""How an inventory names a Prometheus server, or another one with its query API, such as Thanos or Mimir."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field, field_validator

from pytest_deploygate.fields.http import HttpAccess, Url
from pytest_deploygate.fields.types import Duration

#: A plain selector of series: raw samples can be read of nothing else, so no functions, ranges or operators.
Selector = Annotated[
    str,
    Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*\s*(\{([^{}\"]|\"([^\"\\]|\\.)*\")*\})?$"),
]


class Prometheus(HttpAccess):
    """A server with Prometheus' HTTP API."""

    url: Url = Field(description="base address, e.g. https://prometheus.example.com")
    params: dict[str, str] = Field(
        default={}, description="additional parameters of each query, e.g. {dedup: 'true'} for Thanos"
    )
    timeout: Duration = Field(default=timedelta(seconds=20), description="response timeout")

    @field_validator("url")
    @classmethod
    def _without_final_slash(cls, url: str) -> str:
        return url.rstrip("/")
