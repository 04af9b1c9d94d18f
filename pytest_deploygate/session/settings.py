"""The settings of a run: options, inventory, checklist, and where results go."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import pytest

from pytest_deploygate.checklist import attestations, comparison, issue_log, waivers
from pytest_deploygate.checklist import parser as checklist_parser
from pytest_deploygate.checklist.issue_log import IssueLog
from pytest_deploygate.checklist.parser import Checklist, ChecklistError
from pytest_deploygate.checklist.records import RecordsError
from pytest_deploygate.checklist.vocabulary import Attestation
from pytest_deploygate.checklist.waivers import Waiver
from pytest_deploygate.inventory import weakening as inventory_weakening
from pytest_deploygate.inventory.loader import InventoryError, Loaded, load
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.journal import utcnow
from pytest_deploygate.model import NO_CHANGE, Weakening
from pytest_deploygate.problems import nearest
from pytest_deploygate.redaction import redact
from pytest_deploygate.session import bearing, scope, shipped, suites, timetable
from pytest_deploygate.session.asking import Asking, asking

T = TypeVar("T")
#: How many of the items that a checklist does without a run's header names; report and `deploygate plan` name all.
_NAMED = 3
_CHANGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class Settings:
    """One run's settings. `expression` is that of `-m`; empty means the whole checklist.

    `without` says in one line which shipped items the checklist does without; empty if it has all of them.
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
    attestations: tuple[Attestation, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    issue_log: IssueLog | None = None
    weakenings: tuple[Weakening, ...] = ()
    ticked: Path | None = None
    only: tuple[str, ...] = ()
    execute_rollback: bool = False
    remarks: tuple[str, ...] = ()
    asking: Asking = field(default_factory=lambda: Asking({}))
    without: str = ""

    @property
    def scope_items(self) -> tuple[str, ...]:
        """The ids of the items in scope, in the checklist's order."""
        found = scope.item_ids(self.expression, self.checklist)
        return tuple(item for item in found if item in self.only) if self.only else found

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
    def chained(self) -> bool:
        """Whether a GO requires a GO of the phases before: if the change was named."""
        return self.change != NO_CHANGE

    @property
    def not_applicable(self) -> dict[str, str]:
        """Reasons by item id, with the role that decided it."""
        entries = self.inventory.not_applicable
        return {entry.item: f"{entry.reason} (decided by: {entry.owner})" for entry in entries}


SETTINGS = pytest.StashKey[Settings]()


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
    try:
        loaded = load(str(config.getoption("--inventory")), root)
        ours = checklist_parser.load(shipped.checklist())
        functions = suites.functions_of(config)
        bound = {item for function in functions for item in function.items}
        file = _checklist_file(config)
        given = ours if file == ours.file else checklist_parser.load(file)
        checklist = comparison.resolved(given, ours, bound)
        declared = [entry.item for entry in loaded.inventory.not_applicable]
        asked = asking(checklist, shipped.checks(ours, functions), declared)
        missing = comparison.left_out(checklist, ours)
    except (InventoryError, ChecklistError) as error:
        raise pytest.UsageError(f"\n{error}\n") from None
    change = str(config.getoption("--change"))
    if not _CHANGE.fullmatch(change):
        raise pytest.UsageError(f"--change {change!r}: use letters, digits, dot, dash and underscore")
    records = _Records.read(root, checklist, change, loaded.inventory.policy.max_waivers)
    out = config.getoption("--deploygate-out")
    settings = Settings(
        root=root,
        loaded=loaded,
        checklist=checklist,
        change=change,
        out=Path(str(out)).absolute() if out else root / "deploygate-out" / change,
        expression=str(config.getoption("markexpr") or "").strip(),
        resume=bool(config.getoption("--resume")),
        fresh=bool(config.getoption("--fresh")),
        allow_disruptive=_allowed(config, loaded.inventory.name),
        waived_exit=bool(config.getoption("--waived-exit")),
        only=_only(config, checklist),
        execute_rollback=config.getoption("--rollback") == "execute",
        ticked=here / str(ticked) if (ticked := config.getoption("--ticked")) else None,
        attestations=records.attestations,
        waivers=records.waivers,
        issue_log=records.issue_log,
        weakenings=(
            *comparison.weakenings(checklist, ours),
            *bearing.weakenings(inventory_weakening.weaker(loaded.inventory), asked.functions(functions)),
        ),
        asking=asked,
        without=comparison.without(missing, ours, _NAMED) if missing else "",
    )
    _check(settings)
    said = timetable.remarks(
        loaded.inventory.timetable,
        checklist,
        settings.scope_items,
        config.getoption("--override-freeze"),
        utcnow(),
        loaded.inventory.contacts,
    )
    return replace(settings, remarks=said)


@dataclass(frozen=True, slots=True)
class _Records:
    """Records written by people: attestations, waivers, the change's issue log."""

    attestations: tuple[Attestation, ...]
    waivers: tuple[Waiver, ...]
    issue_log: IssueLog

    @classmethod
    def read(cls, root: Path, checklist: Checklist, change: str, cap: int) -> _Records:
        """Read all of them before anything runs. Raises pytest.UsageError with every problem found."""
        problems: list[str] = []

        def tried(read_records: Callable[[], T], nothing: T) -> T:
            try:
                return read_records()
            except RecordsError as error:
                problems.append(str(error))
                return nothing

        found = cls(
            tuple(tried(lambda: attestations.load_all(root, checklist), [])),
            tuple(tried(lambda: waivers.load_all(root, checklist, cap), [])),
            tried(lambda: issue_log.load(root, change, checklist), IssueLog("", exists=False)),
        )
        if problems:
            raise pytest.UsageError("\n" + redact("\n".join(problems)) + "\n")
        return found


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
    phases = [phase.id for phase in settings.checklist.phases]
    start = settings.inventory.policy.rollback_from
    if "rollback_from" in settings.inventory.policy.model_fields_set and start not in phases:
        hint = nearest(start, phases)
        raise pytest.UsageError(
            f"{settings.loaded.file}: policy.rollback_from: unknown phase {start!r}{hint}"
        )


def _only(config: pytest.Config, checklist: Checklist) -> tuple[str, ...]:
    """Return the items that `--items` names. Raises pytest.UsageError with the nearest match for an unknown one."""
    given = config.getoption("--items")
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
    allowed = config.getoption("--allow-disruptive")
    if allowed is not None and allowed != name:
        raise pytest.UsageError(
            f"--allow-disruptive={allowed}: the inventory is called {name!r}; "
            f"to allow disruptive checks on it, use --allow-disruptive={name}"
        )
    return allowed is not None


def _checklist_file(config: pytest.Config) -> Path:
    if given := config.getoption("--checklist"):
        path = Path(str(given))
        return path if path.is_absolute() else config.invocation_params.dir / path
    own = config.rootpath / "suites" / "checklist.md"
    return own if own.is_file() else shipped.checklist()
