"""The pytest hooks of a run, each a few lines: bind, parametrise, record, journal, decide, print.

This module is registered as a pytest plugin by `wake`, with the modules of `fixtures`.
"""

from __future__ import annotations

import contextlib
import json
import marshal
import os
import sys
import textwrap
import time
from collections.abc import Generator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_deploygate import startup
from pytest_deploygate.clients import reach
from pytest_deploygate.decision.rules import EXIT_INCOMPLETE
from pytest_deploygate.journal import JournalError
from pytest_deploygate.model import NotCovered, Verdict
from pytest_deploygate.problems import one_line
from pytest_deploygate.redaction import redact
from pytest_deploygate.session import (
    bound,
    evidence,
    fixtures,
    manual,
    needs,
    outcome,
    parameters,
    pytests_streams,
    scope,
    servers,
    settings,
    shipped,
    suites,
)
from pytest_deploygate.session.budget import BUDGET, Budget
from pytest_deploygate.session.floor import hold_the_floor
from pytest_deploygate.session.gate import GATE, RUNNING, Gate
from pytest_deploygate.session.progress import PROGRESS, Progress, terminal_of
from pytest_deploygate.session.settings import SETTINGS

if TYPE_CHECKING:
    from pytest_deploygate.report.record import Record
    from pytest_deploygate.session.run import Run

_RUN: pytest.StashKey[Run] = pytest.StashKey()
_RECORD: pytest.StashKey[Record] = pytest.StashKey()
#: The exit code of the run: the decision's, or pytest's own.
_CODE = pytest.StashKey[int]()
#: Tests of sections that this inventory does not have and whose items other tests cover.
_LEFT = pytest.StashKey[set[str]]()
#: All bound tests of the files that are collected, by node id.
_MADE = pytest.StashKey[dict[str, pytest.Function]]()
#: Whether the shipped suites and the checklist are collected besides pytest's arguments.
_WHOLE = pytest.StashKey[bool]()
#: Where this process keeps evidence.
_STORE = pytest.StashKey[evidence.Store]()
#: The process that the run belongs to.
_PROCESS = pytest.StashKey[int]()
#: Whether pytest only shows something and asks no test.
_SHOWS = pytest.StashKey[bool]()
#: The repository's own test files without a test in scope.
_IDLE = pytest.StashKey[set[Path]]()


def wake(config: pytest.Config) -> None:
    """Read inventory and checklist, open the journal, and register. Raises pytest.UsageError (exit 4)."""
    began = time.monotonic()
    config.stash[_PROCESS] = os.getpid()
    reach.begin()
    found = settings.read(config)
    config.stash[BUDGET] = Budget(began, found.inventory.policy.budget)
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
    config.stash[_LEFT] = needs.left_to_others(functions, found.inventory)
    config.stash[_WHOLE] = _whole(config)
    by_item = scope.by_item_alone(found.expression, found.checklist)
    config.stash[_IDLE] = suites.idle_files(config, found.asking, found.scope_items) if by_item else set()
    config.pluginmanager.register(sys.modules[__name__], "deploygate-session")
    config.pluginmanager.register(pytests_streams, "deploygate-streams")
    for name, plugin in fixtures.plugins():
        config.pluginmanager.register(plugin, name)
    if servers.wanted(config):
        config.pluginmanager.register(servers, "deploygate-servers")
    config.stash[_SHOWS] = _asks_nothing(config)
    if recorded := getattr(config, "workerinput", {}).get("deploygate_run"):
        reach.share(_silences(found.out, recorded))
    if hasattr(config, "workerinput") or config.stash[_SHOWS]:
        config.pluginmanager.register(_Alone(config), "deploygate-alone")
        return
    from pytest_deploygate.session import run as recording  # noqa: PLC0415 (workers, which write nothing, import less)

    try:
        by_test = suites.items_by_test(functions)
        expected = {test: ids for test, ids in by_test.items() if test not in config.stash[_LEFT]}
        run = config.stash[_RUN] = recording.Run(
            found, expected | manual.declared(found), suites.sources_of(config), config.pluginmanager
        )
    except JournalError as error:
        raise pytest.UsageError(str(error)) from None
    config.pluginmanager.register(_Writing(config, run), "deploygate-writing")
    config.pluginmanager.register(_Alone(config), "deploygate-alone")  # the last one's hooks are called first
    if config.getoption("htmlpath", None):
        from pytest_deploygate.session.html_table import HtmlTable  # noqa: PLC0415 (for --html only)

        table = HtmlTable(
            lambda: config.stash.get(_RECORD, None), run.missing, str(found.out / "signoff.html")
        )
        config.pluginmanager.register(table, "deploygate-html")
    _quieten(config)


def _end_forks(config: pytest.Config) -> None:
    """End a process that a test forked and that goes on with the session: it would ask everything a second time."""
    if os.getpid() != config.stash[_PROCESS]:
        text = f"deploygate: process {os.getpid()} is a fork of the run in process {config.stash[_PROCESS]}: it ends here"
        os.write(2, f"{text}, and nothing of it is recorded\n".encode())
        os._exit(EXIT_INCOMPLETE)


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


def _whole(config: pytest.Config) -> bool:
    """Tell whether no path was given, so that the shipped suites and the checklist are collected too."""
    worker = getattr(config, "workerinput", None)
    if worker is not None:  # a worker receives the controller's paths
        return bool(worker["deploygate_whole"])
    return config.args_source is not config.ArgsSource.ARGS


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Skip what `pytest_collection_modifyitems` collects, and files without a test in scope."""
    if collection_path in config.stash[_IDLE]:
        return True
    checklist = config.stash[SETTINGS].checklist.file
    if config.stash[_WHOLE] and (shipped.is_suite(collection_path) or collection_path == checklist):
        return True
    return None


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Give a shipped test the same node id wherever the package is installed."""
    if not shipped.is_suite(module_path):
        return None
    module: pytest.Module = pytest.Module.from_parent(
        parent, path=module_path, nodeid=shipped.NODES + module_path.name
    )
    return module


def _quieten(config: pytest.Config) -> None:
    """Show reasons in our summary and tracebacks in the evidence only, unless the command line asks for more."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:  # -p no:terminal: its options do not exist either
        return
    if config.option.tbstyle == "auto":
        config.option.tbstyle = "no"
    if config.option.reportchars == "fE":
        reporter.reportchars = ""


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Print what is gated."""
    found = config.stash[SETTINGS]
    run = config.stash.get(_RUN, None)
    in_scope = f"{found.scope_words or scope.WHOLE} ({len(found.scope_items)} items)"
    lines = [
        f"deploygate: inventory {found.inventory.name}, change {found.change}, scope {in_scope}",
    ]
    if found.base:
        lines.append(
            f"deploygate: checklist, inventory, tests and records are those of {found.base.words}, "
            f"not of {found.source.commit[:12] or 'this folder'}"
        )
    lines += [f"deploygate: {remark}" for remark in found.remarks]
    lines += [f"deploygate: {one.words}" for one in found.records.aside]
    lines += [f"inventory: {note}" for note in found.loaded.notes]
    lines += [
        f"inventory: {key}: {len(data)} listed from elsewhere" for key, data in found.loaded.listed.items()
    ]
    lines += [f"deploygate: {one}" for one in found.weak_secrets]
    lines += [f"checklist: {remark}" for remark in found.checklist.remarks[:5]]
    lines += [f"checklist: {found.without}"] if found.without else []
    if run and run.moved_aside:
        lines.append(f"deploygate: the previous journal was moved to {run.moved_aside}")
    if run and found.resume:
        lines.append(f"deploygate: resuming, keeping {len(run.kept)} tests that were good in the last run")
    lines += [f"deploygate: {why}" for why in run.why_not_kept] if run else []
    return lines


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> manual.ChecklistFile | None:
    """Collect the checklist: items that people attest are tests too."""
    return manual.collect(file_path, parent)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a bound test once for each replica, table, … of the inventory."""
    found = metafunc.config.stash[SETTINGS]
    if not any(metafunc.definition.iter_markers("item")):
        return
    for name in metafunc.fixturenames:
        try:
            given = parameters.values(name, found.inventory)
        except ValueError as error:
            raise pytest.UsageError(f"{found.loaded.file}: {error}") from None
        if given is not None:
            metafunc.parametrize(name, given[0], ids=given[1])


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class,
) -> Generator[None, object, object]:
    """Note every target of each bound function, also those that the command line leaves out.

    A node id of one parameter, or `--lf`, selects from what the file has: this is before the selection.
    """
    made = yield
    for test in made if isinstance(made, list) else ():
        if isinstance(test, pytest.Function) and any(test.iter_markers("item")):
            collector.config.stash.setdefault(_MADE, {})[test.nodeid] = test
    return made


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Bind tests to items before anything is deselected, and skip tests that `--resume` keeps."""
    found = config.stash[SETTINGS]
    if config.stash[_WHOLE]:
        items[:0] = shipped.collect(session, suites.functions_of(config, found.asking), found.scope_items)
        items += session.genitems(manual.file_of(found.checklist, session))
    items[:] = [
        item
        for item in items
        if item.nodeid.partition("[")[0] not in config.stash[_LEFT] and bound.ask(item, found.asking)
    ]
    made = config.stash.setdefault(_MADE, {})
    whole = {item.nodeid: item for item in items}
    left_out = [
        test
        for nodeid, test in made.items()
        if nodeid not in whole
        and nodeid.partition("[")[0] not in config.stash[_LEFT]
        and bound.ask(test, found.asking)
    ]
    tests = bound.bind([*items, *left_out], found.checklist, found.scope_items)
    worker = getattr(config, "workerinput", None)
    if worker is not None and "deploygate_run" not in worker:  # nothing is recorded
        kept = set()
    elif worker is not None:
        bound.leave_for_controller(found.out, worker["deploygate_run"], tests)
        kept = set(worker["deploygate_kept"])
    else:
        run = config.stash.get(_RUN, None)
        kept = set(run.kept) if run else set()
        if run:
            run.know(tests)
            run.lost += suites.unread(config, {test.path for test in [*items, *made.values()]})
    left = [item for item in items if item.nodeid in kept or not _asked(item, found)]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]


def pytest_collection_finish() -> None:
    """Leave what was collected out of garbage collection; under pytest-xdist each worker has collected all tests."""
    startup.keep()


@pytest.hookimpl(tryfirst=True)
def pytest_unconfigure() -> None:
    """Leave what the run kept to the end of the process."""
    startup.leave()


def _asked(item: pytest.Item, found: settings.Settings) -> bool:
    """Tell whether `--items` selects a test; without the option all are selected."""
    return not found.only or bool(set(bound.item_ids(item)) & set(found.only))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """pytest-xdist: tell each worker which run it belongs to."""
    run = node.config.stash.get(_RUN, None)  # type: ignore[attr-defined]
    if run is not None:
        reach.share(_silences(run.settings.out, run.id))
        node.workerinput["deploygate_run"] = run.id  # type: ignore[attr-defined]
        node.workerinput["deploygate_whole"] = node.config.stash[_WHOLE]  # type: ignore[attr-defined]
        node.workerinput[settings.LISTED] = json.dumps(run.settings.loaded.listed)  # type: ignore[attr-defined]
        node.workerinput["deploygate_kept"] = sorted(run.kept)  # type: ignore[attr-defined]


def _silences(out: Path, run: str) -> Path:
    """Return the file in which the workers of a run tell each other which places are silent."""
    return out / f".silent-{run}.jsonl"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """End a test early, as not covered, if the inventory lacks what it needs."""
    if GATE in item.stash and isinstance(item, pytest.Function):  # what people attest takes no time
        item.config.stash[BUDGET].spent()
    callspec = getattr(item, "callspec", None)
    for value in callspec.params.values() if callspec and GATE in item.stash else ():
        if isinstance(value, parameters.Missing):
            raise NotCovered(value.reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Give each bound test its gate."""
    _end_forks(item.config)
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


def _verdicts_of_records(item: pytest.Item) -> tuple[Verdict, ...]:
    """Return the verdicts of records that a test may give: it reads an attestation, or what the inventory leaves out."""
    if isinstance(item, manual.AttestedItem):
        return (Verdict.ATTESTED,)
    return (Verdict.NOT_APPLICABLE,) if shipped.is_suite(item.path) else ()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Run disruptive tests alone; end any other test when the run's budget is used up: a drill must restore what it broke."""
    if GATE not in item.stash:
        return (yield)
    floor = hold_the_floor(item, item.config.stash[SETTINGS])
    next(floor)
    try:
        budget = item.config.stash[BUDGET]
        if budget.limit is None or item.get_closest_marker("disruptive"):
            return (yield)
        with budget.ends():
            return (yield)
    finally:
        next(floor, None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach its findings to the report of a bound test."""
    report = yield
    if (its_gate := item.stash.get(GATE, None)) is not None and not item.config.stash[_SHOWS]:
        outcome.settle(its_gate, report, call)
    pytests_streams.hide(report)
    return report


#: Key of a report that pytest-xdist sends: its values as one.
_PACKED = "deploygate_packed"
_MARSHAL = 4  # is read by every Python that we support


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, dict[str, Any] | None, dict[str, Any] | None]:
    """Under pytest-xdist, send a report as one value.

    execnet writes and reads every key and value by itself, in Python: for a test with a finding that takes longer than to
    run it. What marshal does not know is left to execnet.
    """
    data = yield
    if data is not None:
        with contextlib.suppress(ValueError):
            return {_PACKED: marshal.dumps(data, _MARSHAL)}
    return data


@pytest.hookimpl(tryfirst=True)
def pytest_report_from_serializable(data: dict[str, Any]) -> None:
    """Read what `pytest_report_to_serializable` wrote. It is from a process that this run started."""
    if _PACKED in data:
        data.update(marshal.loads(data.pop(_PACKED)))  # noqa: S302


def pytest_report_teststatus(
    report: pytest.CollectReport | pytest.TestReport, config: pytest.Config
) -> tuple[str, str, str | tuple[str, dict[str, bool]]] | None:
    """Show our verdicts in pytest's own lines; print no letters while the live line runs."""
    status = outcome.status(report) if isinstance(report, pytest.TestReport) else None
    if PROGRESS in config.stash and isinstance(report, pytest.TestReport):
        if status:
            return status[0], "", status[2]
        if report.when == "call" and report.passed:
            return "passed", "", "PASSED"
    return status


class _Alone:
    """Ends forks of a process that runs tests before they report anything; pytest-forked's children do not report."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self) -> None:
        """End a fork that went on beyond its test."""
        _end_forks(self.config)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """End a fork that goes to the session's end, e.g. by pytest.exit."""
        _end_forks(self.config)


class _Writing:
    """Hooks of the process that writes the journal, registered while a run lasts."""

    def __init__(self, config: pytest.Config, run: Run) -> None:
        self.config = config
        self.run = run

    @cached_property
    def _alone(self) -> bool:
        """Whether tests run in this process, not in workers of pytest-xdist. Known once all plugins are configured."""
        return not self.config.pluginmanager.has_plugin("dsession")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Start the live line on a terminal."""
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        quiet = reporter is not None and self.config.option.verbose == 0
        stream = terminal_of(self.config) if quiet else None
        if stream is not None and reporter is not None:
            reporter.showfspath = False
            progress = self.config.stash[PROGRESS] = Progress(stream)
            progress.start(len(session.items) if hasattr(session, "items") else 0)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Count a file that cannot be collected as missing evidence: what it would have measured is unknown."""
        if report.failed:
            self.run.lost.append(
                f"{one_line(report.nodeid) or 'the suite'} could not be collected: what it would have measured is unknown"
            )

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Show what runs now; the findings of the test before are on disk when it begins.

        Under pytest-xdist tests run in other processes, which do not wait for the journal.
        """
        if self._alone:
            self._stop(self.run.settle())
        if progress := self.config.stash.get(PROGRESS, None):
            progress.begin(nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Journal a test's findings; stop the run if the journal can no longer be written."""
        self._stop(self.run.record(report))
        progress = self.config.stash.get(PROGRESS, None)
        if progress and (report.when == "call" or (report.when == "setup" and not report.passed)):
            progress.end(report.nodeid, getattr(report, outcome.VERDICT, report.outcome))

    def _stop(self, lost: str | None) -> None:
        """Stop the run if evidence was lost."""
        session = self.config.pluginmanager.get_plugin("session")
        if lost and session is not None:
            session.shouldstop = lost
            self.run.stopped = True

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Decide, write the results, and set the exit code."""
        if progress := self.config.stash.get(PROGRESS, None):
            progress.close()
        record = self.config.stash[_RECORD] = self.run.finish(interrupted=int(exitstatus) in (2, 3))
        _silences(self.run.settings.out, self.run.id).unlink(missing_ok=True)
        if record.decision is not None:
            # If we stopped the run ourselves (a full disk), pytest calls it interrupted; the decision's exit code is 25.
            status = 1 if self.run.stopped and int(exitstatus) == 2 else int(exitstatus)
            session.exitstatus = self.run.exit_code(record.decision, status)
        self.config.stash[_CODE] = int(session.exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print errors, what is not a pass, then the decision with its reasons."""
    # Only the end of a run needs these, and workers do not.
    from pytest_deploygate.report import terminal  # noqa: PLC0415
    from pytest_deploygate.session import last_line  # noqa: PLC0415

    record = config.stash.get(_RECORD, None)
    if record is None:
        return
    _print_broken(terminalreporter)
    run = config.stash[_RUN]
    # Another plugin may have set another status since: what is printed is what the process will end with.
    session = config.pluginmanager.get_plugin("session")
    code = int(session.exitstatus) if session is not None else config.stash[_CODE]
    writer = terminalreporter._tw  # noqa: SLF001 (the one way to pytest's own output stream)
    terminalreporter.write_line("")
    terminalreporter.write_line(
        terminal.text(
            record,
            str(run.settings.out / "signoff.html") if run.written else "",
            width=min(writer.fullwidth, 120),
            colour=writer.hasmarkup,
            exit_code=code,
        )
    )
    last_line.replace(terminalreporter, record, code)
    for complaint in run.complaints:
        terminalreporter.write_line(f"{complaint} (no verdict or decision improves because of it)")


def _print_broken(reporter: pytest.TerminalReporter) -> None:
    """Print what pytest's own sections would show: files that cannot be collected, and failures without a finding."""
    if reporter.config.option.tbstyle != "no":
        return
    broken = [*reporter.stats.get("error", []), *reporter.stats.get("failed", [])]
    for report in broken:
        if not hasattr(report, outcome.VERDICT) and report.longrepr:
            from pytest_deploygate.report.leaving import plain  # noqa: PLC0415 (for runs with such failures)

            reporter.write_sep("_", one_line(report.nodeid), red=True)
            # Indented: what a test prints cannot look like a line of ours.
            reporter.write_line(textwrap.indent(plain(redact(str(report.longrepr))), "  "))
