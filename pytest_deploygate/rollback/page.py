"""The maintenance page, switched by a flag file that the web server checks (nginx: `if (-f FLAG) { return 503; }`)."""

from __future__ import annotations

import shlex

import requests

from pytest_deploygate.checks.way_back.section.rollback_actions import MaintenancePage
from pytest_deploygate.clients import reach
from pytest_deploygate.clients.host import commands
from pytest_deploygate.clients.http import sending
from pytest_deploygate.rollback.verification import Verified

_COMMAND_S = 20.0


def plan(page: MaintenancePage) -> Verified:
    """Check whether the flag can be set or removed on every host, and the page's current state."""
    folder = shlex.quote(str(page.flag.parent))
    bad = []
    for host in page.hosts:
        ran = commands.run(f"test -d {folder} && test -w {folder}", host=host, within_s=_COMMAND_S)
        if reach.why_ours_in(ran.problem):
            bad.append(f"{_name(host)}: {ran.problem}")
        elif ran.problem:
            bad.append(f"{page.flag.parent} is not writable on {_name(host)}")
    would = f"{'create' if page.state == 'on' else 'remove'} {page.flag}; now: {_seen(page).said}"
    return Verified(not bad, "; ".join(bad) or would)


def switch(page: MaintenancePage) -> str:
    """Create or remove the flag. Return what went wrong. Doing it twice does no harm."""
    flag = shlex.quote(str(page.flag))
    command = f"touch {flag}" if page.state == "on" else f"rm -f {flag}"
    for host in page.hosts:
        ran = commands.run(command, host=host, within_s=_COMMAND_S)
        if ran.problem:
            return f"`{ran.command}` on {_name(host)} {ran.problem}"
    return ""


def verify(page: MaintenancePage) -> Verified:
    """Check the flag on every host, and the page as a user sees it."""
    flag = shlex.quote(str(page.flag))
    test = f"test -e {flag}" if page.state == "on" else f"test ! -e {flag}"
    for host in page.hosts:
        if commands.run(test, host=host, within_s=_COMMAND_S).problem:
            there = "is missing" if page.state == "on" else "still exists"
            return Verified(False, f"the flag {page.flag} {there} on {_name(host)}")
    return _seen(page)


def _seen(page: MaintenancePage) -> Verified:
    """Request the page as a user: on is 503 with Retry-After (RFC 9110, 15.6.4 and 10.2.3) and the page's text."""
    try:
        answer = sending.get(page, page.url, page.timeout.total_seconds(), afresh=True, allow_redirects=False)
    except (requests.RequestException, OSError) as error:
        return Verified(False, f"{page.url} cannot be reached: {sending.why(error)}")
    if page.state == "off":
        return Verified(answer.status_code in page.status, f"{page.url} answers {answer.status_code}")
    if answer.status_code != requests.codes.service_unavailable:
        return Verified(False, f"{page.url} answers {answer.status_code}, not the maintenance page (503)")
    if "Retry-After" not in answer.headers:
        return Verified(
            False, f"{page.url} answers 503 without Retry-After: search engines and clients give up"
        )
    if lacking := [text for text in page.contains if text not in answer.text]:
        return Verified(False, f"{page.url} answers 503 but the page lacks {lacking[0]!r}")
    return Verified(
        True, f"{page.url} shows the maintenance page (503, Retry-After {answer.headers['Retry-After']})"
    )


def _name(host: str) -> str:
    return "this host" if host == commands.LOCAL else host.partition("://")[2] or host
