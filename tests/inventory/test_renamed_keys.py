"""Renamed keys: the old one is accepted for one version, a note gives file, line and new key, both together are rejected."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from pytest_deploygate.fields.types import Section
from pytest_deploygate.files import yaml
from pytest_deploygate.inventory.loader import InventoryError, load
from pytest_deploygate.inventory.models import composed
from pytest_deploygate.inventory.schema import json_schema

UPTIME = "uptime:\n  targets:\n    - {name: front, url: 'https://a.example.com/', KEYS}\n"
LOAD = """\
load:
  allow: x
  target: {host: a.example.com}
  peak_per_second: 10
  endpoints: [{path: /, auth: {KEYS}}]
"""
ERASURE = """\
erasure:
  role: {user: app, password: file:secret}
  create: [{sql: SELECT 1}]
  erase:
    - http: {url: 'https://a.example.com/', KEYS}
  expected: [public.users.email]
  backups: [{name: b, keep: 30d}]
"""
#: Section, old key, an inventory with a placeholder for it, the value, the path in notes, how to read the new key.
CASES: list[tuple[str, str, str, str, str, Any]] = [
    (
        "Policy",
        "budget",
        "policy: {KEYS}\n",
        "90m",
        "policy.budget",
        lambda i: f"{i.policy.time_limit.total_seconds() / 60:g}m",
    ),
    (
        "WatchTarget",
        "ca",
        UPTIME,
        "ca.pem",
        "uptime.targets[0].ca",
        lambda i: i.uptime.targets[0].ca_file.name,
    ),
    (
        "WatchTarget",
        "body",
        UPTIME,
        "fine",
        "uptime.targets[0].body",
        lambda i: i.uptime.targets[0].contains[0],
    ),
    (
        "HttpLogin",
        "bearer",
        LOAD,
        "file:secret",
        "load.endpoints[0].auth.bearer",
        lambda i: i.load.endpoints[0].auth.token.source,
    ),
    (
        "ServerHistograms",
        "bearer",
        "load:\n  server: {url: 'http://p.example.com', KEYS}\n",
        "file:secret",
        "load.server.bearer",
        lambda i: i.load.server.token.source,
    ),
    (
        "PlatformRequest",
        "bearer",
        ERASURE,
        "file:secret",
        "erasure.erase[0].http.bearer",
        lambda i: i.erasure.erase[0].http.token.source,
    ),
    (
        "PlatformRequest",
        "expect",
        ERASURE,
        "[202]",
        "erasure.erase[0].http.expect",
        lambda i: str(i.erasure.erase[0].http.status),
    ),
    (
        "Inventory",
        "schedule",
        "KEYS\n",
        "{t0: '2026-12-01'}",
        "schedule",
        lambda i: f"{{t0: '{i.timetable.t0}'}}",
    ),
    (
        "AuditTrail",
        "record",
        "audit_trail: {table: a.b, role: {user: u}, operation: [{sql: SELECT 1}], KEYS}\n",
        "SELECT 1",
        "audit_trail.record",
        lambda i: i.audit_trail.query,
    ),
    (
        "Verification",
        "endpoint",
        "rollback:\n  steps:\n    - {name: s, verify_only: true, verify: {KEYS}}\n",
        "{name: h, tcp: 'a:1'}",
        "rollback.steps[0].verify.endpoint",
        lambda i: (
            f"{{name: {i.rollback.steps[0].verify.health.name}, tcp: '{i.rollback.steps[0].verify.health.tcp}'}}"
        ),
    ),
    (
        "DnsSwitch",
        "record",
        "rollback:\n  steps:\n    - name: s\n      dns: {zone: z, now: [a], to: [b], primary: p, key_name: k, key: file:secret, KEYS}\n",
        "www",
        "rollback.steps[0].dns.record",
        lambda i: i.rollback.steps[0].dns.name,
    ),
    ("Pages", "trust", "pages: {KEYS}\n", "ca.pem", "pages.trust", lambda i: i.pages.ca_file.name),
    ("Tls", "trust", "tls: {KEYS}\n", "ca.pem", "tls.trust", lambda i: i.tls.ca_file.name),
    (
        "Endpoint",
        "trust",
        "endpoints:\n  - {host: a.example.com, KEYS}\n",
        "ca.pem",
        "endpoints[0].trust",
        lambda i: i.endpoints[0].ca_file.name,
    ),
]
each = pytest.mark.parametrize(("section", "old", "text", "value", "path", "read"), CASES)


def models(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[type[Section]]:
    """Every section of the inventory."""
    if model in seen:
        return
    seen.add(model)
    if issubclass(model, Section):
        yield model
    for field in model.model_fields.values():
        for inner in annotated(field.annotation):
            yield from models(inner, seen)


def annotated(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from annotated(part)


SECTIONS = {model.__name__: model for model in models(composed(), set())}


@pytest.fixture
def write(tmp_path: Path):
    """Write inventories/x.yml, and load it."""
    folder = tmp_path / "inventories"
    folder.mkdir()
    (folder / "secret").write_text("hunter2\n")
    (folder / "ca.pem").write_text("certificates\n")

    def write_and_load(text: str):
        (folder / "x.yml").write_text(f"name: x\n{text}")
        return load("x", tmp_path)

    return write_and_load


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    return Draft202012Validator(json_schema())


def both_of(old: str, new: str, value: str, text: str) -> str:
    """Both keys, on one line inside braces, otherwise on two."""
    return f"{old}: {value}{', ' if '{' in text else chr(10)}{new}: {value}"


def line_of(text: str, key: str) -> int:
    """The line of a key in the file, whose first line is the name."""
    return next(number for number, line in enumerate(text.splitlines(), 2) if f"{key}:" in line)


def test_every_renamed_key_is_tried_here():
    """Each key that is renamed later needs a case above."""
    declared = {(name, old) for name, model in SECTIONS.items() for old in model.former_keys()}
    assert declared == {(section, old) for section, old, *_ in CASES}


def test_every_new_name_is_a_key():
    for name, model in SECTIONS.items():
        keys = {field.alias or key for key, field in model.model_fields.items()}
        for new in model.former_keys().values():
            assert new.to in keys, name
            assert not new.unless or new.unless in keys, name


@each
def test_the_old_key_is_read_with_a_note(write, section, old, text, value, path, read):
    """Its value is read under the new name; the note gives file, line, path and the new key."""
    filled = text.replace("KEYS", f"{old}: {value}")
    loaded = write(filled)
    assert read(loaded.inventory) == value
    (note,) = loaded.notes
    new = SECTIONS[section].former_keys()[old].to
    line = line_of(filled, old)
    assert str(note) == (
        f"inventories/x.yml:{line}: {path}: this key was renamed to `{new}`; the old name is accepted in this version only"
    )


@each
def test_the_new_key_is_read_without_a_note(write, section, old, text, value, path, read):
    loaded = write(text.replace("KEYS", f"{SECTIONS[section].former_keys()[old].to}: {value}"))
    assert (read(loaded.inventory), loaded.notes) == (value, ())


@each
def test_both_at_once_are_refused_on_the_old_ones_line(write, section, old, text, value, path, read):
    new = SECTIONS[section].former_keys()[old].to
    filled = text.replace("KEYS", both_of(old, new, value, text))
    with pytest.raises(InventoryError) as refused:
        write(filled)
    (problem,) = refused.value.problems
    assert problem.line == line_of(filled, old) or old == "body"
    assert f"`{new}`" in problem.text


@each
def test_the_schema_knows_both_names(validator, section, old, text, value, path, read):
    """Each alone is valid, the old one is deprecated; both together are invalid."""
    new = SECTIONS[section].former_keys()[old].to
    both = both_of(old, new, value, text)
    valid = {
        keys: validator.is_valid(yaml.load(f"name: x\n{text.replace('KEYS', keys)}"))
        for keys in (f"{old}: {value}", f"{new}: {value}", both)
    }
    assert list(valid.values()) == [True, True, False]
    node = validator.schema["$defs"].get(section, validator.schema)
    node = next((part for part in node.get("anyOf", []) if "properties" in part), node)
    conditional = node.get("then", {}) | {
        k: v for rule in node.get("allOf", []) for k, v in rule.get("then", {}).items()
    }
    deprecated = node["properties"][old].get("deprecated") or conditional["properties"][old]["deprecated"]
    assert deprecated is True


def test_a_body_to_send_is_not_the_old_body(write, validator):
    """With `method`, which no old inventory has, `body` of a watched target is the request body."""
    text = UPTIME.replace("KEYS", "method: POST, body: ping, contains: pong")
    loaded = write(text)
    target = loaded.inventory.uptime.targets[0]
    assert (target.sent, target.contains, loaded.notes) == ("ping", ["pong"], ())
    assert validator.is_valid(yaml.load(f"name: x\n{text}"))


def test_several_old_keys_are_noted_in_the_files_order(write):
    loaded = write(
        "tls: {trust: ca.pem}\nendpoints:\n  - a.example.com\n  - {host: b.example.com, trust: ca.pem}\n"
    )
    assert [(note.line, note.text.partition(":")[0]) for note in loaded.notes] == [
        (2, "tls.trust"),
        (5, "endpoints[1].trust"),
    ]


def test_a_mistake_within_a_section_under_its_old_key_is_named_as_it_stands_in_the_file(write):
    """A key that is unknown there, and one that is missing."""
    with pytest.raises(InventoryError) as error:
        write("schedule:\n  freeze: []\n")
    assert [str(problem).partition(" (")[0] for problem in error.value.problems] == [
        "inventories/x.yml:2: schedule.t0: is missing",
        "inventories/x.yml:3: schedule.freeze: no such key; did you mean 'freezes'?",
    ]
