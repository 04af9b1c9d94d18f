"""The point of no return: writes on the new side are counted, saved and accepted as lost before a restore replaces them.

This is done twice. Before the first step, so that nothing begins if nobody accepts the loss or the writes cannot be
saved; and right before the step that loses them, once the new side is fenced, because users wrote in between.
"""

from __future__ import annotations

from pytest_deploygate.checks.way_back.facts import Lost
from pytest_deploygate.checks.way_back.section.rollback import Rollback
from pytest_deploygate.clients.host import commands
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.journal import Writer
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.rollback import situation

KIND = "loss"
_EXPORT_S = 600.0


class Unsaved(Exception):  # noqa: N818 (it is an answer, not an error)
    """What would be lost cannot be saved, or nobody accepted the loss; the text says which."""


@dataclass(frozen=True)
class Acceptance:
    """Who accepts the loss of writes past the point of no return."""

    role: str
    name: str


@dataclass(frozen=True)
class Losing:
    """What a rollback (`rollback` is its name) loses, and who accepts that."""

    writer: Writer
    rollback: str
    inventory: Inventory
    section: Rollback
    acceptance: Acceptance | None

    def answered(self) -> None:
        """Count, save and check acceptance before the first step. Raises Unsaved: nothing may begin."""
        lost = situation.loss(self.writer.entries, self.inventory)
        if lost is None or lost.rows == 0 or self._known():
            return  # nothing is lost, or the rollback is being resumed
        self._keep(lost)

    def brink(self) -> str:
        """Repeat it once the new side is fenced. Return why the step that loses writes must not be done."""
        lost = situation.loss(self.writer.entries, self.inventory)
        known = self._known()
        if lost is None or lost.rows == 0 or (known and known[-1] == lost.rows):
            return ""
        try:
            self._keep(lost)
        except Unsaved as why:
            return str(why)
        return ""

    def _known(self) -> list[int | None]:
        """Return the counts that were accepted, oldest first."""
        mine = [e.body for e in self.writer.entries if e.kind == KIND and e.body["rollback"] == self.rollback]
        return [body["rows"] for body in mine]

    def _keep(self, lost: Lost) -> None:
        acceptance = self.acceptance or self._earlier()
        if acceptance is None:
            raise Unsaved(
                f"{words(lost)}; a named person must accept this loss before the point of no return:"
                " --accept-loss --role executive-sponsor --name NAME"
            )
        body = {
            "rollback": self.rollback,
            "rows": lost.rows,
            "said": words(lost),
            "role": acceptance.role,
            "name": acceptance.name,
            "saved": _export(self.section),
        }
        self.writer.append(KIND, body)

    def _earlier(self) -> Acceptance | None:
        mine = [e.body for e in self.writer.entries if e.kind == KIND and e.body["rollback"] == self.rollback]
        return Acceptance(mine[-1]["role"], mine[-1]["name"]) if mine else None


def words(lost: Lost) -> str:
    """Say what is lost."""
    if lost.rows is None:
        return f"how much a rollback would lose is not known: {lost.problem}"
    since = f" since {lost.cutover:%Y-%m-%d %H:%M:%S} UTC" if lost.cutover else ""
    return f"a rollback loses {lost.rows} rows that the new side accepted{since}"


def _export(section: Rollback) -> str:
    """Save what would be lost; an earlier file is replaced only by a complete one. Raises Unsaved."""
    if section.loss is None or section.loss.export is None or section.loss.export_to is None:
        return "nothing: the inventory sets no rollback.loss.export"
    file = section.loss.export_to
    part = file.with_name(f"{file.name}.part")
    part.unlink(missing_ok=True)
    ran = commands.run(section.loss.export.replace("{file}", str(part)), within_s=_EXPORT_S)
    problem = ran.problem or ("" if part.exists() else "ended with 0 but wrote no file")
    if problem:
        raise Unsaved(
            f"the writes that would be lost could not be saved, so nothing was restored: `{ran.command}` {problem}"
        )
    part.replace(file)
    return str(file)
