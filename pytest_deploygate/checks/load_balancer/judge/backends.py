"""Judge what balancers and backends say: states, weights, health checks, TLS, slow start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pytest_deploygate.checks.load_balancer.facts import Backends, Check, Control, Health, Kind, Member, State
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.judging.silent_hosts import listed
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Judgement, Reading, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.load_balancer.section import Backend, Pool

_AS_DECLARED = {None: State.IN, "drain": State.DRAIN, "maint": State.MAINT, "backup": State.BACKUP}
#: What a state means, and how to end it.
_STATES = {
    State.DRAIN: (
        "in DRAIN, so it gets no new clients",
        {"HAProxy": "return it with `set server {group}/{name} state ready`"},
    ),
    State.MAINT: (
        "in MAINT, so it gets nothing",
        {
            "HAProxy": "return it with `set server {group}/{name} state ready`",
            "nginx": "remove `down` from its server line and reload",
        },
    ),
    State.BACKUP: (
        "a backup, so it gets nothing while another is up",
        {
            "HAProxy": "remove `backup` from its server line and reload",
            "nginx": "remove `backup` from its server line and reload",
        },
    ),
    State.DOWN: ("down", {}),
    State.IN: ("in rotation", {}),
}
_WEIGHT_TOLERANCE = 0.02
_TLS = ("none", "unverified", "verified")
_VERIFY = {
    "HAProxy": "`ssl verify required ca-file FILE verifyhost NAME` on its server line",
    "nginx": "`proxy_pass https://…`, `proxy_ssl_verify on`, `proxy_ssl_trusted_certificate` and `proxy_ssl_name`",
    "Envoy": "a `validation_context` with `trusted_ca` and `match_typed_subject_alt_names`",
}
_ADD_CHECK = {
    "HAProxy": "add `check` to its server line, and `option httpchk` to the backend",
    "nginx": "set `max_fails` above 0, or use a module with active checks",
    "Envoy": "add `health_checks` to the cluster",
    "Kubernetes": "give its container a readinessProbe",
}
_ADD_HTTP = {
    "HAProxy": "add `option httpchk` and `http-check expect status 200` to the backend",
    "nginx": "use `health_check` (NGINX Plus) or `check type=http`",
    "Envoy": "use an `http_health_check`",
    "Kubernetes": "use `httpGet` in its readinessProbe",
}
#: What suffices besides a look at an answer, by `checks`.
_SUFFICE = {
    None: (Kind.HTTP,),
    "tcp": (Kind.HTTP, Kind.TLS, Kind.TCP),
    "passive": (Kind.HTTP, Kind.TLS, Kind.TCP, Kind.PASSIVE),
}


@dataclass(frozen=True)
class _Pair:
    """A declared backend and what one balancer says of it."""

    control: Control
    backend: Backend
    member: Member


class _Sentences:
    """Sentences about backends on balancers: one that applies to several of them is said once."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        #: By sentence, and by balancer: the backends.
        self._wrong: dict[str, dict[str, list[str]]] = {}
        self._unknown: dict[str, dict[str, list[str]]] = {}

    def wrong(self, pair: _Pair, sentence: str) -> None:
        """Add what is wrong with a backend on a balancer."""
        self._wrong.setdefault(sentence, {}).setdefault(pair.control.name, []).append(pair.backend.name)

    def unknown(self, pair: _Pair, sentence: str) -> None:
        """Add what could not be determined."""
        self._unknown.setdefault(sentence, {}).setdefault(pair.control.name, []).append(pair.backend.name)

    def note(self, pair: _Pair, sentence: str) -> None:
        """Add a warning that changes no verdict."""
        self._collector.note(sentence, where=f"{pair.backend.name} on {pair.control.name}")

    def end(self) -> None:
        """Hand all over to the collector."""
        for sentences, add in (
            (self._wrong, self._collector.wrong),
            (self._unknown, self._collector.unknown),
        ):
            for sentence, places in sentences.items():
                for names in dict.fromkeys(tuple(each) for each in places.values()):
                    controls = [control for control, own in places.items() if tuple(own) == names]
                    add(sentence, where=f"{listed(names)} on {' and '.join(controls)}")


def judge_backends(found: Backends, expected: Pool) -> Judgement:
    """Pass when on every balancer each backend is in its state, with a health check that can fail, as declared."""
    collector = Collector(about=expected.name)
    sentences = _Sentences(collector)
    if not found.controls:
        collector.unknown(
            "which health checks the balancer has is unknown: name it in `control` (haproxy, nginx, envoy, kubernetes or hook)"
        )
    for control in found.controls:
        if control.problem:
            collector.unknown(control.problem, where=control.name)
        else:
            _control(control, expected, sentences, collector)
    sentences.end()
    for page in found.health:
        _health(page, found, expected, collector)
    number, members = len(found.controls), len(expected.backends)
    balancers = f"{number} balancer{'s' if number > 1 else ''}"
    return collector.judgement(
        lambda: (
            f"{expected.name}: {members} backends on {balancers} are as declared, each with "
            + ("failed requests counted" if expected.checks == "passive" else "a health check that can fail")
        )
    )


def _control(control: Control, expected: Pool, sentences: _Sentences, collector: Collector) -> None:
    pairs = list(_pairs(control, expected, collector))
    where, wanted = control.name, len(expected.backends)
    in_place = sum(_state(pair, sentences) for pair in pairs)
    unsaid = any(pair.member.state is State.UNKNOWN for pair in pairs)
    checked = [_check(pair, expected, sentences) for pair in pairs]
    good = sum(each is True for each in checked)
    in_order = True if in_place == wanted else None if unsaid else False
    suffice = True if good == wanted else False if False in checked or len(pairs) < wanted else None
    collector.read(
        _counted(f"{where}: backends as declared", in_place, wanted, in_order),
        _counted(f"{where}: health checks that suffice", good, wanted, suffice),
    )
    _weights(pairs, collector)
    for pair in pairs:
        _tls(pair, expected, sentences, collector)
        _slow_start(pair, expected, sentences, collector)
        if pair.member.cuts:
            sentences.note(
                pair,
                "running requests are cut when the health turns bad (`on-marked-down shutdown-sessions`)",
            )


def _counted(name: str, number: int, wanted: int, ok: bool | None) -> Reading:
    """Return a count; one that is not decided is beside no limit."""
    return Reading(name, number, limit="" if ok is None else str(wanted), ok=ok)


def _pairs(control: Control, expected: Pool, collector: Collector) -> Iterator[_Pair]:
    members = {each.name: each for each in control.members}
    used = set()
    for backend in expected.backends:
        name = next((each for each in (backend.address, backend.name) if each in members), None)
        if name is None:
            collector.wrong(
                f"{control.program} has no backend {backend.name}: add it there, or remove it from the inventory"
                + ("" if backend.address else "; where it is known by its address, say so with `address`"),
                where=control.name,
            )
            continue
        used.add(name)
        yield _Pair(control, backend, members[name])
    for name, member in members.items():
        if name not in used and member.state is State.IN:
            collector.wrong(
                f"{name} gets requests, and the inventory does not name it: add it to `backends`, or take it out",
                where=control.name,
            )


def _state(pair: _Pair, sentences: _Sentences) -> bool:
    member, out, control = pair.member, pair.backend.out, pair.control
    if member.state is _AS_DECLARED[out]:
        return True
    if member.state is State.UNKNOWN:
        sentences.unknown(pair, f"the state is not known ({member.says or 'it says nothing'})")
        return False
    said, ends = _STATES[member.state]
    if member.state is State.DOWN:
        last = f", last check {member.check.says}" if member.check and member.check.says else ""
        said = f"down ({member.says}{last})"
        hint = "repair it, or what its health check asks for"
    elif member.state is State.DRAIN and member.weight == 0:
        said, hint = "has weight 0, so it gets no new clients", "give it its weight"
    else:
        hint = ends.get(control.program, "return it").format(group=control.group, name=member.name)
    if out:
        said, hint = f"{said}, declared {out}", "take it out again, or correct the inventory"
    sentences.wrong(pair, f"{said}; {hint}")
    return False


def _check(pair: _Pair, expected: Pool, sentences: _Sentences) -> bool | None:
    """Judge one health check; return whether it suffices, None if that is not known."""
    check, program = pair.member.check, pair.control.program
    if check is None:
        sentences.unknown(pair, f"what the health check looks at is unknown: {_lacking(pair)}")
        return None
    if check.kind is Kind.NONE:
        sentences.wrong(pair, f"no health check: {_ADD_CHECK.get(program, 'give it one')}")
        return False
    if check.always:
        sentences.wrong(pair, f"the health check always succeeds: {check.always}; accept 200 only")
        return False
    if check.kind not in _SUFFICE[expected.enough]:
        sentences.wrong(pair, f"{_weak(check)}: {_ADD_HTTP.get(program, 'let it look at an answer')}")
        return False
    if check.accepts_errors:
        sentences.note(
            pair,
            f"the health check takes {', '.join(map(str, check.accepts_errors))} for healthy: accept 200 only",
        )
    page = pair.backend.health
    if page and check.path and urlsplit(page.url).path != urlsplit(check.path).path:
        sentences.note(pair, f"its health check asks {check.path}, the inventory's `health` is {page.url}")
    return True


def _lacking(pair: _Pair) -> str:
    return "; ".join(pair.control.lacking) or f"{pair.control.program} does not tell"


def _weak(check: Check) -> str:
    if check.kind is Kind.PASSIVE:
        return "no health check, only failed requests of users count (`checks: passive` accepts that)"
    what = "a TLS handshake succeeds" if check.kind is Kind.TLS else "the port accepts connections"
    return f"the health check only sees that {what}, which it does while the application fails"


def _weights(pairs: list[_Pair], collector: Collector) -> None:
    """Compare the weights of those in rotation: only their proportions count."""
    mine = [p for p in pairs if p.backend.out is None and p.member.state is State.IN]
    known = [(p, p.member.weight) for p in mine if p.member.weight is not None]
    if len(known) < max(2, len(mine)):
        return
    where = known[0][0].control.name
    if any(p.member.ramping for p, _ in known):
        collector.note(
            "weights were not compared: a backend has returned a short time ago (slow start)", where=where
        )
        return
    whole, declared = sum(weight for _, weight in known), sum(p.backend.weight for p, _ in known)
    off = [
        p for p, weight in known
        if whole <= 0 or abs(weight / whole * declared / p.backend.weight - 1) > _WEIGHT_TOLERANCE
    ]  # fmt: skip
    there = ", ".join(f"{p.backend.name} {weight:g}" for p, weight in known)
    wanted = ", ".join(f"{p.backend.name} {p.backend.weight}" for p, _ in known)
    collector.read(Reading(f"{where}: weights", there, limit=wanted, ok=not off))
    if off:
        collector.wrong(
            f"the weights are {there}, declared {wanted}: set them in the balancer, or correct the inventory",
            where=where,
        )


def _tls(pair: _Pair, expected: Pool, sentences: _Sentences, collector: Collector) -> None:
    if expected.tls is None:
        return
    found, control = pair.member.tls, pair.control
    if found is None:
        sentences.unknown(pair, f"whether TLS is spoken with it is unknown: {_lacking(pair)}")
        return
    ok = _TLS.index(found) >= _TLS.index(expected.tls)
    collector.read(Reading(f"{control.name}: TLS to {pair.backend.name}", found, limit=expected.tls, ok=ok))
    if not ok:
        said = "gets plain text" if found == "none" else "its certificate is not verified"
        sentences.wrong(
            pair, f"{said}, declared {expected.tls}: set {_VERIFY.get(control.program, 'it there')}"
        )


def _slow_start(pair: _Pair, expected: Pool, sentences: _Sentences, collector: Collector) -> None:
    if expected.slow_start is None:
        return
    found, control, wanted_s = pair.member.slow_start_s, pair.control, expected.slow_start.total_seconds()
    if found is None:
        sentences.unknown(pair, f"whether it starts slowly is unknown: {_lacking(pair)}")
        return
    collector.read(
        Reading(
            f"{control.name}: slow start of {pair.backend.name}",
            found,
            "s",
            f"at least {wanted_s:g} s",
            ok=found >= wanted_s,
        )
    )
    if found < wanted_s:
        how = (
            f"`slowstart {wanted_s:g}s` on its server line"
            if control.program == "HAProxy"
            else "slow start there"
        )
        when = f"after {words_for(found)}" if found else "at once"
        sentences.wrong(
            pair,
            f"gets its full share {when} when it returns, declared {words_for(expected.slow_start)}: set {how}",
        )


def _health(page: Health, found: Backends, expected: Pool, collector: Collector) -> None:
    backend = next(each for each in expected.backends if each.name == page.backend)
    names = (backend.name, backend.address)
    keeping = [
        control.name
        for control in found.controls
        for member in control.members
        if member.name in names and member.state is State.IN
    ]
    if page.good is None:
        collector.unknown(f"its own health page cannot be asked from here: {page.said}", where=page.backend)
    elif not page.good and backend.out is None:
        collector.read(
            Reading(
                f"{page.backend}'s own health page",
                page.said,
                limit=f"HTTP {backend.health.expected}" if backend.health else "good",
                ok=False,
            )
        )
        kept = (
            f", and {' and '.join(keeping)} keep{'s' if len(keeping) == 1 else ''} it in rotation: their checks do not see that"
            if keeping
            else ""
        )
        collector.wrong(f"its own health page answers {page.said}{kept}; repair it", where=page.backend)
    elif page.like_missing:
        collector.note(
            "its health page has the same answer as a page that does not exist: it may always be good; a drill shows that",
            where=page.backend,
        )
