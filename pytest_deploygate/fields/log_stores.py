"""Where logs are: a path on a host, and the log stores Loki and OpenSearch; and the time zone of their times."""

from typing import Annotated

from pydantic import Field, WithJsonSchema

from pytest_deploygate.fields import references
from pytest_deploygate.fields.http import HttpAccess, Url
from pytest_deploygate.fields.validating import After, Before


def _path(value: object) -> object:
    return references.filled_in(value, instead="/var/log")


def _absolute(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError(f"{path!r} is not a path from the root, such as /var/log/nginx/access.log")
    return path


def _a_zone(name: str) -> str:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415 (few inventories name a zone)

    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is not a time zone; write for example UTC or Europe/Berlin") from None
    return name


#: The name of a time zone.
Zone = Annotated[str, After(_a_zone)]
#: The path of a log, in which references are resolved.
LogPath = Annotated[str, Before(_path), After(_absolute), WithJsonSchema({"type": "string"})]


class Loki(HttpAccess):
    """A log in Grafana Loki."""

    url: Url = Field(description="address of Loki, for example https://loki.example.com")
    query: str = Field(
        pattern=r"^\{.+\}", description='stream selector of the log, for example `{job="nginx"}`'
    )


class OpenSearch(HttpAccess):
    """A log in OpenSearch or Elasticsearch."""

    url: Url = Field(description="address of the server, for example https://logs.example.com:9200")
    index: str = Field(pattern=r"^[^/?#\s]+$", description="index, alias or pattern, for example `nginx-*`")
    time_field: str = Field(default="@timestamp", description="field with the time of an entry")
    message: str | None = Field(
        default=None,
        description="field with the line as it was logged; without it, the document itself is read",
    )
