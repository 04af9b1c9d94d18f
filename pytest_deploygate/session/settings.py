"""The settings of a run: options, inventory, checklist, and where results go."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
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
from pytest_deploygate.clients import stopping
from pytest_deploygate.inventory import sections
from pytest_deploygate.inventory.loader import InventoryError, Loaded, load
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.journal import utcnow
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import NO_CHANGE, Weakening
from pytest_deploygate.problems import nearest
from pytest_deploygate.redaction import redact, weak
from pytest_deploygate.session import base, bearing, needs, scope, shipped, suites, timetable
from pytest_deploygate.session import records as people
from pytest_deploygate.session.asking import Asking, asking
from pytest_deploygate.session.base import Base
from pytest_deploygate.session.declared import Function
from pytest_deploygate.session.records import Records
from pytest_deploygate.session.sharding import Shard, read_shard, shared_by_hosts

#: Why a run knows no commit.
NO_TREE = "the folder is not in a git work tree, so records were not compared with a commit"
OUT = "deploygate-out"
STOP = stopping.NAME
#: How many of the items that a checklist does without a run's header names; report and `deploygate plan` name all.
_NAMED = 3
_CHANGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Settings:
    """One run's settings. `expression` is that of `-m`; empty means the whole checklist.

    `without` says in one line which shipped items the checklist does without; empty if it has all of them. `options` are
    those that a command needs to run this again, as they were given. `shard` is None for a whole run.
    """

    root: Path
    loaded: Loaded
    checklist: Checklist
    change: str
    out: Path
    expression: str
    resume: bool
    fresh: bool
    allow_disruptive: bool
    waived_exit: bool
    records: Records
    source: git.State
    base: Base | None = None
    weakenings: tuple[Weakening, ...] = ()
    ticked: Path | None = None
    only: tuple[str, ...] = ()
    execute_rollback: bool = False
    remarks: tuple[str, ...] = ()
    asking: Asking = field(default_factory=lambda: Asking({}))
    without: str = ""
    weak_secrets: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    shard: Shard | None = None
    override_freeze: str = ""

    @property
    def change_folder(self) -> Path:
        """The folder of the change: `out` is that of a shard below it where this run is one."""
        return self.out.parent.parent if self.shard else self.out

    @cached_property
    def scope_items(self) -> tuple[str, ...]:
        """The ids of the items in scope, in the checklist's order."""
        return scope.item_ids(self.expression, self.checklist, self.only)

    @property
    def item_ids(self) -> tuple[str, ...]:
        """The ids of all items of the checklist."""
        return tuple(item.id for item in self.checklist.items)

    @property
    def scope_words(self) -> str:
        """The scope as shown in the report: `-m` and `--items`. Empty: the whole checklist."""
        items = f"items {', '.join(self.only)}" if self.only else ""
        return f"{self.expression}, {items}" if self.expression and items else self.expression or items

    @property
    def inventory(self) -> Inventory:
        """The inventory itself."""
        return self.loaded.inventory

    @property
    def stop_file(self) -> Path:
        """The file that ends every probe of the change's runs."""
        return self.change_folder / STOP

    @property
    def chained(self) -> bool:
        """Whether a GO requires a GO of the phases before: if the change was named.

        A shard does not look: the record of its change may be on another machine, and `deploygate merge` looks.
        """
        return self.change != NO_CHANGE and self.shard is None

    @property
    def not_applicable(self) -> dict[str, str]:
        """Reasons by item id, with the role that decided it."""
        entries = self.inventory.not_applicable
        return {entry.item: f"{entry.reason} (decided by: {entry.owner})" for entry in entries}


SETTINGS = pytest.StashKey[Settings]()


def _given(config: pytest.Config) -> tuple[str, ...]:
    """Return what says which platform, checklist and folder are meant. A path is joined to its option: see `_mistaken`."""
    found = [(name, config.getoption(name)) for name in ("--inventory", "--checklist", "--deploygate-out")]
    return tuple(
        word
        for name, value in found
        if value
        for word in ((f"{name}={value}",) if "/" in str(value) else (name, str(value)))
    )


def read(config: pytest.Config) -> Settings:
    """Read inventory and checklist. Raises pytest.UsageError (exit 4) with every problem found."""
    root = config.rootpath
    here = config.invocation_params.dir
    if _mistaken(root, here):
        # pytest takes the word after an option that is not registered yet for a path to collect.
        raise pytest.UsageError(
            f"pytest took {root} for the project, because an option is followed by a path outside it: write it with an "
            "equals sign, --inventory=PATH, --deploygate-out=DIR, --ticked=FILE"
        )
    branch = base.of(root)
    base.check(config, branch)
    origin = branch.proposed(root) if branch else root
    tree = git.work_tree(origin)
    # Git looks for changed files while the inventory is read.
    status = None if tree is None or hasattr(config, "workerinput") else git.Asked(tree)
    try:
        ours = shipped.parsed()
        functions = suites.functions_of(config)
        bound = {item for function in functions for item in function.items}
        file = branch.kept(_checklist_file(config)) if branch else _checklist_file(config)
        base.check_file(file, branch)
        given = ours if file == ours.file else checklist_parser.load(file)
        checklist = comparison.resolved(given, ours, bound)
        checks = shipped.checks(ours, functions)
        collected = _collected(asking(checklist, checks).functions(functions), _wanted(config, checklist))
        name = str(config.getoption("deploygate_inventory"))
        loaded = _loaded(name, root, branch, _told(config), _ALWAYS | needs.subjects(collected))
        base.check_file(loaded.file, branch)
        declared = [entry.item for entry in loaded.inventory.not_applicable]
        asked = asking(checklist, checks, declared)
        missing = comparison.left_out(checklist, ours)
    except (InventoryError, ChecklistError) as error:
        raise pytest.UsageError(str(error)) from None
    change = str(config.getoption("deploygate_change"))
    if not _CHANGE.fullmatch(change):
        raise pytest.UsageError(f"--change {change!r}: use letters, digits, dot, dash and underscore")
    try:
        policy = loaded.inventory.policy
        # The records of a branch are committed; whether on the branch that the policy names is still to be seen.
        records = people.read(
            root, checklist, change, policy, None if branch and not policy.records_branch else tree
        )
    except RecordsError as error:
        raise pytest.UsageError(redact(str(error))) from None
    out = config.getoption("deploygate_out")
    if branch:
        here = branch.proposed(here)
        if forged := base.committed_results(tree, origin / OUT):
            raise pytest.UsageError(f"--records-from: {forged}")
    shared_by_hosts(config, str(out or ""))
    place = here / str(out) if out else origin / OUT / change
    shard = _shard(config, here, loaded)
    names = (function.test for function in functions)
    weak_secrets = weak(
        [checklist.file.read_text(), change, *names], "of the checklist, the change or a test"
    )
    settings = Settings(
        root=root,
        loaded=loaded,
        checklist=checklist,
        change=change,
        out=place / shard.folder if shard else place,
        expression=_expression(config),
        resume=bool(config.getoption("deploygate_resume")),
        fresh=bool(config.getoption("deploygate_fresh")),
        allow_disruptive=_allowed(config, loaded.inventory.name),
        waived_exit=bool(config.getoption("deploygate_waived_exit")),
        only=_only(config, checklist),
        execute_rollback=config.getoption("deploygate_rollback") == "execute",
        ticked=here / str(ticked) if (ticked := config.getoption("deploygate_ticked")) else None,
        records=records,
        source=git.State(problem=NO_TREE)
        if status is None
        else status.answer(without=place if out else origin / OUT),
        base=branch,
        weakenings=(
            *_proposed(config, branch, loaded, checklist, functions),
            *comparison.weakenings(checklist, ours),
            *bearing.weakenings(loaded.weaker, asked.functions(functions), loaded.inventory),
        ),
        asking=asked,
        without=comparison.without(missing, ours, _NAMED) if missing else "",
        weak_secrets=tuple(
            f"the secret in {source} {why}, so it is masked only where it stands as a password could"
            for source, why in weak_secrets.items()
            if why.startswith("is a word")
        ),
        options=_given(config),
        shard=shard,
        override_freeze=config.getoption("deploygate_override_freeze") or "",
    )
    _check(settings)
    said = timetable.remarks(
        loaded.inventory.timetable,
        checklist,
        settings.scope_items,
        config.getoption("deploygate_override_freeze"),
        utcnow(),
        loaded.inventory.contacts,
    )
    return replace(settings, remarks=said)


def _shard(config: pytest.Config, here: Path, loaded: Loaded) -> Shard | None:
    """Return which shard this run is. Raises pytest.UsageError for options that only a whole run can have."""
    durations = config.getoption("deploygate_shard_durations")
    shard = read_shard(
        config.getoption("deploygate_shard"), here / str(durations) if durations else None, loaded
    )
    if shard is None:
        return None
    for option, given, instead in (
        (
            "--rollback execute",
            config.getoption("deploygate_rollback") == "execute",
            "`deploygate rollback execute`",
        ),
        ("--ticked", config.getoption("deploygate_ticked"), "`deploygate merge --ticked`"),
        ("--records-from", config.getoption("deploygate_records_from"), "a whole run"),
    ):
        if given:
            raise pytest.UsageError(
                f"{option} is not for a shard ({shard.words} by {shard.said_by}), which decides nothing: use {instead}"
            )
    return shard


#: Subjects of sections that every run reads, whatever its scope.
_ALWAYS = frozenset({"blast_radius", "way_back"})


def _wanted(config: pytest.Config, checklist: Checklist) -> frozenset[str]:
    """Return the items in scope. Raises pytest.UsageError for a `-m` that cannot be read."""
    expression, only = _expression(config), _only(config, checklist)
    try:
        return frozenset(scope.item_ids(expression, checklist, only))
    except SyntaxError as error:
        raise pytest.UsageError(
            f"-m {expression!r} cannot be read: {error.msg}; write for example -m 'phase2 and database'"
        ) from None


def _collected(functions: Sequence[Function], wanted: frozenset[str]) -> list[Function]:
    """Return the functions of the files that are collected for the items `wanted`."""
    files = {f.test.partition("::")[0] for f in functions if not wanted.isdisjoint(f.items)}
    return [f for f in functions if f.test.partition("::")[0] in files]


def _expression(config: pytest.Config) -> str:
    return str(config.getoption("markexpr") or "").strip()


def _loaded(
    name: str, root: Path, branch: Base | None, told: Mapping[str, Any], needed: frozenset[str]
) -> Loaded:
    """Load the inventory; that of the branch, if one is run, which is always checked whole."""
    if branch is None:
        return load(name, root, told=told, needed=needed)
    if "/" not in name:
        return load(name, root, told=told)
    return load(str(branch.kept(Path(name).expanduser())), root, told=told)


#: Key of a worker's input: what the controller has listed, as JSON.
LISTED = "deploygate_listed"


def _told(config: pytest.Config) -> Mapping[str, Any]:
    """Return what the controller of this worker (pytest-xdist) has listed: all processes must collect the same tests."""
    found: Mapping[str, Any] = json.loads(getattr(config, "workerinput", {}).get(LISTED, "{}"))
    return found


def _proposed(
    config: pytest.Config,
    branch: Base | None,
    loaded: Loaded,
    checklist: Checklist,
    functions: Sequence[Function],
) -> list[Weakening]:
    """Return what a pull request would change; the process that writes the journal looks."""
    if branch is None or hasattr(config, "workerinput"):
        return []
    from pytest_deploygate.session import proposed  # noqa: PLC0415 (only runs for pull requests need it)

    places = config.getini("testpaths") or []
    return proposed.weakenings(branch, config.rootpath, loaded, checklist, functions, places)


def _mistaken(root: Path, here: Path) -> bool:
    """Tell whether pytest's root is not the current project: another folder, or one above without inventories."""
    if not here.is_relative_to(root):
        return True
    between = [folder for folder in (here, *here.parents) if folder != root and folder.is_relative_to(root)]
    return not (root / "inventories").is_dir() and any((f / "inventories").is_dir() for f in between)


def _check(settings: Settings) -> None:
    if settings.resume and settings.fresh:
        raise pytest.UsageError(
            "--resume and --fresh are mutually exclusive: continue the last run, or move it aside"
        )
    known = [item.id for item in settings.checklist.items]
    for entry in settings.inventory.not_applicable:
        if problem := settings.asking.not_an_item(entry.item, known):
            raise pytest.UsageError(f"{settings.loaded.file}: not_applicable: {problem}")
    budgets = sections.value(settings.inventory, "blast_radius")
    for budget in budgets.items if isinstance(budgets, BlastRadius) else ():
        if not settings.asking.knows(budget.item):
            raise pytest.UsageError(
                f"{settings.loaded.file}: blast_radius.items: no item {budget.item!r} in the checklist"
                f"{nearest(budget.item, known)}"
            )
    phases = [phase.id for phase in settings.checklist.phases]
    start = settings.inventory.policy.rollback_from
    if "rollback_from" in settings.inventory.policy.model_fields_set and start not in phases:
        hint = nearest(start, phases)
        raise pytest.UsageError(
            f"{settings.loaded.file}: policy.rollback_from: unknown phase {start!r}{hint}"
        )


def _only(config: pytest.Config, checklist: Checklist) -> tuple[str, ...]:
    """Return the items that `--items` names. Raises pytest.UsageError with the nearest match for an unknown one."""
    given = config.getoption("deploygate_items")
    if given is None:
        return ()
    known = [item.id for item in checklist.items]
    named = tuple(dict.fromkeys(word.strip() for word in str(given).split(",") if word.strip()))
    if not named:
        raise pytest.UsageError("--items is empty; write for example --items phase2.replication,golive.dns")
    for name in named:
        if name not in known:
            raise pytest.UsageError(
                f"--items: no item {name!r} in {checklist.file.name}{nearest(name, known)}"
            )
    return named


def _allowed(config: pytest.Config, name: str) -> bool:
    allowed = config.getoption("deploygate_allow_disruptive")
    if allowed is not None and allowed != name:
        raise pytest.UsageError(
            f"--allow-disruptive={allowed}: the inventory is called {name!r}; "
            f"to allow disruptive checks on it, use --allow-disruptive={name}"
        )
    return allowed is not None


def _checklist_file(config: pytest.Config) -> Path:
    if given := config.getoption("deploygate_checklist"):
        path = Path(str(given))
        return path if path.is_absolute() else config.invocation_params.dir / path
    own = config.rootpath / "suites" / "checklist.md"
    return own if own.is_file() else shipped.checklist()
