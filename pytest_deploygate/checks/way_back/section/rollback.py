"""The inventory's `rollback` section: time limits, what a decision needs, and the runbook."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from pytest_deploygate.checks.way_back.section.fence import Fence
from pytest_deploygate.checks.way_back.section.rollback_actions import (
    DatabaseRestore,
    MaintenancePage,
    Redeploy,
)
from pytest_deploygate.fields.health import HealthCheck
from pytest_deploygate.fields.types import Duration, FilePath, Given, Port, SecretReference, Section, Text


class Verification(Section):
    """How to verify that a step took effect. Exactly one; a step without one never counts as done."""

    exactly_one = ("run", "health", "items")
    renamed: ClassVar[Mapping[str, str]] = {"endpoint": "health"}

    run: str | None = Field(
        default=None, description="command that exits with 0 once the step has taken effect"
    )
    host: str = Field(
        default="local://", description="connection of the host where the command runs, e.g. ssh://app1"
    )
    health: HealthCheck | None = Field(default=None, description="health check that must pass")
    items: list[str] | None = Field(
        default=None, min_length=1, description="items of the checklist that must pass"
    )
    within: Duration = Field(
        default=timedelta(seconds=60), description="it is repeated for at most this long"
    )


class DnsSwitch(Section):
    """A record set, replaced by RFC 2136 dynamic update with TSIG, guarded by a prerequisite on its current value."""

    renamed: ClassVar[Mapping[str, str]] = {"record": "name"}

    zone: str = Field(description="zone, e.g. example.com")
    name: str = Field(description="name of the record set, e.g. app.example.com")
    type: Literal["A", "AAAA", "CNAME"] = Field(default="A", description="type of the record set")
    ttl: int = Field(default=60, ge=1, le=86400, description="TTL of the new record set, in seconds")
    now: list[str] = Field(min_length=1, description="values expected before: the new side")
    to: list[str] = Field(min_length=1, description="values to set: the old side")
    primary: str = Field(description="address of the primary that accepts updates")
    port: Port = Field(default=53, description="its port")
    check: list[Text] = Field(
        default=[], description="host:port of every other authoritative server that must follow"
    )
    key_name: str = Field(description="name of the TSIG key")
    key: SecretReference = Field(description="reference to the TSIG secret (base64)")
    algorithm: Literal["hmac-sha256", "hmac-sha384", "hmac-sha512"] = Field(
        default="hmac-sha256", description="TSIG algorithm"
    )


class Haproxy(Section):
    """Servers of a HAProxy backend put into maintenance or back, through its runtime API."""

    socket: Text = Field(description="unix socket path or host:port of the runtime API (level admin)")
    backend: str = Field(description="name of the backend")
    ready: list[str] = Field(default=[], description="servers that must take traffic afterwards")
    maint: list[str] = Field(default=[], description="servers that must not")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.ready and not self.maint:
            raise ValueError("list servers under `ready`, `maint` or both")
        if both := sorted({*self.ready} & {*self.maint}):
            raise ValueError(f"{', '.join(both)} cannot be ready and in maintenance")
        return self


class Step(Section):
    """One step of the runbook: what it does, how it is verified, how long it may take, whom to call."""

    exactly_one = ("run", "dns", "haproxy", "restore", "redeploy", "page", "verify_only")
    instead = (
        "set what the step does: one of `run`, `dns`, `haproxy`, `restore`, `redeploy`, `page`, or"
        " `verify_only: true`"
    )

    name: str = Field(description="its name in the plan, in the record and on a call at night")
    run: str | None = Field(default=None, description="command; {change} and {step} are replaced")
    dry_run: str | None = Field(
        default=None, description="command that shows what `run` would do, and changes nothing"
    )
    host: str = Field(
        default="local://", description="connection of the host where the commands run, e.g. ssh://app1"
    )
    dns: DnsSwitch | None = Field(default=None, description="switch a record set back")
    haproxy: Haproxy | None = Field(default=None, description="switch servers of a backend")
    restore: DatabaseRestore | None = Field(default=None, description="restore the database")
    redeploy: Redeploy | None = Field(default=None, description="the old version of the application")
    page: MaintenancePage | None = Field(default=None, description="maintenance page on or off")
    verify_only: Literal[True] | None = Field(default=None, description="do nothing, only verify")
    verify: Verification | None = Field(default=None, description="how to verify that it took effect")
    needs: list[str] = Field(default=[], description="names of earlier steps that must be done first")
    within: Duration = Field(
        default=timedelta(minutes=5), description="it must be done and verified within this time"
    )
    estimate: Duration | None = Field(
        default=None, description="how long it takes; left out: measured from rehearsals, else `within`"
    )
    idempotent: bool = Field(
        default=True, description="false: after a crash it is verified, and never repeated automatically"
    )
    loses_writes: bool = Field(
        default=False, description="the point of no return: what the new side accepted is lost from here on"
    )
    call: str = Field(default="", description="role to call when it fails, e.g. database-admin")

    @property
    def past_return(self) -> bool:
        """True for a step after which the new side's writes are lost: one with `loses_writes`, and any restore."""
        return self.loses_writes or self.restore is not None


class Rerun(Section):
    """What is rerun to see whether an incident is over."""

    invariants: list[str] = Field(default=[], description="items that are included in every rerun")
    depends: dict[str, list[str]] = Field(
        default={}, description="item: the items whose failure can make it fail; they are rerun with it"
    )


class QuickFix(Section):
    """One attempt at a quick fix: reversible, shown first, verified by the rerun."""

    name: str = Field(description="its name in the record")
    items: list[str] = Field(min_length=1, description="items that it can fix, * as wildcard")
    dry_run: str = Field(description="command that shows what `run` would do, and changes nothing")
    run: str = Field(description="command that applies the fix")
    undo: str = Field(description="command that reverts it if the rerun is still red")
    within: Duration = Field(default=timedelta(minutes=3), description="time limit of each command")


class Loss(Section):
    """What a rollback would lose: writes that the new side accepted since the cutover."""

    query: str = Field(
        description="query on the new side's primary: how many rows were written since %(cutover)s"
    )
    first: str | None = Field(
        default=None,
        description="query for the time of the first of them: until then a rollback loses nothing",
    )
    acceptable: int | None = Field(
        default=None,
        ge=0,
        description="more rows than this fail the guard; left out: any number that can be saved",
    )
    export: str | None = Field(
        default=None,
        description="command that saves them before anything is restored over them; {file} is the target",
    )
    export_to: FilePath | None = Field(default=None, description="the file that `export` writes")

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.export is None) != (self.export_to is None):
            raise ValueError(
                "`export` and `export_to` belong together: the command, and the file that it writes"
            )
        return self


class Rollback(Section):
    """How to decide and how to roll back."""

    decide_within: Duration = Field(
        json_schema_extra={"weaker": "larger"}, default=timedelta(minutes=15), description="time to decide"
    )
    rollback_within: Duration = Field(
        json_schema_extra={"weaker": "larger"}, default=timedelta(minutes=30), description="time to roll back"
    )
    after_within: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(minutes=60),
        description="time for issues, remediation, status and retry afterwards",
    )
    held_for: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(minutes=60),
        description="after this, a decision to hold must be made again",
    )
    at_deadline: Literal["escalate", "execute"] = Field(
        default="escalate",
        description="what happens without a decision: recommend and escalate, or execute if the conditions hold",
    )
    signed_decisions: bool = Field(
        default=False,
        description="true: a person's decision counts only with a signature (`decide --key`) by a key in allowed_signers",
    )
    quick_fixes: list[QuickFix] = Field(default=[], description="fixes that may be tried, in this order")
    max_quick_fixes: int = Field(default=1, ge=0, le=5, description="maximum number of them in one incident")
    rerun: Rerun = Field(default=Rerun(), description="what is rerun to see whether the incident is over")
    old_side: list[HealthCheck] | None = Field(
        default=None, min_length=1, description="checks that the old side can serve the users now"
    )
    controls: list[HealthCheck] | None = Field(
        default=None,
        min_length=2,
        description="unrelated services that always answer: if several fail at once, the gate itself is cut off",
    )
    baseline: Annotated[str | None, Given("baseline_change", "rollback: {baseline: CHANGE-BEFORE}")] = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="id of the change under which the same items were measured before; what was red then is not a reason to roll back",
    )
    baseline_folder: FilePath | None = Field(
        default=None, description="its folder, when not beside this change's"
    )
    baseline_max_age: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(days=7),
        description="maximum age of the baseline at the cutover",
    )
    cutover: str | None = Field(
        default=None,
        description="when the new side took over, ISO 8601; left out: the start of the first go-live run",
    )
    cutover_file: FilePath | None = Field(
        default=None,
        description="file that holds this time, written by the switchover; no file: not switched yet",
    )
    loss: Annotated[Loss | None, Given("loss", 'rollback: {loss: {query: "SELECT count(*) …"}}')] = Field(
        default=None, description="what a rollback would lose"
    )
    fence: Annotated[
        Fence | None, Given("fence", "rollback: {fence: {host: …, name: …, user: …, count: SELECT …}}")
    ] = Field(default=None, description="the old side, which must not be written after the cutover")
    steps: list[Step] = Field(default=[], description="the runbook, in order")
    owner: str = Field(
        default="",
        description="role that is responsible for the remaining work after a rollback, e.g. technical-lead",
    )
    rehearsals: FilePath | None = Field(
        default=None, description="file with the duration of each step in rehearsals, which write it"
    )
    rehearsed_within: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(days=90),
        description="maximum age of the last rehearsal of the runbook",
    )

    @field_validator("cutover", mode="before")
    @classmethod
    def _instant(cls, value: object) -> object:
        try:
            found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
            if found.tzinfo is not None:
                found.astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValueError(f"{value} is not a time; write for example 2026-12-01T22:00:00Z") from None
        if value is not None and found.tzinfo is None:
            raise ValueError(f"{value} has no time zone; write for example 2026-12-01T22:00:00Z, in quotes")
        return found.isoformat()

    @model_validator(mode="after")
    def _names(self) -> Self:
        seen: list[str] = []
        for step in self.steps:
            if step.name in seen:
                raise ValueError(f"two steps are called {step.name!r}")
            unknown = [name for name in step.needs if name not in seen]
            if unknown:
                raise ValueError(f"step {step.name!r} needs {unknown[0]!r}, which is not an earlier step")
            seen.append(step.name)
        return self
