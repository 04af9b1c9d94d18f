"""The lab's stack: a component with a page of its version, and a plan of its infrastructure.

The plan is Terraform's or OpenTofu's own where there is one, of a resource that is in its state only and needs no
provider. Else a stand-in of the same exit codes and lines compares the configuration with what was applied.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import sys
from pathlib import Path

from pytest_deploygate.lab import client, nodes, processes, sql
from pytest_deploygate.lab.services import Service, monitoring
from pytest_deploygate.lab.state import HOST, Lab, LabError
from pytest_deploygate.lab.supervisor import Program

NAME = "orders"
VERSION = "2.4.1"
_MODULE = "pytest_deploygate.lab.component"
_VARIABLES = "terraform.tfvars.json"
_CONFIGURATION = """variable "size" {
  type = number
}
resource "terraform_data" "server" {
  input = var.size
}
"""
#: Documented forms of `terraform plan -detailed-exitcode -json`.
_STAND_IN = f"""#!/bin/sh
# A stand-in for Terraform in the lab: it compares {_VARIABLES} with what was applied.
echo '{{"@level":"info","type":"version","terraform":"stand-in"}}'
if cmp -s {_VARIABLES} applied; then
  echo '{{"@level":"info","type":"change_summary","changes":{{"add":0,"change":0,"remove":0,"operation":"plan"}}}}'
  exit 0
fi
echo '{{"@level":"info","type":"planned_change","change":{{"resource":{{"addr":"terraform_data.server"}},"action":"update"}}}}'
echo '{{"@level":"info","type":"change_summary","changes":{{"add":0,"change":1,"remove":0,"operation":"plan"}}}}'
exit 2
"""


def where(lab: Lab) -> Path:
    """Return the folder of version, health and plan."""
    return lab.private / "stack"


def plan(lab: Lab) -> Path:
    """Return the folder of the plan."""
    return where(lab) / "plan"


def want(lab: Lab, size: int) -> None:
    """Let the configuration want a server of this size."""
    nodes.put(lab, plan(lab) / _VARIABLES, json.dumps({"size": size}))


def program(lab: Lab) -> Program:
    """Return the program of the component."""
    argv = [sys.executable, "-m", _MODULE, str(where(lab)), str(lab.ports[NAME])]
    return Program(argv, None, death_signal=signal.SIGKILL)


def begin(lab: Lab, version: str = VERSION) -> None:
    """Start the component in a version, in place of the one that runs. Raises LabError."""
    if NAME in client.status(lab.folder)["servers"]:
        client.stop(lab, NAME, signal.SIGTERM)
    nodes.put(lab, where(lab) / "version", f"{version}\n")
    client.start(lab, NAME, program(lab))
    try:
        sql.wait_until(f"start of {NAME}", lambda: _answers(lab), 15.0)
    except LabError as error:
        raise LabError(f"{error}: {nodes.log_end(lab, NAME)}") from None


def _answers(lab: Lab) -> bool:
    """Return whether the component answers."""
    try:
        socket.create_connection((HOST, lab.ports[NAME]), 1.0).close()
    except OSError:
        return False
    return True


def start(lab: Lab) -> None:
    """Start the component, and apply the configuration of the plan. Raises LabError."""
    folder = plan(lab)
    processes.run(["/bin/mkdir", "-p", str(folder)], user=lab.user)
    nodes.put(lab, folder / "main.tf", _CONFIGURATION)
    want(lab, 4)
    terraform = _terraform()
    if terraform is None:
        nodes.put(lab, folder / "applied", (folder / _VARIABLES).read_text())
        nodes.put(lab, folder / "terraform", _STAND_IN)
        (folder / "terraform").chmod(0o755)
    else:
        for command in (["init"], ["apply", "-auto-approve"]):
            words = [terraform, f"-chdir={folder}", *command, "-input=false", "-no-color"]
            processes.run(words, user=lab.user)
    begin(lab)


def _terraform() -> str | None:
    return shutil.which("terraform") or shutil.which("tofu")


def values(lab: Lab) -> dict[str, str]:
    """Return where the plan is and what makes it, and text in the command line of the component."""
    return {
        **_prometheus(lab),
        "stack.plan": str(plan(lab)),
        "stack.program": _terraform() or str(plan(lab) / "terraform"),
        "stack.process": Path(sys.executable).name,
        "stack.arguments": f"{_MODULE} {where(lab)}",
        "stack.version": VERSION,
    }


def _prometheus(lab: Lab) -> dict[str, str]:
    """Return the version of the lab's Prometheus by its program, and text in the command line of this lab's one."""
    path = lab.programs.get(monitoring.PROMETHEUS)
    said = processes.run([path, "--version"], user=lab.user) if path else ""
    found = re.search(r"version (\d[\w.]*)", said)
    return {"stack.prometheus": found[1], "stack.monitoring": str(monitoring.where(lab))} if found else {}


SERVICE = Service(
    name=NAME,
    servers={NAME: "a component of the stack that says its version"},
    programs=(),
    missing="",
    start=start,
    where=where,
    values=values,
    alone=True,
    profiles=("monitoring",),
    modules=(_MODULE,),
)
