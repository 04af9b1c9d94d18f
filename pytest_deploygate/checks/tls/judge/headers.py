"""HSTS, the redirect to HTTPS, and the score of the security headers."""

from __future__ import annotations

import re
from dataclasses import field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pytest_deploygate.checks.tls.facts import HttpAnswers, Page
from pytest_deploygate.checks.tls.judge import observatory
from pytest_deploygate.checks.tls.section.guidelines import Profile, scores
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.redaction import shortened

if TYPE_CHECKING:
    from pytest_deploygate.checks.tls.section.endpoints import Http

#: The preload list accepts no name with a shorter max-age (hstspreload.org, 1 year).
_PRELOAD_S = 31_536_000
#: `5; url=https://…`: the seconds, then where to (HTML, "shared declarative refresh steps").
_AFTER = re.compile(r"\d\s*[;,]\s*(?:url\s*=\s*)?[\"']?\s*(https?:[^\"'>\s]+)", re.IGNORECASE)


@dataclass()
class Look:
    """What is wrong, unknown, or worth a note; `score` and `grade` as the Observatory computes them."""

    wrong: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    score: int | None = None
    grade: str = ""


def look(found: HttpAnswers | None, expected: Http, profile: Profile, host: str) -> Look:
    """Judge an address's HTTP answers. A missing answer (HTTPS, plain HTTP, or another origin) is unknown."""
    said = Look()
    if found is None or found.page is None:
        said.unknown.append(
            f"no HTTPS answer: {(found.page_problem if found else '') or 'it was not requested'}"
        )
        return said
    if expected.hsts:
        _hsts(found.page, profile, said)
    if found.cors is None:
        said.unknown.append(
            "what another origin may read is unknown: that request was not answered; run this again"
        )
    _downgrade(found.page, host, said)
    _redirect(found, expected, host, said)
    results = observatory.results(found, expected, host)
    said.score, said.grade = observatory.score(results)
    costs = [r for r in results if scores().modifiers[r] < 0]
    if said.score < expected.min_score:
        said.wrong.append(
            f"security headers score {said.score} ({said.grade}), at least {expected.min_score} is required; set what is missing: {', '.join(costs)}"
        )
    else:
        said.notes.append(
            f"security headers: {said.score} ({said.grade})" + (f"; {', '.join(costs)}" if costs else "")
        )
    return said


def _downgrade(page: Page, host: str, said: Look) -> None:
    """Report what else clients get: a way back to plain HTTP, or that the headers are those of a redirect or an error page."""
    target = observatory.leads_to(page)
    if target is not None and target[0] == "http":
        where = shortened(page.first("location") or "", 80)
        if target[1] == host.lower():
            said.wrong.append(
                f"HTTPS answers {page.status} to {where}, back to plain HTTP: redirect to https://{host} or serve the page"
            )
        else:
            said.notes.append(f"HTTPS answers {page.status} to {where}, which is plain HTTP")
    elif target is not None:
        where = shortened(page.first("location") or "nowhere", 80)
        said.notes.append(
            f"HTTPS answers {page.status} to {where}: headers and cookies are those of the redirect, the page itself was not looked at; "
            "name it with `http.path`"
        )
    elif (where := _refreshed_to(page)) and _is_plain(where, host):
        said.wrong.append(
            f"the page sends browsers on to {shortened(where, 80)} (Refresh), back to plain HTTP: name https://{host} there"
        )
    elif page.status >= 400:
        said.notes.append(f"the page answers {page.status}, so the headers are those of an error page")


def _refreshed_to(page: Page) -> str:
    """Return where a page sends browsers on by a Refresh header or `<meta http-equiv=refresh>`; empty if it does not."""
    for said in (*page.all("refresh"), *observatory.meta(page).get("refresh", ())):
        if found := _AFTER.search(said):
            return found[1].strip()
    return ""


def _is_plain(where: str, host: str) -> bool:
    try:
        target = urlsplit(where)
    except ValueError:
        return False
    return target.scheme.lower() == "http" and (target.hostname or "").lower() == host.lower()


def _hsts(page: Page, profile: Profile, said: Look) -> None:
    age = observatory.hsts_age(page)
    values = page.all("strict-transport-security")
    if age is None:
        what = (
            f"the HSTS header is not valid: {shortened(values[0], 60)}"
            if values
            else "no HSTS header (Strict-Transport-Security)"
        )
        said.wrong.append(f"{what}: send max-age={profile.hsts_age_s}")
        return
    if age < profile.hsts_age_s:
        said.wrong.append(
            f"HSTS max-age is {age} s, {profile.title} requires at least {profile.hsts_age_s} s: raise it"
        )
    if len(values) > 1:
        said.notes.append("HSTS is sent more than once; clients use the first")
    parts = [part.strip().lower() for part in values[0].split(";")]
    below = "includesubdomains" in parts
    if not below:
        said.notes.append(
            "HSTS lacks includeSubDomains: names below this one may be requested over plain HTTP"
        )
    if "preload" in parts and not (below and age >= _PRELOAD_S):
        said.notes.append(
            f"HSTS has preload, but the preload list requires includeSubDomains and max-age of at least {_PRELOAD_S}"
        )


def _not_offered(found: HttpAnswers, host: str, said: Look) -> None:
    """`redirect_port: none` says that there is no plain HTTP. Without an answer there is none."""
    if found.plain is None:
        return
    if observatory.leads_to(found.plain) == ("https", host.lower()):
        said.notes.append(
            "port 80 redirects to HTTPS, although `redirect_port: none` says that it is not offered"
        )
    else:
        said.wrong.append(
            f"port 80 answers plain HTTP ({found.plain.status}), although `redirect_port: none` says that it is not offered: close "
            f"it, or redirect it to https://{host} and leave the key out"
        )


def _redirect(found: HttpAnswers, expected: Http, host: str, said: Look) -> None:
    if expected.redirect_port == "none":
        _not_offered(found, host, said)
        return
    port = expected.redirect_port
    if found.plain is None:
        if found.plain_refused:
            said.notes.append(f"plain HTTP is not offered on port {port}, so there is nothing to redirect")
        else:
            said.unknown.append(
                f"whether plain HTTP redirects cannot be determined: {found.plain_problem or 'it was not requested'}"
            )
        return
    target = observatory.leads_to(found.plain)
    if found.plain.all("set-cookie"):
        said.notes.append(f"plain HTTP on port {port} sets a cookie, which anyone on the way can read")
    if target is None:
        said.wrong.append(
            f"plain HTTP on port {port} answers {found.plain.status} and does not redirect to HTTPS: "
            f"answer 301 with Location: https://{host}…"
        )
    elif target != ("https", host.lower()):
        where = shortened(found.plain.first("location") or "", 80)
        said.wrong.append(
            f"plain HTTP on port {port} redirects to {where or 'nowhere'}, not to https://{host}: fix its Location"
        )
    elif found.plain.status in (302, 303, 307):
        said.notes.append(f"the redirect to HTTPS is temporary ({found.plain.status})")
