"""Processes and packages as real commands print them here, and as rpm, apk and dpkg are documented to."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_deploygate.checks.hosts.section import Hosts
from pytest_deploygate.checks.stack import judge, probe
from pytest_deploygate.checks.stack.facts import State
from pytest_deploygate.checks.stack.probe import packages, processes
from pytest_deploygate.checks.stack.section import Stack
from pytest_deploygate.model import NotCovered, Verdict

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc here")


def shell(command: str, **environment: str) -> str:
    done = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, text=True, check=False, env=os.environ | environment
    )
    return done.stdout


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A process named `dg-sleeper`, whose program is a file of its own."""
    program = tmp_path / "dg-sleeper"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
    with subprocess.Popen([program, "60"]) as process:
        yield process, program
        process.kill()


def seen(arguments: str = "", least: int = 1):
    return processes.seen("dg-sleeper", arguments, least, shell(processes.command(["dg-sleeper"])), 1e9)


def test_a_process_that_runs(sleeper):
    now = seen()
    assert (now.state, now.said) == (State.UP, "1 running, at least 1 expected")
    assert now.identity.startswith(f"{sleeper[0].pid}@")
    assert seen("60").state is State.UP
    assert seen("61").state is State.DOWN
    assert seen(least=2).state is State.DOWN


def test_a_process_that_was_stopped_by_a_signal(sleeper):
    sleeper[0].send_signal(signal.SIGSTOP)
    until = time.monotonic() + 5
    while (now := seen()).state is State.UP and time.monotonic() < until:
        time.sleep(0.05)
    assert now.state is State.DOWN
    assert "1 stopped by a signal" in now.said


def test_a_program_that_was_replaced(sleeper):
    program = sleeper[1]
    program.unlink()
    found, ticks = processes.listed(shell(processes.command(["dg-sleeper"])))
    assert ticks > 0
    assert [each.replaced for each in found] == [str(program)]


def test_no_process_of_that_name_is_down_and_no_answer_is_unknown():
    assert (
        processes.seen("dg-nobody", "", 1, shell(processes.command(["dg-nobody"])), 1.0).state is State.DOWN
    )
    assert processes.seen("dg-nobody", "", 1, "", 1.0).state is State.UNKNOWN


def test_a_name_is_no_pattern():
    assert not processes.listed(shell(processes.command(["dg.sleeper"])))[0]


def test_names_are_cut_as_the_kernel_does():
    line = "stat 7 (prometheus-node) S 1 7 7 0 -1 4194560 1 0 0 0 1 1 0 0 20 0 8 0 5000 1 1\nexe /x\nargs a\nticks 100"
    found = processes.seen("prometheus-node-exporter", "", 1, line, 60.0)
    assert (found.state, found.since_s) == (State.UP, 10.0)


def test_processes_that_a_server_starts_for_its_clients_are_no_restart():
    def listed(*pids: int) -> str:
        lines = ["stat 7 (sshd) S 1 7 7 0 -1 1 1 0 0 0 1 1 0 0 20 0 8 0 5000 1 1", "exe /x", "args a"]
        for pid in pids:
            lines += [
                f"stat {pid} (sshd) S 7 7 7 0 -1 1 1 0 0 0 1 1 0 0 20 0 8 0 {pid} 1 1",
                "exe /x",
                "args a",
            ]
        return "\n".join([*lines, "ticks 100"])

    first, second = (processes.seen("sshd", "", 1, listed(*pids), 600.0) for pids in ((9001, 9002), (9003,)))
    assert first.identity == second.identity == "7@5000"
    assert second.since_s == 550.0


def test_packages_of_dpkg():
    if shutil.which("dpkg-query") is None:
        pytest.skip("there is no dpkg here")
    text = shell(packages.command(["base-files", "dg-not-there"]))
    (told,) = packages.told("base", "base-files", "here", text)
    assert told.version
    (missing,) = packages.told("x", "dg-not-there", "here", text)
    assert missing.absent


@pytest.mark.parametrize(
    ("text", "version", "absent"),
    [
        ("tool dpkg\nnginx\tinstalled\t1.24.0-2", "1.24.0-2", False),
        ("tool dpkg\nnginx\tconfig-files\t1.22.1-9", None, True),
        ("tool rpm\nnginx\tinstalled\t1.24.0-1.el9", "1.24.0-1.el9", False),
        ("tool rpm\npackage nginx is not installed", None, True),
        ("tool apk\nnginx\tinstalled\t1.24.0-r7", "1.24.0-r7", False),
        ("tool none", None, False),
        ("", None, False),
    ],
)
def test_packages_by_documentation(text, version, absent):
    told = packages.told("nginx", "nginx", "web1", text)[0]
    assert (told.version, told.absent) == (version, absent)
    assert version or told.why


@pytest.mark.parametrize(
    ("command", "version"),
    [
        ("echo 'postgres (PostgreSQL) 15.4 (Debian 15.4-1)'", "15.4"),
        ("echo 'OpenSSH_9.2p1 Debian-2' >&2", "9.2p1"),
        ("echo v2.4.1-3", "2.4.1-3"),
        ("echo version: 7", "7"),
        ("echo 'libx.so.1.2: not found'; exit 127", None),
        ("true", None),
    ],
)
def test_versions_that_commands_print(command, version):
    told = packages.printed("app", command, "web1", shell(packages.printing(command)))
    assert told.version == version
    assert version or told.why


def section(**component: object) -> Stack:
    named = {"name": "app", "hosts": "web1", **component}
    return Stack.model_validate({"components": [named], "every": "50ms", "steady": "0s"})


def hosts(connection: str = "local://") -> Hosts:
    return Hosts.model_validate({"servers": [{"name": "web1", "connection": connection}]})


def test_one_script_for_a_host(sleeper):
    wanted = section(process="dg-sleeper", version="3.11", version_command=f"{sys.executable} --version")
    if sys.version_info[:2] != (3, 11):
        wanted = section(process="dg-sleeper", version="3", version_command=f"{sys.executable} --version")
    told = probe.deployed(wanted, hosts())
    assert judge.judge_deployed(told, wanted).verdict is Verdict.PASS
    found = judge.judge_health(probe.health(wanted, hosts()), wanted)
    assert found.verdict is Verdict.PASS, found.reason


def test_a_process_that_restarts(tmp_path):
    program = tmp_path / "dg-sleeper"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
    loop = ["/bin/sh", "-c", 'while :; do "$0" 0.1; done', str(program)]
    with subprocess.Popen(loop) as process:
        wanted = section(process="dg-sleeper")
        found = judge.judge_health(probe.health(wanted.model_copy(update={"reads": 5}), hosts()), wanted)
        process.kill()
    assert found.verdict is Verdict.FAIL, found.reason


def test_a_role_of_nobody_is_not_fine():
    wanted = Stack.model_validate(
        {"components": [{"name": "app", "hosts": "all", "process": "x", "package": "x", "version": "1"}]}
    )
    assert judge.judge_health(probe.health(wanted, None), wanted).verdict is Verdict.INCONCLUSIVE
    assert judge.judge_deployed(probe.deployed(wanted, None), wanted).verdict is Verdict.INCONCLUSIVE


def test_a_host_that_cannot_be_reached_is_inconclusive():
    wanted = section(process="dg-sleeper")
    found = judge.judge_health(probe.health(wanted, hosts("ssh://127.0.0.1:1")), wanted)
    assert found.verdict is Verdict.INCONCLUSIVE


def test_what_the_section_does_not_ask_is_not_covered():
    plans = Stack.model_validate({"plans": [{"name": "cloud", "folder": "."}]})
    with pytest.raises(NotCovered, match="how it runs"):
        probe.health(plans, None)
    with pytest.raises(NotCovered, match="`version` or `image`"):
        probe.deployed(section(process="x"), hosts())
