"""testinfra's fixture `host` over the servers of the inventory's `hosts` section.

People's own testinfra tests run once for each server, with its name as the test's id, over the connections that our own
checks use. Registered only if the inventory has the section and `--hosts` is not given: otherwise all is testinfra's own.
A module that sets `testinfra_hosts` keeps its hosts.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from pytest_deploygate.inventory import sections
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell, Judgement, Reading, Verdict
from pytest_deploygate.problems import nearest
from pytest_deploygate.session.gate import GATE
from pytest_deploygate.session.settings import SETTINGS

if TYPE_CHECKING:  # the section is imported by runs with a test that takes `host`
    from pytest_deploygate.checks.hosts.section import Host, Hosts

#: testinfra's own fixture, which its `host` takes.
_PARAMETER = "_testinfra_host"
_MISTAKES = pytest.StashKey[list[str]]()


def wanted(config: pytest.Config) -> bool:
    """Tell whether `host` stands for the servers of this run's inventory."""
    inventory = config.stash[SETTINGS].inventory
    return not getattr(config.option, "hosts", None) and not sections.lacking(inventory, "hosts")


@pytest.fixture(scope="module")
def _testinfra_host(request: pytest.FixtureRequest) -> Any:
    """Connect to one server; raises CannotTell if that is not possible."""
    if not _is_host(request.param):
        return request.param  # of a module with `testinfra_hosts`
    try:
        from pytest_deploygate.clients.host.machine import machine  # noqa: PLC0415 (only tests with `host` need testinfra)
    except ImportError:
        raise CannotTell(
            "the fixture `host` needs testinfra, which is not installed here: pip install 'pytest-deploygate[testinfra]'"
        ) from None

    server, hosts = request.param, _section(request.config)
    limit_s = hosts.timeout.total_seconds() if hosts else 0.0
    return machine(server.connection, limit_s, server.run_as, server.run_as_password)


@pytest.fixture(scope="module")
def host(_testinfra_host: Any) -> Any:
    """A server of the inventory, as testinfra's `Host`: `host.service("nginx").is_running`."""
    return _testinfra_host


@pytest.hookimpl(wrapper=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> Generator[None, object, object]:
    """Run a test that takes `host` once for each server, or for those of its `hosts` marker.

    testinfra would do the same for this machine: it is not asked about these tests.
    """
    names = metafunc.fixturenames
    if _PARAMETER not in names or hasattr(metafunc.module, "testinfra_hosts"):
        return (yield)
    hosts = _section(metafunc.config)
    if hosts is None:
        return (yield)
    servers = _chosen(metafunc, hosts)
    metafunc.parametrize(
        _PARAMETER, servers, ids=[server.name for server in servers], indirect=True, scope="module"
    )
    place = names.index(_PARAMETER)
    del names[place]
    try:
        return (yield)
    finally:
        names.insert(place, _PARAMETER)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config) -> None:
    """Raise UsageError (exit 4) for what the `hosts` markers name wrongly; while a file is collected it would be exit 2."""
    if mistakes := config.stash.get(_MISTAKES, []):
        raise pytest.UsageError("\n".join(mistakes))


def _section(config: pytest.Config) -> Hosts | None:
    from pytest_deploygate.checks.hosts.section import Keys  # noqa: PLC0415 (as above)

    return config.stash[SETTINGS].inventory.of(Keys).hosts


def _is_host(server: object) -> bool:
    from pytest_deploygate.checks.hosts.section import Host  # noqa: PLC0415 (as above)

    return isinstance(server, Host)


def _chosen(metafunc: pytest.Metafunc, hosts: Hosts) -> list[Host]:
    """Return the servers that a test's `hosts` markers name by role or name; what is neither is noted as a mistake."""
    asked = [str(word) for mark in metafunc.definition.iter_markers("hosts") for word in mark.args]
    if not asked:
        return hosts.servers
    known = [*hosts.roles, *(server.name for server in hosts.servers)]
    for word in asked:
        if word not in known:
            file, line, name = metafunc.definition.location
            metafunc.config.stash.setdefault(_MISTAKES, []).append(
                f"{file}:{(line or 0) + 1}: {name}: no server of the inventory has the role or name "
                f"{word!r}{nearest(word, known)}"
            )
    return [server for server in hosts.servers if {server.name, *server.roles} & {*asked}]


@dataclass(frozen=True)
class Ran:
    """What a test ran on one server: each command with its exit code, and why results say nothing of the server."""

    server: str
    commands: tuple[str, ...]
    doubts: tuple[str, ...] = ()


def judge(measurement: Ran, _criterion: str) -> Judgement:
    """Judge a test whose assertions held, after at least one command: what a command could not say is not known."""
    number = len(measurement.commands)
    readings = (Reading("commands", number),)
    if measurement.doubts:
        more = f"; and {len(measurement.doubts) - 1} more like it" if len(measurement.doubts) > 1 else ""
        words = f"{measurement.server}: all assertions hold, but {measurement.doubts[0]}{more}"
        return Judgement(Verdict.INCONCLUSIVE, words, readings)
    words = f"{number} command{'s' if number > 1 else ''} on {measurement.server}, and all assertions hold"
    return Judgement(Verdict.PASS, words, readings)


def _ran(server: str, told: Sequence[Any]) -> Ran:
    """Return what was run, from `clients.host.machine.Asked`."""
    doubts = [f"`{each.command}`: {each.doubt}" for each in told if each.doubt]
    doubts += [
        f"`{each.command}`: {each.ended}, and the test did not look at that"
        for each in told
        if each.failed and not each.looked_at and not each.doubt
    ]
    if not doubts and not any(each.looked_at for each in told):
        doubts = ["the test looked at the result of none of its commands: assert something of them"]
    return Ran(server, tuple(f"{each.command}: {each.ended}" for each in told), tuple(doubts))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Record what a bound test says that has only assertions, as testinfra's tests do, if it asked its server anything.

    One that ran no command proves nothing about its item, like any test without a finding.
    """
    server = getattr(item, "callspec", None) and item.callspec.params.get(_PARAMETER)  # type: ignore[attr-defined]
    gate = item.stash.get(GATE, None)
    if gate is None or server is None or not _is_host(server):
        return (yield)
    told = item.funcargs[_PARAMETER].backend.told  # type: ignore[attr-defined]
    told.clear()
    yield
    if told and not gate.findings:
        gate.judge(judge, _ran(server.name, told), "the test's assertions")
    return None
