"""Hosts that only Ansible reaches: each command is one of Ansible's.

Those that ssh reaches as well were translated before (`checks.hosts.listing`).
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

from pytest_deploygate.clients.host.connection import Address
from pytest_deploygate.clients.host.running import Done
from pytest_deploygate.model import CannotTell

#: The first line of what Ansible prints for a command: `db1 | CHANGED | rc=0 >>`.
_HEAD = re.compile(rb"^.+? \| \w+!? \| rc=(\d+) >>\r?\n", re.MULTILINE)
_NOT_RUN = re.compile(r"\| (?:UNREACHABLE|FAILED)!.*?\"msg\": \"(.*?)\"[,\n]", re.DOTALL)
_ENVIRONMENT = (
    "env LC_ALL=C.UTF-8 ANSIBLE_NOCOLOR=1 ANSIBLE_FORCE_COLOR=0 ANSIBLE_VERBOSITY=0 "
    "ANSIBLE_DEPRECATION_WARNINGS=0 ANSIBLE_STDOUT_CALLBACK=minimal ANSIBLE_LOAD_CALLBACK_PLUGINS=0"
)


def line(to: Address, command: str) -> str:
    """Return the line that runs a command with Ansible's `raw` module, which needs no Python on the host."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    program = shutil.which("ansible", path=path)
    if program is None:
        raise CannotTell(
            "it is reached through Ansible, which is not installed here: pip install 'pytest-deploygate[ansible]'"
        )
    source = to.option("ansible_inventory")
    inventory = ["-i", source] if source else []
    words = [program, *inventory, to.host, "-m", "ansible.builtin.raw", "-a", command]
    return f"{_ENVIRONMENT} {shlex.join(words)}"


def read(done: Done) -> Done:
    """Read what Ansible printed. Raises RuntimeError with what it said if the host was not reached."""
    head = _HEAD.search(done.output)
    if head is None:
        said = done.output.decode(errors="replace") + done.errors.decode(errors="replace")
        found = _NOT_RUN.search(said)
        errors = re.search(r"\[?ERROR\]?!?:? (.+)", said)
        raise RuntimeError(found[1] if found else errors[1] if errors else said.strip() or "no answer")
    return Done(int(head[1]), done.output[head.end() :], b"")
