"""Judge an asset: hits, content, codings, lifetime, parts, and what it must not have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pytest_deploygate.checks.cdn import facts
from pytest_deploygate.checks.cdn.facts import Fetch
from pytest_deploygate.checks.cdn.judge import lifetime
from pytest_deploygate.judging import proportions
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Judgement, Reading, Verdict

if TYPE_CHECKING:
    from pytest_deploygate.checks.cdn.section import Asset, Cdn

_SMALL = 1024
_TEXT = (
    "text/",
    "application/javascript",
    "application/json",
    "application/xml",
    "application/wasm",
    "image/svg+xml",
)
_REDIRECTS = (301, 302, 307, 308)
_OK, _PARTIAL, _NOT_MODIFIED, _UNSATISFIABLE, _ERROR = 200, 206, 304, 416, 500


@dataclass(frozen=True)
class Wanted:
    """What is judged: an asset, within its CDN."""

    cdn: Cdn
    asset: Asset


def judge_asset(found: facts.Asset, wanted: Wanted) -> Judgement:
    """Pass if the asset comes from the cache, whole and as its origin has it, in each coding, for as long as required."""
    collector = Collector(most=6)
    good = [fetch for fetch in found.everything if fetch.status == _OK and not fetch.problem]
    _answered(found, wanted.asset, collector)
    if good:
        _hits(found, wanted.cdn, collector)
        _content(found, wanted.asset, collector)
        _codings(found, wanted.asset, collector)
        lifetime.judge(good, wanted.asset, collector)
        _types(good, found.wanted, wanted.asset, collector)
        _cookies(good, wanted.cdn, collector)
        _validation(found.asked, collector)
        _parts(found, wanted.asset, collector)
        _with_cookie(found, collector)
    _plain(found.plain, wanted.asset, wanted.cdn, collector)
    return collector.judgement(lambda: _good(found, good))


def _good(found: facts.Asset, good: list[Fetch]) -> str:
    hits = sum(1 for fetch in found.fetches if fetch.hit)
    nodes = len({fetch.node for fetch in good if fetch.node})
    by = found.fetches[-1].told
    codings = sorted({fetch.coding or "identity" for fetch in good})
    return (
        f"{hits} of {len(found.fetches)} fetches were hits (by {by}){f' from {nodes} caches' if nodes > 1 else ''}; all "
        f"{len(good)} answers have the content of {found.wanted.where if found.wanted else 'its origin'}, as {', '.join(codings)}"
    )


def _answered(found: facts.Asset, asset: Asset, collector: Collector) -> None:
    """Other answers than 200 are wrong. One that did not come is unknown: it may be the network between us."""
    everything = found.everything
    lost = Counter(fetch.problem for fetch in everything if fetch.problem)
    other = Counter(fetch.status for fetch in everything if not fetch.problem and fetch.status != _OK)
    browser = (*found.warming, *found.fetches)
    if (cut := [fetch for fetch in browser if fetch.unreadable]) and len(cut) * 2 >= len(browser):
        collector.wrong(
            f"{len(cut)} of {len(browser)} fetches as browsers do got no whole answer ({cut[-1].problem}): look at what the origin "
            "sends for it, build that variant anew, and purge it"
        )
        lost -= Counter(fetch.problem for fetch in cut)
    for coded in found.coded:
        if all(map(_is_lost, coded.fetches)) and not any(map(_is_lost, found.fetches)):
            who = {"identity": "no coding", "nothing": "no Accept-Encoding"}.get(coded.asked, coded.asked)
            met = ", ".join(dict.fromkeys(fetch.problem or str(fetch.status) for fetch in coded.fetches))
            collector.wrong(
                f"with {who} asked for, {len(coded.fetches)} of {len(coded.fetches)} fetches got no whole answer "
                f"({met}), while browsers do: build that variant anew, and purge it"
            )
            lost -= Counter(fetch.problem for fetch in coded.fetches)
            other -= Counter(fetch.status for fetch in coded.fetches)
    for status, number in other.items():
        collector.wrong(
            f"{number} of {len(everything)} fetches were answered with {status}, expected is 200: check `url` and the CDN's rule for it"
        )
    for problem, number in lost.items():
        collector.unknown(f"{number} of {len(everything)} fetches of {asset.url} got no answer: {problem}")


def _is_lost(fetch: Fetch) -> bool:
    """Tell whether nothing whole came: a cache that cannot read a variant breaks off, or answers with an error of its own."""
    return bool(fetch.problem) or fetch.status >= _ERROR


def _hits(found: facts.Asset, cdn: Cdn, collector: Collector) -> None:
    counted = [fetch for fetch in found.fetches if not fetch.problem]
    told = [fetch for fetch in counted if fetch.hit is not None]
    if len(told) < len(counted) or not told:
        collector.unknown(
            f"nothing tells for {len(counted) - len(told)} of {len(counted)} fetches whether they were hits: no Cache-Status, "
            "X-Cache, CF-Cache-Status, X-Cache-Hits, X-Varnish, Age or old Date; have the CDN send one of them, or name its "
            "own header in `cdn.hit`"
        )
        return
    hits = sum(1 for fetch in told if fetch.hit)
    share = proportions.over(hits, len(told), cdn.min_hit_ratio)
    ratio, limit = f"{hits} of {len(told)}", f"over {cdn.min_hit_ratio:.0%}"
    ok = {Verdict.PASS: True, Verdict.FAIL: False}.get(share.verdict)
    collector.read(
        Reading("hit ratio", round(hits / len(told) * 100, 1), "%", limit, ok=ok),
        Reading("true hit ratio, with 95 % confidence", f"{share.low:.1%} to {share.high:.1%}"),
    )
    last = next((fetch for fetch in reversed(told) if not fetch.hit), told[-1])
    by = f"{last.told} says {last.said!r}"
    if share.verdict is Verdict.FAIL:
        collector.wrong(f"{ratio} fetches were hits, {limit} is required: {_why_no_hit(last, by)}")
    elif share.verdict is not Verdict.PASS:
        collector.unknown(
            f"{ratio} fetches were hits, so the true ratio is between {share.low:.0%} and {share.high:.0%}, and {limit} is "
            f"required: raise `fetches`, or look at those that missed ({by})"
        )


def _why_no_hit(last: Fetch, by: str) -> str:
    directives = last.directives
    if directives.shared_s == 0:
        return f"{by}; the answer says {directives.said!r}, which keeps shared caches from using it"
    if last.cookies:
        return f"{by}; the answer sets a cookie ({last.cookies[0]}), and most caches keep no such answer: remove it at the origin"
    if "*" in last.vary or {"cookie", "user-agent"} & set(last.vary):
        return f"{by}; the answer has `Vary: {', '.join(last.vary)}`, so that each client has its own copy"
    return f"{by}; turn caching on for this path, and look whether the cache is passed (a rule, a cookie, its size)"


def _content(found: facts.Asset, asset: Asset, collector: Collector) -> None:
    good = [fetch for fetch in found.everything if fetch.status == _OK and not fetch.problem]
    for broken in dict.fromkeys(f"{fetch.coding}: {fetch.broken}" for fetch in good if fetch.broken):
        number = sum(1 for fetch in good if f"{fetch.coding}: {fetch.broken}" == broken)
        collector.wrong(
            f"{number} answers cannot be unpacked as browsers do ({broken}): build that variant anew, and purge it"
        )
    for why in dict.fromkeys(fetch.undecoded for fetch in good if fetch.undecoded):
        collector.unknown(f"the content of some answers is not known: {why}")
    wanted = found.wanted
    if wanted is None:
        collector.unknown(
            "its content was not compared with the origin's: add `cdn.origin: {url: …}`, or `sha256` or `file` to the asset"
        )
        return
    if wanted.problem:
        collector.unknown(f"what its content must be is not known: {wanted.where}: {wanted.problem}")
        return
    plain = [fetch for fetch in good if fetch.sha256]
    other = [fetch for fetch in plain if fetch.sha256 != wanted.sha256]
    if plain:
        collector.read(Reading("answers with another content", len(other), limit="0", ok=not other))
    if other:
        collector.wrong(_why_other(other, plain, wanted, asset))


def _why_other(other: list[Fetch], plain: list[Fetch], wanted: facts.Wanted, asset: Asset) -> str:
    nodes = sorted({fetch.node for fetch in other if fetch.node})
    which = f" (from {', '.join(nodes[:4])})" if nodes else ""
    first = max(other, key=lambda fetch: fetch.age_s or 0)
    codings = {fetch.coding or "identity" for fetch in other}
    right = {fetch.coding or "identity" for fetch in plain if fetch.sha256 == wanted.sha256}
    if right and codings.isdisjoint(right):
        return (
            f"{len(other)} of {len(plain)} answers have another content than {wanted.where}, all as "
            f"{', '.join(sorted(codings))}{which}: build that variant anew, and purge it"
        )
    if all(fetch.hit for fetch in other):
        age = f", up to {first.age_s} s old" if first.age_s else ""
        said = f"{len(other)} of {len(plain)} answers are hits with another content than {wanted.where}{age}{which}: "
        return said + (
            "it changed under the same name: purge it, and give each version a name of its own"
            if asset.immutable
            else "purge it, or lower its lifetime"
        )
    return f"{len(other)} of {len(plain)} answers have another content than {wanted.where}{which}: look at what changes it on its way (minifying, injected scripts), and purge it"


def _codings(found: facts.Asset, asset: Asset, collector: Collector) -> None:
    alone = {
        coded.asked: [f for f in coded.fetches if f.status == _OK and not f.problem] for coded in found.coded
    }
    mixed = []
    for asked, fetches in alone.items():
        taken = {"identity", ""} if asked in ("identity", "nothing") else {asked, "identity", ""}
        forced = [fetch for fetch in fetches if fetch.coding not in taken]
        if not forced:
            continue
        if asked == "nothing":
            # It takes everything (RFC 9110, section 12.5.3), but clients that say nothing can mostly not unpack.
            collector.note(
                f"a client that sends no Accept-Encoding gets {forced[0].coding}, which few of them can read"
            )
            continue
        who = {"identity": "no coding"}.get(asked, asked)
        mixed.append(f"{who} asked for and {forced[0].coding} sent, {len(forced)} of {len(fetches)} times")
    if mixed:
        collector.wrong(
            f"clients get codings that they cannot read ({', '.join(mixed)}): {_mixed_because(found.wanted)}"
        )
    variants = {fetch.coding for fetch in found.everything if fetch.status == _OK and not fetch.problem}
    without = [
        f
        for f in found.everything
        if f.status == _OK and f.coding and not {"accept-encoding", "*"} & set(f.vary)
    ]
    if len(variants) > 1 and without and not mixed:
        collector.wrong(
            f"{len(without)} compressed answers lack `Vary: Accept-Encoding`, though others are served without compression: "
            "caches on the way to users mix them up; have the origin send it"
        )
    for coding in asset.codings if not mixed else ():
        fetches = alone.get(coding, [])
        plain = [fetch for fetch in fetches if fetch.coding != coding]
        if plain:
            collector.wrong(
                f"a client that takes {coding} gets {plain[0].coding or 'no coding'}: turn {coding} on for this type, and keep the variants apart (`Vary: Accept-Encoding`)"
            )
    browser = [f for f in (*found.warming, *found.fetches) if f.status == _OK and not f.problem]
    bare = [fetch for fetch in browser if not fetch.coding]
    if bare and not mixed and _must_be_compressed(asset, bare[0], found.wanted):
        collector.wrong(
            f"browsers get {bare[0].content_type or 'it'} of {bare[0].size:,} bytes without compression in {len(bare)} of {len(browser)} fetches: "
            "turn compression on for this type, or set `compressed: false`"
        )
    strong: dict[str, set[str]] = {}
    for fetch in found.everything:
        if fetch.etag.startswith('"') and fetch.status == _OK:
            strong.setdefault(fetch.etag, set()).add(fetch.coding)
    if any(len(codings) > 1 for codings in strong.values()):
        collector.note(
            "variants with different codings have the same strong ETag, so a part of one may be joined with the other (RFC 9110, section 8.8.3)"
        )


def _mixed_because(wanted: facts.Wanted | None) -> str:
    if wanted is not None and wanted.vary is not None and "accept-encoding" in wanted.vary:
        return "the origin says `Vary: Accept-Encoding`, and the cache must keep the variants apart by it"
    return (
        "have the origin say `Vary: Accept-Encoding`, and see that the cache keeps the variants apart by it"
    )


def _must_be_compressed(asset: Asset, fetch: Fetch, wanted: facts.Wanted | None) -> bool:
    if asset.compressed is not None:
        return asset.compressed
    kind = (wanted.content_type if wanted else "") or fetch.content_type
    return fetch.size > _SMALL and kind.lower().startswith(_TEXT)


def _types(good: list[Fetch], wanted: facts.Wanted | None, asset: Asset, collector: Collector) -> None:
    expected = asset.content_type or (wanted.content_type if wanted else "")
    served = Counter(_tidy(fetch.content_type) for fetch in good)
    if "" in served and not expected:
        collector.wrong(f"{served['']} answers have no Content-Type: browsers guess it")
    if not expected:
        return
    for kind, number in served.items():
        if kind != _tidy(expected):
            collector.wrong(
                f"{number} of {len(good)} answers have {f'Content-Type {kind!r}' if kind else 'no Content-Type'}, expected is {expected!r}: "
                "let the cache keep the origin's header"
            )


def _tidy(content_type: str) -> str:
    return "; ".join(part.strip().lower().replace('"', "") for part in content_type.split(";"))


def _cookies(good: Iterable[Fetch], cdn: Cdn, collector: Collector) -> None:
    setting = [fetch for fetch in good if set(fetch.cookies) - set(cdn.allowed_cookies)]
    if not setting:
        return
    names = sorted({name for fetch in setting for name in fetch.cookies} - set(cdn.allowed_cookies))
    shared = sum(1 for fetch in setting if fetch.hit)
    said = f"{len(setting)} answers set the cookie {', '.join(names)}"
    if shared:
        said += f", {shared} of them from the cache: users share it"
    collector.wrong(
        f"{said}; remove Set-Cookie from assets at the origin or the CDN, or name it in `allowed_cookies`"
    )


def _validation(asked: facts.Asked | None, collector: Collector) -> None:
    if asked is None:
        return
    if not asked.by:
        collector.wrong(
            "it has neither ETag nor Last-Modified, so an expired copy is always fetched as a whole: have the origin send one"
        )
    elif asked.problem:
        collector.unknown(f"whether it changed could not be asked: {asked.problem}")
    else:
        if asked.status != _NOT_MODIFIED:
            collector.wrong(
                f"asked with the {asked.by} that it just had, it answers {asked.status} instead of 304: let the cache answer conditional requests"
            )
        elif asked.length:
            collector.wrong(f"its 304 has a body of {asked.length} bytes")
        if asked.other_status == _NOT_MODIFIED:
            collector.wrong(
                f"asked with an {asked.by} that it never had, it answers 304: clients would keep an old content"
            )


def _parts(found: facts.Asset, asset: Asset, collector: Collector) -> None:
    if asset.ranges is False:
        return
    says = any("bytes" in fetch.accept_ranges for fetch in found.everything)
    if not found.parts and (asset.ranges or says):
        collector.unknown("parts of it were not asked for, since its content without a coding is not known")
    for part in found.parts:
        if part.problem:
            collector.unknown(f"`Range: {part.asked}` got no answer: {part.problem}")
    bad = [(part, why) for part in found.parts if (why := _bad_part(part, behind=part is found.parts[-1]))]
    if bad:
        part, why = bad[0]
        more = f", and {len(bad) - 1} of {len(found.parts) - 1} others are wrong, too" if bad[1:] else ""
        collector.wrong(
            f"`Range: {part.asked}` is answered with {why}{more}: downloads that are resumed break; have the cache make parts "
            "from the whole, or turn ranges off"
        )
    whole = [part for part in found.parts[:-1] if part.status == _OK]
    if whole and not bad and (asset.ranges or says):
        collector.wrong(
            f"`Range: {whole[0].asked}` is answered with the whole (200)"
            f"{', though it says `Accept-Ranges: bytes`' if says else ''}: turn ranges on at the cache, or set `ranges: false`"
        )


def _bad_part(part: facts.Part, *, behind: bool) -> str:
    """Say what is wrong with an answer; empty for a good part, and for the whole. `behind`: it asked for what is not there."""
    if part.problem or part.right:
        return ""
    if part.status == _PARTIAL:
        return (
            f"other bytes than it asks for ({part.length}, {part.content_range or 'without Content-Range'})"
        )
    if part.status == _OK:
        return f"200 and {part.length} bytes, which is not the whole"
    if part.status == _UNSATISFIABLE and behind:
        return ""
    return f"{part.status}, expected is {_UNSATISFIABLE if behind else _PARTIAL}"


def _with_cookie(found: facts.Asset, collector: Collector) -> None:
    fetch = found.with_cookie
    if fetch is not None and fetch.hit is False and any(one.hit for one in found.fetches):
        collector.note(
            f"with a cookie in the request it was no hit ({fetch.said}): browsers send cookies to an asset of the same site"
        )


def _plain(plain: facts.Plain, asset: Asset, cdn: Cdn, collector: Collector) -> None:
    if urlsplit(asset.url).scheme != "https":
        collector.wrong("its address is not HTTPS: serve it over TLS, and change `url`")
    if not plain.asked or plain.closed:
        return
    if plain.problem:
        collector.unknown(f"plain HTTP on port {cdn.plain_port}: {plain.problem}")
    elif plain.status in (_OK, _PARTIAL):
        collector.wrong(
            f"plain HTTP on port {cdn.plain_port} serves it with {plain.status}: redirect it to https:// or close the port"
        )
    elif plain.status in _REDIRECTS and not plain.location.startswith("https://"):
        collector.wrong(
            f"plain HTTP on port {cdn.plain_port} redirects to {plain.location!r}, which is not HTTPS"
        )
