"""Faults of a migration, of notices and of people, several at a time, in one lab with the servers of all three."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import agreeing
import forked
import pytest
from shared_lab import shared_lab

from faults.breaking import (
    MIGRATED,
    all_of,
    changes_exactly_what_it_declares,
    together,
    when_healthy,
)
from pytest_deploygate.lab import faults
from pytest_deploygate.lab.faults import discrepancies
from pytest_deploygate.lab.services import desk, notices, source
from pytest_deploygate.lab.state import Lab

#: The first test also waits for the lab and for the healthy run that all others are compared with.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def lab(lab_place: Path) -> Iterator[Lab]:
    """A lab with the server that data came from, a mail server and the desk; its drills are not needed."""
    profiles = [source.PROFILE, notices.PROFILE, desk.PROFILE]
    yield from shared_lab(lab_place, "around", profiles=profiles, drilled=False)


@pytest.fixture(scope="module")
def healthy(lab: Lab, run_gate: Callable) -> Callable[..., dict[str, str]]:
    """The verdicts of that lab when nothing is broken."""
    return when_healthy(lab, run_gate)


@pytest.mark.parametrize("broken", together("migration", "notices", "people"))
def test_faults_change_exactly_what_they_declare(
    broken: Sequence[faults.Fault], lab: Lab, healthy: Callable, run_gate: Callable
) -> None:
    changes_exactly_what_it_declares(broken, lab, healthy, run_gate)


@pytest.fixture
def own_records(tmp_path: Path, lab: Lab) -> Callable[..., tuple[int, dict[str, dict]]]:
    """Run the gate, or another command, in a folder with an issue log of its own."""

    def run(*arguments: str, command: str = "pytest") -> tuple[int, dict[str, dict]]:
        done = forked.run(
            command, list(arguments), cwd=tmp_path, env={**os.environ, "NO_COLOR": "1"}, timeout=280
        )
        verdicts = tmp_path / "deploygate-out" / "local" / "verdicts.json"
        assert verdicts.is_file(), done.stdout + done.stderr
        items = json.loads(verdicts.read_text())["items"]
        assert [said for item in items for said in agreeing.disagreements_of(item)] == []
        return done.returncode, {item["id"]: item for item in items if item["in_scope"]}

    return run


def test_documented_discrepancies_are_no_fault(lab: Lab, own_records: Callable, tmp_path: Path) -> None:
    """The same rows differ, but the issue log has owner, decision and number for them: until more rows differ."""
    measured = f"--items={','.join(discrepancies.UNDOCUMENTED.items)}"
    log = tmp_path / "issues" / "local.yml"

    def measure() -> tuple[str, str]:
        """The verdict of the measured half, and what is said of the class."""
        _, items = own_records(measured, f"--inventory={MIGRATED}")
        assert items["phase4.integrity"]["verdict"] == "fail"
        item = items["phase4.discrepancies"]
        found = [t for t in item["targets"] if t["target"].startswith("legacy.orders")]
        return item["verdict"], found[0]["reason"]

    faults.put_in(lab, discrepancies.UNDOCUMENTED)
    try:
        verdict, reason = measure()
        assert (verdict, "`deploygate issues --write` adds an entry" in reason) == ("fail", True)
        own_records("issues", "--write", command="pytest_deploygate")
        text = log.read_text()
        assert "target: legacy.orders note empty-for-null" in text
        assert "rows: 1000" in text
        assert "is a stub: fill in owner, decision" in measure()[1]
        decided = text.replace("owner: TODO", "owner: data-lead@example.com").replace(
            "decision: TODO", "decision: accept"
        )
        log.write_text(decided)
        verdict, reason = measure()
        assert (verdict, "accept, owner data-lead@example.com, for 1000 rows" in reason) == ("pass", True)
        log.write_text(decided.replace("rows: 1000", "rows: 900"))
        verdict, reason = measure()
        assert (verdict, "was decided for 900 rows" in reason) == ("fail", True)
    finally:
        faults.heal(lab)


def test_hostile_settings_of_the_target_change_nothing(
    lab: Lab, healthy: Callable, run_gate: Callable
) -> None:
    """The source has such settings anyway; here the target has others, for the database and for the gate's role."""
    settings = {"timezone": "Pacific/Chatham", "datestyle": "German", "intervalstyle": "sql_standard", "extra_float_digits": "-5",
                "bytea_output": "escape", "lc_monetary": "C", "search_path": "nowhere"}  # fmt: skip
    reset = ("ALTER DATABASE plant RESET ALL", "ALTER ROLE deploygate IN DATABASE plant RESET ALL")
    whose = ("DATABASE plant", "ROLE deploygate IN DATABASE plant")
    hostile = [f"ALTER {who} SET {name} = '{value}'" for who in whose for name, value in settings.items()]
    scope, options = all_of(MIGRATED)
    before = healthy(scope, options)
    source.on_target(lab, *hostile)
    try:
        _, items = run_gate(scope, *options)
    finally:
        source.on_target(lab, *reset)
    assert {i: item["reason"] for i, item in items.items() if item["verdict"] != before[i]} == {}
