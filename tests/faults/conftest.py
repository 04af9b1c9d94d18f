from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import agreeing
import forked
import pytest
from shared_lab import shared_lab

from faults.breaking import BOUND, ELSEWHERE, ROOT, machine_half
from pytest_deploygate.cli.shared import lab_way_back as rehearsal_back
from pytest_deploygate.fields.sources.lab import INVENTORIES as LAB_INVENTORIES
from pytest_deploygate.lab.services import front
from pytest_deploygate.lab.state import Lab
from pytest_deploygate.lab.way_back import guards

Verdicts = dict[str, dict[str, object]]


@pytest.fixture(scope="package")
def lab(lab_place: Path) -> Iterator[Lab]:
    """A lab that all tests of this folder share."""
    yield from shared_lab(lab_place)


@pytest.fixture(scope="package")
def inventories(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lab's own inventory with a shorter write load, `drilled.yml`; what is judged stays the same.

    And `on-record.yml`, which relies on the last restore and the last pressure on the pooler: together they take longer
    than everything else that is measured before the day.
    """
    folder = tmp_path_factory.mktemp("inventory")
    text = (LAB_INVENTORIES / "lab.yml").read_text()
    text = _changed(text, "duration: 2s", "duration: 500ms")
    text = _changed(text, "snapshot: lab.tables.json", f"snapshot: {LAB_INVENTORIES}/lab.tables.json")
    (folder / "drilled.yml").write_text(text)
    text = _changed(text, "      opt_in: lab\n      record: lab:pooling", "      record: lab:pooling")
    text, _, rest = text.partition("  scratch:\n")
    (folder / "on-record.yml").write_text(text + rest[rest.index("audit_trail:") :])
    return folder


def _changed(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


@pytest.fixture(scope="package")
def run_gate(
    inventories: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[int, Verdicts]]:
    """Run the gate as a user would; return its exit code and verdicts.json's items by id."""

    def run(scope: str, *arguments: str, inventory: str = "drilled") -> tuple[int, Verdicts]:
        out = tmp_path_factory.mktemp("out")
        done = forked.run(
            "pytest",
            [
                "-m",
                scope,
                f"--inventory={inventories / inventory}.yml",
                f"--deploygate-out={out}",
                *arguments,
            ],
            cwd=ROOT,
            env={**os.environ, "NO_COLOR": "1"},
        )
        verdicts = out / "verdicts.json"
        assert verdicts.is_file(), done.stdout + done.stderr
        items = json.loads(verdicts.read_text())["items"]
        assert [said for item in items for said in agreeing.disagreements_of(item)] == []
        return done.returncode, {item["id"]: item for item in items if item["in_scope"]}

    return run


@pytest.fixture(scope="package")
def healthy(lab: Lab, run_gate: Callable) -> Callable[..., dict[str, str]]:
    """The verdicts of the lab when nothing is broken: what a test is bound to passes."""
    known: dict[tuple[str, ...], dict[str, str]] = {}

    def verdicts(scope: str, options: tuple[str, ...]) -> dict[str, str]:
        if (key := (scope, *options)) not in known:
            if "criteria" in scope and front.FRONT in lab.ports:
                front.wait_watched(lab)
            if options and not guards(lab)["cutover"].exists():
                assert rehearsal_back.rehearse(lab, ROOT) == ""
            _, items = run_gate(scope, *options)
            mine = BOUND if options else BOUND - ELSEWHERE
            measured = {i: (machine_half(v), v["reason"]) for i, v in items.items() if i in mine}
            assert {verdict for verdict, _ in measured.values()} == {"pass"}, measured
            known[key] = {item_id: item["verdict"] for item_id, item in items.items()}
        return known[key]

    return verdicts
