"""The inventory's `resources` section: what can be used up, and how soon it may be."""

import re
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, WithJsonSchema, field_validator, model_validator

from pytest_deploygate.checks.resources.kinds import KINDS, OWN, Kind, KindName
from pytest_deploygate.fields.types import Duration, Each, Given, InventoryKeys, Section, Text
from pytest_deploygate.fields.validating import Before

_SELECTOR = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*\s*(\{[^{}]*\})?")
_MATCHERS = re.compile(r'\s*([A-Za-z_]\w*\s*(=~|!~|!=|=)\s*"(\\.|[^"\\])*"\s*(,\s*|$))+')


def _number_or_selector(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is neither a number nor the selector of a series")  # noqa: TRY004
    return _selector(value) if isinstance(value, str) else float(value)


def _selector(text: str) -> str:
    if not _SELECTOR.fullmatch(text.strip()):
        raise ValueError(
            f'{text!r} is not a plain selector such as queue_length{{instance="…"}}: a function would hide gaps'
        )
    return text.strip()


NumberOrSelector = Annotated[
    float | str,
    Before(_number_or_selector),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string"}]}),
]


class Resource(Section):
    """Something that can be used up: of a known kind, or with series of its own. Each series is judged by itself."""

    name: str = Field(min_length=1, max_length=60, description="its name in findings")
    kind: KindName | None = Field(
        default=None, description="kind, which says the names of its series and its limits"
    )
    labels: Text = Field(
        default="", description='matchers that select its series, e.g. instance="db1:9100",mountpoint="/"'
    )
    used: Text | None = Field(
        default=None, description="instead of `kind`: selector of the series with what is used"
    )
    free: Text | None = Field(
        default=None, description="instead of `used`: selector of the series with what is left of `limit`"
    )
    limit: NumberOrSelector | None = Field(
        default=None,
        description="number, or selector of the series with the limit (default: that of the kind)",
    )
    by: list[str] = Field(
        default=[],
        description="labels by which use and limit belong together (default: all those of the limit)",
    )
    unit: str | None = Field(default=None, description="unit of the values, e.g. bytes")
    instances: list[Text] = Field(
        json_schema_extra={"weaker": "null"},
        default=[],
        description="values of the label `instance` that must be there",
    )
    least: int = Field(
        json_schema_extra={"weaker": "smaller"}, default=1, ge=1, description="how many series must be there"
    )
    replaced: bool | None = Field(
        default=None,
        description="its series end in normal operation, as those of replaced containers do"
        " (default: true for containers and volumes)",
    )
    most: float | None = Field(
        default=None,
        gt=0,
        le=100,
        description="percent of the limit that may be used now (default: the kind's)",
    )
    trend: bool | None = Field(
        json_schema_extra={"weaker": "false"},
        default=None,
        description="whether it can grow until it is used up (default: the kind's; true for own series)",
    )
    cycle: Duration | None = Field(
        default=None, description="how long its ups and downs last, e.g. 1d; `window` must hold two of them"
    )

    @field_validator("used", "free")
    @classmethod
    def _plain(cls, value: str | None) -> str | None:
        return None if value is None else _selector(value)

    @field_validator("labels")
    @classmethod
    def _are_matchers(cls, value: str) -> str:
        if value and not _MATCHERS.fullmatch(value):
            raise ValueError(
                f'{value!r} are no matchers; write for example instance="db1:9100",mountpoint="/"'
            )
        return value.strip().rstrip(",")

    @model_validator(mode="after")
    def _can_be_measured(self) -> Self:
        own = [key for key in ("used", "free") if getattr(self, key) is not None]
        if (self.kind is not None) + len(own) != 1:
            raise ValueError("set exactly one of `kind`, `used` and `free`")
        if own and self.labels:
            raise ValueError(f"`labels` belong to a `kind`; write them into `{own[0]}`")
        if self.limit is None and not self.of_kind.limit:
            what = f"the kind {self.kind}" if self.kind else "a series of your own"
            raise ValueError(f"{what} has no limit that is known; add `limit`")
        if isinstance(self.limit, float) and self.limit <= 0:
            raise ValueError("`limit` must be more than 0")
        return self

    @property
    def of_kind(self) -> Kind:
        """How it is measured and judged, as its kind says."""
        return OWN if self.kind is None else KINDS[self.kind]

    @property
    def most_used(self) -> float:
        """How many per cent of the limit may be used now."""
        return self.of_kind.most if self.most is None else self.most

    @property
    def grows(self) -> bool:
        """Whether it can grow until it is used up."""
        return self.of_kind.trend if self.trend is None else self.trend

    @property
    def may_end(self) -> bool:
        """Whether its series end in normal operation."""
        return self.of_kind.replaced if self.replaced is None else self.replaced


class ControlGroup(Section):
    """A control group of Linux (cgroup v1 or v2), read on hosts: what it and the groups above it may use, and do."""

    name: str = Field(min_length=1, max_length=60, description="its name in findings")
    hosts: list[str] = Field(
        min_length=1, description="hosts or roles of the section `hosts`, `all`, or `here` for this machine"
    )
    path: str = Field(
        pattern=r"^(/[^/\x00\n]+)+$", description="path below the mount, e.g. /system.slice/orders.service"
    )
    mount: Text = Field(
        default="/sys/fs/cgroup",
        pattern="^/",
        description="where the groups are mounted; in a container that is often another place",
    )
    limits: list[Literal["memory", "processes", "processors"]] = Field(
        default=["memory"], description="what it, or a group above it, must have a limit for"
    )
    most: float = Field(
        json_schema_extra={"weaker": "larger"},
        default=90.0,
        gt=0,
        le=100,
        description="percent of a limit that may be used now",
    )
    throttled: float = Field(
        json_schema_extra={"weaker": "larger"},
        default=10.0,
        gt=0,
        le=100,
        description="percent of its periods in which it may be throttled",
    )
    watch: Duration = Field(
        default=timedelta(seconds=3), description="how long throttling and kills are watched for"
    )
    timeout: Duration = Field(default=timedelta(seconds=15), description="time limit of a host's answer")

    @model_validator(mode="after")
    def _watch_ends_in_time(self) -> Self:
        if not timedelta(seconds=1) <= self.watch < self.timeout:
            raise ValueError("`watch` must be at least 1 s and shorter than `timeout`")
        return self


class Headroom(Section):
    """What must be left at the busiest time."""

    least: float = Field(
        json_schema_extra={"weaker": "smaller"},
        default=20.0,
        gt=0,
        lt=100,
        description="percent of the limit that must be left at the busiest time",
    )
    window: Duration = Field(
        json_schema_extra={"weaker": "smaller"},
        default=timedelta(hours=12),
        description="how far back the busiest time is looked for",
    )


class Resources(Section):
    """What can be used up, by the series of `monitoring.prometheus`, and how soon it may be."""

    every: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(minutes=1),
        description="scrape interval of these series: a sample must not be older than two of them",
    )
    recent: Duration = Field(
        default=timedelta(minutes=5), description="how far back counts as now, for what is used now"
    )
    window: Duration = Field(
        json_schema_extra={"weaker": "smaller"},
        default=timedelta(hours=6),
        description="how far back growth is looked for; half of it must be there",
    )
    horizon: Duration = Field(
        json_schema_extra={"weaker": "smaller"},
        default=timedelta(hours=12),
        description="nothing may be used up within this time, if it goes on as in `window`",
    )
    headroom: Headroom = Field(default=Headroom(), description="what must be left at the busiest time")
    control_groups: Annotated[
        list[ControlGroup],
        Each(
            "control_group",
            "resources: {control_groups: [{name: orders, hosts: [app1], path: /system.slice/orders.service}]}",
            optional=True,
        ),
    ] = Field(default=[], description="control groups that are read on hosts")
    watched: Annotated[
        list[Resource], Each("resource", "resources: {watched: [{name: disks, kind: disk}]}")
    ] = Field(min_length=1, description="what can be used up")

    @model_validator(mode="after")
    def _times_fit(self) -> Self:
        if self.every <= timedelta(0):
            raise ValueError("`every` must be longer than 0")
        for key, window in (("window", self.window), ("headroom.window", self.headroom.window)):
            if window < 20 * self.every:
                raise ValueError(f"`{key}` must be at least 20 times `every`: less shows no course")
        names = [resource.name for resource in self.watched]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two resources are called {', '.join(sorted(twice))}")
        for resource in self.watched:
            if resource.cycle is not None and self.window < 2 * resource.cycle:
                raise ValueError(
                    f"`window` must be at least two cycles of {resource.name}: less tells nothing"
                )
        return self


class Keys(InventoryKeys):
    """The key `resources`."""

    resources: Annotated[
        Resources | None, Given("resources", "resources: {watched: [{name: disks, kind: disk}]}")
    ] = Field(default=None, description="what can be used up, and how soon it may be")
