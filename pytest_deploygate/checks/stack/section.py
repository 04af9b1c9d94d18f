"""The inventory's `stack` section: the components of the platform, how each runs, at which version, and plans of its infrastructure."""

import re
from collections import Counter
from datetime import timedelta
from typing import Annotated, Any, Self

from pydantic import Field, WithJsonSchema, model_validator

from pytest_deploygate.checks.hosts.section import Hosts, unknown_groups
from pytest_deploygate.fields.hosts import ALL, HERE
from pytest_deploygate.fields.http import HttpAccess, HttpRequest, Url
from pytest_deploygate.fields.types import Duration, Given, InventoryKeys, OptionalText, Section, Text
from pytest_deploygate.fields.validating import After, Before


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _number_as_text(value: Any) -> Any:
    if isinstance(value, float | int) and not isinstance(value, bool):
        raise ValueError(f'write the version in quotes: "{value}"; YAML reads 1.10 as the number 1.1')  # noqa: TRY004
    return value


def _one_group(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
    if groups != 1:
        raise ValueError(f"{pattern!r} needs exactly one group in brackets, around the version")
    return pattern


def _a_digest(text: str | None) -> str | None:
    if text is not None and not re.fullmatch(r"(\S+@)?sha256:[0-9a-f]{64}", text):
        raise ValueError(
            f"{text!r} names no digest: write sha256:… with 64 digits, as `podman image inspect` or a registry shows it; "
            "a tag can be moved to another image"
        )
    return text


_STRINGS: dict[str, Any] = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
Names = Annotated[list[str], Before(_as_list), Field(min_length=1), WithJsonSchema(_STRINGS)]
Version = Annotated[OptionalText, Before(_number_as_text)]
#: Workloads of Kubernetes, as `kubectl get` names their kinds.
WORKLOADS = ("deployment", "statefulset", "daemonset", "job", "pod")


class VersionEndpoint(HttpRequest):
    """A page that says which version answers."""

    url: Url = Field(description="address, for example https://app.example.com/version")
    field: str | None = Field(
        default=None, description="where the version is in an answer in JSON, for example `build.version`"
    )
    pattern: Annotated[str, After(_one_group)] | None = Field(
        default=None,
        description="regular expression with one group around the version; without `field` and `pattern` the answer is "
        "the version",
    )


class Healthy(HttpRequest):
    """A page that says whether a service is healthy."""

    url: Url = Field(description="address, for example https://app.example.com/healthz")


class ContainerApi(HttpAccess):
    """An API of Docker or Podman."""

    url: Url = Field(description="address, for example https://docker1.example.com:2376")


class Kubernetes(Section):
    """How the cluster is asked."""

    command: str = Field(
        default="kubectl", description="program and options, for example `kubectl --context prod`"
    )
    timeout: Duration = Field(default=timedelta(seconds=30), description="for one answer of it")


class Component(Section):
    """A part of the platform: where it is, how it runs, and its version. What is left out is not judged."""

    name: str = Field(description="name used in findings")
    hosts: Names | None = Field(
        default=None,
        description=f"hosts or roles of `hosts`, `{ALL}`, or `{HERE}` (the machine that runs the gate)",
    )
    version: Version = Field(
        default=None,
        description='version that the component must have, for example "15.4", which 15.4.2 and 15.4-1 meet and 15.41 '
        'and 15.4-rc1 do not; "=15.4-1" is met by itself only',
    )
    package: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][\w.+:-]*$",
        description="package of dpkg, rpm or apk on its hosts",
    )
    version_command: str | None = Field(
        default=None,
        description="command on its hosts that prints the version, for example `postgres --version`; the first thing in it "
        "that looks like a version counts",
    )
    endpoint: VersionEndpoint | None = Field(default=None, description="page that says its version")
    unit: str | None = Field(
        default=None,
        pattern=r"^[\w:.@\\-]+\.\w+$",
        description="unit of systemd on its hosts, for example `nginx.service`",
    )
    process: Text | None = Field(
        default=None,
        pattern=r"^[^\s/()]+$",
        description="name of its process on its hosts, as `ps -o comm` shows it",
    )
    arguments: Text = Field(
        default="", description="text in the command line of the process, where others have the same name"
    )
    processes: int = Field(
        default=1,
        ge=1,
        json_schema_extra={"weaker": "smaller"},
        description="least number of such processes on each host",
    )
    container: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][\w.-]*$",
        description="name of its container, on its hosts or behind `api`",
    )
    program: Text = Field(
        default="docker",
        description="program on its hosts that knows the container: `docker` or `podman`, with options",
    )
    api: ContainerApi | None = Field(
        default=None, description="API of Docker or Podman instead of a program on hosts"
    )
    workload: str | None = Field(
        default=None,
        pattern=f"^({'|'.join(WORKLOADS)})/[a-z0-9][a-z0-9.-]*$",
        description="workload of Kubernetes, for example `deployment/app`",
    )
    namespace: str = Field(default="default", description="its namespace in Kubernetes")
    image: Annotated[OptionalText, After(_a_digest)] = Field(
        default=None, description="image of the container or workload by digest, for example `sha256:…`"
    )
    health: Healthy | None = Field(default=None, description="page that says whether it is healthy")

    @property
    def on_hosts(self) -> bool:
        """Whether something of it is asked of hosts."""
        return any((self.package, self.version_command, self.unit, self.process)) or (
            self.container is not None and self.api is None
        )

    @property
    def runs(self) -> bool:
        """Whether something tells that it runs."""
        return any((self.unit, self.process, self.container, self.workload, self.health))

    @property
    def has_version(self) -> bool:
        """Whether something is compared with what it should be."""
        return self.version is not None or self.image is not None

    @model_validator(mode="after")
    def _says_what_is_asked(self) -> Self:
        tells = any((self.package, self.version_command, self.endpoint))
        if not (self.runs or tells):
            raise ValueError(
                "say how it runs (`unit`, `process`, `container`, `workload`, `health`) or what tells its version "
                "(`package`, `version_command`, `endpoint`)"
            )
        if tells and self.version is None:
            raise ValueError("say which `version` it must have")
        if self.version is not None and not tells:
            raise ValueError(
                "`version` needs what tells it: `package`, `version_command` or `endpoint`; for containers `image`"
            )
        if self.image is not None and not (self.container or self.workload):
            raise ValueError("`image` is that of a `container` or `workload`")
        if self.on_hosts != (self.hosts is not None):
            raise ValueError(
                "name its `hosts`"
                if self.on_hosts
                else "`hosts` are for what is asked of them; nothing here is"
            )
        return self


class Plan(Section):
    """A plan of Terraform or OpenTofu, which changes nothing: exit code 0 means that there is no drift."""

    name: str = Field(description="name used in findings")
    folder: Text = Field(description="folder with the configuration, which is initialized")
    program: Text = Field(default="terraform", description="program, for example `tofu`")
    options: list[str] = Field(
        default=[], description="further options, for example `[-var-file=prod.tfvars]`"
    )
    ignored: list[str] = Field(
        default=[],
        json_schema_extra={"weaker": "any"},
        description="addresses of resources whose changes are notes, for example `[aws_autoscaling_group.web]`",
    )
    timeout: Duration = Field(default=timedelta(minutes=5), description="for the plan")

    @model_validator(mode="after")
    def _only_reads(self) -> Self:
        for option in self.options:
            if not option.startswith("-") or re.match(
                r"--?(out|lock|destroy|auto-approve|generate-config-out)\b", option
            ):
                raise ValueError(f"{option!r} is no option of a plan that only reads")
        return self


class HowRead(Section):
    """How components are read: several times in a row, so that what flaps is seen."""

    kubernetes: Kubernetes = Field(default=Kubernetes(), description="how workloads are asked for")
    reads: int = Field(
        default=3,
        ge=2,
        le=100,
        json_schema_extra={"weaker": "smaller"},
        description="how many times in a row everything must be up",
    )
    every: Duration = Field(default=timedelta(seconds=1), description="time between two of these reads")
    steady: Duration = Field(
        default=timedelta(seconds=30),
        json_schema_extra={"weaker": "smaller"},
        description="time since its last start after which something that was restarted counts as steady",
    )
    timeout: Duration = Field(
        default=timedelta(seconds=20), description="for one read of a host, and for one answer of a page"
    )
    hosts_at_once: int = Field(default=16, ge=1, le=200, description="hosts asked at the same time")


class Stack(HowRead):
    """The components of the platform, and plans of its infrastructure."""

    components: list[Component] = Field(default=[], description="the components")
    plans: list[Plan] = Field(default=[], description="plans that must have no changes")

    @model_validator(mode="after")
    def _something_with_names(self) -> Self:
        if not self.components and not self.plans:
            raise ValueError("name at least one component or plan")
        for kind in (self.components, self.plans):
            for name, times in Counter(each.name for each in kind).items():
                if times > 1:
                    raise ValueError(f"{times} are named {name!r}; each name must be unique")
        return self


class Keys(InventoryKeys):
    """The key `stack`."""

    stack: Annotated[
        Stack | None,
        Given(
            "stack",
            'stack: {components: [{name: app, hosts: [web1], unit: app.service, package: app, version: "2.4.1"}]}',
        ),
    ] = Field(default=None, description="the components of the platform and plans of its infrastructure")

    @model_validator(mode="after")
    def _stack_names_known_hosts(self) -> Self:
        """The names of hosts are those of the section `hosts`, which the whole inventory has beside this one."""
        hosts: Hosts | None = getattr(self, "hosts", None)
        for component in self.stack.components if self.stack else []:
            for said in unknown_groups(component.hosts or [], hosts):
                raise ValueError(f"stack.components: {component.name}: {said}")
        return self
