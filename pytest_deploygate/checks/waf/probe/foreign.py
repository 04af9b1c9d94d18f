"""Attacks of others, from a folder that the inventory names: OWASP CRS's regression tests and gotestwaf's cases.

Both are sent below the paths that the inventory calls safe. What cannot be sent so is left out, and counted by its reason.
"""

from __future__ import annotations

import base64
import posixpath
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from yaml import YAMLError

from pytest_deploygate.checks.waf.probe import message
from pytest_deploygate.checks.waf.probe.corpus import Case, Usual
from pytest_deploygate.checks.waf.probe.message import Message
from pytest_deploygate.checks.waf.section import Corpus, Waf
from pytest_deploygate.files import bounded, yaml
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

_READ, _WRITE = ("GET", "HEAD", "OPTIONS"), ("POST", "PUT", "PATCH", "DELETE")
_FORM = "application/x-www-form-urlencoded"
#: A target as it may stand in the first line of a request.
_TARGET = re.compile(r"/[!-~]*")
#: Paths of the servers that CRS's tests are written for; they answer anything.
_ANYTHING = re.compile(r"/(?:get|post|put|delete|patch|anything|headers|status/\d+|reflect)?/?")
#: Rules by the beginning of their number.
_CLASSES = {
    "913": "scanner", "920": "protocol", "921": "protocol", "922": "protocol", "930": "lfi", "931": "rfi", "932": "rce",
    "933": "php", "934": "rce", "941": "xss", "942": "sqli", "943": "other", "944": "java",
}  # fmt: skip
_TYPES = (
    ("sql", "sqli"), ("xss", "xss"), ("cross", "xss"), ("traversal", "lfi"), ("lfi", "lfi"), ("rce", "rce"), ("shell", "rce"),
    ("sst", "rce"), ("xxe", "protocol"), ("xml", "protocol"), ("crlf", "protocol"), ("ldap", "protocol"), ("mail", "protocol"),
)  # fmt: skip
_MOST_FILE = 4_000_000


class _LeftOut(Exception):  # noqa: N818 (it is no error)
    """Raised for a case that is not sent; its text is the reason."""


@dataclass(frozen=True)
class Found:
    """What a folder has: attacks, ordinary requests, and how many cases were left out for which reason."""

    cases: tuple[Case, ...]
    usual: tuple[Usual, ...]
    left_out: Mapping[str, int]


def read(corpus: Corpus, waf: Waf) -> Found:
    """Read a folder. Raises CannotTell if it cannot be read, or has no case at all."""
    left_out: Counter[str] = Counter()
    usual: list[Usual] = []
    folder = corpus.crs or corpus.gotestwaf or Path()
    cases = list(
        _crs(folder, waf, left_out)
        if corpus.crs
        else _gotestwaf(folder, waf, left_out, usual if corpus.ordinary else None)
    )
    if not cases and not left_out:
        raise CannotTell(f"{folder} has no test cases: name the checkout of {_WHERE[corpus.name]}")
    if (more := len(cases) - corpus.most) > 0:
        left_out[f"more than {corpus.most}"] += more
        cases = sorted(random.Random(len(cases)).sample(cases, corpus.most), key=lambda case: case.name)  # noqa: S311
    return Found(tuple(cases), tuple(usual), left_out)


_WHERE = {"OWASP CRS": "coreruleset/coreruleset", "gotestwaf": "wallarm/gotestwaf, or its folder `testcases`"}


def _documents(folder: Path, pattern: str) -> Iterator[tuple[Path, Any]]:
    for file in sorted(folder.rglob(pattern)):
        try:
            yield file, _loaded(bounded.read(file, _MOST_FILE).decode("utf-8", "replace"))
        except (OSError, ValueError, YAMLError) as error:
            raise CannotTell(f"{file} cannot be read: {' '.join(str(error).split())[:160]}") from None


def _loaded(text: str) -> Any:
    """Read YAML. Go's reader, for which gotestwaf's cases are written, takes an escaped quote that is no escape of YAML's."""
    try:
        return yaml.load(text)
    except YAMLError:
        return yaml.load(text.replace("\\'", "'"))


# ---- OWASP CRS


def _crs(folder: Path, waf: Waf, left_out: Counter[str]) -> Iterator[Case]:
    rules = _rules(folder)
    for file, document in _documents(folder, "*.yaml"):
        for number, test in enumerate(_list(document, "tests"), 1):
            try:
                yield _crs_case(test, number, file, rules, waf)
            except _LeftOut as why:
                left_out[str(why)] += 1


def _rules(folder: Path) -> dict[str, int]:
    """Return the paranoia level of each rule that blocks by itself: its severity is critical."""
    places = [folder / "rules", *(parent / "rules" for parent in list(folder.resolve().parents)[:4])]
    found: dict[str, int] = {}
    for place in places:
        for file in sorted(place.glob("*.conf")) if place.is_dir() else ():
            text = file.read_text("utf-8", "replace")
            for rule in re.split(r"(?m)^Sec(?:Rule|Action)\b", text):
                number = re.search(r"\bid:'?(\d{6})\b", rule)
                level = re.search(r"paranoia-level/([1-4])", rule)
                if number and level and re.search(r"severity:'?(?:CRITICAL|2)\b", rule):
                    found[number[1]] = int(level[1])
        if found:
            return found
    raise CannotTell(
        f"{folder} has no folder `rules` in it or above it, so the paranoia levels of its tests are not known: name a whole "
        "checkout of coreruleset/coreruleset"
    )


def _crs_case(test: Any, number: int, file: Path, rules: Mapping[str, int], waf: Waf) -> Case:
    stages = _list(test, "stages")
    if len(stages) != 1:
        raise _LeftOut("several requests")
    stage = stages[0].get("stage", stages[0])
    sent, output = stage.get("input") or {}, stage.get("output") or {}
    rule = _expected_rule(output)
    if not rule:
        raise _LeftOut("expects no rule")
    if rule[:3] not in _CLASSES:
        raise _LeftOut("about answers")
    if rule not in rules:
        raise _LeftOut("its rule does not block by itself")
    if "encoded_request" in sent:
        raise _LeftOut("raw requests")
    made, control, placement = _crs_message(sent, waf)
    _allowed(placement, waf)
    name = f"{rule}-{test.get('test_id', number)}" if isinstance(test, Mapping) else f"{file.stem}-{number}"
    return Case(
        name, _CLASSES[rule[:3]], placement, "plain", "", made, control, {"rule": rules[rule]}, "OWASP CRS"
    )


def _expected_rule(output: Mapping[str, Any]) -> str:
    """Return the rule that a test expects; of version 4 and 3. Empty if it expects none."""
    log = output.get("log")
    ids = log.get("expect_ids") if isinstance(log, Mapping) else None
    if ids:
        return str(ids[0])
    found = re.search(r'id "?(\d{6})', str(output.get("log_contains", "")))
    return found[1] if found else ""


def _crs_message(sent: Mapping[str, Any], waf: Waf) -> tuple[Message, Message, str]:
    method, uri = str(sent.get("method", "GET")), str(sent.get("uri", "/"))
    base = _base(method, waf)
    path, mark, query = uri.partition("?")
    inside = _ANYTHING.fullmatch(path) is not None
    target = f"{base if inside else base.rstrip('/') + path}{mark}{query}"
    _check(target, base)
    headers = {str(name): str(value) for name, value in (sent.get("headers") or {}).items()}
    data = sent.get("data")
    body = data.encode() if isinstance(data, str) else b"" if data is None else str(data).encode()
    kept = _headers(headers)
    kind = next((value for name, value in kept if name.lower() == "content-type"), "")
    if body and not kind and sent.get("autocomplete_headers", True):
        kind = _FORM
        kept = (*kept, ("Content-Type", kind))
    control_body = b"" if not body else b'{"item": "notes"}' if "json" in kind else b"item=notes"
    usual = kind if re.match(r"application/(json|x-www-form-urlencoded)$", kind) else _FORM
    control = Message(
        method,
        base if inside else f"{base.rstrip('/')}/notes",
        (("Content-Type", usual),) if control_body else (),
        control_body,
    )
    return Message(method, target, kept, body), control, _placement(body, kind, query, kept, inside=inside)


def _placement(
    body: bytes, kind: str, query: str, headers: tuple[tuple[str, str], ...], *, inside: bool
) -> str:
    if body:
        return (
            "json"
            if "json" in kind
            else "multipart"
            if "multipart" in kind
            else "form"
            if _FORM in kind
            else "body"
        )
    if query:
        return "query"
    if not inside:
        return "path"
    return "cookie" if any(name.lower() == "cookie" for name, _ in headers) else "header"


def _headers(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    kept = []
    for name, value in headers.items():
        if name.lower() == "transfer-encoding":
            raise _LeftOut("a framing of their own")
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or "\n" in value or "\r" in value:
            raise _LeftOut("no HTTP that could be sent")
        if name.lower() not in ("host", "content-length", "connection"):
            kept.append((name, value))
    return tuple(kept)


# ---- gotestwaf


def _gotestwaf(folder: Path, waf: Waf, left_out: Counter[str], usual: list[Usual] | None) -> Iterator[Case]:
    for file, document in _documents(folder, "*.yml"):
        if not isinstance(document, Mapping) or "payload" not in document:
            continue
        ordinary = file.parent.name.startswith("false")
        for number, payload in enumerate(_list(document, "payload"), 1):
            for encoder in _list(document, "encoder"):
                for placeholder in _list(document, "placeholder"):
                    if ordinary and usual is None:
                        left_out["ordinary requests"] += 1
                        continue
                    try:
                        case = _gotestwaf_case(str(payload), str(encoder), placeholder, waf)
                    except _LeftOut as why:
                        left_out[str(why)] += 1
                        continue
                    name = f"{file.stem}-{number}/{case.placement}/{encoder}"
                    if ordinary and usual is not None:
                        usual.append(Usual(name, "gotestwaf", case.sent))
                        continue
                    kind = str(document.get("type", file.stem)).lower()
                    yield Case(
                        name,
                        next((found for word, found in _TYPES if word in kind), "other"),
                        case.placement,
                        case.encoding,
                        "",
                        case.sent,
                        case.control,
                        {},
                        "gotestwaf",
                    )


def _gotestwaf_case(payload: str, encoder: str, placeholder: Any, waf: Waf) -> Case:
    name = next(iter(placeholder)) if isinstance(placeholder, Mapping) else str(placeholder)
    if encoder not in _ENCODERS or name not in _PLACEHOLDERS:
        raise _LeftOut(f"{name} with {encoder}")
    placement, method, put = _PLACEHOLDERS[name]
    _allowed(placement, waf)
    base = _base(method, waf)
    sent = put(base, _ENCODERS[encoder](payload))
    _check(sent.target, base)
    _headers(dict(sent.headers))
    return Case("", "", placement, encoder.lower(), "", sent, put(base, "notes"))


_ENCODERS: Mapping[str, Callable[[str], str]] = {
    "Plain": lambda text: text,
    "URL": lambda text: quote(text, safe="-._~$&+=:@"),
    "Base64": lambda text: base64.b64encode(text.encode()).decode(),
    "Base64Flat": lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
    "JSUnicode": lambda text: "".join(f"\\u{ord(letter):04x}" for letter in text),
    "XMLEntity": lambda text: "".join(f"&#{ord(c)};" if c in "<>&'\"" else c for c in text),
}


def _bare(text: str) -> str:
    """Encode only what cannot stand in the first line of a request."""
    return "".join(c if "!" <= c <= "~" and c != "#" else quote(c, safe="") for c in text)


def _xml(path: str, value: str) -> Message:
    return message.body("POST", path, "text/xml", value.encode())


_PLACEHOLDERS: Mapping[str, tuple[str, str, Callable[[str, str], Message]]] = {
    "URLParam": ("query", "GET", lambda path, value: Message("GET", f"{path}?item={_bare(value)}")),
    "URLPath": ("path", "GET", lambda path, value: Message("GET", f"{path.rstrip('/')}/{_bare(value)}")),
    "Header": ("header", "GET", lambda path, value: message.header(path, "X-Item", value)),
    "UserAgent": ("header", "GET", lambda path, value: message.header(path, "User-Agent", value)),
    "HTMLForm": (
        "form",
        "POST",
        lambda path, value: message.body("POST", path, _FORM, f"item={_bare(value)}".encode()),
    ),
    "HTMLMultipartForm": ("multipart", "POST", lambda path, value: message.multipart(path, value, "plain")),
    "JSONRequest": ("json", "POST", lambda path, value: message.in_json(path, value, "plain")),
    "JSONBody": (
        "json",
        "POST",
        lambda path, value: message.body("POST", path, "application/json", value.encode()),
    ),
    "RequestBody": (
        "body",
        "POST",
        lambda path, value: message.body("POST", path, "text/plain", value.encode()),
    ),
    "XMLBody": ("body", "POST", _xml),
    "SOAPBody": ("body", "POST", _xml),
}


# ---- both


def _allowed(placement: str, waf: Waf) -> None:
    if placement in waf.without:
        raise _LeftOut(f"`without` has {placement}")


def _base(method: str, waf: Waf) -> str:
    if method in _READ:
        return waf.read
    if method not in _WRITE:
        raise _LeftOut("methods of their own")
    if waf.write is None:
        raise _LeftOut("no `write`")
    return waf.write


def _check(target: str, base: str) -> None:
    """Raise _LeftOut for a target that no request has, or that leads away from the path that is safe."""
    if not _TARGET.fullmatch(target):
        raise _LeftOut("no HTTP that could be sent")
    path = target.partition("?")[0]
    for _ in range(2):  # encoded twice, it leads away just as well
        path = unquote(path)
    where = posixpath.normpath(path.replace("\\", "/"))
    if where != base.rstrip("/") and not where.startswith(f"{base.rstrip('/')}/") and base != "/":
        raise _LeftOut("lead away from the safe path")


def _list(held: Any, key: str) -> list[Any]:
    found = held.get(key) if isinstance(held, Mapping) else None
    return found if isinstance(found, list) else []
