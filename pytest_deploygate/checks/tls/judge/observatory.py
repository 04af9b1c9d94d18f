"""Security headers scored as Mozilla's HTTP Observatory does, test by test (mdn/mdn-http-observatory, src/analyzer/tests).

Each function returns the name of a result; its points are in the data (`section/data/observatory.json`). HSTS preload and
redirects after the first are left out: they need a list or other origins. With several policies, a directive that only a
later one has counts here, as in a browser; the Observatory treats it as 'none'.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pytest_deploygate.checks.tls.facts import HttpAnswers, Page
from pytest_deploygate.checks.tls.judge import csp
from pytest_deploygate.checks.tls.judge import integrity as scripts
from pytest_deploygate.checks.tls.section.guidelines import scores
from pytest_deploygate.lazy import dataclass

if TYPE_CHECKING:
    from pytest_deploygate.checks.tls.section.endpoints import Http

_SIX_MONTHS_S = 15_552_000
#: Only ASCII digits, and no more than Python converts.
_SECONDS = re.compile(r"[0-9]{1,18}")
_REDIRECTS = (301, 302, 303, 307, 308)
_PRIVATE = ("no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin")
_LEAKY = ("origin", "origin-when-cross-origin", "unsafe-url", "no-referrer-when-downgrade")
_ONLY_IN_HEADERS = ("frame-ancestors", "report-uri", "sandbox")
#: Defects of cookies, the least severe first: the Observatory's own order.
_COOKIES = (
    "cookies-insecure-but-hsts", "cookies-insecure", "cookies-session-insecure-but-hsts", "cookies-samesite-invalid",
    "cookies-anticsrf-without-samesite", "cookies-session-without-httponly", "cookies-session-insecure",
)  # fmt: skip
_CORP = {
    "same-origin": "corp-same-origin",
    "same-site": "corp-same-origin",
    "cross-origin": "corp-cross-origin",
}
_COEP = {
    "require-corp": "coep-required",
    "credentialless": "coep-required",
    "unsafe-none": "coep-unsafe-none",
}
_COOP = {
    "same-origin": "coop-isolated",
    "same-origin-allow-popups": "coop-isolated",
    "noopener-allow-popups": "coop-isolated",
    "unsafe-none": "coop-unsafe-none",
}


def score(results: list[str]) -> tuple[int, str]:
    """Compute the score as the Observatory does: extra credit only from 90 points, never below 0."""
    table = scores()
    values = [table.modifiers[result] for result in results]
    total = 100 + sum(value for value in values if value < 0)
    if total >= table.extra_credit_from:
        total += sum(value for value in values if value > 0)
    total = max(total, 0)
    return total, next(grade for least, grade in table.grades if min(total, 100) >= least)


def results(found: HttpAnswers, expected: Http, host: str) -> list[str]:
    """Return the result of each test. Raises TypeError without a page."""
    page = found.page
    if page is None:
        raise TypeError("there is no page to score")
    inside = meta(page)
    return [
        _csp(page, inside),
        _cookies(page),
        _cors(found.cors),
        _hsts(page),
        _redirect(found, expected, host),
        _referrer(page, inside),
        _nosniff(page),
        _frames(page),
        scripts.integrity(page, host),
        _one_of(page, "cross-origin-resource-policy", "corp", _CORP),
        _one_of(page, "cross-origin-embedder-policy", "coep", _COEP),
        _one_of(page, "cross-origin-opener-policy", "coop", _COOP),
    ]


class _Meta(scripts.Markup):
    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, list[str]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what a page declares instead of a header."""
        said = dict(attrs)
        if tag == "meta" and (name := (said.get("http-equiv") or "").lower()):
            self.found.setdefault(name, []).append(said.get("content") or "")


def meta(page: Page) -> dict[str, list[str]]:
    """Return what a page declares by `<meta http-equiv>`: names in lower case, contents in order."""
    parser = _Meta()
    parser.feed(page.body)
    return parser.found


def _csp(page: Page, tags: dict[str, list[str]]) -> str:
    headers = [csp.parsed(text) for text in page.all("content-security-policy")]
    inside = [csp.parsed(text) for text in tags.get("content-security-policy", ())]
    if None in headers or None in inside:
        return "csp-invalid"
    for policy in inside:
        for name in _ONLY_IN_HEADERS:
            (policy or {}).pop(name, None)
    policy = csp.together([one for one in (*headers, *inside) if one])
    if not policy:
        return "csp-report-only" if page.first("content-security-policy-report-only") else "csp-missing"
    return csp.rated(policy)


@dataclass(frozen=True)
class _Cookie:
    """One Set-Cookie header: the cookie's name in lower case and its attributes (RFC 6265 section 5.2)."""

    name: str
    attributes: dict[str, str]


def _cookie(text: str) -> _Cookie:
    pair, *rest = text.split(";")
    parts = [part.partition("=") for part in rest]
    return _Cookie(
        pair.partition("=")[0].strip().lower(),
        {name.strip().lower(): value.strip().lower() for name, _, value in parts},
    )


def _cookies(page: Page) -> str:
    found = [_cookie(text) for text in page.all("set-cookie")]
    found = [cookie for cookie in found if cookie.name not in ("", "heroku-session-affinity")]
    if not found:
        return "cookies-none"
    hsts = _hsts(page) == "hsts-six-months"
    wrong = {result for cookie in found for result in _wrong_with(cookie, hsts=hsts)}
    if wrong:
        return max(wrong, key=_COOKIES.index)
    strict = all(cookie.attributes.get("samesite") for cookie in found)
    return "cookies-secure-httponly-samesite" if strict else "cookies-secure-httponly"


def _wrong_with(cookie: _Cookie, *, hsts: bool) -> set[str]:
    session = any(word in cookie.name for word in ("login", "sess"))
    secure, same_site = "secure" in cookie.attributes, cookie.attributes.get("samesite")
    wrong = set()
    if "samesite" in cookie.attributes and same_site not in ("lax", "strict", "none"):
        wrong.add("cookies-samesite-invalid")
    if not secure:
        protected = "-but-hsts" if hsts else ""
        wrong |= {f"cookies-insecure{protected}"} | (
            {f"cookies-session-insecure{protected}"} if session else set()
        )
        wrong |= {"cookies-samesite-invalid"} if same_site == "none" else set()
    if "csrf" in cookie.name and not same_site:
        wrong.add("cookies-anticsrf-without-samesite")
    if session and "httponly" not in cookie.attributes:
        wrong.add("cookies-session-without-httponly")
    return wrong


def _cors(page: Page | None) -> str:
    """Judge the answer to a request from another origin."""
    allowed = page.first("access-control-allow-origin") if page else None
    if page is None or allowed is None:
        return "cors-none"
    if allowed.strip() == "*":
        return "cors-public"
    credentials = (page.first("access-control-allow-credentials") or "").strip().lower()
    reflected = allowed.strip() == HttpAnswers.ORIGIN and credentials == "true"
    return "cors-universal-with-credentials" if reflected else "cors-restricted"


def hsts_age(page: Page) -> int | None:
    """Return the max-age of the first HSTS header in seconds; None if it is missing or not valid (RFC 6797)."""
    values = page.all("strict-transport-security")
    parts = [part.strip() for part in values[0].lower().split(";")] if values else []
    ages = [part[8:].strip('"') for part in parts if part.startswith("max-age=")]
    return int(ages[0]) if len(ages) == 1 and _SECONDS.fullmatch(ages[0]) else None


def _hsts(page: Page) -> str:
    age = hsts_age(page)
    if age is None:
        return "hsts-invalid" if page.all("strict-transport-security") else "hsts-missing"
    return "hsts-six-months" if age >= _SIX_MONTHS_S else "hsts-short"


def leads_to(page: Page) -> tuple[str, str] | None:
    """Return the scheme and host of a redirect's target, empty if it is not a URL; None if it is not a redirect."""
    if page.status not in _REDIRECTS:
        return None
    try:
        target = urlsplit(page.first("location") or "")
    except ValueError:
        return "", ""
    return target.scheme.lower(), (target.hostname or "").lower()


def _redirect(found: HttpAnswers, expected: Http, host: str) -> str:
    if expected.redirect_port == "none" or found.plain is None:
        return "redirection-no-http"
    target = leads_to(found.plain)
    if target is None:
        return "redirection-missing"
    if target[0] != "https":
        return "redirection-not-to-https"
    return "redirection-to-https" if target[1] == host.lower() else "redirection-off-host"


def _referrer(page: Page, tags: dict[str, list[str]]) -> str:
    values = [*page.all("referrer-policy"), *tags.get("referrer-policy", ())]
    if not values:
        return "referrer-missing"
    known = [p.strip().lower() for value in values for p in value.split(",")]
    known = [policy for policy in known if policy in (*_PRIVATE, *_LEAKY)]
    if not known:
        return "referrer-invalid"
    return "referrer-private" if known[-1] in _PRIVATE else "referrer-unsafe"


def _nosniff(page: Page) -> str:
    value = page.first("x-content-type-options")
    if value is None:
        return "nosniff-missing"
    return "nosniff" if value.strip().lower() == "nosniff" else "nosniff-invalid"


def _frames(page: Page) -> str:
    policies = [csp.parsed(text) for text in page.all("content-security-policy")]
    if None not in policies and any("frame-ancestors" in (policy or {}) for policy in policies):
        return "frames-by-csp"
    value = page.first("x-frame-options")
    if value is None:
        return "frames-missing"
    value = value.strip().lower()
    if value in ("deny", "sameorigin"):
        return "frames-denied"
    return "frames-allow-from" if value.startswith("allow-from") else "frames-invalid"


def _one_of(page: Page, header: str, short: str, known: dict[str, str]) -> str:
    values = page.all(header)
    if not values:
        return f"{short}-missing"
    return known.get(values[0].split(";")[0].strip().lower() if len(values) == 1 else "", f"{short}-invalid")
