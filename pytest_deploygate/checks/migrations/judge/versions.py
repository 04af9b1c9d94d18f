"""Judge the schema version of each node against the head of the migrations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_deploygate.checks.migrations.facts import (
    NodeVersion,
    Revision,
    SchemaVersions,
    Scripts,
    ToolAnswer,
)
from pytest_deploygate.model import Judgement, Reading, Verdict, combine

if TYPE_CHECKING:
    from pytest_deploygate.checks.migrations.section.versions import Migrations

_NAMED = 3


def judge_versions(measurement: SchemaVersions, criterion: Migrations) -> Judgement:
    """Pass if every node is at exactly the expected head, with nothing pending, unknown or half done."""
    if not measurement.expected or not measurement.nodes:
        return Judgement(
            Verdict.INCONCLUSIVE, "no schema version is expected, so there is nothing to compare"
        )
    parts = [_scripts(measurement.scripts)] if measurement.scripts else []
    primary, replicas = measurement.nodes[0], measurement.nodes[1:]
    first = _node(primary, primary, measurement, criterion)
    same = [node.node for node in replicas if _like(node, primary)] if first.verdict is Verdict.FAIL else []
    if same:
        first = replace(first, reason=f"{first.reason} (the same on {', '.join(same)})")
    others = [(node, _node(node, primary, measurement, criterion)) for node in replicas]
    parts += [first, *(replace(j, reason="") if node.node in same else j for node, j in others)]
    if measurement.tool:
        parts.append(_by_tool(measurement.tool, primary, measurement))
    folded = combine(parts)
    if folded.verdict is not Verdict.PASS:
        return folded
    at = ", ".join(measurement.expected)
    names = ", ".join(node.node for node in measurement.nodes if not node.delayed)
    by = f", as `{measurement.tool.command}` says" if measurement.tool else ""
    return Judgement(
        Verdict.PASS, f"{names}: at {at}, none pending{by}, none dirty", folded.readings, folded.notes
    )


def _by_tool(tool: ToolAnswer, primary: NodeVersion, measurement: SchemaVersions) -> Judgement:
    """Judge what the tool itself says. Where our reading of its files says something else, nobody knows."""
    ours = _pending(primary, measurement)
    reading = Reading(
        "pending by the tool itself", ", ".join(tool.pending) or "none", limit="none",
        ok=None if tool.problem else not tool.pending,
    )  # fmt: skip
    if tool.problem:
        return Judgement(Verdict.INCONCLUSIVE, f"`{tool.command}` {tool.problem}", (reading,))
    if bool(ours) != bool(tool.pending):
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"`{tool.command}` says pending: {_some(tool.pending) or 'none'}; {measurement.source} on {primary.node} and the "
            f"scripts say pending: {_some(ours) or 'none'}: is it the same database, and the same code?",
            (reading,),
        )
    if tool.pending:
        return Judgement(
            Verdict.FAIL,
            f"`{tool.command}` says {len(tool.pending)} pending ({_some(tool.pending)})",
            (reading,),
        )
    return Judgement(Verdict.PASS, f"`{tool.command}` says that none is pending", (reading,))


def _pending(node: NodeVersion, measurement: SchemaVersions) -> tuple[str, ...]:
    """Return what is pending by the version table and the scripts."""
    if node.compared is not None:
        return node.compared.pending
    if measurement.scripts is not None:
        return pending(measurement.scripts.revisions, node.versions)
    return tuple(v for v in measurement.expected if v not in node.versions)


def _like(node: NodeVersion, primary: NodeVersion) -> bool:
    """Return whether a replica shows exactly what the primary shows: it replicates, so the problem is the primary's."""
    return (node.versions, node.missing, node.dirty) == (
        primary.versions,
        primary.missing,
        primary.dirty,
    ) and (node.missing or not node.problem)


def pending(revisions: Iterable[Revision], at: Iterable[str]) -> tuple[str, ...]:
    """Return the revisions that are not yet applied if a database is at `at`, oldest first."""
    ordered = tuple(revisions)
    applied = _with_ancestors(ordered, at)
    return tuple(r.id for r in ordered if r.id not in applied)


def _with_ancestors(revisions: tuple[Revision, ...], at: Iterable[str], *, depends: bool = True) -> set[str]:
    down = {r.id: (*r.down, *(r.depends if depends else ())) for r in revisions}
    seen: set[str] = set()
    waiting = list(at)
    while waiting:
        revision = waiting.pop()
        if revision in down and revision not in seen:
            seen.add(revision)
            waiting += down[revision]
    return seen


def _scripts(scripts: Scripts) -> Judgement:
    """Fail a folder whose history forks: Alembic then refuses `upgrade head`. Separate histories are fine."""
    heads = scripts.heads
    forks = [
        (one, other)
        for i, one in enumerate(heads)
        for other in heads[i + 1 :]
        if _with_ancestors(scripts.revisions, [one], depends=False)
        & _with_ancestors(scripts.revisions, [other], depends=False)
    ]
    complaints = scripts.complaints
    readings = (
        Reading("heads in the script folder", len(heads), limit="one per history", ok=not forks),
        Reading("complaints of Alembic", len(complaints), limit="0", ok=not complaints),
    )
    if forks:
        return Judgement(
            Verdict.FAIL,
            f"the migrations in {scripts.folder} have {len(heads)} heads ({', '.join(heads)}): "
            "join them with `alembic merge heads`, then `alembic upgrade head`",
            readings,
        )
    if scripts.complaints:
        return Judgement(
            Verdict.FAIL,
            f"Alembic complains about {scripts.folder}: {'; '.join(scripts.complaints)}",
            readings,
        )
    return Judgement(Verdict.PASS, f"{len(scripts.revisions)} migrations, no fork", readings)


def _node(
    node: NodeVersion, primary: NodeVersion, measurement: SchemaVersions, criterion: Migrations
) -> Judgement:
    delayed = node.delayed is not None and not node.problem and node.versions != primary.versions
    known = bool(node.versions) or node.missing or not node.problem
    readings = [
        Reading(
            f"{node.node} version",
            ", ".join(node.versions) or ("no version table" if node.missing else "none"),
            limit="" if delayed or not known else ", ".join(measurement.expected),
            ok=None if delayed or not known else _right(node, measurement),
        ),
    ]
    if node.dirty:
        readings.append(Reading(f"{node.node} half-done migration", True, limit="no", ok=False))

    def verdict(what: Verdict, reason: str, notes: tuple[str, ...] = ()) -> Judgement:
        return Judgement(what, reason, tuple(readings), notes)

    if delayed:
        note = f"{node.node} is a delayed replica and still at {', '.join(node.versions) or 'no version'}; not judged"
        return verdict(Verdict.PASS, note, (note,))
    if node.missing:
        return verdict(
            Verdict.FAIL,
            f"{node.node}: the version table is missing ({measurement.source}): "
            + _missing_means(measurement, criterion),
        )
    if node.dirty:
        return verdict(
            Verdict.FAIL,
            f"{node.node}: a migration is half done (dirty) at {', '.join(node.versions) or 'no version'}: "
            "repair it by hand, clear the flag, then run the migrations again",
        )
    if not node.problem or node.versions:
        wrong = _wrong(node, primary, measurement, criterion)
        if wrong:
            return verdict(Verdict.FAIL, wrong)
    if node.problem:
        return verdict(Verdict.INCONCLUSIVE, node.problem)
    if node.compared and node.compared.unclear:
        return verdict(Verdict.INCONCLUSIVE, f"{node.node}: {'; '.join(node.compared.unclear)}")
    notes = node.compared.notes if node.compared and node.primary else ()
    return verdict(Verdict.PASS, f"{node.node} is at {', '.join(node.versions)}", notes)


def _right(node: NodeVersion, measurement: SchemaVersions) -> bool:
    """Return whether a node has what is expected: by the tool's own comparison, or all revisions applied and known."""
    if node.compared is not None:
        return not node.compared.pending and not node.compared.unknown
    if measurement.scripts is None or node.versions == measurement.expected:
        return node.versions == measurement.expected
    known = {revision.id for revision in measurement.scripts.revisions}
    return (
        bool(node.versions)
        and known.issuperset(node.versions)
        and not pending(measurement.scripts.revisions, node.versions)
        and not _superfluous(node, measurement.scripts)
    )


def _superfluous(node: NodeVersion, scripts: Scripts) -> tuple[str, ...]:
    """Return rows that another row's history has already; a dependency between branches is none."""
    return tuple(
        version
        for version in node.versions
        if any(
            version in _with_ancestors(scripts.revisions, [other], depends=False)
            for other in node.versions
            if other != version
        )
    )


def _missing_means(measurement: SchemaVersions, criterion: Migrations) -> str:
    if measurement.scripts is None:
        return "no migration has ever run here, or the query names another table"
    return (
        f"all {len(measurement.scripts.revisions)} migrations are pending; run `alembic upgrade head`, or set "
        f"`version_table` if it is not {criterion.table}"
    )


def _wrong(
    node: NodeVersion, primary: NodeVersion, measurement: SchemaVersions, criterion: Migrations
) -> str:
    """Return what is wrong with a node's version; empty if it is at the expected head."""
    same = node.primary or node.versions == primary.versions
    if _right(node, measurement) and same:
        return ""
    at, head = ", ".join(node.versions), ", ".join(measurement.expected)
    if not node.primary and node.versions != primary.versions:
        return (
            f"{node.node} is at {at or 'no version'} while the primary {primary.node} is at "
            f"{', '.join(primary.versions) or 'no version'}: it does not replay what the primary wrote; "
            "check its replication first"
        )
    scripts = measurement.scripts
    if not node.versions:
        count = (
            f"all {len(scripts.revisions)} migrations are pending"
            if scripts
            else f"expected {_some(measurement.expected)}"
        )
        none = "no row of the project's apps" if criterion.tool == "django" else "no row"
        return f"{node.node}: {measurement.source} has {none}; {count}; {criterion.upgrade}"
    if scripts is None:
        return _differs(node, measurement, criterion)
    known = {revision.id for revision in scripts.revisions}
    unknown = [version for version in node.versions if version not in known]
    if unknown:
        return (
            f"{node.node} is at {', '.join(unknown)}, which is not a revision of {scripts.folder}: the database is ahead of "
            "this code, or was migrated from other code; deploy the code that has it, or see `alembic history`"
        )
    left = pending(scripts.revisions, node.versions)
    if left:
        return f"{node.node}: {len(left)} pending ({_some(left)}); it is at {at}, head is {head}; run `alembic upgrade head`"
    return (
        f"{node.node} lists {at} where only {head} is expected: the version table has one row too many; "
        "see `alembic current`"
    )


def _differs(node: NodeVersion, measurement: SchemaVersions, criterion: Migrations) -> str:
    """Return what is pending and what is unexpected if a tool lists every migration; for single versions, both."""
    missing, unknown = (
        _pending(node, measurement),
        tuple(v for v in node.versions if v not in measurement.expected),
    )
    if node.compared is not None:
        unknown = node.compared.unknown
    if node.compared is not None and node.compared.ahead:
        return (
            f"{node.node}: the database is ahead of the code: {measurement.source} has {_some(unknown)}, and the newest script "
            f"is {measurement.expected[-1]}; deploy the code that has it"
            + (f" ({len(missing)} pending: {_some(missing)})" if missing else "")
        )
    if len(measurement.expected) == 1 and len(node.versions) == 1:
        return (
            f"{node.node} is at {node.versions[0]}, expected {measurement.expected[0]}: {criterion.upgrade}"
        )
    said = []
    if missing:
        said.append(f"{len(missing)} pending ({_some(missing)}): {criterion.upgrade}")
    if unknown:
        # Django keeps the rows of migrations that were squashed and then deleted.
        squashed = "; if they were squashed: `migrate APP --prune`" if criterion.tool == "django" else ""
        said.append(f"{len(unknown)} unexpected ({_some(unknown)}): migrated from other code{squashed}")
    return f"{node.node} by {measurement.source}: {'; '.join(said)}"


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown
