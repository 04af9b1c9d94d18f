"""Look at everything that must be up, several times in a row, so that flapping is not taken for health."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from pytest_deploygate.checks.hosts.section import Hosts
from pytest_deploygate.checks.stack.facts import Health, Seen, State, Watched
from pytest_deploygate.checks.stack.probe import containers, kubernetes, pages
from pytest_deploygate.checks.stack.probe import hosts as on_hosts
from pytest_deploygate.checks.stack.section import Component, Stack
from pytest_deploygate.clients import stopping
from pytest_deploygate.clients.host.side_by_side import side_by_side
from pytest_deploygate.judging.silent_hosts import Failure
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import NotCovered

_AT_ONCE = 16
#: Component, what of it, where.
_Key = tuple[str, str, str]


@dataclass(frozen=True)
class _Read:
    """One read of everything."""

    seen: dict[_Key, Seen]
    silent: dict[str, Failure]
    notes: dict[_Key, tuple[str, ...]]


def health(stack: Stack, hosts: Hosts | None) -> Health:
    """Read everything `reads` times. Raises NotCovered if no component says how it runs."""
    components = [each for each in stack.components if each.runs]
    if not components:
        raise NotCovered(
            "no component of `stack` says how it runs: add `unit`, `process`, `container`, `workload` or `health`"
        )
    wanted = on_hosts.wanted(stack, hosts)
    reads: list[_Read] = []
    began = time.monotonic()
    for number in range(stack.reads):
        if number:
            with stopping.interrupting():
                time.sleep(stack.every.total_seconds())
        reads.append(_read(stack, components, wanted, first=number == 0))
    over_s = time.monotonic() - began
    keys = dict.fromkeys(key for read in reads for key in read.seen)
    silent = {name: failure for read in reads for name, failure in read.silent.items()}
    watched = [
        Watched(*key, tuple(read.seen.get(key, _UNTOLD) for read in reads), reads[0].notes.get(key, ()))
        for key in keys
    ]
    watched += [
        Watched(name, "nowhere", "", (Seen(State.UNKNOWN, "its `hosts` are none of the section `hosts`"),))
        for name in on_hosts.nowhere(stack, hosts)
    ]
    return Health(tuple(watched), round(over_s, 3), tuple(silent.items()))


_UNTOLD = Seen(State.UNKNOWN, "its host did not answer this time")


def _read(stack: Stack, components: list[Component], wanted: list[on_hosts.Wanted], *, first: bool) -> _Read:
    """Read everything once, side by side."""
    timeout_s = stack.timeout.total_seconds()
    seen: dict[_Key, Seen] = {}
    notes: dict[_Key, tuple[str, ...]] = {}
    with ThreadPoolExecutor(_AT_ONCE, "stack") as pool:
        answers = pool.submit(
            side_by_side,
            lambda pair: on_hosts.told(pair[0], on_hosts.of_health(pair[1]), timeout_s),
            wanted,
            stack.hosts_at_once,
        )
        jobs: dict[_Key, Callable[[], Seen]] = {}
        for each in components:
            if each.health:
                jobs[each.name, each.health.url, ""] = lambda page=each.health: pages.health(page, timeout_s)  # type: ignore[misc]
            if each.container and each.api:
                jobs[each.name, f"container {each.container}", ""] = lambda one=each: _by_api(one, timeout_s)  # type: ignore[misc]
        running = {key: pool.submit(job) for key, job in jobs.items()}
        by_namespace: dict[str, list[Component]] = defaultdict(list)
        for each in components:
            if each.workload:
                by_namespace[each.namespace].append(each)
        clusters = {name: pool.submit(kubernetes.ask, stack.kubernetes, name) for name in by_namespace}
        more = {
            (name, kinds): pool.submit(kubernetes.ask, stack.kubernetes, name, kinds)
            for name in (by_namespace if first else ())
            for kinds in (kubernetes.BUDGETS, kubernetes.WARNINGS)
        }
        silent: dict[str, Failure] = {}
        for (host, mine), told in zip(wanted, answers.result(), strict=True):
            if isinstance(told, Failure):
                silent[host.name] = told
            else:
                seen |= {(name, what, host.name): one for name, what, one in on_hosts.seen(mine, told.parts)}
        for key, future in running.items():
            seen[key] = future.result()
        now = datetime.now(UTC)
        for namespace, mine in by_namespace.items():
            cluster = clusters[namespace].result()
            for each in mine:
                key = (each.name, f"{each.workload} in {namespace}", "")
                seen[key] = kubernetes.seen(each.workload or "", cluster, now)
                if first:
                    beside = (
                        more[namespace, kinds].result() for kinds in (kubernetes.BUDGETS, kubernetes.WARNINGS)
                    )
                    notes[key] = tuple(kubernetes.notes(each.workload or "", cluster, *beside))
    return _Read(seen, silent, notes)


def _by_api(component: Component, timeout_s: float) -> Seen:
    name = component.container or ""
    if component.api is None:
        return Seen(State.UNKNOWN, "it has no API")
    told = containers.asked(component.api, [name], timeout_s, images=False)
    return containers.seen(name, told, datetime.now(UTC))
