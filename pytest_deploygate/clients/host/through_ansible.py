"""Hosts that only Ansible reaches: each command is one of Ansible's.

testinfra would translate some hosts to connections of its own. Ours does that better (`checks.hosts.listing`): variables
count before the environment, and no password is an argument of sshpass.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from testinfra.backend import parse_hostspec
from testinfra.backend.ansible import AnsibleBackend

from pytest_deploygate.model import CannotTell

#: The first line of what Ansible prints for a command: `db1 | CHANGED | rc=0 >>`.
_HEAD = re.compile(rb"^.+? \| \w+!? \| rc=(\d+) >>\r?\n", re.MULTILINE)
_NOT_RUN = re.compile(r"\| (?:UNREACHABLE|FAILED)!.*?\"msg\": \"(.*?)\"[,\n]", re.DOTALL)
_ENVIRONMENT = (
    "env LC_ALL=C.UTF-8 ANSIBLE_NOCOLOR=1 ANSIBLE_FORCE_COLOR=0 ANSIBLE_VERBOSITY=0 "
    "ANSIBLE_DEPRECATION_WARNINGS=0 ANSIBLE_STDOUT_CALLBACK=minimal ANSIBLE_LOAD_CALLBACK_PLUGINS=0"
)


class Raw(AnsibleBackend):  # type: ignore[misc]  # testinfra has no types
    """Runs each command with Ansible's `raw` module, which needs no Python on the host."""

    def run(self, command: str, *arguments: str, **_: Any) -> Any:
        """Run a command. Raises RuntimeError with what Ansible said if the host was not reached."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        program = shutil.which("ansible", path=path)
        if program is None:
            raise CannotTell(
                "it is reached through Ansible, which is not installed here: pip install 'pytest-deploygate[ansible]'"
            )
        line = self.get_command(command, *arguments)
        source = ["-i", self.ansible_inventory] if self.ansible_inventory else []
        words = [program, *source, self.host, "-m", "ansible.builtin.raw", "-a", line]
        done = self.run_local(f"{_ENVIRONMENT} {' '.join(['%s'] * len(words))}", *words)
        head = _HEAD.search(done.stdout_bytes)
        if head is None:
            said = done.stdout_bytes.decode(errors="replace") + done.stderr_bytes.decode(errors="replace")
            found = _NOT_RUN.search(said)
            errors = re.search(r"\[?ERROR\]?!?:? (.+)", said)
            raise RuntimeError(found[1] if found else errors[1] if errors else said.strip() or "no answer")
        return self.result(int(head[1]), self.encode(line), done.stdout_bytes[head.end() :], b"")


def backend(name: str) -> Any:
    """Return the testinfra backend for `ansible://HOST?ansible_inventory=FILE`."""
    host, options = parse_hostspec(name)
    return Raw(host, **{key: value for key, value in options.items() if key != "connection"})
