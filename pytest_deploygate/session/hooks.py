"""A run wakes, and its tests run: each gets its gate, its limits, and its findings in its report.

`wake` registers this module as a pytest plugin, with those beside it: `collecting` (which tests), `writing` (journal and
decision), `shown` (what is printed), `packing` (reports of pytest-xdist), `forks`, and the modules of `fixtures`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Generator

import pytest

from pytest_deploygate import git, startup
from pytest_deploygate.clients import reach, stopping
from pytest_deploygate.journal import JournalError
from pytest_deploygate.model import NotCovered, Verdict
from pytest_deploygate.session import (
    bound,
    collecting,
    evidence,
    fixtures,
    forks,
    manual,
    needs,
    outcome,
    packing,
    parameters,
    pytests_streams,
    reading,
    scope,
    servers,
    shipped,
    shown,
    spending,
    suites,
    writing,
)
from pytest_deploygate.session.floor import hold_the_floor
from pytest_deploygate.session.gate import GATE, RUNNING, Gate
from pytest_deploygate.session.settings import SETTINGS
from pytest_deploygate.session.time_limit import TIME_LIMIT, TimeLimit, TimeUp

#: Where this process keeps evidence.
_STORE = pytest.StashKey[evidence.Store]()
#: Whether pytest only shows something and asks no test.
_SHOWS = pytest.StashKey[bool]()
#: Whether a test was ended in the middle.
_ENDED = pytest.StashKey[bool]()


def wake(config: pytest.Config) -> None:
    """Read inventory and checklist, open the journal, and register. Raises pytest.UsageError (exit 4)."""
    began = time.monotonic()
    config.stash[forks.PROCESS] = os.getpid()
    reach.begin()
    found = reading.read(config)
    config.stash[TIME_LIMIT] = TimeLimit(began, found.inventory.policy.time_limit)
    registered = [line.partition(":")[0].partition("(")[0].strip() for line in config.getini("markers")]
    scope.check(found.expression, found.checklist, registered)
    for name in dict.fromkeys(name for item in found.checklist.items for name in scope.markers_of(item)):
        config.addinivalue_line("markers", f"{name}: tests of the checklist's {name} items")
    config.stash[SETTINGS] = found
    workers = int(getattr(config, "workerinput", {}).get("workercount", 1))
    config.stash[_STORE] = evidence.Store(
        found.out, found.inventory.policy.file_mode, evidence.FILES // workers
    )
    pytests_streams.begin(config)
    functions = suites.functions_of(config, found.asking)
    config.stash[collecting.LEFT] = needs.left_to_others(functions, found.inventory)
    config.stash[collecting.WHOLE] = collecting.whole(config)
    by_item = scope.by_item_alone(found.expression, found.checklist)
    config.stash[collecting.IDLE] = (
        suites.idle_files(config, found.asking, found.scope_items) if by_item else set()
    )
    config.pluginmanager.register(sys.modules[__name__], "deploygate-session")
    for plugin in (collecting, packing, shown):
        config.pluginmanager.register(plugin, f"deploygate-{plugin.__name__.rpartition('.')[2]}")
    config.pluginmanager.register(pytests_streams, "deploygate-streams")
    for name, module in fixtures.plugins():
        config.pluginmanager.register(module, name)
    if servers.wanted(config):
        config.pluginmanager.register(servers, "deploygate-servers")
    config.stash[_SHOWS] = _asks_nothing(config)
    stopping.begin(found.stop_file)
    if recorded := getattr(config, "workerinput", {}).get("deploygate_run"):
        reach.share(writing.silences(found.out, recorded))
        config.stash[spending.RUN] = recorded
    if hasattr(config, "workerinput") or config.stash[_SHOWS]:
        config.pluginmanager.register(forks.Alone(config), "deploygate-alone")
        return
    from pytest_deploygate.inventory import located  # noqa: PLC0415 (as below)
    from pytest_deploygate.session import run as recording  # noqa: PLC0415 (workers, which write nothing, import less)

    try:
        by_test = suites.items_by_test(functions)
        expected = {test: ids for test, ids in by_test.items() if test not in config.stash[collecting.LEFT]}
        run = config.stash[writing.RUN] = recording.Run(
            found,
            expected | manual.declared(found),
            suites.sources_of(config),
            config.pluginmanager,
            lines=located.lines(
                found.loaded, found.root, ((id_, each.arguments) for each in functions for id_ in each.items)
            )
            | {"below": tree.prefix if (tree := git.work_tree(found.root)) else ""},
        )
    except JournalError as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[spending.RUN] = run.id
    config.pluginmanager.register(writing.Writing(config, run), "deploygate-writing")
    config.pluginmanager.register(
        forks.Alone(config), "deploygate-alone"
    )  # the last one's hooks are called first
    if config.getoption("htmlpath", None):
        from pytest_deploygate.session.html_table import HtmlTable  # noqa: PLC0415 (for --html only)

        table = HtmlTable(
            lambda: config.stash.get(writing.RECORD, None), run.missing, str(found.out / "signoff.html")
        )
        config.pluginmanager.register(table, "deploygate-html")
    shown.quieten(config)


#: Options with which pytest only shows something: no test is asked.
_ONLY_SHOW = (
    "collectonly",
    "showfixtures",
    "show_fixtures_per_test",
    "markers",
    "cacheshow",
    "setupplan",
    "setuponly",
)


def _asks_nothing(config: pytest.Config) -> bool:
    """Tell whether pytest was started to show something; such a start is no run, and is not recorded."""
    return any(getattr(config.option, name, None) for name in _ONLY_SHOW)


@pytest.hookimpl(tryfirst=True)
def pytest_unconfigure() -> None:
    """Leave what the run kept to the end of the process."""
    stopping.begin(None)
    startup.leave()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """pytest-xdist: tell each worker which run it belongs to."""
    run = node.config.stash.get(writing.RUN, None)  # type: ignore[attr-defined]
    if run is not None:
        reach.share(writing.silences(run.settings.out, run.id))
        node.workerinput["deploygate_run"] = run.id  # type: ignore[attr-defined]
        node.workerinput["deploygate_whole"] = node.config.stash[collecting.WHOLE]  # type: ignore[attr-defined]
        node.workerinput[reading.LISTED] = json.dumps(run.settings.loaded.listed)  # type: ignore[attr-defined]
        node.workerinput["deploygate_kept"] = sorted(run.kept)  # type: ignore[attr-defined]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """End a test early, as not covered, if the inventory lacks what it needs."""
    if GATE in item.stash and isinstance(item, pytest.Function):  # what people attest takes no time
        item.config.stash[TIME_LIMIT].check()
    callspec = getattr(item, "callspec", None)
    for value in callspec.params.values() if callspec and GATE in item.stash else ():
        if isinstance(value, parameters.Missing):
            raise NotCovered(value.reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Give each bound test its gate."""
    forks.end_forks(item.config)
    running = RUNNING.set(item)
    if ids := bound.item_ids(item):
        reach.asking(", ".join(ids))
        callspec = getattr(item, "callspec", None)
        target = callspec.id if callspec and callspec.id != "not-covered" else ""
        item.stash[GATE] = Gate(
            items=ids,
            test=bound.plain_id(item.nodeid),
            target=target,
            store=item.config.stash[_STORE],
            asked=bound.asked(item),
            may=_verdicts_of_records(item),
        )
    try:
        return (yield)
    finally:
        RUNNING.reset(running)
        if GATE in item.stash:
            del item.stash[GATE]  # its findings are in the report
        if item.stash.get(_ENDED, False):
            startup.let_go()


def _verdicts_of_records(item: pytest.Item) -> tuple[Verdict, ...]:
    """Return the verdicts of records that a test may give: it reads an attestation, or what the inventory leaves out."""
    if isinstance(item, manual.AttestedItem):
        return (Verdict.ATTESTED,)
    return (Verdict.NOT_APPLICABLE,) if shipped.is_suite(item.path) else ()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Run disruptive tests alone; end any other test when the run's time limit is reached: a drill must restore what it broke.

    The stop file ends all of them.
    """
    if GATE not in item.stash:
        return (yield)
    with stopping.ending():
        floor = hold_the_floor(item, item.config.stash[SETTINGS])
        next(floor)
        try:
            time_limit = item.config.stash[TIME_LIMIT]
            if time_limit.limit is None or item.get_closest_marker("disruptive"):
                return (yield)
            with time_limit.ends():
                return (yield)
        finally:
            next(floor, None)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a journey: it is judged by its steps, and run again if it fails."""
    if "journey" not in pyfuncitem.funcargs or GATE not in pyfuncitem.stash:
        return None
    from pytest_deploygate.session import journeys  # noqa: PLC0415 (only for tests that are journeys)

    journeys.run(pyfuncitem)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach its findings to the report of a bound test."""
    report = yield
    if call.excinfo is not None and isinstance(call.excinfo.value, stopping.Ended | TimeUp):
        item.stash[_ENDED] = True
    if (its_gate := item.stash.get(GATE, None)) is not None and not item.config.stash[_SHOWS]:
        outcome.settle(its_gate, report, call)
    pytests_streams.hide(report)
    return report
