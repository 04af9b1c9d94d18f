"""The terminal summary: readable at night in 80 columns."""

from __future__ import annotations

import dataclasses
import re
import shlex

import pytest
import sample
import sample_night
import sample_outcomes

from pytest_deploygate.model import Outcome, Rule, Verdict, Weakening
from pytest_deploygate.report import html, terminal
from pytest_deploygate.report.exports import markdown
from pytest_deploygate.report.record import Record


def test_worst_first_then_the_decision_then_what_to_do() -> None:
    text = terminal.text(sample.hold(), "deploygate-out/CHG-2026-0314/signoff.html")
    order = [
        "fail  critical  phase2.replication  replica2",
        "fail  major  phase2.aggregates  public.readings_hourly",
        "not covered  major  phase2.backup-jobs",
        "inconclusive  major  phase2.indexes",
        "8 items in scope: 2 fail, 1 inconclusive, 1 not covered, 4 pass.",
        "108 items out of scope, not measured:",
        "HOLD: do not proceed. Scope phase2, change CHG-2026-0314, inventory prod.",
        "2 items failed, 1 of them critical. [phase2.replication, phase2.aggregates]",
        "Exit code 1 (HOLD, an item failed).",
        "Report: deploygate-out/CHG-2026-0314/signoff.html",
        "Next:   fix what failed",
        "pytest -m phase2 --inventory prod --change CHG-2026-0314",
    ]
    places = [text.find(part) for part in order]
    assert -1 not in places
    assert places == sorted(places)


def test_passes_are_only_counted() -> None:
    text = terminal.text(sample.hold())
    assert "phase2.migrations" not in text
    assert "infra.servers" not in text
    go = terminal.text(sample.go())
    assert len(go.splitlines()) < 14
    assert "GO: proceed." in go


def test_a_go_without_a_change_id_says_so_in_every_headline() -> None:
    alone = dataclasses.replace(sample.go(), change="local")
    said = "roceed with this scope alone (no change id)."
    assert f"GO: p{said}" in " ".join(terminal.text(alone).split())
    head = html.render(alone).partition("</h1>")[0]
    assert f"P{said}" in head
    assert f"## GO: P{said}" in markdown.text(alone)
    for record in (sample.go(), dataclasses.replace(sample.hold(), change="local")):
        assert "no change id" not in terminal.text(record)
        assert "no change id" not in html.render(record)


@pytest.mark.parametrize("width", [60, 80, 140])
@pytest.mark.parametrize(
    "record", [sample.hold(), sample.go(), sample.hostile()], ids=["hold", "go", "hostile"]
)
def test_no_line_is_too_long_but_those_for_copying(record: object, width: int) -> None:
    text = terminal.text(record, width=width)  # type: ignore[arg-type]
    above, _, command = text.partition("Next:")
    for line in above.splitlines():
        assert len(line) <= width or line.startswith("Report: ")
    if record != sample.hostile():  # a name of 200 letters stays in one piece
        assert all(len(line) <= width for line in command.splitlines())


def test_no_escape_gets_through_and_colours_only_when_asked() -> None:
    assert "\x1b" not in terminal.text(sample.hostile())
    assert "\x1b[" in terminal.text(sample.hold(), colour=True)
    assert "\x1b[31mevil" not in terminal.text(sample.hostile(), colour=True)


def test_brackets_in_names_are_not_markup() -> None:
    record = sample.hold()
    named = tuple(
        dataclasses.replace(r, reason="see [bold]x[/bold] and :smile:")
        if r.item.id == "phase2.backup-jobs"
        else r
        for r in record.items
    )
    assert "see [bold]x[/bold] and :smile:" in terminal.text(dataclasses.replace(record, items=named))


def test_a_flood_is_counted() -> None:
    text = terminal.text(sample.large(5000, Verdict.FAIL))
    assert len(text.splitlines()) < 300
    assert "4,940 more items" in text


def test_no_decision_says_do_not_go_on() -> None:
    text = terminal.text(dataclasses.replace(sample.go(), decision=None))
    assert "NO DECISION: nothing was decided: do not proceed." in text
    assert "pytest -m phase2" in text


def test_the_command_is_quoted() -> None:
    record = dataclasses.replace(sample.hold(), scope="phase2 and database", change="a; rm -rf x")
    assert shlex.split(_command(terminal.text(record))) == [
        "pytest", "-m", "phase2 and database", "--inventory", "prod", "--change", "a; rm -rf x",
    ]  # fmt: skip


def _command(text: str) -> str:
    """The command below `Next:`, as a shell reads it."""
    found = re.search(
        r"^ {8}((?:pytest|deploygate) .*)", text.partition("Next:")[2], re.DOTALL | re.MULTILINE
    )
    assert found
    return found[1].replace(" \\\n", " ").strip()


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_the_next_command_is_whole_at_every_width(width: int) -> None:
    """A command that lost `--change CHG-104` at the edge of the terminal ran for another change."""
    expression = "phase2 or phase3 or (golive and not database)"
    inventory = "inventories/production-eu-west.yml"
    record = dataclasses.replace(sample.hold(), scope=expression, inventory=inventory, change="CHG-2026-0104")
    text = terminal.text(record, width=width)
    assert all(len(line) <= max(width, 60) for line in text.splitlines())
    assert shlex.split(_command(text)) == [
        "pytest", "-m", expression, "--inventory", inventory, "--change", "CHG-2026-0104",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "command"),
    [
        (22, "deploygate decide rollback --change CHG-2026-0314 --role ROLE --reason TEXT"),
        (23, "deploygate decide --change CHG-2026-0314"),
        (24, "deploygate rollback execute --change CHG-2026-0314"),
    ],
)
def test_the_command_after_a_rollback_can_be_copied(code: int, command: str) -> None:
    record = sample_night.bad()
    assert record.decision
    record = dataclasses.replace(record, decision=dataclasses.replace(record.decision, exit_code=code))
    assert _command(terminal.text(record, width=60)).split() == command.split()


def test_each_ending_has_its_headline() -> None:
    said = {name: terminal.text(record()) for name, record in sample_outcomes.ALL.items()}
    assert "GO: proceed." in said["go"]
    assert "GO with 1 waiver: proceed." in said["go-waived"]
    assert "ROLLED BACK: every step of the rollback was done and verified." in said["back"]
    assert "ROLLBACK FAILED: a step failed or could not be verified" in said["back-failed"]


def test_what_is_good_is_counted_once() -> None:
    record = sample.hold()
    assert record.decision
    count = Rule("passed, attested or not applicable", Outcome.GO, "4 of 8 items in scope meet the checklist")
    decision = dataclasses.replace(record.decision, rules=(*record.decision.rules, count))
    text = terminal.text(dataclasses.replace(record, decision=decision))
    assert "4 pass" in text
    assert "4 of 8" not in text


def test_the_exit_code_is_that_of_the_run_and_says_why_it_is_not_the_decisions() -> None:
    assert "Exit code 0 (GO)." in terminal.text(sample.go())
    failed = terminal.text(sample.go(), exit_code=1)
    assert "Exit code 1: a test outside the checklist failed" in failed
    assert "Exit code 0" not in failed
    assert "Exit code 2 (pytest: interrupted)" in terminal.text(sample.hold(), exit_code=2)


def test_parts_of_an_item_without_a_target_are_not_called_whole_item() -> None:
    record = sample.hold()
    reason = "the inventory has no database.tables; add `tables: {snapshot: FILE}`"
    items = tuple(
        dataclasses.replace(
            r,
            verdict=Verdict.NOT_COVERED,
            findings=tuple(
                dataclasses.replace(f, target="", verdict=Verdict.NOT_COVERED, reason=reason)
                for f in r.findings[:2]
            ),
        )
        if r.item.id == "phase2.tables"
        else r
        for r in record.items
    )
    text = terminal.text(dataclasses.replace(record, items=items))
    assert "(whole item)" not in text
    assert text.count("the inventory has no database.tables") == 1


def _all(verdict: Verdict, reason: str) -> Record:
    """Phase 2 with one verdict and one reason for every item and target."""
    record = sample.hold()
    items = tuple(
        dataclasses.replace(
            r,
            verdict=verdict,
            reason=reason,
            findings=tuple(
                dataclasses.replace(f, verdict=verdict, reason=reason, target=target)
                for f in r.findings[:1]
                for target in ("alerts", "users")
            ),
        )
        if r.in_scope
        else r
        for r in record.items
    )
    return dataclasses.replace(record, items=items)


def test_items_of_one_dead_host_are_one_line_and_so_are_those_that_are_deferred() -> None:
    reason = "db1 (db1.example.com:5432) cannot be used: timeout expired; check whether it hangs or a firewall drops packets"
    text = terminal.text(_all(Verdict.INCONCLUSIVE, reason), width=200)
    assert text.count(reason) <= 2
    assert "inconclusive  7 items (" in text


def test_failed_items_with_one_cause_are_one_entry_that_names_all_of_them() -> None:
    """Eight items fail for one server: one reason to read, and no id is left out."""
    down = "db2 (db2.example.com:5432) cannot be used: connection refused; start it"
    record = _all(Verdict.FAIL, down)
    failed = [result.item.id for result in record.items if result.verdict is Verdict.FAIL and result.in_scope]
    text = terminal.text(record, width=200)
    assert text.count(down) == 1
    assert all(text.count(item) >= 1 for item in failed)
    assert f"fail  {len(failed) - 1} items (" in text or f"fail  {len(failed)} items (" in text


def test_a_long_reason_of_several_failed_items_is_said_once_and_named_afterwards() -> None:
    reason = "the certificate of app.example.com:443 expired 3 d ago; renew it with `certbot renew` on the edge host"
    record = _all(Verdict.FAIL, reason)
    items = tuple(  # each has a target more, so they are no single cause
        dataclasses.replace(r, findings=(*r.findings, dataclasses.replace(r.findings[0], target=r.item.id)))
        if r.findings
        else r
        for r in record.items
    )
    text = terminal.text(dataclasses.replace(record, items=items), width=200)
    assert text.count(reason) == 1
    assert "alerts, users, phase2." in text
    assert text.count("the same as phase2.") == 7


def test_missing_evidence_is_completed_with_resume_and_no_report_is_named_that_is_not_there() -> None:
    record = sample.hold()
    broken = dataclasses.replace(record, decision=dataclasses.replace(record.decision, exit_code=25))
    text = terminal.text(broken, "")
    assert "--change CHG-2026-0314 --resume" in text
    assert "Report: none" in text
    assert "--resume" not in terminal.text(record)


def test_weakenings_of_other_scopes_are_one_line_and_unknown_ones_are_not_among_them() -> None:
    record = sample.hold()
    unknown = Weakening("policy.max_waivers is 9, by default 5")
    text = terminal.text(dataclasses.replace(record, weakenings=(*record.weakenings, unknown)))
    assert "2 settings weaker than the checklist:" in text
    assert "max_age is 4 h, by default 2 h" in text
    assert unknown.text in text
    assert "2 further weakenings bear on no item in scope: see verdicts.json." in text
    assert "uptime.window" not in text


def test_weakenings_that_all_bear_on_nothing_in_scope_are_not_called_further() -> None:
    record = sample.hold()
    text = terminal.text(dataclasses.replace(record, weakenings=record.weakenings[1:2]))
    assert "1 weakening bears on no item in scope: see verdicts.json." in text
    assert "weaker than the checklist" not in text


def test_rules_that_did_not_decide_do_not_look_like_a_second_decision() -> None:
    text = terminal.text(sample.hold())
    assert "(GO)" not in text
    assert len([line for line in text.splitlines() if line.startswith("GO")]) == 0
    listed = text.index("Listed, does not hold:")
    assert text.index("HOLD: do not proceed.") < text.index("2 items failed") < listed
    assert (
        listed
        < text.index("1 inconclusive item cannot be measured before phase 4")
        < text.index("Exit code 1")
    )


def test_a_rollback_says_which_rules_would_hold_by_themselves() -> None:
    text = terminal.text(sample_night.bad())
    assert "(HOLD)" not in text
    assert text.index("Would hold by itself:") < text.index("20 items failed, 10 of them critical")


def test_a_go_has_no_rules_beside_it() -> None:
    assert "does not hold" not in terminal.text(sample.go())
