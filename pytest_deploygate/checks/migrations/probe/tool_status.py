"""What the migration tool itself says is pending, by the inventory's `status` command.

Outputs are those of `alembic current` (with `alembic heads` after it), `manage.py showmigrations --plan` or `migrate
--plan`, `flyway info -outputType=json`, `liquibase status --verbose`, `rails db:migrate:status` and `migrate version`.
What is not recognized is a problem, never "none pending".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from pytest_deploygate.checks.migrations.facts import ToolAnswer
from pytest_deploygate.checks.migrations.section.versions import Migrations
from pytest_deploygate.clients.host.place import Place
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact

_BOUND_S = 120.0
_WAITING = {"pending", "outdated", "ignored", "failed", "above target"}


def ask(migrations: Migrations, expected: tuple[str, ...]) -> ToolAnswer:
    """Run the command and read what it says; golang-migrate only says where it is, so its head is the `expected` one."""
    command = migrations.status or ""
    shown = redact(command)
    try:
        done = Place(migrations.status_host, None).run("sh -c {}", command, timeout_s=_BOUND_S)
    except CannotTell as unknown:
        return ToolAnswer(shown, (), str(unknown))
    if done.code:
        return ToolAnswer(shown, (), f"ended with exit code {done.code}: {redact(done.said)[-300:]}")
    tool = migrations.tool or "alembic"
    try:
        pending = _READ[tool](f"{done.output}\n{done.errors}" if tool == "golang-migrate" else done.output)
    except (ValueError, KeyError, TypeError, AttributeError):
        pending = None
    if pending is None:
        return ToolAnswer(shown, (), f"said nothing that is known of {tool}: {redact(done.said)[:200]}")
    if tool == "golang-migrate" and not pending:
        at = max(int(v) for v in re.findall(r"^\d+", f"{done.output}\n{done.errors}".strip(), re.MULTILINE))
        pending = [head for head in expected if head.isdigit() and int(head) > at]
    return ToolAnswer(shown, tuple(dict.fromkeys(pending)))


def _alembic(text: str) -> list[str] | None:
    """Read `current`, and `heads` behind it: a head that is only among the heads is pending."""
    lines = re.findall(r"^(\w+)((?: \([^)]*\))*)\s*$", text, re.MULTILINE)
    if not lines:
        return None
    heads = [revision for revision, marks in lines if "head)" in marks and "effective" not in marks]
    at = [revision for revision, marks in lines if "head)" not in marks]
    return at or [
        revision for revision in heads if heads.count(revision) == 1 and len(set(heads)) != len(lines)
    ]


def _django(text: str) -> list[str] | None:
    if "No planned migration operations" in text:
        return []
    if "Planned operations:" in text:
        return re.findall(r"^(\w+\.\w+)\s*$", text, re.MULTILINE)
    lines = re.findall(r"^\s*\[([ X-])\]\s+(\w+\.\w+|\w+)", text, re.MULTILINE)
    return [name for mark, name in lines if mark == " "] if lines else None


def _flyway(text: str) -> list[str] | None:
    found = json.loads(text[text.index("{") :])
    return [
        str(m.get("version") or f"repeatable {m.get('description')}")
        for m in found["migrations"]
        if str(m["state"]).lower() in _WAITING
    ]


def _liquibase(text: str) -> list[str] | None:
    if "is up to date" in text:
        return []
    found = re.findall(r"^\s*(\S.*)::(.+)::(.+?)\s*$", text, re.MULTILINE)
    said = re.search(r"(\d+) change ?sets? ha(?:s|ve) not been applied", text)
    return [f"{author}:{name} in {file}" for file, name, author in found] or ([said[0]] if said else None)


def _rails(text: str) -> list[str] | None:
    lines = re.findall(r"^\s*(up|down)\s+(\d+)\s+", text, re.MULTILINE)
    return [version for state, version in lines if state == "down"] if lines else None


def _golang(text: str) -> list[str] | None:
    """`version` only says where the database is; a dirty version is not done."""
    found = re.search(r"^(\d+)( \(dirty\))?\s*$", text.strip(), re.MULTILINE)
    return None if not found else [f"{found[1]} (dirty)"] if found[2] else []


_READ: dict[str, Callable[[str], list[str] | None]] = {
    "alembic": _alembic, "django": _django, "flyway": _flyway, "liquibase": _liquibase, "rails": _rails,
    "golang-migrate": _golang,
}  # fmt: skip
