"""Which tests a run has: the shipped suites and the checklist besides the repository's own, bound to items, in scope."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from pytest_deploygate import startup
from pytest_deploygate.session import bound, dividing, manual, parameters, shipped, suites, writing
from pytest_deploygate.session.settings import SETTINGS, Settings

#: Tests of sections that this inventory does not have and whose items other tests cover.
LEFT = pytest.StashKey[set[str]]()
#: All bound tests of the files that are collected, by node id.
_MADE = pytest.StashKey[dict[str, pytest.Function]]()
#: Whether the shipped suites and the checklist are collected besides pytest's arguments.
WHOLE = pytest.StashKey[bool]()
#: The repository's own test files without a test in scope.
IDLE = pytest.StashKey[set[Path]]()


def whole(config: pytest.Config) -> bool:
    """Tell whether no path was given, so that the shipped suites and the checklist are collected too."""
    worker = getattr(config, "workerinput", None)
    if worker is not None:  # a worker receives the controller's paths
        return bool(worker["deploygate_whole"])
    return config.args_source is not config.ArgsSource.ARGS


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Skip what `pytest_collection_modifyitems` collects, and files without a test in scope."""
    if collection_path in config.stash[IDLE]:
        return True
    checklist = config.stash[SETTINGS].checklist.file
    if config.stash[WHOLE] and (shipped.is_suite(collection_path) or collection_path == checklist):
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
    if config.stash[WHOLE]:
        items[:0] = shipped.collect(session, suites.functions_of(config, found.asking), found.scope_items)
        items += session.genitems(manual.file_of(found.checklist, session))
    items[:] = [
        item
        for item in items
        if item.nodeid.partition("[")[0] not in config.stash[LEFT] and bound.ask(item, found.asking)
    ]
    made = config.stash.setdefault(_MADE, {})
    whole = {item.nodeid: item for item in items}
    left_out = [
        test
        for nodeid, test in made.items()
        if nodeid not in whole
        and nodeid.partition("[")[0] not in config.stash[LEFT]
        and bound.ask(test, found.asking)
    ]
    tests = bound.bind([*items, *left_out], found.checklist, found.scope_items)
    here = dividing.here(tests, [*items, *left_out], found)
    worker = getattr(config, "workerinput", None)
    if worker is not None and "deploygate_run" not in worker:  # nothing is recorded
        kept = set()
    elif worker is not None:
        bound.leave_for_controller(found.out, worker["deploygate_run"], here.collected)
        kept = set(worker["deploygate_kept"])
    else:
        run = config.stash.get(writing.RUN, None)
        kept = set(run.kept) if run else set()
        if run:
            run.know(here.collected)
            run.lost += suites.unread(config, {test.path for test in [*items, *made.values()]})
    left = [
        item
        for item in items
        if item.nodeid in kept or item.nodeid in here.elsewhere or not _asked(item, found)
    ]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]


def _asked(item: pytest.Item, found: Settings) -> bool:
    """Tell whether `--items` selects a test; without the option all are selected."""
    return not found.only or bool(set(bound.item_ids(item)) & set(found.only))


def pytest_collection_finish() -> None:
    """Leave what was collected out of garbage collection; under pytest-xdist each worker has collected all tests."""
    startup.keep()
