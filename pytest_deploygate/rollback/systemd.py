"""Switching a link to the old release and restarting units on one host. From systemctl's manual, not yet run on a real systemd.

A unit counts only if it started after the link was switched: a crash in between would leave the new version running.
"""

from __future__ import annotations

import shlex

from pytest_deploygate.checks.way_back.section.rollback_actions import Systemd
from pytest_deploygate.clients.host import commands
from pytest_deploygate.rollback.verification import Verified

_READ_S = 30.0
# `mv -T` replaces the link atomically; `ln -sfn` alone leaves a moment without one.
_SWITCH = """
set -e
[ -d {to} ] || {{ echo "there is no folder {to}"; exit 1; }}
ln -sfn {to} {link}.deploygate
mv -T {link}.deploygate {link}
systemctl daemon-reload
systemctl restart {units}
"""
# --timestamp=unix needs systemd 247; the output of an older one cannot be compared and counts as too early.
_VERIFY = """
[ "$(readlink -f {link})" = "$(readlink -f {to})" ] || {{ echo "{link} points to $(readlink -f {link})"; exit 1; }}
since=$(stat -c %Y {link})
for unit in {units}; do
  systemctl is-active --quiet "$unit" || {{ echo "$unit is $(systemctl is-active "$unit")"; exit 1; }}
  began=$(systemctl show --property=ActiveEnterTimestamp --value --timestamp=unix "$unit")
  [ "${{began#@}}" -ge "$since" ] 2>/dev/null || {{ echo "$unit was started before the link was switched"; exit 1; }}
done
"""


def plan(wanted: Systemd, host: str) -> Verified:
    """Check that the old release and the units exist."""
    units = " ".join(map(shlex.quote, wanted.units))
    look = f"test -d {shlex.quote(wanted.to)} && systemctl cat {units} >/dev/null && readlink -f {shlex.quote(wanted.link)}"
    ran = commands.run(look, host=host, within_s=_READ_S)
    if ran.problem:
        return Verified(False, f"`{ran.command}` {ran.problem}")
    return Verified(True, f"{wanted.link}, now {ran.said}, to {wanted.to}; restart {', '.join(wanted.units)}")


def deploy(wanted: Systemd, host: str, within_s: float, mark: int | None) -> str:
    """Switch the link and restart the units. Return what went wrong. Doing it twice restarts them twice."""
    ran = commands.run(_filled(_SWITCH, wanted), host=host, within_s=within_s, mark=mark)
    return f"switching {wanted.link} to {wanted.to} and restarting {ran.problem}" if ran.problem else ""


def verify(wanted: Systemd, host: str) -> Verified:
    """Check where the link points, and that every unit was started since."""
    ran = commands.run(_filled(_VERIFY, wanted), host=host, within_s=_READ_S)
    return Verified(
        not ran.problem, ran.said if ran.problem else f"{', '.join(wanted.units)} active on {wanted.to}"
    )


def _filled(script: str, wanted: Systemd) -> str:
    units = " ".join(map(shlex.quote, wanted.units))
    return script.format(link=shlex.quote(wanted.link), to=shlex.quote(wanted.to), units=units)
