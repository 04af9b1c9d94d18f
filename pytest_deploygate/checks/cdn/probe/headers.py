"""What the headers of an answer tell: whether it came from a store and since when, and how long it may be kept."""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime

from http_sfv.item import InnerList
from http_sfv.list import List

from pytest_deploygate.checks.cdn.facts import Directives, Told
from pytest_deploygate.checks.cdn.probe.wire import Answer
from pytest_deploygate.checks.cdn.section import Told as Declared
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.redaction import shortened

#: Words of X-Cache and its kind. Azure's and Akamai's TCP_REFRESH_HIT, and CloudFront's RefreshHit, asked the origin.
_HIT = re.compile(r"(?:^|_)hit\b|^(?:stale|updating)\b", re.IGNORECASE)
_NO_HIT = re.compile(
    r"miss|pass|bypass|expired|refresh|reval|dynamic|none|nocache|nostore|error|synth", re.IGNORECASE
)
_X_CACHE = (
    "x-cache",
    "x-cache-status",
    "x-proxy-cache",
    "x-cache-lookup",
    "cdn-cache",
    "x-vercel-cache",
    "x-nextjs-cache",
)
#: Headers by which caches name themselves; the last one in a list is nearest to us.
_NODES = ("x-served-by", "x-amz-cf-pop", "x-cache-node", "x-node", "x-edge-location")
#: A Date that is older than this was not made for us.
_OLD_S = 2.0
_VALUED = {"max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"}
_PART = re.compile(r'\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^\s,;"]+)\s*)?(?:,|$)')
#: RFC 9111, section 1.2.2: a larger number of seconds counts as this.
_MOST_S = 2**31


@dataclass(frozen=True)
class Kept:
    """Whether an answer came from a store (None: nothing tells), what told it, and the cache's name, empty if unknown."""

    hit: bool | None
    told: Told
    said: str
    node: str


def kept(answer: Answer, declared: Declared | None) -> Kept:
    """Tell whether an answer came from a store: by its most reliable header."""
    members = _cache_status(answer)
    node = members[-1][0] if members else _node(answer)
    if declared is not None and (value := answer.one(declared.header.lower())):
        return Kept(bool(re.search(declared.hit, value)), "declared header", shortened(value, 80), node)
    if members:
        said = shortened(answer.one("cache-status"), 120)
        return Kept(any(hit for _, hit in members), "Cache-Status", said, node)
    for name in _X_CACHE:
        if (value := answer.one(name)) and (hit := _words(value)) is not None:
            return Kept(hit, "X-Cache", f"{name}: {shortened(value, 80)}", node)
    if (value := answer.one("cf-cache-status")) and (hit := _words(value)) is not None:
        return Kept(hit, "CF-Cache-Status", shortened(value, 80), node)
    if counts := re.findall(r"\d+", answer.one("x-cache-hits")):
        return Kept(any(int(one) > 0 for one in counts), "X-Cache-Hits", answer.one("x-cache-hits"), node)
    if numbers := answer.one("x-varnish").split():
        return Kept(len(numbers) > 1, "X-Varnish", answer.one("x-varnish"), node)
    # An Age says that it was stored, but some caches send `Age: 0` with what they just fetched.
    if age_s(answer):
        return Kept(True, "Age", answer.one("age"), node)
    stored = date_s(answer.one("date"))
    if stored is not None and answer.at_s - stored > _OLD_S:
        return Kept(True, "Date", answer.one("date"), node)
    return Kept(None, "", "", node)


def _cache_status(answer: Answer) -> list[tuple[str, bool]]:
    """Return name and hit of each cache in Cache-Status (RFC 9211), the nearest one last; nothing if it cannot be read."""
    said = answer.one("cache-status")
    if not said:
        return []
    members = List()
    try:
        members.parse(said.encode("ascii"))
    except (ValueError, UnicodeEncodeError):
        return []
    found = []
    for member in members:
        if isinstance(member, InnerList):  # RFC 9211 has none: such a header counts as absent
            return []
        found.append((str(member.value), member.params.get("hit") is True))
    return found


def _words(value: str) -> bool | None:
    """Read words as `HIT`, `MISS, HIT` (of several caches), `Hit from cloudfront`; None if they say neither."""
    parts = [part.strip() for part in value.split(",")]
    good = [part for part in parts if _HIT.search(part) and not _NO_HIT.search(part)]
    return True if good else False if any(_NO_HIT.search(part) for part in parts) else None


def _node(answer: Answer) -> str:
    for name in _NODES:
        if value := answer.one(name):
            return shortened(value.rsplit(",", 1)[-1].strip(), 60)
    if "-" in (ray := answer.one("cf-ray")):
        return ray.rsplit("-", 1)[-1]
    return ""


def age_s(answer: Answer) -> int | None:
    """Return an answer's Age in seconds; the first one if there are several (RFC 9111, section 5.1)."""
    found = re.match(r"\s*(\d+)\s*(?:,|$)", answer.one("age"))
    return min(int(found[1]), _MOST_S) if found else None


def stored_s(answer: Answer) -> float | None:
    """Return when the origin made an answer, in seconds since 1970, within two seconds; None if nothing tells it."""
    age = age_s(answer)
    if age is not None:
        return answer.at_s - age
    return date_s(answer.one("date"))


def date_s(text: str) -> float | None:
    """Return an HTTP date in seconds since 1970; None if it is none."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def directives(answer: Answer) -> Directives:
    """Read Cache-Control and Expires (RFC 9111, section 5.2 and 5.3)."""
    said = answer.one("cache-control")
    numbers: dict[str, int] = {}
    flags: list[str] = []
    odd: list[str] = []
    at = 0
    while at < len(said):
        part = _PART.match(said, at)
        if part is None:
            comma = said.find(",", at)
            piece = said[at : comma if comma >= 0 else len(said)].strip()
            if piece:
                odd.append(shortened(piece, 40))
            at = comma + 1 if comma >= 0 else len(said)
            continue
        at = part.end()
        name, value = part[1].lower(), (part[2] or "").strip('"')
        if name in _VALUED:
            if not re.fullmatch(r"\d+", value):
                odd.append(f"{name}={shortened(value, 20)}")
                continue
            seconds = min(int(value), _MOST_S)
            if numbers.setdefault(name, seconds) != seconds:
                odd.append(f"{name} twice, {numbers[name]} and {value}")
        elif name not in flags:
            flags.append(name)
    return Directives(
        said=shortened(said, 160),
        max_age_s=numbers.get("max-age"),
        s_maxage_s=numbers.get("s-maxage"),
        stale_while_revalidate_s=numbers.get("stale-while-revalidate"),
        stale_if_error_s=numbers.get("stale-if-error"),
        expires_s=_expires(answer),
        flags=tuple(flags),
        odd=tuple(odd),
    )


def _expires(answer: Answer) -> int | None:
    values = answer.all("expires")
    if not values:
        return None
    until, made = date_s(values[0]), date_s(answer.one("date"))
    return 0 if until is None else max(0, round(until - (answer.at_s if made is None else made)))
