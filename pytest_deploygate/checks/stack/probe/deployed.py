"""Ask which versions and images are deployed, and whether the infrastructure's plans have changes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from pytest_deploygate.checks.hosts.section import Hosts
from pytest_deploygate.checks.stack.facts import Deployed, Replaced, Running, Told
from pytest_deploygate.checks.stack.probe import containers, kubernetes, pages, plans
from pytest_deploygate.checks.stack.probe import hosts as on_hosts
from pytest_deploygate.checks.stack.section import Component, Stack
from pytest_deploygate.clients.host.side_by_side import side_by_side
from pytest_deploygate.judging.silent_hosts import Failure
from pytest_deploygate.model import NotCovered

_AT_ONCE = 16


def deployed(stack: Stack, hosts: Hosts | None) -> Deployed:
    """Ask everything side by side. Raises NotCovered if nothing of the section has a version, an image or a plan."""
    components = [each for each in stack.components if each.has_version]
    if not components and not stack.plans:
        raise NotCovered(
            "nothing of `stack` says what must run: add `version` or `image` to components, or `plans`"
        )
    timeout_s = stack.timeout.total_seconds()
    asked = [
        (host, mine)
        for host, all_ in on_hosts.wanted(stack, hosts)
        if (mine := [each for each in all_ if each.has_version])
    ]
    with ThreadPoolExecutor(_AT_ONCE, "stack") as pool:
        planned = [pool.submit(plans.planned, plan) for plan in stack.plans]
        pages_told = [
            pool.submit(_page, each, stack.reads, timeout_s) for each in components if each.endpoint
        ]
        elsewhere = [pool.submit(_elsewhere, each, stack, timeout_s) for each in components if each.image]
        answers = side_by_side(
            lambda pair: on_hosts.told(pair[0], on_hosts.of_versions(pair[1]), timeout_s),
            asked,
            stack.hosts_at_once,
        )
        versions = [told for future in pages_told for told in future.result()]
        images = [image for future in elsewhere if (image := future.result())]
        replaced: list[Replaced] = []
        silent: list[tuple[str, Failure]] = []
        for (host, mine), told in zip(asked, answers, strict=True):
            if isinstance(told, Failure):
                silent.append((host.name, told))
                continue
            versions += on_hosts.versions(host.name, mine, told.parts)
            replaced += on_hosts.replaced(host.name, mine, told.parts)
            images += on_hosts.images(host.name, mine, told.parts)
        versions += _nowhere(stack, hosts)
        return Deployed(
            tuple(versions),
            tuple(images),
            tuple(replaced),
            tuple(future.result() for future in planned),
            tuple(silent),
        )


def _nowhere(stack: Stack, hosts: Hosts | None) -> Iterator[Told]:
    wanted = {each.name for each in stack.components if each.has_version}
    for name in on_hosts.nowhere(stack, hosts):
        if name in wanted:
            yield Told(name, "its hosts", why="its `hosts` are none of the section `hosts`")


def _page(component: Component, reads: int, timeout_s: float) -> list[Told]:
    """Ask a page several times: behind a balancer each answer may be that of another server."""
    if component.endpoint is None:
        return []
    return [pages.version(component.name, component.endpoint, timeout_s) for _ in range(reads)]


def _elsewhere(component: Component, stack: Stack, timeout_s: float) -> Running | None:
    """Ask an API of containers, or the cluster."""
    if component.workload:
        cluster = kubernetes.ask(stack.kubernetes, component.namespace)
        found = kubernetes.images_of(component.workload, cluster)
        why = cluster.why or "not every pod tells its images, or there are none"
        return Running(component.name, component.workload, "", found, "" if found else why)
    if component.container and component.api:
        told = containers.asked(component.api, [component.container], timeout_s, images=True)
        return on_hosts.image(component.name, component.container, "", told)
    return None
