"""The shipped corpora: attacks, ordinary requests, and the paranoia levels at which reference rule sets block the attacks."""

from __future__ import annotations

import base64
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import field
from functools import cache
from pathlib import Path
from typing import Any

from pytest_deploygate.checks.waf.probe import message
from pytest_deploygate.checks.waf.probe.message import Message
from pytest_deploygate.lazy import dataclass

FOLDER = Path(__file__).parent.parent / "corpus"
SHIPPED = "shipped"
#: `%u003c` in a path is no HTTP: servers refuse it with 400 before a WAF sees it.
_NO_REQUEST = {("path", "unicode")}


@dataclass(frozen=True)
class Case:
    """An attack: the request, and the same request without the payload."""

    name: str
    attack_class: str
    placement: str
    encoding: str
    cwe: str
    sent: Message
    control: Message
    levels: Mapping[str, int] = field(default_factory=dict)
    corpus: str = SHIPPED


@dataclass(frozen=True)
class Usual:
    """A request of an ordinary user."""

    name: str
    traffic: str
    sent: Message


@cache
def _read(name: str) -> dict[str, Any]:
    with (FOLDER / name).open("rb") as file:
        return tomllib.load(file)


def version() -> str:
    """Return the version of the shipped attacks."""
    return str(_read("attacks.toml")["version"])


def levels() -> dict[str, dict[str, int]]:
    """Return the lowest paranoia level at which each rule set blocks an attack, by the attack's name; absent if at none."""
    rows = [
        line.split("\t")
        for line in (FOLDER / "levels.tsv").read_text().splitlines()
        if not line.startswith("#")
    ]
    sets = rows[0][1:]
    return {
        name: {rules: int(level) for rules, level in zip(sets, found, strict=True) if level != "-"}
        for name, *found in rows[1:]
    }


def attacks(read: str, write: str | None) -> Iterator[Case]:
    """Yield all attacks: GET to the path `read`, requests with a body to `write`; without `write`, none with a body."""
    data = _read("attacks.toml")
    known = levels()
    for attack_class in data["classes"]:
        for attack in data[attack_class]:
            for placement in attack["in"]:
                if write is None and placement in message.WITH_BODY:
                    continue
                for encoding in attack.get("as", ["plain"]):
                    if (placement, encoding) in _NO_REQUEST:
                        continue
                    name = f"{attack_class}.{attack['name']}/{placement}/{encoding}"
                    sent, control = _both(attack_class, attack, placement, encoding, read, write or "")
                    yield Case(
                        name,
                        attack_class,
                        placement,
                        encoding,
                        attack["cwe"],
                        sent,
                        control,
                        known.get(name, {}),
                    )


def _both(
    attack_class: str, attack: Mapping[str, str], placement: str, encoding: str, read: str, write: str
) -> tuple[Message, Message]:
    payload, path = attack["payload"], write if placement in message.WITH_BODY else read
    if attack_class == "upload":
        control = message.upload(path, "notes.txt", b"notes")
        return message.upload(path, payload, attack["content"].encode()), control
    if placement == "header":
        name = attack.get("header", "Referer")
        return message.header(path, name, message.encoded(payload, encoding)), message.plain(path)
    put = message.PLACED[placement]
    return put(path, message.encoded(payload, encoding), encoding), put(path, "notes", "plain")


def ordinary(read: str, write: str | None, traffic: list[str]) -> Iterator[Usual]:
    """Yield the ordinary requests of these kinds of traffic."""
    data = _read("benign.toml")
    for kind in data["kinds"]:
        for one in data[kind] if kind in traffic else ():
            for placement in one.get("in", [""]):
                if write is None and placement not in ("query", "cookie"):
                    continue
                name = f"{kind}.{one['name']}{f'/{placement}' if placement else ''}"
                yield Usual(name, kind, _usual(one, placement, read, write or ""))


def _usual(one: Mapping[str, str], placement: str, read: str, write: str) -> Message:
    if placement:
        path = write if placement in message.WITH_BODY else read
        return message.PLACED[placement](path, one["value"], "plain")
    body = base64.b64decode(one["base64"]) if "base64" in one else one.get("body", "").encode()
    if "file" in one:
        return message.upload(write, one["file"], body, one["type"])
    return message.body(one.get("method", "POST"), write, one.get("type", ""), body)
