"""HSTS, the redirect to HTTPS, and the security headers scored as Mozilla's HTTP Observatory does.

Not scored here, because it needs a browser or other origins: subresource integrity, HSTS preload, redirects off the host.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie

from pytest_deploygate.inventory.edge import Http
from pytest_deploygate.inventory.guidelines import Profile, scores
from pytest_deploygate.probes.http_answers import HttpAnswers, Page

_SIX_MONTHS_S = 15_552_000
_PRIVATE = ("no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin")
_LEAKY = ("origin", "origin-when-cross-origin", "unsafe-url", "no-referrer-when-downgrade")
_BROAD = ("ftp:", "http:", "https:", "*", "http://*", "https://*", "data:", "blob:")
_PASSIVE = ("img-src", "media-src")
_SESSION = re.compile(r"sess|login|token|auth", re.IGNORECASE)


@dataclass(slots=True)
class Look:
    """What was found wrong, not known, and worth a note; `score` and `grade` as the Observatory counts."""

    wrong: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    score: int | None = None
    grade: str = ""


def look(found: HttpAnswers | None, expected: Http, profile: Profile, host: str) -> Look:
    """Judge an address's HTTP answers."""
    said = Look()
    if found is None or found.page is None:
        said.unknown.append(f"no HTTPS answer: {found.page_problem if found else 'it was not asked'}")
        return said
    if expected.hsts:
        _hsts(found.page, profile, said)
    _redirect(found, expected, host, said)
    results = [*_results(found.page), _redirect_result(found, expected, host)]
    said.score, said.grade = score(results)
    costs = [r for r in results if scores().modifiers[r] < 0]
    if said.score < expected.min_score:
        said.wrong.append(
            f"security headers score {said.score} ({said.grade}), at least {expected.min_score} is wanted: {', '.join(costs)}"
        )
    else:
        said.notes.append(
            f"security headers: {said.score} ({said.grade})" + (f"; {', '.join(costs)}" if costs else "")
        )
    return said


def score(results: list[str]) -> tuple[int, str]:
    """Count as the Observatory does: extra credit only from 90 on, never under 0."""
    table = scores()
    values = [table.modifiers[result] for result in results]
    total = 100 + sum(value for value in values if value < 0)
    if total >= table.extra_credit_from:
        total += sum(value for value in values if value > 0)
    total = max(total, 0)
    return total, next(grade for least, grade in table.grades if min(total, 100) >= least)


def _age(page: Page) -> int | None:
    """Return the max-age of the one HSTS header in seconds; None where it is missing or not valid (RFC 6797)."""
    values = page.all("strict-transport-security")
    if not values:
        return None
    ages = [
        part.strip()[8:].strip('"')
        for part in values[0].lower().split(";")
        if part.strip().startswith("max-age=")
    ]
    return int(ages[0]) if len(ages) == 1 and ages[0].isdigit() else None


def _hsts(page: Page, profile: Profile, said: Look) -> None:
    age = _age(page)
    values = page.all("strict-transport-security")
    if age is None:
        what = (
            f"the HSTS header cannot be used: {values[0][:60]}"
            if values
            else "no HSTS header (Strict-Transport-Security)"
        )
        said.wrong.append(f"{what}: send max-age={profile.hsts_age_s}")
    elif age < profile.hsts_age_s:
        said.wrong.append(f"HSTS max-age is {age} s, {profile.title} wants at least {profile.hsts_age_s} s")
    if len(values) > 1:
        said.notes.append("HSTS is sent twice; clients take the first")


def _redirect(found: HttpAnswers, expected: Http, host: str, said: Look) -> None:
    if expected.redirect_port == "none":
        return
    port = expected.redirect_port
    if found.plain is None:
        if found.plain_refused:
            said.notes.append(f"plain HTTP is not offered on port {port}, so there is nothing to redirect")
        else:
            said.unknown.append(f"whether plain HTTP redirects cannot be told: {found.plain_problem}")
        return
    target = found.plain.first("location") or ""
    if found.plain.status not in (301, 302, 303, 307, 308):
        said.wrong.append(
            f"plain HTTP on port {port} answers {found.plain.status} and does not redirect to HTTPS"
        )
    elif not target.lower().startswith(f"https://{host}".lower()):
        said.wrong.append(
            f"plain HTTP on port {port} redirects to {target[:80] or 'nowhere'}, not to https://{host}"
        )
    elif found.plain.status in (302, 303, 307):
        said.notes.append(f"the redirect to HTTPS is a temporary one ({found.plain.status})")


def _redirect_result(found: HttpAnswers, expected: Http, host: str) -> str:
    if expected.redirect_port == "none" or found.plain is None:
        return "redirection-no-http"
    target = (found.plain.first("location") or "").lower()
    if found.plain.status not in (301, 302, 303, 307, 308):
        return "redirection-missing"
    if not target.startswith("https://"):
        return "redirection-not-to-https"
    return "redirection-to-https" if target.startswith(f"https://{host}".lower()) else "redirection-off-host"


def _results(page: Page) -> list[str]:
    policy = _policy(page)
    return [
        _csp(page, policy),
        _cookies(page),
        _cors(page),
        _hsts_result(page),
        _referrer(page),
        _nosniff(page),
        _frames(page, policy),
        _one_of(page, "cross-origin-resource-policy", "corp", {"same-origin": "corp-same-origin", "same-site": "corp-same-origin", "cross-origin": "corp-cross-origin"}),
        _one_of(page, "cross-origin-embedder-policy", "coep", {"require-corp": "coep-required", "credentialless": "coep-required", "unsafe-none": "coep-unsafe-none"}),
        _one_of(page, "cross-origin-opener-policy", "coop", {"same-origin": "coop-isolated", "same-origin-allow-popups": "coop-isolated", "noopener-allow-popups": "coop-isolated", "unsafe-none": "coop-unsafe-none"}),
    ]  # fmt: skip


def _one_of(page: Page, header: str, short: str, known: dict[str, str]) -> str:
    value = page.first(header)
    return (
        f"{short}-missing"
        if value is None
        else known.get(value.split(";")[0].strip().lower(), f"{short}-invalid")
    )


def _policy(page: Page) -> dict[str, set[str]]:
    """Read the content security policy; of several the sources of a directive that all of them allow."""
    merged: dict[str, set[str]] = {}
    for text in page.all("content-security-policy"):
        for directive in text.split(";"):
            name, *sources = (
                directive.split()[:1] + directive.lower().split()[1:] if directive.strip() else [""]
            )
            name = name.lower()
            if name and name in merged:
                merged[name] &= set(sources)
            elif name:
                merged[name] = set(sources)
    return merged


def _csp(page: Page, policy: dict[str, set[str]]) -> str:
    if not policy:
        return "csp-report-only" if page.first("content-security-policy-report-only") else "csp-missing"
    default = policy.get("default-src", {"*"})
    script, style = set(policy.get("script-src", default)), set(policy.get("style-src", default))
    objects = policy.get("object-src", default)
    for sources in (script, style):
        if any(s.startswith(("'nonce-", "'sha256-", "'sha384-", "'sha512-")) for s in sources):
            sources.discard("'unsafe-inline'")
    if script & {*_BROAD, "'unsafe-inline'"} or objects & set(_BROAD):
        return "csp-unsafe-inline"
    active = set().union(*(s for d, s in policy.items() if d not in (*_PASSIVE, "script-src")), script)
    if any(source.startswith(("http:", "ftp:")) for source in active):
        return "csp-insecure-scheme"
    if "'unsafe-eval'" in script | style:
        return "csp-unsafe-eval"
    if any(s.startswith(("http:", "ftp:")) for d in _PASSIVE for s in policy.get(d, default)):
        return "csp-insecure-scheme-passive"
    if style & {*_BROAD, "'unsafe-inline'"}:
        return "csp-unsafe-style-only"
    return "csp-none-by-default" if policy.get("default-src") == {"'none'"} else "csp-without-unsafe"


def _cookies(page: Page) -> str:
    worst, all_strict = "cookies-none", True
    for text in page.all("set-cookie"):
        try:
            cookie = next(iter(SimpleCookie(text).values()))
        except (CookieError, StopIteration):
            continue
        session = bool(_SESSION.search(cookie.key))
        same_site = str(cookie["samesite"]).lower()
        all_strict &= same_site in ("lax", "strict")
        result = "cookies-secure-httponly"
        if same_site not in ("", "lax", "strict", "none"):
            result = "cookies-samesite-invalid"
        if "csrf" in cookie.key.lower() and not same_site:
            result = "cookies-anticsrf-without-samesite"
        if not cookie["secure"]:
            protected = "-but-hsts" if _age(page) else ""
            result = f"cookies-session-insecure{protected}" if session else f"cookies-insecure{protected}"
        elif session and not cookie["httponly"]:
            result = "cookies-session-without-httponly"
        worst = min((worst, result), key=lambda name: (scores().modifiers[name], name == "cookies-none"))
    return "cookies-secure-httponly-samesite" if worst == "cookies-secure-httponly" and all_strict else worst


def _cors(page: Page) -> str:
    origin = page.first("access-control-allow-origin")
    if origin is None:
        return "cors-none"
    return "cors-public" if origin.strip() == "*" else "cors-restricted"


def _hsts_result(page: Page) -> str:
    age = _age(page)
    if age is None:
        return "hsts-invalid" if page.all("strict-transport-security") else "hsts-missing"
    return "hsts-six-months" if age >= _SIX_MONTHS_S else "hsts-short"


def _referrer(page: Page) -> str:
    value = page.first("referrer-policy")
    if value is None:
        return "referrer-missing"
    known = [p.strip().lower() for p in value.split(",") if p.strip().lower() in (*_PRIVATE, *_LEAKY)]
    return (
        "referrer-invalid"
        if not known
        else "referrer-private"
        if known[-1] in _PRIVATE
        else "referrer-unsafe"
    )


def _nosniff(page: Page) -> str:
    value = page.first("x-content-type-options")
    return (
        "nosniff-missing"
        if value is None
        else "nosniff"
        if value.strip().lower() == "nosniff"
        else "nosniff-invalid"
    )


def _frames(page: Page, policy: dict[str, set[str]]) -> str:
    if "frame-ancestors" in policy and not policy["frame-ancestors"] & set(_BROAD):
        return "frames-by-csp"
    value = page.first("x-frame-options")
    if value is None:
        return "frames-missing"
    value = value.strip().lower()
    return (
        "frames-denied"
        if value in ("deny", "sameorigin")
        else "frames-allow-from"
        if value.startswith("allow-from ")
        else "frames-invalid"
    )
