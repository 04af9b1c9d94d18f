"""Read what HAProxy's configuration says of a backend's checks, TLS and slow start (configuration manual, 2.6).

The last value of an option counts, that of the `defaults` section or of `default-server` where a line has none.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import field

from pytest_deploygate.checks.load_balancer import facts
from pytest_deploygate.checks.load_balancer.probe import statuses
from pytest_deploygate.lazy import dataclass

_SECTIONS = ("global", "defaults", "frontend", "backend", "listen", "userlist", "peers", "resolvers", "cache", "program",
             "http-errors", "mailers", "ring", "fcgi-app")  # fmt: skip
#: Options of a server line that take a value.
_WITH_VALUE = frozenset(
    [
        "verify",
        "ca-file",
        "crt",
        "sni",
        "check-sni",
        "verifyhost",
        "inter",
        "fastinter",
        "downinter",
        "fall",
        "rise",
        "slowstart",
        "weight",
        "track",
        "addr",
        "port",
        "on-marked-down",
        "on-marked-up",
        "on-error",
        "observe",
        "error-limit",
        "cookie",
        "maxconn",
        "minconn",
        "maxqueue",
        "agent-port",
        "agent-addr",
        "agent-inter",
        "agent-send",
        "id",
        "init-addr",
        "resolvers",
        "resolve-prefer",
        "source",
        "proto",
        "check-proto",
        "alpn",
        "check-alpn",
        "npn",
        "ciphers",
        "ciphersuites",
        "ssl-min-ver",
        "ssl-max-ver",
        "pool-max-conn",
        "pool-purge-delay",
        "redir",
        "namespace",
        "crl-file",
    ]
)
#: What `option NAME` makes the check look at, besides HTTP.
_PROTOCOLS = (
    "mysql-check",
    "pgsql-check",
    "redis-check",
    "smtpchk",
    "ldap-check",
    "ssl-hello-chk",
    "external-check",
    "spop-check",
)
_UNITS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "": 1e-3}


@dataclass(frozen=True)
class Server:
    """A server line: its options, and that it is `disabled` or `backup`."""

    name: str
    options: dict[str, str]


@dataclass()
class Section:
    """A section's lines that bear on checks; `servers` only in a backend."""

    check: str = ""
    path: str = ""
    expects: list[list[str]] = field(default_factory=list)
    tcp_expects: bool = False
    defaults: dict[str, str] = field(default_factory=dict)
    servers: list[Server] = field(default_factory=list)

    def child(self) -> Section:
        """Return a section that begins with these defaults."""
        return Section(self.check, self.path, list(self.expects), self.tcp_expects, dict(self.defaults))


def backend(text: str, name: str) -> Section | None:
    """Return a `backend` or `listen` section with what it inherits; None if there is none of this name."""
    named: dict[str, Section] = {}
    latest = Section()
    found: Section | None = None
    for words, lines in _sections(text):
        kind = words[0]
        base = named.get(words[words.index("from") + 1]) if "from" in words[:-1] else None
        if kind == "defaults":
            latest = _read((base or Section()).child(), lines)
            if len(words) > 1:
                named[words[1]] = latest
        elif kind in ("backend", "listen") and words[1:2] == [name]:
            found = _read((base or latest).child(), lines)
    return found


def verifies_by_default(text: str) -> bool:
    """Return whether servers are verified that do not say; `ssl-server-verify none` in `global` turns that off."""
    for words, lines in _sections(text):
        if words[0] == "global":
            for line in lines:
                if line[:2] == ["ssl-server-verify", "none"]:
                    return False
    return True


def check(section: Section, server: Server) -> facts.Check:
    """Return a server's health check."""
    options = server.options
    if "check" not in options and "track" not in options:
        # What observes users' requests counts only together with `check`; an agent can be asked alone.
        return facts.Check(facts.Kind.HTTP if "agent-check" in options else facts.Kind.NONE)
    if section.check == "httpchk":
        return _http(section)
    if section.check in _PROTOCOLS or section.tcp_expects:
        return facts.Check(facts.Kind.HTTP, says=section.check)
    return facts.Check(facts.Kind.TLS if "ssl" in options or "check-ssl" in options else facts.Kind.TCP)


def tls(server: Server, *, verified: bool) -> str:
    """Return `none`, `unverified` or `verified`."""
    if "ssl" not in server.options:
        return "none"
    how = server.options.get("verify", "required" if verified else "none")
    return "unverified" if how == "none" else "verified"


def seconds(text: str) -> float | None:
    """Read a time such as `30s` or `500` (milliseconds)."""
    found = re.fullmatch(r"(\d+)(us|ms|s|m|h|d|)", text)
    return int(found[1]) * _UNITS_S[found[2]] if found else None


def _http(section: Section) -> facts.Check:
    rules, always = [], ""
    for words in section.expects:
        negated = words[:1] == ["!"]
        rest = words[1:] if negated else words
        if len(rest) < 2:
            continue
        kind, pattern = rest[-2], rest[-1]
        if kind in ("status", "rstatus"):
            accepts = statuses.in_ranges(pattern) if kind == "status" else statuses.matching(pattern)
            rules.append((lambda status, rule=accepts: not rule(status)) if negated else accepts)
        else:
            # The body is looked at: an error page may have the text too, but need not.
            rules.append(lambda _status: False)
    if not section.expects:
        rules.append(lambda status: 200 <= status < 400)
    accepted = statuses.accepted_errors(rules)
    if accepted == statuses.ERRORS:
        always = f"`http-check expect {' '.join(section.expects[-1])}` accepts every status"
    return facts.Check(facts.Kind.HTTP, section.path, accepted, always)


def _sections(text: str) -> Iterator[tuple[list[str], list[list[str]]]]:
    """Yield the first line of each section, and its other lines, as words."""
    head: list[str] = []
    lines: list[list[str]] = []
    for raw in text.splitlines():
        words = _words(raw)
        if not words:
            continue
        if words[0] in _SECTIONS and not raw[:1].isspace():
            if head:
                yield head, lines
            head, lines = words, []
        else:
            lines.append(words)
    if head:
        yield head, lines


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split, lexer.commenters = True, "#"
    try:
        return list(lexer)
    except ValueError:  # a quote that does not end: HAProxy refuses such a file
        return line.split()


def _read(section: Section, lines: list[list[str]]) -> Section:
    own_checks = False
    for line in lines:
        no = line[0] == "no"
        words = line[1:] if no else line
        first, rest = words[0] if words else "", words[1:]
        if first == "option" and rest:
            _option(section, rest, no=no)
        elif first in ("http-check", "tcp-check") and rest:
            if not own_checks:  # rules of a section replace those of its defaults
                section.expects, section.tcp_expects, own_checks = [], False, True
            if rest[0] == "expect" and first == "http-check":
                section.expects.append(_expected(rest[1:]))
            elif rest[0] == "expect":
                section.tcp_expects = True
            elif rest[0] == "send" and "uri" in rest[:-1]:
                section.path = rest[rest.index("uri") + 1]
        elif first == "default-server":
            section.defaults |= _options(rest, {})
        elif first == "server" and len(rest) > 1:
            section.servers.append(Server(rest[0], _options(rest[2:], section.defaults)))
    return section


def _option(section: Section, words: list[str], *, no: bool) -> None:
    name = words[0]
    if name not in ("httpchk", "tcp-check", *_PROTOCOLS):
        return
    if no:
        section.check = "" if section.check == name else section.check
        return
    section.check = name
    if name == "httpchk":
        # `option httpchk URI`, or METHOD URI [VERSION]
        section.path = words[1] if len(words) == 2 else words[2] if len(words) > 2 else section.path or "/"


def _expected(words: list[str]) -> list[str]:
    """Return `[!] KIND PATTERN` of an expectation, without the options before it."""
    kinds = ("status", "rstatus", "string", "rstring", "hdr", "fhdr")
    at = next((i for i, word in enumerate(words) if word in kinds), None)
    if at is None:
        return words
    return [*(["!"] if at and words[at - 1] == "!" else []), words[at], " ".join(words[at + 1 :])]


def _options(words: list[str], base: dict[str, str]) -> dict[str, str]:
    found = dict(base)
    at = 0
    while at < len(words):
        word = words[at]
        if word in _WITH_VALUE and at + 1 < len(words):
            found[word] = words[at + 1]
            at += 1
        elif word.startswith("no-"):
            found.pop(word.removeprefix("no-"), None)
        elif word == "enabled":
            found.pop("disabled", None)
        else:
            found[word] = ""
        at += 1
    return found
