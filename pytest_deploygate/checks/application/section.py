"""The inventory's `application` section: the services of the application, their replicas, and which needs which."""

import difflib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from pytest_deploygate.checks.hosts.section import Hosts, unknown_groups
from pytest_deploygate.checks.stack.section import (
    Component,
    HowRead,
    Names,
    Stack,
    Version,
    VersionEndpoint,
)
from pytest_deploygate.fields.types import Given, InventoryKeys, Section


class Service(Section):
    """A service of the application."""

    name: str = Field(description="name used in findings")
    version: Version = Field(
        default=None,
        description="version of every replica that tells its version and has no `version` of its own",
    )
    replicas: list[Component] = Field(
        min_length=1,
        description="its replicas: one component for each, or a workload of Kubernetes for all of them",
    )
    expected: int | None = Field(
        default=None,
        ge=1,
        json_schema_extra={"weaker": "smaller"},
        description="number of replicas that must run the version; without it as many as are named, a workload needs it",
    )
    entrance: VersionEndpoint | None = Field(
        default=None,
        description="page that says the version, behind the load balancer: asked three times for each replica",
    )
    needs: Names = Field(default=[], description="services that must be ready before this one")

    @property
    def number(self) -> int:
        """How many replicas must run."""
        return self.expected or len(self.replicas)

    @property
    def has_version(self) -> bool:
        """Whether something says what must run."""
        return self.entrance is not None or any(each.has_version for each in self.replicas)

    @model_validator(mode="before")
    @classmethod
    def _one_version_for_all(cls, given: Any) -> Any:
        """Give the version of the service to replicas that tell one and name none."""
        if not isinstance(given, dict) or given.get("version") is None:
            return given
        tells = ("package", "version_command", "endpoint")
        return given | {
            "replicas": [
                {"version": given["version"], **each}
                if isinstance(each, dict) and any(each.get(name) for name in tells)
                else each
                for each in given.get("replicas") or []
            ]
        }

    @model_validator(mode="after")
    def _numbers_and_versions(self) -> Self:
        if self.expected is None and any(each.workload for each in self.replicas):
            raise ValueError(
                "say how many replicas are `expected`: a workload does not say how many must run"
            )
        if self.expected is not None and self.expected < len(self.replicas):
            raise ValueError(
                f"{len(self.replicas)} replicas are named and {self.expected} expected: remove those that do not run"
            )
        if self.entrance is not None and self.version is None:
            raise ValueError("say which `version` the entrance must answer with")
        return self


class Application(HowRead):
    """The services of the application, in any order."""

    services: list[Service] = Field(min_length=1, description="its services")

    def components(self) -> Iterator[Component]:
        """Yield all replicas, and the entrances as components of their own."""
        for service in self.services:
            yield from service.replicas
            if service.entrance:
                yield Component(
                    name=f"{service.name}, entrance", version=service.version, endpoint=service.entrance
                )

    def stack(self) -> Stack:
        """Return all replicas and entrances as a stack, which is how they are read."""
        how = {name: getattr(self, name) for name in HowRead.model_fields}
        return Stack(components=list(self.components()), **how)

    def in_order(self) -> list[Service]:
        """Return the services, each after those that it needs."""
        known = {service.name: service for service in self.services}
        return [known[name] for name in TopologicalSorter(_needs(self.services)).static_order()]

    @model_validator(mode="after")
    def _needs_are_services_without_a_circle(self) -> Self:
        names = [service.name for service in self.services]
        for service in self.services:
            if names.count(service.name) > 1:
                raise ValueError(f"several services are named {service.name!r}; each name must be unique")
            for name in service.needs:
                if name not in names:
                    near = difflib.get_close_matches(name, names, 1)
                    hint = f"; did you mean {near[0]!r}?" if near else f" ({', '.join(names)})"
                    raise ValueError(
                        f"{service.name} needs {name!r}, which is no service of `application`{hint}"
                    )
        try:
            TopologicalSorter(_needs(self.services)).prepare()
        except CycleError as error:
            circle = " needs ".join(reversed(error.args[1]))
            raise ValueError(f"no service can be the first: {circle}") from None
        self.stack()
        return self


def _needs(services: list[Service]) -> dict[str, list[str]]:
    return {service.name: list(service.needs) for service in services}


class Keys(InventoryKeys):
    """The key `application`."""

    application: Annotated[
        Application | None,
        Given(
            "application",
            'application: {services: [{name: api, version: "2.4.1", replicas: [{name: api1, '
            "endpoint: {url: 'http://app1:8000/version'}, health: {url: 'http://app1:8000/readyz'}}]}]}",
        ),
    ] = Field(default=None, description="the services of the application and their replicas")

    @model_validator(mode="after")
    def _application_names_known_hosts(self) -> Self:
        """The names of hosts are those of the section `hosts`, which the whole inventory has beside this one."""
        hosts: Hosts | None = getattr(self, "hosts", None)
        for service in self.application.services if self.application else []:
            for replica in service.replicas:
                for said in unknown_groups(replica.hosts or [], hosts):
                    raise ValueError(f"application.services: {replica.name}: {said}")
        return self
