"""Limits by IPv6 network, on a real nginx in a network namespace with addresses of two networks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from checks.ddos.nginx_limits import NGINX

FRONT, FIRST, NEXT, ELSEWHERE = "fd00:0:0:9::1", "fd00:0:0:1::1", "fd00:0:0:1::2", "fd00:0:0:2::1"
NETWORKS = 'map $remote_addr $source { "~^fd00:0:0:1:" one; default $remote_addr; } limit_req_zone $source zone=n:1m rate=20r/s;'
BY_ADDRESS, BY_NETWORK = "limit_req zone=z burst=20 nodelay;", "limit_req zone=n burst=20 nodelay;"
WITHIN = """
import json, sys
from pathlib import Path
from checks.ddos.nginx_limits import nginx
from pytest_deploygate.checks.ddos import judge, probe
from pytest_deploygate.checks.ddos.section import Ddos
from pytest_deploygate.clients.budget import unrecorded
given = json.loads(sys.argv[1])
with nginx(Path(given["folder"]), given["limit"], zones=given["zones"], address=f"[{given['front']}]") as port:
    url = f"http://[{given['front']}]:{port}/search"
    slow = {"name": "front", "url": url, "leave_out": ["body", "stalled-body", "headers", "silent"],
            "idle_within": "2s", "connections": 1}
    limit = {"name": "search", "url": url, "rate": "20/s", "burst": 20, "recovers": "3s", **given["more"]}
    ddos = Ddos.model_validate({"limits": [limit], "slow": [slow], "opt_in": "t", "burst_from": given["burst_from"],
                                "second": {"address": given["second"]}})
    found = judge.judge(probe.drilled(ddos, None, "t", unrecorded("sec.ddos"), allowed=False), ddos)
print(json.dumps([found.verdict.value, found.reason, list(found.notes)]))
"""


def can_have_namespaces() -> bool:
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"):
        return False
    script = "ip link set lo up && ip address add fd00::1/128 dev lo"
    return (
        subprocess.run(["unshare", "--net", "sh", "-c", script], check=False, capture_output=True).returncode
        == 0
    )


pytestmark = pytest.mark.skipif(
    not NGINX or not can_have_namespaces(), reason="needs nginx, root and namespaces with IPv6"
)


def judged(
    folder: Path, limit: str, burst_from: list[str], second: str = ELSEWHERE, **more: object
) -> tuple[str, str, list[str]]:
    given = {"folder": str(folder), "limit": limit, "zones": NETWORKS, "front": FRONT, "burst_from": burst_from,
             "second": second, "more": more}  # fmt: skip
    addresses = " && ".join(f"ip address add {each}/128 dev lo" for each in (FRONT, FIRST, NEXT, ELSEWHERE))
    script = f'ip link set lo up && {addresses} && exec "$@"'
    argv = ["unshare", "--net", "sh", "-c", script, "sh", sys.executable, "-c", WITHIN, json.dumps(given)]
    path = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    done = subprocess.run(
        argv, check=False, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, timeout=120
    )
    assert done.returncode == 0, done.stderr
    verdict, reason, notes = json.loads(done.stdout)
    return verdict, reason, notes


@pytest.mark.long
def test_an_address_is_a_source_and_nothing_else_is_declared(tmp_path):
    verdict, reason, notes = judged(tmp_path, BY_ADDRESS, [FIRST, NEXT])
    assert verdict == "pass", reason
    assert any("each IPv6 address has a limit of its own" in note for note in notes)


@pytest.mark.long
def test_an_address_is_a_source_and_a_network_is_declared(tmp_path):
    verdict, reason, _ = judged(tmp_path, BY_ADDRESS, [FIRST, NEXT], ipv6_prefix=64)
    assert verdict == "fail"
    assert "each address of an IPv6 network has a limit of its own" in reason
    assert "ipmask(32,64)" in reason


@pytest.mark.long
def test_a_network_is_a_source_as_declared(tmp_path):
    verdict, reason, _ = judged(tmp_path, BY_NETWORK, [FIRST, NEXT], ipv6_prefix=64)
    assert verdict == "pass", reason


@pytest.mark.long
def test_a_second_source_of_the_same_network(tmp_path):
    verdict, reason, _ = judged(tmp_path, BY_NETWORK, [FIRST], second=NEXT)
    assert verdict == "inconclusive"
    assert f"it is of the same IPv6 network as {FIRST}" in reason


@pytest.mark.long
def test_a_network_that_is_declared_and_cannot_be_tried(tmp_path):
    verdict, reason, _ = judged(tmp_path, BY_NETWORK, [FIRST], ipv6_prefix=64)
    assert verdict == "inconclusive"
    assert "whether a /64 counts as one source was not tried" in reason
