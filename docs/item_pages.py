"""A page for each item of the checklist: what measures it, what that needs, which faults it sees, and what follows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache

from from_code import checklist, needs, sections_of, subjects_of, tests
from inventory_pages import link, page_of, rows_at
from markdown_tables import code, table

from pytest_deploygate import checks
from pytest_deploygate.checklist.attestations import attestable
from pytest_deploygate.checklist.vocabulary import roles_asked
from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.decision.rules import Circumstances, Question, decide
from pytest_deploygate.fields.types import Each
from pytest_deploygate.inventory import sections
from pytest_deploygate.lab.faults import all_faults
from pytest_deploygate.model import Closing, Decision, Finding, Item, Kind, Phase, Severity, Verdict

_WHEN = datetime(2026, 3, 4, tzinfo=UTC)
_CLOSING = {
    Closing.DOCUMENTED: "No test is bound to it. When a run closes, it passes if everything in its phase that is not"
    " green has an entry in the change's issue log.",
    Closing.RESOLVED: "No test is bound to it. When a run closes, it passes if no blocking entry of the change's issue"
    " log is open.",
    Closing.SIGNED: "No test is bound to it. When a run closes, it passes if all roles of the checklist have signed the"
    " report.",
}


def pages() -> Iterator[tuple[str, str]]:
    """Yield path and text of each page, and the order of the pages in the navigation."""
    phases = _phases()
    yield "items/.nav.yml", "title: Each item\nnav:\n" + "".join(f"  - {phase.id}\n" for phase in phases)
    for phase in phases:
        mine = [item for item in checklist().items if item.phase == phase.id]
        listed = "".join(f"  - {item.id}.md\n" for item in mine)
        yield f"items/{phase.id}/.nav.yml", f"title: {phase.id}\nnav:\n{listed}"
        for item in mine:
            yield path_of(item.id), page(item, phase)


@cache
def path_of(item: str) -> str:
    """Return the path of an item's page; empty if there is no such item."""
    found = checklist().get(item)
    return f"items/{found.phase}/{item}.md" if found else ""


def page(item: Item, phase: Phase) -> str:
    """Return the page of an item."""
    parts = [
        f"---\ntitle: {item.id}\n---\n\n# {item.text}",
        _about(item, phase),
        f"    pytest -m {phase.id} --inventory prod --items {item.id}",
        "## What is measured",
        _measured(item),
        *_attested(item),
        "## Inventory keys",
        _keys(item),
        "## Faults that it sees",
        _faults(item),
        "## Exit codes",
        "Of a run over this item and others that are good, without records of an earlier phase:",
        table(("result of this item", "decision", "exit code"), list(_outcomes(item))),
    ]
    return "\n\n".join(parts) + "\n"


def _phases() -> list[Phase]:
    """Return the phases in the checklist's order; several headings may be one phase."""
    first: dict[str, Phase] = {}
    for phase in checklist().phases:
        first.setdefault(phase.id, phase)
    return list(first.values())


def _about(item: Item, phase: Phase) -> str:
    others = [f"area {code(item.area)}"] if item.area else []
    waivers = "can be waived" if item.waivable else "cannot be waived"
    return (
        f"{code(item.id)}: phase {code(phase.id)}, "
        + ", ".join([*others, f"severity **{item.severity}**", f"**{item.kind}**", waivers])
        + "."
    )


def _measured(item: Item) -> str:
    bound = [test for test in tests() if item.id in test.function.items]
    if bound:
        measured = table(
            ("test", "passes when", "needs"),
            [(code(test.name), test.docstring, needs(test.function)) for test in bound],
        )
        return f"{measured}\n\n{_further(item)}"
    if item.closing:
        return _CLOSING[item.closing]
    if attestable(item):
        return "Not measured by this version: attested by people."
    return "Not measured by this version: `not_covered`, which holds unless the inventory says that it does not apply."


def _further(item: Item) -> str:
    """Return where to read on: the pages of the subjects."""
    links = []
    for subject in subjects_of(item):
        page = f"../../checks/{subject}.md"
        places = {"not seen": "what-it-does-not-see", "traps": "traps", "example": "example"}
        if checks.part(subject, "grants"):
            places["grants"] = "grants"
        links.append(
            f"[{subject}]({page}) ({', '.join(f'[{text}]({page}#{place})' for text, place in places.items())})"
        )
    return f"In detail: {', '.join(links)}."


def _attested(item: Item) -> Iterator[str]:
    if not attestable(item):
        return
    roles = roles_asked(item)
    who = (
        f"in the role {' and in the role '.join(map(code, roles))}"
        if roles
        else "in any role of the checklist"
    )
    both = "The item needs both: the measurement and the attestation. " if item.kind is Kind.HYBRID else ""
    yield "## Attested by people"
    yield (
        f"{both}A person {who} attests it, with evidence and an end date"
        f" (see [manual items](../../manual-items.md)):"
    )
    role = roles[0] if roles else "technical-lead"
    yield f'    deploygate attest {item.id} --role {role} --name "NAME" --evidence FILE --valid-until 90d'


def _keys(item: Item) -> str:
    """Return the keys of the sections that the tests of an item ask for, without those that are sections themselves."""
    bound = [test.function for test in tests() if item.id in test.function.items]
    names = dict.fromkeys(n for one in bound for a in one.arguments for n in sections_of(a))
    declared = sections.declared()
    places = {declared[name].path: declared[name] for name in names}
    if not places:
        return "None."
    here, parts = path_of(item.id), []
    for place, section in sorted(places.items()):
        each = ", for each entry of the list" if isinstance(section.said, Each) else ""
        parts.append(
            f"### {code('.'.join(place))}\n\nAll keys: [{place[0]}]({link(page_of(place[0]), here)}){each}."
        )
        inner = {
            code(other[len(place)]) for other in places if other[: len(place)] == place and other != place
        }
        mine = [row for row in rows_at(place, here) if row[0] not in inner]
        parts += [table(("key", "type", "default", "meaning"), mine)] if mine else []
    return "\n\n".join(parts)


def _faults(item: Item) -> str:
    found = [
        (code(fault.name), fault.what, fault.items[item.id])
        for fault in all_faults().values()
        if item.id in fault.items
    ]
    if not found:
        return "None: nothing is measured that a fault could change."
    return "Each is a fault of the lab (`deploygate lab fault NAME`) and is tried by the tests.\n\n" + table(
        ("fault", "what it breaks", "this item is"), found
    )


def _outcomes(item: Item) -> Iterator[tuple[str, str, str]]:
    """Yield what follows from each verdict, as the rules decide it."""
    for verdict in Verdict:
        if verdict is Verdict.WAIVED and not item.waivable:
            continue
        if verdict is Verdict.ATTESTED and not attestable(item):
            continue
        decision = _decided(item, verdict)
        exit_code = str(decision.exit_code)
        if verdict is Verdict.WAIVED:
            exit_code += f" ({_decided(item, verdict, waived_exit=True).exit_code} with `--waived-exit`)"
        yield f"`{verdict}`", decision.outcome.name, exit_code
        back = _decided(item, verdict, back=True)
        if (back.outcome, back.exit_code) != (decision.outcome, decision.exit_code):
            reason = "seen twice, not red in the baseline, the old side is healthy, the gate is not blind"
            yield f"`{verdict}`, {reason}", back.outcome.name, str(back.exit_code)


def _decided(item: Item, verdict: Verdict, *, waived_exit: bool = False, back: bool = False) -> Decision:
    other = Item("other", "Another item", item.phase, Severity.MINOR, Kind.AUTOMATED)
    finding = Finding(item.id, "", verdict, "", "suites/test.py::test", _WHEN, 1.0, confirmed=back)
    facts = Circumstances(frozenset(), True, False, frozenset({item.id})) if back else Circumstances()
    return decide(
        Question(
            scope=item.phase,
            results=[
                ItemResult(item, verdict, "", True, (finding,)),
                ItemResult(other, Verdict.PASS, "", True),
            ],
            phases=[phase.id for phase in _phases()],
            at=_WHEN,
            circumstances=facts,
            waived_exit=waived_exit,
        )
    )
