"""The inventory's `errors` section: which counters tell requests and errors, and how many of them may fail."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pytest_deploygate.checks.load.section import Visits
from pytest_deploygate.fields.prometheus import Selector
from pytest_deploygate.fields.types import Duration, Given, InventoryKeys, Section


class ErrorCounters(Section):
    """Counters of requests, and those of them that count errors."""

    requests: Selector = Field(description="counters of all requests")
    errors: Selector = Field(description="counters of those that failed")


class NamedErrorCounters(ErrorCounters):
    """Counters of one application or service."""

    name: str = Field(min_length=1, description="its name in findings")


class BurnRate(Section):
    """How fast the error budget may be used: both windows together must stay under so many times the budget's rate."""

    factor: float = Field(gt=0, description="times the budget")
    long: Duration = Field(description="the long window")
    short: Duration = Field(description="the short window: errors that are over burn nothing now")

    @model_validator(mode="after")
    def _short_is_shorter(self) -> Self:
        if not timedelta(0) < self.short < self.long:
            raise ValueError("`short` must be over 0 and less than `long`")
        return self


def usual_burn_rates() -> list[BurnRate]:
    """Return the windows of the SRE workbook for a budget of 30 days: 2 %, 5 % and 10 % of it are used in the long one."""
    return [
        BurnRate(factor=14.4, long=timedelta(hours=1), short=timedelta(minutes=5)),
        BurnRate(factor=6, long=timedelta(hours=6), short=timedelta(minutes=30)),
        BurnRate(factor=1, long=timedelta(days=3), short=timedelta(hours=6)),
    ]


class TopUp(Visits):
    """Requests of our own that are sent where the window has too few to show the budget."""


class Errors(Section):
    """Error ratios, counted in Prometheus."""

    counters: Annotated[list[NamedErrorCounters], Field(min_length=1)] = Field(
        description="what counts requests and errors: the application's own counters"
    )
    balancer: ErrorCounters | Literal["none"] = Field(
        description="the load balancer's counters: what it answers itself no application sees; `none` if there is no balancer"
    )
    budget: float = Field(
        json_schema_extra={"weaker": "larger"},
        default=0.001,
        gt=0,
        lt=1,
        description="share of the requests that may fail: 0.001 is 0.1 %",
    )
    window: Duration = Field(default=timedelta(hours=1), description="how far back requests are counted")
    alpha: float = Field(
        json_schema_extra={"weaker": "larger"},
        default=0.05,
        gt=0,
        le=0.2,
        description="maximum probability of a wrong verdict",
    )
    burn_rates: list[BurnRate] = Field(
        default_factory=usual_burn_rates,
        description="pairs of windows (default: those of the SRE workbook for 30 days)",
    )
    top_up: TopUp | None = Field(
        default=None, description="requests of our own, sent where the window has too few to show the budget"
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [source for source, _ in self.sources]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"two of `counters` are called {twice[0]!r}: give each its own name, and none `{BALANCER}`"
            )
        return self

    @property
    def sources(self) -> Sequence[tuple[str, ErrorCounters]]:
        """All counters with their names."""
        found: list[tuple[str, ErrorCounters]] = [(each.name, each) for each in self.counters]
        return [*found, (BALANCER, self.balancer)] if isinstance(self.balancer, ErrorCounters) else found

    @property
    def windows(self) -> list[timedelta]:
        """All windows, the whole one first."""
        pairs = [window for rate in self.burn_rates for window in (rate.long, rate.short)]
        return list(dict.fromkeys([self.window, *pairs]))


#: The name of the balancer's counters in findings.
BALANCER = "load balancer"


class Keys(InventoryKeys):
    """The key `errors`."""

    errors: Annotated[
        Errors | None,
        Given(
            "errors",
            "errors: {counters: [{name: app, requests: SELECTOR, errors: SELECTOR}], balancer: {requests: SELECTOR, errors: SELECTOR}}",
        ),
    ] = Field(default=None, description="error ratios, and the share of requests that may fail")
