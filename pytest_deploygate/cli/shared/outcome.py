"""The outcome of a rollback: it becomes the standing decision, the report is rewritten, and whom to call is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pytest_deploygate.checks.way_back.section.rollback import Rollback
from pytest_deploygate.files import write_whole
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.journal import Writer
from pytest_deploygate.report import from_journal, results
from pytest_deploygate.rollback import finishing
from pytest_deploygate.rollback.execution import Ended
from pytest_deploygate.signoff import aside


def keep(writer: Writer, folder: Path, ended: Ended) -> str:
    """Record the outcome as the standing decision, rewrite the results and return where they are.

    Raises JournalError. That the results cannot be written is only reported: the journal has everything.
    """
    why = (
        "every step was done and verified"
        if ended.verified
        else f"{ended.failed}: {ended.why}; call {ended.call}"
    )
    finishing.stands(writer, why, verified=ended.verified)
    return render(writer, folder)


def render(writer: Writer, folder: Path) -> str:
    """Rewrite the result files from the journal; return a line that says where they are or what went wrong.

    Nothing is written to a folder that is no longer the one that was opened.
    """
    if altered := writer.altered():
        return f"the report is not written: {altered}"
    try:
        aside.keep_signed(folder)
        for name, text in results.render(from_journal.build(writer.entries)).items():
            write_whole(folder / name, text)
    except OSError as error:
        return (
            f"the report cannot be written: {error.strerror}; `deploygate report` writes it from the journal"
        )
    return f"report: {folder / results.REPORT}"


def to_call(ended: Ended, inventory: Inventory, section: Rollback) -> Iterator[str]:
    """Yield whom to call, in order: the step's role, then the owner of the rollback."""
    roles = [role for role in (ended.call, section.owner) if role]
    if not roles:
        yield "call: the inventory names nobody for this step (`call`) and no `rollback.owner`"
    for role in dict.fromkeys(roles):
        known = [contact for contact in inventory.contacts if contact.role == role]
        told = ", ".join(filter(None, (known[0].name, known[0].phone, known[0].mail))) if known else ""
        yield f"call {role}" + (f": {told}" if told else ": the inventory has no contact for this role")
