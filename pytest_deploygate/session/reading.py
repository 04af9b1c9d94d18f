"""Reads what a run needs before its first test: options, checklist, inventory, records, and the commit it is about."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from pytest_deploygate import git
from pytest_deploygate.checklist import comparison
from pytest_deploygate.checklist import parser as checklist_parser
from pytest_deploygate.checklist.parser import Checklist, ChecklistError
from pytest_deploygate.checklist.records import RecordsError
from pytest_deploygate.checks.blast_radius.section import BlastRadius
from pytest_deploygate.inventory import sections
from pytest_deploygate.inventory.loader import InventoryError, Loaded, load
from pytest_deploygate.journal import utcnow
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Weakening
from pytest_deploygate.problems import nearest
from pytest_deploygate.redaction import redact, weak
from pytest_deploygate.session import base, bearing, needs, options, records, shipped, suites, timetable
from pytest_deploygate.session.asking import Asking, asking
from pytest_deploygate.session.base import Base
from pytest_deploygate.session.declared import Function
from pytest_deploygate.session.settings import Settings
from pytest_deploygate.session.sharding import shared_by_hosts

#: Why a run knows no commit.
_NO_TREE = "the folder is not in a git work tree, so records were not compared with a commit"
#: Key of a worker's input: what the controller has listed, as JSON.
LISTED = "deploygate_listed"
_OUT = "deploygate-out"
#: How many of the items that a checklist does without a run's header names; report and `deploygate plan` name all.
_NAMED = 3
#: Subjects of sections that every run reads, whatever its scope.
_ALWAYS = frozenset({"blast_radius", "way_back"})


@dataclass(frozen=True)
class _Plan:
    """The checklist of a run, the shipped one, and the tests there are for them."""

    checklist: Checklist
    shipped: Checklist
    functions: Sequence[Function]

    @cached_property
    def checks(self) -> set[str]:
        """The ids that a line of the checklist can ask for."""
        return shipped.checks(self.shipped, self.functions)

    def asking(self, not_applicable: Collection[str] = ()) -> Asking:
        """Return which items each test is asked about."""
        return asking(self.checklist, self.checks, not_applicable)

    def subjects(self, wanted: frozenset[str]) -> frozenset[str]:
        """Return the subjects whose sections a run of these items reads: those of all tests that are collected for it."""
        functions = self.asking().functions(self.functions)
        files = {f.test.partition("::")[0] for f in functions if not wanted.isdisjoint(f.items)}
        collected = [f for f in functions if f.test.partition("::")[0] in files]
        return _ALWAYS | needs.subjects(collected)


def read(config: pytest.Config) -> Settings:
    """Read all of it. Raises pytest.UsageError (exit 4) with every problem found."""
    root, here = config.rootpath, config.invocation_params.dir
    options.check_project(root, here)
    branch = base.of(root)
    base.check(config, branch)
    origin = branch.proposed(root) if branch else root
    tree = git.work_tree(origin)
    # Git looks for changed files while the inventory is read.
    status = None if tree is None or hasattr(config, "workerinput") else git.Asked(tree)
    try:
        plan = _plan(config, branch)
        loaded = _inventory(config, branch, plan)
    except (InventoryError, ChecklistError) as error:
        raise pytest.UsageError(str(error)) from None
    change = options.change(config)
    try:
        policy = loaded.inventory.policy
        # The records of a branch are committed; whether on the branch that the policy names is still to be seen.
        compared = None if branch and not policy.records_branch else tree
        attested = records.read(root, plan.checklist, change, policy, compared)
    except RecordsError as error:
        raise pytest.UsageError(redact(str(error))) from None
    out = config.getoption("deploygate_out")
    if branch:
        here = branch.proposed(here)
        if forged := base.committed_results(tree, origin / _OUT):
            raise pytest.UsageError(f"--records-from: {forged}")
    shared_by_hosts(config, str(out or ""))
    place = here / str(out) if out else origin / _OUT / change
    shard = options.shard(config, here, loaded)
    ticked = config.getoption("deploygate_ticked")
    asked = plan.asking([entry.item for entry in loaded.inventory.not_applicable])
    missing = comparison.left_out(plan.checklist, plan.shipped)
    settings = Settings(
        root=root,
        loaded=loaded,
        checklist=plan.checklist,
        change=change,
        out=place / shard.folder if shard else place,
        expression=options.expression(config),
        resume=bool(config.getoption("deploygate_resume")),
        fresh=bool(config.getoption("deploygate_fresh")),
        allow_disruptive=options.allowed(config, loaded.inventory.name),
        waived_exit=bool(config.getoption("deploygate_waived_exit")),
        only=options.only(config, plan.checklist),
        execute_rollback=config.getoption("deploygate_rollback") == "execute",
        ticked=here / str(ticked) if ticked else None,
        records=attested,
        source=git.State(problem=_NO_TREE)
        if status is None
        else status.answer(without=place if out else origin / _OUT),
        base=branch,
        weakenings=(
            *_proposed(config, branch, loaded, plan),
            *comparison.weakenings(plan.checklist, plan.shipped),
            *bearing.weakenings(loaded.weaker, asked.functions(plan.functions), loaded.inventory),
        ),
        asking=asked,
        without=comparison.without(missing, plan.shipped, _NAMED) if missing else "",
        weak_secrets=tuple(_words_as_secrets(plan, change)),
        options=options.given(config),
        shard=shard,
        override_freeze=config.getoption("deploygate_override_freeze") or "",
    )
    _check(settings)
    said = timetable.remarks(
        loaded.inventory.timetable,
        plan.checklist,
        settings.scope_items,
        config.getoption("deploygate_override_freeze"),
        utcnow(),
        loaded.inventory.contacts,
    )
    return replace(settings, remarks=said)


def _plan(config: pytest.Config, branch: Base | None) -> _Plan:
    """Read the checklist and find the tests. Raises ChecklistError and pytest.UsageError."""
    ours = shipped.parsed()
    functions = suites.functions_of(config)
    bound = {item for function in functions for item in function.items}
    file = options.checklist_file(config)
    if branch:
        file = branch.kept(file)
    base.check_file(file, branch)
    given = ours if file == ours.file else checklist_parser.load(file)
    return _Plan(comparison.resolved(given, ours, bound), ours, functions)


def _inventory(config: pytest.Config, branch: Base | None, plan: _Plan) -> Loaded:
    """Load what the run needs of the inventory; that of the branch, if one is run, which is always checked whole.

    Raises InventoryError and pytest.UsageError.
    """
    name, root, told = str(config.getoption("deploygate_inventory")), config.rootpath, _told(config)
    needed = plan.subjects(options.wanted(config, plan.checklist))
    if branch is None:
        found = load(name, root, told=told, needed=needed)
    elif "/" not in name:
        found = load(name, root, told=told)
    else:
        found = load(str(branch.kept(Path(name).expanduser())), root, told=told)
    base.check_file(found.file, branch)
    return found


def _told(config: pytest.Config) -> Mapping[str, Any]:
    """Return what the controller of this worker (pytest-xdist) has listed: all processes must collect the same tests."""
    found: Mapping[str, Any] = json.loads(getattr(config, "workerinput", {}).get(LISTED, "{}"))
    return found


def _proposed(config: pytest.Config, branch: Base | None, loaded: Loaded, plan: _Plan) -> list[Weakening]:
    """Return what a pull request would change; the process that writes the journal looks."""
    if branch is None or hasattr(config, "workerinput"):
        return []
    from pytest_deploygate.session import proposed  # noqa: PLC0415 (only runs for pull requests need it)

    places = config.getini("testpaths") or []
    return proposed.weakenings(branch, config.rootpath, loaded, plan.checklist, plan.functions, places)


def _words_as_secrets(plan: _Plan, change: str) -> Iterator[str]:
    """Yield a sentence for each secret that is a word of the checklist, the change or a test."""
    names = (function.test for function in plan.functions)
    texts = [plan.checklist.file.read_text(), change, *names]
    for source, why in weak(texts, "of the checklist, the change or a test").items():
        if why.startswith("is a word"):
            yield f"the secret in {source} {why}, so it is masked only where it stands as a password could"


def _check(settings: Settings) -> None:
    """Refuse what cannot be together, and what names no item or phase of the checklist. Raises pytest.UsageError."""
    if settings.resume and settings.fresh:
        raise pytest.UsageError(
            "--resume and --fresh are mutually exclusive: continue the last run, or move it aside"
        )
    file, inventory = settings.loaded.file, settings.inventory
    known = [item.id for item in settings.checklist.items]
    for entry in inventory.not_applicable:
        if problem := settings.asking.not_an_item(entry.item, known):
            raise pytest.UsageError(f"{file}: not_applicable: {problem}")
    budgets = sections.value(inventory, "blast_radius")
    for budget in budgets.items if isinstance(budgets, BlastRadius) else ():
        if not settings.asking.knows(budget.item):
            raise pytest.UsageError(
                f"{file}: blast_radius.items: no item {budget.item!r} in the checklist{nearest(budget.item, known)}"
            )
    phases = [phase.id for phase in settings.checklist.phases]
    start = inventory.policy.rollback_from
    if "rollback_from" in inventory.policy.model_fields_set and start not in phases:
        raise pytest.UsageError(
            f"{file}: policy.rollback_from: unknown phase {start!r}{nearest(start, phases)}"
        )
