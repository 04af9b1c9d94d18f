"""How an inventory describes the browser in which pages are looked at: Chromium, driven by Playwright."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import Field

from pytest_deploygate.fields.http import Url
from pytest_deploygate.fields.types import Duration, ExistingPath, FilePath, Section, Text
from pytest_deploygate.fields.validating import After

_NAME = re.compile(r"(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def _names(names: dict[str, str]) -> dict[str, str]:
    for name, address in names.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a host; write for example app.example.com")
        if not re.fullmatch(r"[A-Za-z0-9._-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?", address):
            raise ValueError(f"{address!r} is not an address; write for example 192.0.2.10 or [2001:db8::1]")
    return names


class Browser(Section):
    """The browser: its program, the platform's address, and what it trusts."""

    url: Url = Field(description="the platform's address; paths such as `/login` are below it")
    ca_file: ExistingPath | None = Field(
        default=None,
        description="file with certificates of an authority of your own (PEM): servers that these verify are trusted, too",
    )
    servers: list[Url] = Field(
        default=[],
        description="further servers whose certificates `ca_file` verifies, e.g. https://grafana.example.com",
    )
    names: Annotated[dict[str, Text], After(_names)] = Field(
        default={},
        description="addresses of names that do not resolve here, e.g. {app.example.com: 192.0.2.10}",
    )
    program: FilePath | None = Field(
        default=None, description="Chromium's program (default: Playwright's own, else the system's)"
    )
    timeout: Duration = Field(
        default=timedelta(seconds=10), description="how long to wait for a page or for something on it"
    )
    sandbox: bool = Field(
        default=True,
        description="use Chromium's sandbox; as root it is never used, and a container may not allow it",
    )
    width: int = Field(default=1280, ge=320, le=3840, description="width of the window in pixels")
    height: int = Field(default=800, ge=240, le=2160, description="height of the window in pixels")
    locale: str = Field(default="en-GB", min_length=2, description="language that pages are asked for")
    timezone: str = Field(default="UTC", min_length=1, description="time zone of the browser")
