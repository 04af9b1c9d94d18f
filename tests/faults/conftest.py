from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import forked
import pytest
from breaking import BOUND, ELSEWHERE, ROOT, machine_half

from pytest_deploygate.cli import rehearsal_back
from pytest_deploygate.lab.services import front
from pytest_deploygate.lab.state import Lab

Verdicts = dict[str, dict[str, object]]


@pytest.fixture(scope="session")
def quick_inventory(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lab's own inventory with a shorter write load: what is judged stays the same."""
    text = (ROOT / "inventories" / "lab.yml").read_text()
    assert "duration: 2s" in text
    file = tmp_path_factory.mktemp("inventory") / "lab.yml"
    file.write_text(
        text.replace("duration: 2s", "duration: 500ms").replace(
            "snapshot: lab.tables.json", f"snapshot: {ROOT}/inventories/lab.tables.json"
        )
    )
    return file


@pytest.fixture(scope="session")
def run_gate(
    quick_inventory: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[int, Verdicts]]:
    """Run the gate as a user would; return its exit code and verdicts.json's items by id."""

    def run(scope: str, *arguments: str) -> tuple[int, Verdicts]:
        out = tmp_path_factory.mktemp("out")
        done = forked.run(
            "pytest",
            ["-m", scope, f"--inventory={quick_inventory}", f"--deploygate-out={out}", *arguments],
            cwd=ROOT,
            env={**os.environ, "NO_COLOR": "1"},
        )
        verdicts = out / "verdicts.json"
        assert verdicts.is_file(), done.stdout + done.stderr
        items = json.loads(verdicts.read_text())["items"]
        return done.returncode, {item["id"]: item for item in items if item["in_scope"]}

    return run


@pytest.fixture(scope="session")
def healthy(lab: Lab, run_gate: Callable) -> Callable[..., dict[str, str]]:
    """The verdicts of the lab when nothing is broken: what a test is bound to passes."""
    known: dict[tuple[str, ...], dict[str, str]] = {}

    def verdicts(scope: str, options: tuple[str, ...]) -> dict[str, str]:
        if (key := (scope, *options)) not in known:
            if "criteria" in scope and front.FRONT in lab.ports:
                front.wait_watched(lab)
            if options and not lab.guards["cutover"].exists():
                assert rehearsal_back.rehearse(lab, ROOT) == ""
            _, items = run_gate(scope, *options)
            mine = BOUND if options else BOUND - ELSEWHERE
            measured = {i: (machine_half(v), v["reason"]) for i, v in items.items() if i in mine}
            assert {verdict for verdict, _ in measured.values()} == {"pass"}, measured
            known[key] = {item_id: item["verdict"] for item_id, item in items.items()}
        return known[key]

    return verdicts
