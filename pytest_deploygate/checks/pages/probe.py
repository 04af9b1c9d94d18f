"""Pages as a visitor gets them: status, headers, size, dates in the text, and external resources."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit, urlunsplit

import requests

from pytest_deploygate.checks.pages.facts import DrillFacts, MaintenanceFacts, Page
from pytest_deploygate.checks.pages.section import (
    Maintenance,
    MaintenanceDrill,
    Pages,
    PolicyPage,
    PublicPage,
)
from pytest_deploygate.clients import budget as budgets
from pytest_deploygate.clients import stopping
from pytest_deploygate.clients.budget import Budget, Spending
from pytest_deploygate.clients.host import commands
from pytest_deploygate.clients.http import sending, text, whole
from pytest_deploygate.drills import record as drills
from pytest_deploygate.drills.record import Record
from pytest_deploygate.files import sha256
from pytest_deploygate.model import CannotTell

__all__ = ["drill", "maintenance", "read", "reads"]

LARGEST = 5_000_000
#: Headers for browsers and caches (RFC 9111), and for caches alone (RFC 9213).
_REFRESH = re.compile(r"\s*(\d{1,9})(?:\.\d*)?\s*[;,]\s*(?:url\s*=\s*)?[\"']?([^\"'>]+)", re.IGNORECASE)
#: Whoever is sent on within this has not read a policy.
_NOBODY_READS_S = 10
#: Names end in these; a CDN's own field begins with the CDN's name (RFC 9213 section 3).
_CACHING = ("cdn-cache-control", "surrogate-control")
_NOT_KEPT = re.compile(r"\bno-(?:store|cache)\b", re.IGNORECASE)
_AGE = re.compile(r"\b(?:s-maxage|max-age)\s*=\s*\"?(\d+)", re.IGNORECASE)
#: Pages that share this part of their words are the same page.
_ALIKE = 0.9
#: Thai, Lao, Burmese, Khmer, Japanese, Chinese and Korean signs, and words of other scripts.
_NO_BLANKS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_NO_BLANKS}]|[^\W{_NO_BLANKS}]+")
_READS = 2
_ITEM = "day.maintenance-page"
_CHANGES_S = 30.0


def read(page: PublicPage, pages: Pages) -> Page:
    """Fetch a page, with a retry if there is no answer or a server error. A missing answer is a value."""
    found = _read(page, pages)
    if found.status is None or found.status >= 500:
        found = _read(page, pages)
    if isinstance(page, PolicyPage) and found.status == requests.codes.ok:
        return _compared(page, pages, found)
    return found


def _compared(page: PolicyPage, pages: Pages, found: Page) -> Page:
    """Ask for a page beside it that cannot exist: some sites answer 200 and the same text to everything.

    What error pages say differs by language; that they are this server's own does not.
    """
    parts = urlsplit(page.url)
    folder = parts.path.rpartition("/")[0]
    nowhere = urlunsplit((parts.scheme, parts.netloc, f"{folder}/deploygate-{uuid.uuid4().hex}", "", ""))
    missing = _read(page.model_copy(update={"url": nowhere}), pages)
    if missing.status is None:
        return found
    asked = {*words(page.url), *words(nowhere)}
    alike = _alike({*words(found.text)} - asked, {*words(missing.text)} - asked)
    titled = bool(found.titles) and found.titles == missing.titles and missing.status >= 400
    if titled and not alike:
        start = urlunsplit((parts.scheme, parts.netloc, "/", "", ""))
        titled = _read(page.model_copy(update={"url": start}), pages).titles != found.titles
    return dataclasses.replace(
        found, like_missing=nowhere if alike else "", titled_like_missing=nowhere if titled else ""
    )


def _alike(first: set[str], second: set[str]) -> bool:
    return len(first & second) >= _ALIKE * max(1, len(first | second))


def words(text: str) -> list[str]:
    """Return the words of a text; each sign of a script that puts no blanks between words is one.

    What has a digit in it is left out: times, numbers of requests and of versions.
    """
    return [word for word in _WORD.findall(text.casefold()) if not any(map(str.isdigit, word))]


def reads(page: PublicPage, pages: Pages) -> tuple[Page, ...]:
    """Fetch a page several times, to check that it is always the same. A missing answer is a value."""
    return tuple(_read(page, pages) for _ in range(_READS))


def _read(page: PublicPage, pages: Pages, *, afresh: bool = False) -> Page:
    now, url = datetime.now(UTC), page.url
    limit_s = (page.timeout or pages.timeout).total_seconds()
    access = page if page.ca_file else page.model_copy(update={"ca_file": pages.ca_file})
    try:
        with sending.get(
            access, url, limit_s, afresh=afresh, stream=True, headers={"Accept": "text/html"}
        ) as answer:
            body, all_of_it = whole.read(answer, LARGEST)
    except (requests.RequestException, OSError) as error:
        return Page(url, now, None, sending.why(error), astray=isinstance(error, sending.ASTRAY))
    seen = _Seen()
    # A browser takes an unknown section for a comment; the parser would stop.
    seen.feed(text.decoded(body, answer.headers.get("Content-Type", "")).replace("<![", "<! ["))
    seen.close()
    visible = " ".join(" ".join(seen.words).split())
    return Page(
        url=url,
        at=now,
        status=answer.status_code,
        retry_after=answer.headers.get("Retry-After"),
        content_type=answer.headers.get("Content-Type", ""),
        size_bytes=len(body),
        sha256=sha256(body),
        text=visible,
        dates=dates(visible),
        outside=tuple(dict.fromkeys(seen.outside)),
        cookies=tuple(cookie.name for cookie in answer.cookies),
        redirected_to=answer.url if answer.history else "",
        titles=tuple(" ".join(title.split()) for title in seen.titles),
        words=len(words(visible)),
        asks_password=seen.asks_password,
        posts=seen.posts,
        cut=not all_of_it,
        kept_s=_kept_s(answer.headers, now),
        sends_on_to=_sends_on_to(answer.url, (answer.headers.get("Refresh") or "", *seen.refreshes)),
    )


def _sends_on_to(url: str, refreshes: Sequence[str]) -> str:
    """Return where a page sends browsers on before anybody has read it; empty if it does not, or only loads itself again."""
    for said in refreshes:
        found = _REFRESH.match(said)
        if found and int(found[1]) <= _NOBODY_READS_S:
            with contextlib.suppress(ValueError):
                to: str = urldefrag(urljoin(url, found[2].strip())).url
                if to != urldefrag(url).url:
                    return to
    return ""


def _kept_s(headers: Mapping[str, str], now: datetime) -> int:
    """Return for how many seconds some cache may keep an answer by its header (RFC 9111 section 4.2.1, RFC 9213)."""
    control = headers.get("Cache-Control") or ""
    targeted = [said for name, said in headers.items() if name.lower().endswith(_CACHING)]
    longest = max(map(_longest_age, (control, *targeted)))
    if not _AGE.search(control) and not _NOT_KEPT.search(control) and (until := headers.get("Expires")):
        with contextlib.suppress(ValueError, TypeError):
            longest = max(longest, round((parsedate_to_datetime(until) - now).total_seconds()))
    return longest


def _longest_age(said: str | None) -> int:
    if not said or _NOT_KEPT.search(said):
        return 0
    return max((min(int(age), 2**31) for age in _AGE.findall(said)), default=0)


class _Seen(HTMLParser):
    """Collects the visible words and what a browser would load."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.outside: list[str] = []
        self.titles: list[str] = []
        self.asks_password = False
        self.posts = False
        self.refreshes: list[str] = []
        self._without_scripts = 0
        self._hidden = 0
        self._title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the URLs that a browser loads."""
        found = dict(attrs)
        self._hidden += tag in ("script", "style")
        self._without_scripts += tag == "noscript"
        refreshes = tag == "meta" and (found.get("http-equiv") or "").strip().lower() == "refresh"
        if refreshes and not self._without_scripts:
            self.refreshes.append(found.get("content") or "")
        if tag in ("title", "h1"):
            self._title = True
            self.titles.append("")
        if tag == "input" and (found.get("type") or "").lower() == "password":
            self.asks_password = True
        self.posts |= tag == "form" and (found.get("method") or "").lower() == "post"
        if tag == "link" and not {"stylesheet", "icon", "preload", "modulepreload", "manifest"} & set(
            (found.get("rel") or "").lower().split()
        ):
            return
        if tag == "a":
            return
        loads = [found.get(name) for name in ("src", "srcset", "data", "poster")]
        loads += [found.get("href")] if tag in ("link", "image", "use") else []
        self.outside += [address for address in loads if address and not address.startswith(("data:", "#"))]
        self._styles(found.get("style") or "")

    def handle_endtag(self, tag: str) -> None:
        """Leave an invisible element."""
        self._hidden = max(0, self._hidden - (tag in ("script", "style")))
        self._without_scripts = max(0, self._without_scripts - (tag == "noscript"))
        self._title &= tag not in ("title", "h1")

    def handle_data(self, data: str) -> None:
        """Keep visible words, and the URLs in styles."""
        if self._hidden:
            self._styles(data)
        else:
            self.words.append(data)
            if self._title:
                self.titles[-1] += data

    def _styles(self, text: str) -> None:
        found = re.findall(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)", text)
        self.outside += [one for pair in found for one in pair if one and not one.startswith(("data:", "#"))]


_MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_MONTH = rf"({'|'.join(f'{m[:3]}(?:{m[3:]}|t)?' for m in _MONTHS)})\.?"
_FORMS = (
    (re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b"), (0, 1, 2)),
    (re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?\.?\s+{_MONTH},?\s+(\d{{4}})\b", re.IGNORECASE), (2, 1, 0)),
    (re.compile(rf"\b{_MONTH}\s+(\d{{1,2}})(?:st|nd|rd|th)?,?\s+(\d{{4}})\b", re.IGNORECASE), (2, 0, 1)),
    (re.compile(r"\b(\d{1,2})\.(\d{1,2})\.(\d{4})\b"), (2, 1, 0)),
)


def dates(text: str) -> tuple[date, ...]:
    """Return the dates in a text, in order: 2026-11-24, 24 November 2026, November 24, 2026, 24.11.2026.

    11/24/2026 is left out, because it is ambiguous.
    """
    found = []
    for form, (year, month, day) in _FORMS:
        for match in form.finditer(text):
            parts = match.groups()
            word = parts[month].lower()
            number = int(word) if word.isdigit() else 1 + [m[:3] for m in _MONTHS].index(word[:3])
            try:
                found.append((match.start(), date(int(parts[year]), number, int(parts[day]))))
            except ValueError:
                continue
    return tuple(day for _, day in sorted(found))


def maintenance(
    page: Maintenance, pages: Pages, drilled: Record[DrillFacts] | None, environment: str = ""
) -> MaintenanceFacts:
    """Fetch the maintenance page, and read the record of the last drill unless one was run now.

    An unreadable page or record is a value of the facts; nothing is raised.
    """
    path = page.drill.record if page.drill else None
    about = configuration(pages)
    found = drills.evidence(
        path, DrillFacts, ran=drilled, configuration=about, environment=environment, former=_former
    )
    return MaintenanceFacts(read(page, pages), found)


def configuration(pages: Pages) -> dict[str, str]:
    """Return what a drill's result depends on: the page, the application, and the command that stops it."""
    wanted = pages.maintenance
    if wanted is None or wanted.drill is None:
        return {}
    return {"page": wanted.url, "application": wanted.drill.application, "stop": wanted.drill.stop}


def _former(raw: dict[str, Any]) -> dict[str, Any]:
    """Earlier versions wrote `at`, and nothing about the configuration."""
    return raw | {"date": raw["at"]} if "at" in raw else raw


def drill(pages: Pages, environment: str = "", budget: Budget | None = None) -> Record[DrillFacts]:
    """Stop the application, check that it is down, read the page, and always start the application again.

    Its requests draw on `budget`; left out, on one that is in no ledger. Raises CannotTell if the inventory has no drill, a command fails, or the record cannot be written.
    """
    wanted = pages.maintenance
    if wanted is None or wanted.drill is None:
        raise CannotTell("a drill needs `maintenance: {drill: {stop: …, start: …}}` in the inventory")
    drawn = budget or budgets.unrecorded(_ITEM)
    try:
        with drawn.probe("maintenance drill", unwatched="it stops the application itself") as spending:
            commands.must(wanted.drill.stop)
            down = _becomes(wanted.drill, pages, up=False, spending=spending)
            spending.take(opens=0)
            page = _read(wanted, pages, afresh=True)
    finally:
        with stopping.shielded():
            commands.must(wanted.drill.start)
    back = _becomes(wanted.drill, pages, up=True)
    problem = ""
    if not down:
        problem = f"{wanted.drill.application} still answered after the stop, so the drill proves nothing"
    elif page.status != 503:
        problem = f"with the application down the page answered {page.status or page.problem}, expected 503"
    elif not back:
        problem = f"{wanted.drill.application} did not answer again within {_CHANGES_S:.0f} s of the start: check it now"
    record = drills.made(
        DrillFacts(page.status, page.sha256, down),
        "failed" if problem else drills.GOOD,
        configuration(pages),
        reason=problem,
        environment=environment,
    )
    drills.write(wanted.drill.record, record)
    return record


def _becomes(settings: MaintenanceDrill, pages: Pages, *, up: bool, spending: Spending | None = None) -> bool:
    """Wait until the application answers, or no longer answers."""
    deadline = time.monotonic() + _CHANGES_S
    application = PublicPage(url=settings.application)
    while time.monotonic() < deadline:
        if spending is not None:
            spending.take(opens=0)
        page = _read(application, pages, afresh=True)
        if (page.status is not None and page.status < 500) == up:
            return True
        time.sleep(0.1)
    return False
