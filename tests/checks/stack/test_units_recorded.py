"""`systemctl show` by recordings of its documented form: no systemd runs here."""

from __future__ import annotations

import os

import pytest

from pytest_deploygate.checks.hosts.section import Hosts
from pytest_deploygate.checks.stack import judge, probe
from pytest_deploygate.checks.stack.facts import State
from pytest_deploygate.checks.stack.probe import units
from pytest_deploygate.checks.stack.section import Stack
from pytest_deploygate.model import Verdict

NGINX = """Type=forking
NRestarts=0
Result=success
Id=nginx.service
Names=nginx.service
LoadState=loaded
ActiveState=active
SubState=running
InvocationID=6f1d3c
ActiveEnterTimestampMonotonic=90000000"""
SSH = """Type=notify
NRestarts=3
Result=success
Id=ssh.service
Names=ssh.service sshd.service
LoadState=loaded
ActiveState=activating
SubState=auto-restart
InvocationID=
ActiveEnterTimestampMonotonic=80000000"""
FAILED = """NRestarts=5
Result=exit-code
Id=app.service
Names=app.service
LoadState=loaded
ActiveState=failed
SubState=failed
InvocationID=77
ActiveEnterTimestampMonotonic=0"""
UNKNOWN = """Id=apq.service
Names=apq.service
LoadState=not-found
ActiveState=inactive
SubState=dead
ActiveEnterTimestampMonotonic=0"""
SHOWN = f"{UNKNOWN}\n\n{SSH}\n\n{FAILED}\n\n{NGINX}"


def test_a_unit_that_runs():
    seen = units.seen("nginx.service", SHOWN, 100.0)
    assert (seen.state, seen.identity, seen.restarts, seen.since_s) == (State.UP, "6f1d3c", 0, 10.0)


@pytest.mark.parametrize(
    ("name", "state", "says"),
    [
        ("sshd.service", State.STARTING, "activating (auto-restart)"),
        ("app.service", State.DOWN, "failed (failed), result exit-code"),
        ("apq.service", State.DOWN, "there is no such unit"),
        ("other.service", State.UNKNOWN, "systemctl does not tell"),
    ],
)
def test_other_states(name, state, says):
    seen = units.seen(name, SHOWN, 100.0)
    assert seen.state is state
    assert says in seen.said


def test_a_host_without_systemd():
    assert units.seen("nginx.service", "no systemctl", 1.0).state is State.UNKNOWN
    assert units.seen("nginx.service", "", 1.0).state is State.UNKNOWN


def test_a_masked_unit_is_down():
    text = NGINX.replace("LoadState=loaded", "LoadState=masked").replace(
        "ActiveState=active", "ActiveState=inactive"
    )
    assert units.seen("nginx.service", text, 1.0).state is State.DOWN


def test_names_cannot_be_options_or_shell():
    assert "-- '-H evil'" in units.command(["-H evil"])


def stack() -> tuple[Stack, Hosts]:
    component = {"name": "nginx", "hosts": "web1", "unit": "nginx.service"}
    wanted = Stack.model_validate({"components": [component], "every": "10ms"})
    return wanted, Hosts.model_validate({"servers": [{"name": "web1", "connection": "local://"}]})


def test_over_a_hosts_script_with_a_stand_in(tmp_path, monkeypatch):
    """A stand-in prints what it is given: an old start, and in each later call one more restart."""
    (tmp_path / "said").write_text(NGINX)
    program = tmp_path / "systemctl"
    program.write_text(f'#!/bin/sh\n[ "$1 $2" = "show --no-pager" ] && cat {tmp_path}/said\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    wanted, hosts = stack()
    found = judge.judge_health(probe.health(wanted, hosts), wanted)
    # The recording's unit is active since 90 s after the start of the host.
    assert found.verdict in (Verdict.PASS, Verdict.INCONCLUSIVE)
    assert "up in 3 of 3 reads" in {reading.value for reading in found.readings}
    counting = f"N=$(cat {tmp_path}/n 2>/dev/null || echo 0); echo $((N + 1)) >{tmp_path}/n"
    program.write_text(f'#!/bin/sh\n{counting}\nsed "s/NRestarts=0/NRestarts=$N/" {tmp_path}/said\n')
    flapping = judge.judge_health(probe.health(wanted, hosts), wanted)
    assert flapping.verdict is Verdict.FAIL
    assert "it restarts: 2 times within" in flapping.reason


def test_a_systemctl_without_systemd_is_unknown(tmp_path, monkeypatch):
    program = tmp_path / "systemctl"
    program.write_text(
        "#!/bin/sh\necho 'System has not been booted with systemd as init system' >&2\nexit 1\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    wanted, hosts = stack()
    found = judge.judge_health(probe.health(wanted, hosts), wanted)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "exit code 1" in found.reason
