"""The inventory's `consent` section: the pages, the banner's buttons, and what may be kept or asked at which time."""

import re
from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from pytest_deploygate.fields.http import Texts
from pytest_deploygate.fields.types import Duration, Given, InventoryKeys, Section, Text
from pytest_deploygate.fields.validating import After


def _an_address(path: str) -> str:
    if not re.match(r"/|https?://", path):
        raise ValueError(f"{path!r} is no address: write a path such as /prices, or a whole URL")
    return path


def _a_host(name: str) -> str:
    if not re.fullmatch(r"(\*\.)?[\w.-]+|\*|\[[0-9A-Fa-f:.]+\]", name):
        raise ValueError(f"{name!r} is not the name of a host; write for example cdn.example.com")
    return name.lower()


Address = Annotated[Text, After(_an_address)]
HostName = Annotated[Text, After(_a_host)]


class Kept(Section):
    """What pages may keep in the browser, and third parties that they may ask."""

    cookies: list[str] = Field(default=[], description="names of cookies, * as wildcard")
    storage: list[str] = Field(
        default=[],
        description="names of keys of local and session storage, IndexedDB databases and caches, and scopes of service "
        "workers, * as wildcard",
    )
    hosts: list[HostName] = Field(
        default=[], description='hosts of third parties, for example `[fonts.example.net, "*.example.org"]`'
    )


class Necessary(Kept):
    """What is necessary, so that no consent is needed."""

    cookies: list[str] = Field(
        default=[], json_schema_extra={"weaker": "any"}, description="names of cookies, * as wildcard"
    )
    storage: list[str] = Field(
        default=[],
        json_schema_extra={"weaker": "any"},
        description="names of keys of storage, databases, caches and scopes of service workers, * as wildcard",
    )
    hosts: list[HostName] = Field(
        default=[], json_schema_extra={"weaker": "any"}, description="hosts of third parties, * as wildcard"
    )


class PrivacyPage(Section):
    """The page that says what is kept of visitors. The first page must link to it."""

    path: Address = Field(default="/privacy", description="its address")
    sees: Annotated[Texts, Field(min_length=1)] = Field(
        description="text that it shows, or a list of such texts"
    )


class Consent(Section):
    """What pages do before a visitor has chosen, after a refusal, and after consent. Nobody logs in."""

    pages: Annotated[list[Address], Field(min_length=1)] = Field(
        description="pages that are looked at, in this order in one visit; the banner is on the first"
    )
    accept: str | None = Field(
        default=None, min_length=1, description="name of the button that agrees; left out: there is no banner"
    )
    refuse: str | None = Field(default=None, min_length=1, description="name of the button that refuses")
    necessary: Necessary = Field(default=Necessary(), description="what is kept and asked without consent")
    consented: Kept = Field(default=Kept(), description="what is kept and asked after consent, beside that")
    privacy: PrivacyPage = Field(description="the privacy page")
    wait: Duration = Field(
        default=timedelta(seconds=2),
        json_schema_extra={"weaker": "smaller"},
        description="how long each page is watched after it was loaded and scrolled; at most a minute",
    )

    @model_validator(mode="after")
    def _both_buttons(self) -> Self:
        if (self.accept is None) != (self.refuse is None):
            raise ValueError("name both buttons, `accept` and `refuse`: who may agree may refuse as easily")
        kept = (*self.consented.cookies, *self.consented.storage, *self.consented.hosts)
        if self.accept is not None and not kept:
            raise ValueError(
                "say under `consented` what is kept after consent: that it is seen then proves that it would be seen before"
            )
        if self.accept is None and kept:
            raise ValueError(
                "`consented` is what is kept after consent: name the buttons `accept` and `refuse`"
            )
        if self.wait > timedelta(minutes=1):
            raise ValueError("`wait` is at most 1m")
        return self


_EXAMPLE = (
    "consent: {pages: [/, /prices], accept: Accept, refuse: Refuse, necessary: {cookies: [consent]}, "
    "consented: {cookies: [analytics]}, privacy: {sees: Privacy}}"
)


class Keys(InventoryKeys):
    """The key `consent`."""

    consent: Annotated[Consent | None, Given("consent", _EXAMPLE)] = Field(
        default=None, description="what pages may do before and after consent"
    )
