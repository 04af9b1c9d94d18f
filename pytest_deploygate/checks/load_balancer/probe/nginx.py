"""nginx: what its configuration says of an upstream. It has no states at run time unless it is NGINX Plus.

A check of its own is `health_check` (NGINX Plus) or `check` (nginx_upstream_check_module, Tengine). Otherwise only failed
requests of users count (`max_fails`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pytest_deploygate.checks.load_balancer import facts
from pytest_deploygate.checks.load_balancer.facts import Kind, State
from pytest_deploygate.checks.load_balancer.probe import statuses
from pytest_deploygate.checks.load_balancer.section import Nginx
from pytest_deploygate.clients.host import commands
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

PROGRAM = "nginx"
_TOKEN = re.compile(
    r"""#[^\n]*|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[{};]|(?:\$\{[^}]*\}|\\.|[^\s{};"'\\])+""", re.DOTALL
)
_MOST_DEPTH = 50
_PASSES = ("proxy_pass", "grpc_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass")
_UNITS_S = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "": 1.0}


@dataclass(frozen=True)
class Directive:
    """A directive with its arguments; `inside` are those of its block."""

    words: tuple[str, ...]
    inside: tuple[Directive, ...] = ()

    @property
    def name(self) -> str:
        """Its name."""
        return self.words[0] if self.words else ""


#: The blocks around a directive, the outermost first.
_Around = tuple[Directive, ...]


def read(name: str, settings: Nginx) -> facts.Control:
    """Return what the configuration says of an upstream. Raises CannotTell."""
    return of(name, _text(settings), settings.upstream)


def of(name: str, text: str, upstream: str) -> facts.Control:
    """Return what a whole configuration says of an upstream. Raises CannotTell."""
    top = Directive(("",), parse(text))
    found = [block for block, _ in _all(top) if block.words == ("upstream", upstream)]
    if not found:
        raise CannotTell(
            f"nginx's configuration has no upstream {upstream!r}: give it whole, as `nginx -T` prints it"
        )
    used = [(block, around) for block, around in _all(top) if _passes_to(block, upstream)]
    lacking = () if used else (f"nothing in the configuration passes to upstream {upstream!r} by its name",)
    check = _active(top, found[0], used)
    tls = _tls(used)
    members = tuple(
        _member(server, check, tls)
        for server in found[0].inside
        if server.name == "server" and len(server.words) > 1
    )
    return facts.Control(name, PROGRAM, members, lacking=lacking, live=False, group=upstream)


def parse(text: str) -> tuple[Directive, ...]:
    """Read a configuration. Raises CannotTell if its braces do not match."""
    stack: list[tuple[list[str], list[Directive]]] = [([], [])]
    for part in _TOKEN.findall(text):
        if part.startswith("#"):
            continue
        words, done = stack[-1]
        if part == ";":
            if words:
                done.append(Directive(tuple(words)))
            words.clear()
        elif part == "{":
            if len(stack) > _MOST_DEPTH:
                raise CannotTell("nginx's configuration has too many blocks in each other")
            stack.append(([], []))
        elif part == "}":
            if len(stack) < 2:
                raise CannotTell("nginx's configuration cannot be read: it has a `}` too many")
            inside = stack.pop()[1]
            words, done = stack[-1]
            done.append(Directive(tuple(words), tuple(inside)))
            words.clear()
        else:
            words.append(part[1:-1] if part[:1] in "\"'" else part)
    if len(stack) > 1:
        raise CannotTell("nginx's configuration cannot be read: a block does not end")
    return tuple(stack[0][1])


def _text(settings: Nginx) -> str:
    if settings.command:
        return commands.printed(settings.command)
    path = Path(str(settings.config))
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        raise CannotTell(f"nginx's configuration {path} cannot be read: {error.strerror}") from None


def _all(block: Directive, around: _Around = ()) -> Iterator[tuple[Directive, _Around]]:
    for each in block.inside:
        yield each, (*around, block)
        yield from _all(each, (*around, block))


def _passes_to(directive: Directive, upstream: str) -> bool:
    if directive.name not in _PASSES or len(directive.words) < 2:
        return False
    target = directive.words[1].partition("://")[2] or directive.words[1]
    return re.split(r"[/:]", target)[0] == upstream


def _setting(around: _Around, name: str) -> Directive | None:
    """Return a directive of the innermost block that has one."""
    for block in reversed(around):
        for each in block.inside:
            if each.name == name:
                return each
    return None


def _tls(used: list[tuple[Directive, _Around]]) -> str | None:
    """Return the worst of what is spoken with the upstream; None if nothing passes to it."""
    found = set()
    for passing, around in used:
        stream = any(block.name == "stream" for block in around)
        on = _setting(around, "proxy_ssl")
        speaks = passing.words[1].startswith(("https://", "grpcs://")) or bool(
            stream and on and on.words[1:] == ("on",)
        )
        prefix = "grpc" if passing.name == "grpc_pass" else "proxy"
        verify = _setting(around, f"{prefix}_ssl_verify")
        found.add(
            "none" if not speaks else "verified" if verify and verify.words[1:] == ("on",) else "unverified"
        )
    return next((each for each in ("none", "unverified", "verified") if each in found), None)


def _active(top: Directive, upstream: Directive, used: list[tuple[Directive, _Around]]) -> facts.Check | None:
    """Return the upstream's active check, if it has one."""
    for each in upstream.inside:
        if each.name == "check":
            return _tengine(upstream, each)
    for _, around in used:
        found = next((each for each in around[-1].inside if each.name == "health_check"), None)
        if found:
            stream = any(block.name == "stream" for block in around)
            return _plus(top, found, stream=stream)
    return None


def _tengine(upstream: Directive, check: Directive) -> facts.Check:
    options = dict(word.partition("=")[::2] for word in check.words[1:])
    kind = options.get("type", "tcp")
    if kind in ("tcp", "ssl_hello"):
        return facts.Check(Kind.TCP if kind == "tcp" else Kind.TLS)
    alive = next(
        (each.words[1:] for each in upstream.inside if each.name == "check_http_expect_alive"),
        ("http_2xx", "http_3xx"),
    )
    accepted = statuses.ERRORS if "http_5xx" in alive else ()
    sends = next(
        (each.words[1] for each in upstream.inside if each.name == "check_http_send" and len(each.words) > 1),
        "",
    )
    path = sends.split()[1] if len(sends.split()) > 1 else "/"
    return facts.Check(
        Kind.HTTP, path, accepted, "`check_http_expect_alive` has http_5xx" if accepted else ""
    )


def _plus(top: Directive, check: Directive, *, stream: bool) -> facts.Check:
    options = dict(word.partition("=")[::2] for word in check.words[1:])
    name = options.get("match")
    block = next((each for each, _ in _all(top) if name and each.words == ("match", name)), None)
    if block is None:
        return facts.Check(Kind.TCP) if stream else facts.Check(Kind.HTTP, options.get("uri", "/"))
    rules = []
    for each in block.inside:
        negated = each.words[1:2] == ("!",)
        wanted = ",".join(each.words[2:] if negated else each.words[1:])
        if each.name == "status":
            accepts = statuses.in_ranges(wanted)
            rules.append((lambda status, rule=accepts: not rule(status)) if negated else accepts)
        else:
            rules.append(lambda _status: False)
    accepted = statuses.accepted_errors(rules)
    always = f"`match {name}` accepts every status" if accepted == statuses.ERRORS else ""
    return facts.Check(Kind.HTTP, options.get("uri", "/"), accepted, always)


def _member(server: Directive, active: facts.Check | None, tls: str | None) -> facts.Member:
    options = dict(word.partition("=")[::2] for word in server.words[2:])
    weight, fails = options.get("weight", "1"), options.get("max_fails", "1")
    state = State.MAINT if "down" in options else State.BACKUP if "backup" in options else State.IN
    state = State.DRAIN if "drain" in options else state
    check = active or facts.Check(Kind.NONE if fails == "0" else Kind.PASSIVE, says=f"max_fails={fails}")
    return facts.Member(
        server.words[1],
        state,
        " ".join(word for word in ("down", "backup", "drain") if word in options),
        float(weight) if weight.isdigit() else None,
        check,
        tls,
        _seconds(options.get("slow_start", "0")),
    )


def _seconds(text: str) -> float | None:
    found = re.fullmatch(r"(\d+)(ms|s|m|h|d|)", text)
    return int(found[1]) * _UNITS_S[found[2]] if found else None
