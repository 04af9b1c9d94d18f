"""Redeploying the old version of the application host by host: the first failure leaves the other hosts as they are."""

from __future__ import annotations

from pytest_deploygate.checks.way_back.section.rollback_actions import Redeploy
from pytest_deploygate.clients.host import commands
from pytest_deploygate.rollback import docker, kubernetes, systemd
from pytest_deploygate.rollback.verification import Verified

_CHECK_S = 60.0


def plan(wanted: Redeploy) -> Verified:
    """Check on every host whether it could be done, and what would be done."""
    return _all([_plan(wanted, host) for host in wanted.hosts], wanted.hosts)


def deploy(wanted: Redeploy, within_s: float, mark: int | None = None) -> str:
    """Deploy on one host after another. Return what went wrong."""
    for host in wanted.hosts:
        if problem := _deploy(wanted, host, within_s, mark):
            return f"{problem}{_on(host)}"
    return ""


def verify(wanted: Redeploy) -> Verified:
    """Check on every host that the old version runs."""
    return _all([_verify(wanted, host) for host in wanted.hosts], wanted.hosts)


def _plan(wanted: Redeploy, host: str) -> Verified:
    if wanted.kubernetes is not None:
        return kubernetes.plan(wanted.kubernetes, host)
    if wanted.docker is not None:
        return docker.plan(wanted.docker, host)
    if wanted.systemd is not None:
        return systemd.plan(wanted.systemd, host)
    # The check does not show whether the command would work; only that its host runs commands can be verified.
    there = commands.run("true", host=host, within_s=_CHECK_S)
    return Verified(not there.problem, there.problem or f"run `{wanted.command}`")


def _deploy(wanted: Redeploy, host: str, within_s: float, mark: int | None) -> str:
    if wanted.kubernetes is not None:
        return kubernetes.deploy(wanted.kubernetes, host, within_s, mark)
    if wanted.docker is not None:
        return docker.deploy(wanted.docker, host, within_s, mark)
    if wanted.systemd is not None:
        return systemd.deploy(wanted.systemd, host, within_s, mark)
    ran = commands.run(wanted.command or "", host=host, within_s=within_s, mark=mark)
    return f"`{ran.command}` {ran.problem}" if ran.problem else ""


def _verify(wanted: Redeploy, host: str) -> Verified:
    if wanted.kubernetes is not None:
        return kubernetes.verify(wanted.kubernetes, host)
    if wanted.docker is not None:
        return docker.verify(wanted.docker, host)
    if wanted.systemd is not None:
        return systemd.verify(wanted.systemd, host)
    ran = commands.run(wanted.check or "", host=host, within_s=_CHECK_S)
    return Verified(not ran.problem, f"`{ran.command}` {ran.problem or f'ended with 0: {ran.said}'}")


def _all(found: list[Verified], hosts: list[str]) -> Verified:
    bad = [f"{one.said}{_on(host)}" for one, host in zip(found, hosts, strict=True) if not one.good]
    good = "; ".join(dict.fromkeys(one.said for one in found))
    return Verified(not bad, "; ".join(bad) or good)


def _on(host: str) -> str:
    return "" if host == commands.LOCAL else f" on {host.partition('://')[2] or host}"
