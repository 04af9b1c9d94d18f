"""The inventory's `browser` and `journeys` sections: the browser, test users, and the journeys that need no Python."""

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from pytest_deploygate.fields.browser import Browser
from pytest_deploygate.fields.http import Texts, Url
from pytest_deploygate.fields.types import (
    Duration,
    Each,
    Given,
    InventoryKeys,
    SecretReference,
    Section,
    Text,
)
from pytest_deploygate.fields.validating import After
from pytest_deploygate.problems import nearest

_NUMBER = re.compile(r"[-+]?\d[\d.,'’\u00a0\u202f ]*")


def _a_pattern(pattern: str) -> str:
    try:
        found = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
    if found.search(""):
        raise ValueError(f"{pattern!r} matches everything")
    return pattern


def _an_address(path: str) -> str:
    if not re.match(r"/|https?://", path):
        raise ValueError(f"{path!r} is no address: write a path such as /dashboards, or a whole URL")
    return path


Address = Annotated[Text, After(_an_address)]
#: An address on the platform, or the name of what is clicked.
Pattern = Annotated[str, After(_a_pattern)]


class User(Section):
    """A test user of the platform."""

    name: Text = Field(description="the name that is typed in")
    password: SecretReference = Field(description="reference to the password")


class Login(Section):
    """How users log in: the page, and its fields by their labels."""

    path: Address = Field(default="/login", description="address of the page with the login")
    user: str = Field(default="User name", min_length=1, description="label of the field for the name")
    password: str = Field(default="Password", min_length=1, description="label of the field for the password")
    button: str = Field(default="Log in", min_length=1, description="name of the button")
    sees: Annotated[Texts, Field(min_length=1)] = Field(
        description="text that only those see who are logged in, e.g. `Log out`, or a list of such texts"
    )


class Value(Section):
    """A number on a page."""

    at: str = Field(min_length=1, description="where it is, as a CSS selector, e.g. `#total`")
    at_least: float | None = Field(
        default=None, description="the smallest good value", json_schema_extra={"weaker": "smaller"}
    )
    at_most: float | None = Field(
        default=None, description="the largest good value", json_schema_extra={"weaker": "larger"}
    )

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError(f"say what the value at {self.at!r} must be: `at_least`, `at_most`, or both")
        return self

    @property
    def limit(self) -> str:
        """What it must be, in words."""
        said = [
            f"{word} {value:g}"
            for word, value in (("at least", self.at_least), ("at most", self.at_most))
            if value is not None
        ]
        return " and ".join(said)

    def holds(self, number: float) -> bool:
        """Return whether a number is good."""
        return (self.at_least is None or number >= self.at_least) and (
            self.at_most is None or number <= self.at_most
        )


def number_in(text: str) -> float | None:
    """Return the first number of a text, None without one: `1,250 readings` is 1250, `21.5 °C` is 21.5."""
    found = _NUMBER.search(text)
    if found is None:
        return None
    plain = re.sub(r"['’\u00a0\u202f ]", "", found[0]).rstrip(".,")
    whole, comma, rest = plain.rpartition(",")
    if comma and "." not in rest and ("," in whole or "." in whole or len(rest) == 3):
        plain = plain.replace(",", "") if "." not in whole else f"{whole.replace('.', '')}.{rest}"
    elif comma:
        plain = f"{whole.replace('.', '')}.{rest}" if "." not in rest else plain.replace(",", "")
    try:
        return float(plain)
    except ValueError:
        return None


class Step(Section):
    """One step: open an address, or click something by its name; then what must be seen."""

    open: Address | None = Field(default=None, description="address to open")
    click: str | None = Field(default=None, min_length=1, description="name of a link or button to click")
    fill: dict[str, Text] = Field(
        default={}, description="what is typed before the click, by the fields' labels; no secrets"
    )
    sees: Texts = Field(default=[], description="text that must be seen, or a list of such texts")
    lacks: Texts = Field(
        default=[], description="text that must not be seen, e.g. `No data`, or a list of such texts"
    )
    value: Value | None = Field(default=None, description="a number on the page, and what it must be")
    within: Duration | None = Field(
        default=None,
        json_schema_extra={"weaker": "larger"},
        description="how long the step may take (default: `browser.timeout`)",
    )

    @property
    def name(self) -> str:
        """What it does, in words."""
        if self.open is not None:
            return f"opens {self.open}"
        return f"clicks {self.click!r}" if self.click else "looks at the page"

    @model_validator(mode="after")
    def _does_one_thing(self) -> Self:
        if self.open is not None and self.click is not None:
            raise ValueError("a step opens an address or clicks something: make two steps of it")
        if self.fill and self.click is None:
            raise ValueError("`fill` needs `click`: the button that takes what was typed")
        if self.value is None and not self.sees:
            raise ValueError(
                "say by what the step is known to have worked: text in `sees`, or a `value`; error pages open, too"
            )
        return self


class Journey(Section):
    """What a user does, where nothing branches."""

    name: str = Field(min_length=1, description="its name in findings, e.g. `sees the plant`")
    user: str | None = Field(
        default=None, description="who does it: a name of `users`; without it nobody logs in"
    )
    steps: Annotated[list[Step], Field(min_length=1)] = Field(description="the steps, in order")
    url: Url | None = Field(
        default=None,
        description="address of another instance than `browser.url`, such as the old application's",
    )


def _without_itself(items: list[str]) -> list[str]:
    if FEATURES in items:
        raise ValueError(f"{FEATURES} cannot be one of the items that decide it")
    return list(dict.fromkeys(items))


#: The item that others decide.
FEATURES = "crit.features"
Features = Annotated[list[str], Field(min_length=1), After(_without_itself)]
Named = Annotated[list[Journey] | None, Field(min_length=1)]


def _add(kind: str) -> str:
    return (
        f"journeys: {{{kind}: [{{name: sees the plant, user: viewer, steps: [{{open: /dashboards, sees: Dashboards}}]}}]}}"
        ", or write a test with the fixtures `page` and `journey` that is bound to the item"
    )


_ADD_OLD = "journeys: {old_application: [{name: plans work, url: 'https://old.example.com', steps: [{open: /, sees: Planned}]}]}"
_LISTS = ("smoke", "workflows", "operations", "old_application")


class Journeys(Section):
    """Test users, how they log in, and what they do in a browser."""

    login: Login | None = Field(default=None, description="how users log in")
    users: Annotated[
        dict[str, User] | None,
        Each(
            "test_user",
            "journeys: {login: {sees: Log out}, users: {viewer: {name: VIEWER, password: env:VIEWER_PASSWORD}}}",
            entries=lambda users: [(name, name) for name in users or {}],
        ),
    ] = Field(default=None, description="test users by their role; each of them must be able to log in")
    smoke: Annotated[Named, Each("smoke_journey", _add("smoke"), optional=True)] = Field(
        default=None, description="the critical journeys, tried after each deployment"
    )
    workflows: Annotated[Named, Each("workflow", _add("workflows"), optional=True)] = Field(
        default=None, description="the critical workflows, tried when users arrive and on the day after"
    )
    operations: Annotated[Named, Each("operations_journey", _add("operations"), optional=True)] = Field(
        default=None, description="what the operations team does: logs in and sees its dashboards"
    )
    old_application: Annotated[Named, Each("old_journey", _ADD_OLD, optional=True)] = Field(
        default=None,
        description="what users do in an instance of the old application that runs on the new schema, each with its `url`",
    )
    features: Features | None = Field(
        default=None,
        description="items that measure critical features, e.g. [phase3.api, golive.workflows]: `crit.features` fails if one does",
    )
    slow: Duration = Field(
        default=timedelta(seconds=5),
        json_schema_extra={"weaker": "larger"},
        description="no page may take longer to load",
    )
    ignore: list[Pattern] = Field(
        default=[],
        json_schema_extra={"weaker": "any"},
        description="regular expressions of scripts' errors and failed requests that are known and harmless",
    )

    @property
    def all(self) -> Iterator[tuple[str, Journey]]:
        """Every journey with the list that it is in."""
        for kind in _LISTS:
            yield from ((kind, journey) for journey in getattr(self, kind) or ())

    @model_validator(mode="after")
    def _users_are_known(self) -> Self:
        known: Sequence[str] = list(self.users or {})
        for kind, journey in self.all:
            if journey.user is not None and journey.user not in known:
                raise ValueError(
                    f"the journey {journey.name!r} in `{kind}` is that of {journey.user!r}, who is not in `users`"
                    f"{nearest(journey.user, known)}"
                )
        if known and self.login is None:
            raise ValueError("`users` need `login`: say how they log in, e.g. `login: {sees: Log out}`")
        for kind in _LISTS:
            names = [journey.name for journey in getattr(self, kind) or ()]
            if twice := next((name for name in names if names.count(name) > 1), None):
                raise ValueError(f"two journeys of `{kind}` are named {twice!r}")
        if new := next((each for each in self.old_application or () if each.url is None), None):
            raise ValueError(
                f"the journey {new.name!r} in `old_application` needs `url`: the old application's address"
            )
        return self


class Keys(InventoryKeys):
    """The keys `browser` and `journeys`."""

    browser: Annotated[Browser | None, Given("browser", "browser: {url: https://app.example.com}")] = Field(
        default=None, description="the browser in which pages are looked at"
    )
    journeys: Annotated[Journeys | None, Given("journeys", "journeys: {login: {sees: Log out}}")] = Field(
        default=None, description="test users and their journeys in the browser"
    )
