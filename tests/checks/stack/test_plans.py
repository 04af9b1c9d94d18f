"""Plans of real Terraform or OpenTofu where there is one, and by recordings of their documented lines."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from pytest_deploygate.checks.stack.facts import Planned
from pytest_deploygate.checks.stack.probe import plans
from pytest_deploygate.checks.stack.section import Plan

CONFIGURATION = """variable "size" { type = number }
resource "terraform_data" "server" { input = var.size }
"""


def planned(folder: Path, program: str, *options: str) -> Planned:
    return plans.planned(
        Plan.model_validate(
            {
                "name": "cloud",
                "folder": str(folder),
                "program": program,
                "options": list(options),
                "timeout": "60s",
            }
        )
    )


def test_real_plans(tmp_path):
    program = shutil.which("terraform") or shutil.which("tofu")
    if program is None:
        pytest.skip("there is neither Terraform nor OpenTofu here")
    (tmp_path / "main.tf").write_text(CONFIGURATION)
    (tmp_path / "terraform.tfvars").write_text("size = 1\n")
    for words in (["init"], ["apply", "-auto-approve"]):
        subprocess.run([program, *words, "-input=false"], cwd=tmp_path, check=True, capture_output=True)
    state = (tmp_path / "terraform.tfstate").read_bytes()
    same = planned(tmp_path, program)
    assert (same.exit_code, same.changes, same.complete) == (0, (), True)
    changed = planned(tmp_path, program, "-var=size=2")
    assert (changed.exit_code, changed.changes) == (2, (("terraform_data.server", "update"),))
    (tmp_path / "main.tf").write_text("resource {")
    wrong = planned(tmp_path, program)
    assert wrong.exit_code == 1
    assert wrong.said
    assert (tmp_path / "terraform.tfstate").read_bytes() == state
    assert not list(tmp_path.glob("*.lock.info"))


def recorded(folder: Path, code: int, *lines: object) -> Planned:
    text = "\n".join(json.dumps(line) if isinstance(line, dict) else str(line) for line in lines)
    (folder / "said").write_text(text)
    program = folder / "program"
    program.write_text(f"#!/bin/sh\ncat said\nexit {code}\n")
    program.chmod(0o755)
    return planned(folder, str(program))


SUMMARY = {"type": "change_summary", "changes": {"add": 0, "change": 0, "remove": 0}}


def of(kind: str, address: str, action: str) -> dict[str, object]:
    return {"type": kind, "change": {"resource": {"addr": address}, "action": action}}


def test_lines_by_documentation(tmp_path):
    drift = of("resource_drift", "aws_instance.web", "update")
    found = recorded(tmp_path, 2, of("planned_change", "aws_instance.db", "replace"), drift, SUMMARY)
    assert found.changes == (("aws_instance.db", "replace"), ("aws_instance.web", "changed outside"))
    outputs = {"type": "outputs", "outputs": {"ip": {"action": "update"}, "name": {"action": "noop"}}}
    assert recorded(tmp_path, 2, outputs, SUMMARY).changes == (("output.ip", "update"),)
    read = of("planned_change", "data.aws_ami.web", "read")
    assert recorded(tmp_path, 0, read, SUMMARY).changes == ()


def test_errors_and_other_programs(tmp_path):
    error = {"@level": "error", "@message": "Error: No valid credential sources found"}
    assert recorded(tmp_path, 1, error).said == "Error: No valid credential sources found"
    other = recorded(tmp_path, 0, "hello")
    assert (other.complete, other.said) == (False, "hello")
    assert "no folder" in planned(tmp_path / "none", "terraform").said


def test_a_program_that_is_not_there_or_never_ends(tmp_path):
    assert planned(tmp_path, "dg-no-such-program").exit_code == 127
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nsleep 60\n")
    slow.chmod(0o755)
    plan = {"name": "cloud", "folder": str(tmp_path), "program": str(slow), "timeout": "300ms"}
    assert plans.planned(Plan.model_validate(plan)).exit_code is None
