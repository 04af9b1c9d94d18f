"""How an inventory names an Alertmanager, or another server with its API, such as Mimir's."""

from datetime import timedelta

from pydantic import Field, field_validator

from pytest_deploygate.fields.http import HttpAccess, Url
from pytest_deploygate.fields.types import Duration


class Alertmanager(HttpAccess):
    """One node of Alertmanager."""

    name: str = Field(default="", description="name used in findings; left out: its address")
    url: Url = Field(description="base address of the node, e.g. https://alertmanager1.example.com")
    timeout: Duration = Field(default=timedelta(seconds=10), description="response timeout")

    @field_validator("url")
    @classmethod
    def _a_node_without_final_slash(cls, url: str) -> str:
        return url.rstrip("/")

    @property
    def called(self) -> str:
        """What findings call it."""
        return self.name or self.url.partition("://")[2]
