from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

import agreeing
import forked
import pytest
from shared_lab import shared_lab

from faults.breaking import APART, DRILLED, ROOT, when_healthy
from pytest_deploygate.fields.sources.lab import INVENTORIES as LAB_INVENTORIES
from pytest_deploygate.lab.state import Lab

Verdicts = dict[str, dict[str, object]]


@pytest.fixture(scope="package")
def lab(lab_place: Path) -> Iterator[Lab]:
    """A lab that all tests of this folder share."""
    yield from shared_lab(lab_place)


@pytest.fixture(scope="package")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The lab's own inventory with a shorter write load; what is judged stays the same.

    It drills for the items in `drills` only, and otherwise relies on the records of a run that drilled for all: a restore,
    pressure on the pooler, bursts and the drill of a balancer take longer than everything else that is measured before the
    day. Not `apart`: without the items whose servers nothing else uses.
    """
    folder = tmp_path_factory.mktemp("inventory")

    def made(drills: AbstractSet[str], *, apart: bool) -> Path:
        text = (LAB_INVENTORIES / "lab.yml").read_text()
        text = _changed(text, "duration: 2s", "duration: 500ms")
        text = _changed(text, "snapshot: lab.tables.json", f"snapshot: {LAB_INVENTORIES}/lab.tables.json")
        for item, allowed in _ALLOWED.items():
            if item not in drills:
                text = _changed(text, allowed, allowed.split("\n", 1)[1])
        if not {"db.restore", "guard.blast-radius"} & drills:
            text, _, rest = text.partition("  scratch:\n")
            text += rest[rest.index("audit_trail:") :]
        for section in () if apart else APART.values():
            text = _without(text, section)
        name = "-".join(sorted(drills)) or "on-record"
        file = folder / f"{name}{'-apart' if apart else ''}.yml"
        file.write_text(text)
        return file

    return made


#: The lines that allow the drill of an item, in the lab's inventory.
_ALLOWED = {
    "db.pooling": "      opt_in: lab\n      record: lab:pooling",
    "sec.ddos": "  opt_in: lab\n  record: lab:limiter",
    "infra.load-balancer": "        opt_in: lab\n        record: lab:balancer.record",
}


def _without(text: str, section: str) -> str:
    before, _, rest = text.partition(f"\n{section}:\n")
    lines = rest.splitlines(keepends=True)
    end = next((n for n, line in enumerate(lines) if line[:1] not in " #\n"), len(lines))
    assert lines, section
    return before + "\n" + "".join(lines[end:])


def _changed(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


@pytest.fixture(scope="package")
def run_gate(
    inventory: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[int, Verdicts]]:
    """Run the gate as a user would, with all drills by default; return its exit code and verdicts.json's items by id."""

    def run(
        scope: str, *arguments: str, drills: AbstractSet[str] = DRILLED, apart: bool = True
    ) -> tuple[int, Verdicts]:
        out = tmp_path_factory.mktemp("out")
        done = forked.run(
            "pytest",
            [
                "-m",
                scope,
                f"--inventory={inventory(drills, apart=apart)}",
                f"--deploygate-out={out}",
                *arguments,
            ],
            cwd=ROOT,
            env={**os.environ, "NO_COLOR": "1"},
            timeout=280,
        )
        verdicts = out / "verdicts.json"
        assert verdicts.is_file(), done.stdout + done.stderr
        items = json.loads(verdicts.read_text())["items"]
        assert [said for item in items for said in agreeing.disagreements_of(item)] == []
        return done.returncode, {item["id"]: item for item in items if item["in_scope"]}

    return run


@pytest.fixture(scope="package")
def healthy(lab: Lab, run_gate: Callable) -> Callable[..., dict[str, str]]:
    """The verdicts of the lab when nothing is broken."""
    return when_healthy(lab, run_gate)
