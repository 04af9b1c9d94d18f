"""Make a reader of lines from a log's declared form: that of nginx, Apache, HAProxy, or JSON.

A reader returns what the line tells by our names (`time`, `status`, …), with the log's own words; None if the line has
another form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pytest_deploygate.checks.access_logs.section import Hop
from pytest_deploygate.lazy import dataclass

Reader = Callable[[str], Mapping[str, str] | None]

#: A longer line is none of an access log, and is not read.
LONGEST = 32_768
_COMMON = '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent'
_COMBINED = f'{_COMMON} "$http_referer" "$http_user_agent"'
#: Source: nginx, ngx_http_log_module and ngx_http_core_module; the first that a format has counts.
_NGINX = {
    "time": ("time_iso8601", "time_local", "msec"),
    "source": (
        "remote_addr",
        "realip_remote_addr",
        "proxy_protocol_addr",
        "http_x_real_ip",
        "http_x_forwarded_for",
    ),
    "request": ("request",),
    "method": ("request_method",),
    "path": ("request_uri", "uri", "document_uri"),
    "status": ("status",),
    "duration": ("request_time", "upstream_response_time"),
    "user": ("remote_user",),
}
#: Source: Apache, mod_log_config.
_APACHE = {
    "time": (
        "t",
        "{sec}t",
        "{msec}t",
        "{usec}t",
        "{end:sec}t",
        "{end:msec}t",
        "{begin:sec}t",
        "{begin:msec}t",
    ),
    "source": ("a", "h", "{c}a", "{X-Forwarded-For}i"),
    "request": ("r",),
    "method": ("m",),
    "path": ("U",),
    "status": ("s",),
    "duration": ("D", "{us}T", "{ms}T", "{s}T", "T"),
    "user": ("u",),
}
#: Values that say themselves where they end: Apache's time in brackets, and its path and query.
_EXACT = {"t": r"\[[^\]]*\]", "U": r"[^\s?]*", "q": r"(?:\?\S*)?"}
#: Values that may have blanks at the end of a line.
_FREE = re.compile(r"(?:sent_)?http_\w+|arg_\w+|cookie_\w+|request|\{.*\}[io]|r")
_DIRECTIVE = re.compile(r"%[<>!,\d]*(\{[^}]*\})?(\^[A-Za-z]{2}|[A-Za-z])|%%")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
#: `log_format name escape=json 'one' 'two';` as it stands in nginx.conf.
_STATEMENT = re.compile(r"\s*log_format\s+\S+\s+(?:escape=\w+\s+)?(.*?);?\s*", re.DOTALL)
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")
#: Source: HAProxy, configuration manual, 8.2.3 "HTTP log format". What syslog puts before it is left out.
_HAPROXY = re.compile(
    r"(?P<source>[0-9A-Fa-f.:]+):\d+ \[(?P<time>[^\]]+)\] \S+ \S+/\S+ [-+\d]+(?:/[-+\d]+){3}/\+?(?P<duration>-?\d+)"
    r" (?P<status>-?\d+) \+?\d+ .*?\"(?P<request>[^\"]*)\"(?: .*)?"
)
_REQUEST = re.compile(r"([A-Z]{3,10}) (\S+)(?: HTTP/\S+)?")


#: What stands before a line in a file of syslog (RFC 3164, or with a time in ISO 8601), or of a container in Kubernetes.
_HEADERS = (
    re.compile(
        r"(?:<\d{1,3}>)?(?:[A-Z][a-z]{2} [ \d]\d [\d:.]{8,15}|\d{4}-\d{2}-\d{2}T\S+) \S+ [^\s:\[]+(?:\[\d+\])?: ?"
    ),
    re.compile(r"\d{4}-\d{2}-\d{2}T\S+ (?:stdout|stderr) F "),
)
#: The keys of a line in Docker's driver `json-file`.
_DOCKER = {"log", "stream", "time"}


def reader(hop: Hop) -> Reader:
    """Return the reader of a hop's lines, which may be wrapped by syslog or by the runtime of a container."""
    bare = _bare(hop)

    def read(line: str) -> Mapping[str, str] | None:
        if line.startswith('{"log":') and (inner := _of_docker(line)) is not None:
            return bare(inner)
        told = bare(line)
        if told is None and (found := next((f for each in _HEADERS if (f := each.match(line))), None)):
            told = bare(line[found.end() :])
        return told

    return read


def _of_docker(line: str) -> str | None:
    try:
        document = json.loads(line)
    except ValueError:
        return None
    inside = (
        document["log"] if isinstance(document, dict) and document.keys() - {"attrs"} == _DOCKER else None
    )
    return inside.rstrip("\n") if isinstance(inside, str) else None


def _bare(hop: Hop) -> Reader:
    if hop.format == "json":
        return _json(hop.fields)
    if hop.format == "haproxy":
        return _haproxy
    if hop.apache is not None:
        return _columns(_apache(hop.apache), {**_APACHE, **_named(hop.fields)})
    form = {"common": _COMMON, "combined": _COMBINED}.get(hop.format or "", hop.nginx or "")
    return _columns(_nginx(form), {**_NGINX, **_named(hop.fields)})


def shape(line: str) -> str:
    """Return what a line looks like without what it says: letters are `a`, digits `9`."""
    shaped = re.sub(r"[^\W\d_]+", "a", line[:LONGEST])
    shaped = re.sub(r"\d+", "9", shaped)
    shaped = "".join(c if c.isprintable() else "?" for c in shaped)
    return shaped if len(shaped) <= 100 else f"{shaped[:100]} …"


def _named(fields: Mapping[Any, str]) -> dict[str, tuple[str, ...]]:
    return {told: (name.lstrip("$%<>"),) for told, name in fields.items()}


@dataclass(frozen=True)
class _Part:
    """Text that stands in each line, or the name of a value."""

    text: str = ""
    name: str = ""


def _nginx(form: str) -> list[_Part]:
    """Return the parts of a log_format, written as a text or as its whole statement."""
    if statement := _STATEMENT.fullmatch(form):
        form = "".join(single or double for single, double in _QUOTED.findall(statement[1]))
    return list(_split(form, _VARIABLE, lambda found: found[1] or found[2]))


def _apache(form: str) -> list[_Part]:
    """Return the parts of a LogFormat; `\\"` is a quotation mark in a configuration file."""
    return list(
        _split(form.replace('\\"', '"'), _DIRECTIVE, lambda found: f"{found[1] or ''}{found[2] or ''}")
    )


def _split(form: str, name: re.Pattern[str], named: Callable[[re.Match[str]], str]) -> Iterable[_Part]:
    at = 0
    for found in name.finditer(form):
        if found.start() > at:
            yield _Part(text=form[at : found.start()])
        yield _Part(name=named(found)) if named(found) else _Part(text="%")
        at = found.end()
    if at < len(form):
        yield _Part(text=form[at:])


def _columns(parts: list[_Part], names: Mapping[str, tuple[str, ...]]) -> Reader:
    groups: list[str] = []
    written = []
    for number, part in enumerate(parts):
        if part.text:
            written.append(re.escape(part.text))
            continue
        before = parts[number - 1].text if number else ""
        after = parts[number + 1].text if number + 1 < len(parts) else None
        groups.append(part.name)
        written.append(f"({_value(part.name, before, after)})")
    whole = re.compile("".join(written))
    where = {
        told: groups.index(name)
        for told, candidates in names.items()
        if (name := next((each for each in candidates if each in groups), None))
    }

    def read(line: str) -> Mapping[str, str] | None:
        found = whole.fullmatch(line)
        return _with_request({told: found[at + 1] for told, at in where.items()}) if found else None

    return read


def _value(name: str, before: str, after: str | None) -> str:
    """Return the expression of one value, narrow enough that no line takes long to be refused."""
    if name in _EXACT:
        return _EXACT[name]
    if before.endswith('"') and (after or "").startswith('"'):
        return r'(?:[^"\\]|\\.)*'
    if after is None and _FREE.fullmatch(name):
        return ".*"
    if name in ("remote_user", "u"):
        return ".*?"
    if after and not after[0].isspace():
        return f"[^{re.escape(after[0])}]*"
    # Lists of addresses and of times of several servers have blanks.
    return r"[^\s,]*(?:(?:, | : )[^\s,]+)*"


def _haproxy(line: str) -> Mapping[str, str] | None:
    found = _HAPROXY.search(line)
    return _with_request(found.groupdict()) if found else None


def _json(fields: Mapping[Any, str]) -> Reader:
    def read(line: str) -> Mapping[str, str] | None:
        try:
            document = json.loads(line)
        except ValueError:
            return None
        if not isinstance(document, dict):
            return None
        return _with_request(
            {told: value for told, key in fields.items() if (value := _at(document, key)) is not None}
        )

    return read


def _at(document: Mapping[str, Any], key: str) -> str | None:
    """Return a value as text; `a.b` is the key `a.b`, or `b` inside of `a`. None if there is no such key."""
    if key in document:
        value = document[key]
        return "" if value is None else value if isinstance(value, str) else json.dumps(value)
    outer, dot, rest = key.partition(".")
    inner = document.get(outer)
    return _at(inner, rest) if dot and isinstance(inner, dict) else None


def _with_request(told: dict[str, str]) -> dict[str, str]:
    """Take method and path from the request's line."""
    line = told.pop("request", None)
    if line is not None and (found := _REQUEST.fullmatch(line.strip())):
        told = {"method": found[1], "path": found[2], **told}
    return told
