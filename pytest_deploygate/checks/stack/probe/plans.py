"""Plans of Terraform and OpenTofu that change nothing: no lock is taken, no file is written, no question asked.

`-detailed-exitcode` ends with 0 for no changes, 1 for an error, 2 for changes. `-json` has a line for each change. Source:
the documentation of `terraform plan` and of its machine-readable output.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_deploygate.checks.stack.facts import Planned
from pytest_deploygate.checks.stack.section import Plan
from pytest_deploygate.clients.host import commands
from pytest_deploygate.redaction import redact, shortened

_CHANGES = ("planned_change", "resource_drift")
#: The plan's program prints much more with these, or changes what is planned.
_UNSET = ("TF_LOG", "TF_CLI_ARGS", "TF_CLI_ARGS_plan")


def planned(plan: Plan) -> Planned:
    """Make a plan and return how it ended."""
    if not Path(plan.folder).is_dir():
        return Planned(plan.name, None, said=f"there is no folder {plan.folder}")
    words = [
        plan.program,
        "plan",
        "-detailed-exitcode",
        "-input=false",
        "-lock=false",
        "-json",
        *plan.options,
    ]
    unset = " ".join(f"-u {name}" for name in _UNSET if name in os.environ)
    given = f"cd {shlex.quote(plan.folder)} && env {unset} TF_IN_AUTOMATION=1 CHECKPOINT_DISABLE=1 {shlex.join(words)}"
    code, output, errors = commands.ended(given, plan.timeout.total_seconds())
    lines = list(_lines(output))
    wrong = [str(each.get("@message", "")) for each in lines if each.get("@level") == "error"]
    said = "; ".join(wrong) or ("" if lines else errors.strip() or output.strip())
    return Planned(
        plan.name,
        code,
        tuple(dict.fromkeys(_changes(lines))),
        complete=any(each.get("type") == "change_summary" for each in lines),
        said=shortened(redact(" ".join(said.split())), 300),
    )


def _lines(output: str) -> Iterator[dict[str, Any]]:
    for line in output.splitlines():
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if isinstance(told, dict):
            yield told


def _changes(lines: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for each in lines:
        change = each.get("change")
        if each.get("type") in _CHANGES and isinstance(change, dict):
            action = str(change.get("action", "change"))
            address = str((change.get("resource") or {}).get("addr", "?"))
            if action not in ("noop", "read"):
                yield address, "changed outside" if each["type"] == "resource_drift" else action
        elif each.get("type") == "outputs":
            for name, output in (each.get("outputs") or {}).items():
                if isinstance(output, dict) and output.get("action", "noop") not in ("noop", "read"):
                    yield f"output.{name}", str(output["action"])
