"""A run that needs some sections of an inventory reads only these, if the whole was checked before and nothing changed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from pytest_deploygate import fields, redaction
from pytest_deploygate.checks.aggregates import section as aggregates
from pytest_deploygate.checks.dns import section as dns
from pytest_deploygate.checks.hosts import section as hosts
from pytest_deploygate.checks.structure import section as structure
from pytest_deploygate.checks.tls import section as tls
from pytest_deploygate.files import write_whole
from pytest_deploygate.inventory import checked, index, loader, located, sections
from pytest_deploygate.inventory.loader import InventoryError, load
from pytest_deploygate.session import bearing, needs, shipped

ROOT = Path(__file__).parents[2]
EXAMPLE = "prod.example"
SECRET = "correct-horse-battery"
TEXT = """\
name: x
database: {name: platform, user: gate, primary: db1, password: env:DB_PASSWORD, tables: {snapshot: tables.json}}
endpoints:
  - {name: app, host: app.example.com, port: lab:app.port, days: 3}
hosts: {servers: [{name: db1, connection: ssh://db1.example.com}]}
contacts: people.yml
"""
PEOPLE = "- {role: deployment-lead, phone: '+12125550100', mail: deployment-lead@example.com}\n"


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    """Keep what checks found in a folder of the test, and forget the secrets of earlier tests."""
    monkeypatch.setattr(redaction, "_known", ())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    for name in ("PROD_DB_PASSWORD", "SERVICENOW_PASSWORD", "MAIL_PASSWORD", "DB_PASSWORD"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("DEPLOYGATE_LAB", str(tmp_path / "lab"))
    (tmp_path / "lab").mkdir()
    values(tmp_path, {"app.port": "8443"})
    return tmp_path / "caches"


def values(root: Path, found: dict[str, str]) -> None:
    """Give the lab values: they are those that an inventory may refer to without being secrets."""
    write_whole(root / "lab" / "state.json", json.dumps({"values": found}))


@pytest.fixture
def file(tmp_path):
    """An inventory that has been checked whole."""
    folder = tmp_path / "inventories"
    folder.mkdir()
    (folder / "people.yml").write_text(PEOPLE)
    (folder / "tables.json").write_text("{}")
    (folder / "x.yml").write_text(TEXT.replace(", days: 3", ""))
    part(tmp_path)
    return folder / "x.yml"


def part(root: Path, *needed: str, name: str = "x") -> loader.Loaded:
    return load(name, root, told={}, needed=frozenset(needed))


def kept(caches: Path) -> list[Path]:
    return list(caches.rglob("*.json"))


def was_whole(loaded: loader.Loaded) -> bool:
    return loaded.known is None


def test_the_first_run_checks_the_whole_and_the_next_one_only_what_it_needs(file, tmp_path):
    found = part(tmp_path, "tls")
    assert not was_whole(found)
    assert isinstance(found.inventory, tls.Keys)
    assert not isinstance(found.inventory, hosts.Keys)
    assert found.inventory.contacts[0].role == "deployment-lead"
    assert was_whole(part(tmp_path, "tls", "hosts", "dns", "contacts", "postgres", "structure"))


def test_a_section_that_was_not_read_is_read_when_something_asks_for_it(file, tmp_path, monkeypatch):
    read = []
    whole = loader._read
    monkeypatch.setattr(loader, "_read", lambda *args: read.append(args) or whole(*args))
    inventory = part(tmp_path, "tls").inventory
    assert (inventory.of(tls.Keys).endpoints[0].port, read) == (8443, [])
    assert inventory.of(hosts.Keys).hosts.servers[0].name == "db1"
    assert inventory.hosts.servers[0].name == "db1"
    assert sections.value(inventory, "hosts").servers[0].name == "db1"
    assert len(read) == 1
    assert inventory.of(dns.Keys).dns is None
    assert inventory.database.of(structure.InDatabase).tables.snapshot.name == "tables.json"
    assert inventory.database.of(aggregates.InDatabase).aggregates is None


def test_every_item_is_asked_and_shown_as_with_the_whole_inventory(tmp_path, caches):
    """Also what runs say of tests beyond their scope: what they lack, which settings are weaker, and where they stand."""
    shutil.copytree(ROOT / "inventories", tmp_path / "inventories")
    functions = list(shipped.functions())
    items = sorted({item for function in functions for item in function.items})
    whole = part(tmp_path, *index.names(), name=EXAMPLE)
    assert was_whole(whole)
    assert len(kept(caches)) == 1

    def facts(loaded):
        arguments = [(item, f.arguments) for f in functions for item in f.items]
        return (
            needs.left_to_others(functions, loaded.inventory),
            {f.test: needs.missing(f.arguments, loaded.inventory) for f in functions},
            bearing.weakenings(loaded.weaker, functions, loaded.inventory),
            located.lines(loaded, tmp_path, arguments),
            sorted(set(loaded.values)),
            loaded.secrets,
            loaded.sha256,
            loaded.notes,
        )

    expected = facts(whole)
    assert expected[2]
    read = []
    for item in items:
        needed = needs.subjects(f for f in functions if item in f.items)
        found = part(tmp_path, *needed, name=EXAMPLE)
        assert not was_whole(found)
        others = found.inventory._others
        object.__setattr__(others, "whole", lambda item=item: read.append(item))
        assert facts(found) == expected
        for name in sections.names(needed):
            assert sections.value(found.inventory, name) == sections.value(whole.inventory, name)
    assert read == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda file: file.write_text(TEXT), "endpoints[0].days: no such key"),
        (
            lambda file: file.write_text(TEXT.replace(", days: 3", "").replace("ssh:", "shh:")),
            "hosts.servers[0].connection",
        ),
        (lambda _: os.environ.pop("DB_PASSWORD"), "the environment variable DB_PASSWORD is not set"),
        (lambda file: values(file.parents[1], {"app.port": "https"}), "'https' is not a port number"),
        (lambda file: values(file.parents[1], {"other": "1"}), "the lab has no value 'app.port'"),
        (lambda file: (file.parent / "people.yml").unlink(), "no such file or folder"),
        (
            lambda file: (file.parent / "tables.json").unlink(),
            "database.tables.snapshot: no such file or folder",
        ),
        (lambda file: (file.parent / "people.yml").write_text("- {role: x}\n"), "contacts[0]"),
    ],
    ids=[
        "unknown key",
        "value",
        "secret",
        "type of a value",
        "value that is gone",
        "file that is gone",
        "file of a section that is gone",
        "file",
    ],
)
def test_a_mistake_made_since_is_found_at_once_wherever_it_is(file, tmp_path, change, said):
    change(file)
    with pytest.raises(InventoryError) as error:
        part(tmp_path, "schedulers")
    assert said in str(error.value)


def test_a_value_that_changed_is_checked_again(file, tmp_path):
    values(tmp_path, {"app.port": "9443"})
    assert was_whole(part(tmp_path, "hosts"))
    assert not was_whole(part(tmp_path, "hosts"))


def test_another_secret_is_no_other_inventory_but_masked(file, tmp_path, monkeypatch):
    monkeypatch.setenv("DB_PASSWORD", "another-horse-battery")
    found = part(tmp_path, "hosts")
    assert not was_whole(found)
    assert redaction.redact("x another-horse-battery x") == "x [secret] x"
    assert found.secrets == {"env:DB_PASSWORD"}


def test_a_secret_that_is_wrong_by_its_value_is_found_at_once(file, tmp_path, caches, monkeypatch):
    """Its value is not kept, so the sections that look into one are checked by each run."""
    monkeypatch.setenv("FINGERPRINT_KEY", "long-enough-for-a-key")
    file.write_text(file.read_text() + "secrets: {fingerprint_key: env:FINGERPRINT_KEY}\n")
    part(tmp_path)
    assert not was_whole(part(tmp_path, "tls"))
    monkeypatch.setenv("FINGERPRINT_KEY", "too-short")
    with pytest.raises(InventoryError, match="fingerprint_key: the key has fewer than 16 characters"):
        part(tmp_path, "tls")


def test_only_sections_of_their_own_look_into_secrets():
    """What all sections share does not: no run could tell whom it concerns."""
    shared = [
        file
        for folder in (*fields.__path__, str(Path(loader.__file__).parent))
        for file in Path(folder).rglob("*.py")
        if "reveal" in file.read_text()
    ]
    assert {file.name for file in shared} == {"index.py", "loader.py"}
    assert index.revealing() == {"secrets"}


def test_other_code_reads_the_whole_again(file, tmp_path, monkeypatch):
    monkeypatch.setattr(checked.pydantic, "VERSION", "0")
    assert was_whole(part(tmp_path, "tls"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_text(""),
        lambda file: file.write_text("[]"),
        lambda file: file.write_text(json.dumps({**json.loads(file.read_text()), "named": 3})),
        lambda file: file.chmod(0o622),
        lambda file: file.parent.chmod(0o777),
        lambda file: (file.unlink(), file.mkdir()),
    ],
    ids=["empty", "other", "part", "writable by others", "folder of others", "a folder"],
)
def test_what_is_damaged_or_could_be_of_somebody_else_is_not_used(file, tmp_path, caches, damage):
    damage(*kept(caches))
    assert was_whole(part(tmp_path, "tls"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_is_of_somebody_else_is_not_used(file, tmp_path, caches):
    os.chown(*kept(caches), 65534, 65534)
    assert was_whole(part(tmp_path, "tls"))


def test_no_secret_is_kept_nor_anything_made_from_one(file, tmp_path, caches):
    (one,) = kept(caches)
    assert SECRET not in one.read_text()
    assert dict(json.loads(one.read_text())["values"])["env:DB_PASSWORD"] is None
    one.unlink()
    values(tmp_path, {"app.port": "8443", "db1": f"ssh://gate:{SECRET}@db1.example.com"})
    file.write_text(TEXT.replace(", days: 3", "").replace("ssh://db1.example.com", "lab:db1"))
    part(tmp_path)
    assert kept(caches) == []


def test_where_nothing_can_be_kept_each_run_checks_the_whole(file, tmp_path, caches, monkeypatch):
    shutil.rmtree(caches)
    caches.write_text("a file")
    assert was_whole(part(tmp_path, "tls"))
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert was_whole(part(tmp_path, "tls"))


def test_a_cache_folder_that_is_not_absolute_is_ignored(file, tmp_path, caches, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "caches")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    part(tmp_path)
    assert [one.relative_to(tmp_path / "home").parts[0] for one in kept(tmp_path / "home")] == [".cache"]


def test_a_reference_that_means_nothing_any_more_is_checked_again(file, tmp_path, caches):
    """As after an upgrade that reads references in another way, which nothing else has noticed."""
    (one,) = kept(caches)
    known = json.loads(one.read_text())
    known["values"].append(["gone:app", "0" * 64])
    one.write_text(json.dumps(known))
    assert was_whole(part(tmp_path, "hosts"))


def test_an_inventory_with_old_keys_is_checked_whole_each_time_so_that_its_notes_are_seen(file, tmp_path):
    file.write_text(TEXT.replace(", days: 3", "") + "schedule: {t0: 2026-12-01}\n")
    for _ in range(2):
        found = part(tmp_path, "tls")
        assert was_whole(found)
        assert "renamed to `timetable`" in str(found.notes[0])


def test_only_so_many_are_kept(file, tmp_path, caches, monkeypatch):
    monkeypatch.setattr(checked, "_MOST", 3)
    for number in range(5):
        copy = file.with_name(f"y{number}.yml")
        copy.write_text(file.read_text())
        part(tmp_path, name=f"y{number}")
    assert len(kept(caches)) == 3
    assert not was_whole(part(tmp_path, "tls", name="y4"))


def test_what_fails_when_it_is_read_late_says_so_as_at_the_start(file, tmp_path, monkeypatch):
    inventory = part(tmp_path, "tls").inventory
    monkeypatch.delenv("DB_PASSWORD")
    with pytest.raises(InventoryError, match=r"x\.yml:2: .*the environment variable DB_PASSWORD is not set"):
        _ = inventory.hosts


def test_what_tests_read_through_fixtures_is_needed_too():
    functions = list(shipped.functions())
    assert "tls" in needs.subjects(f for f in functions if "infra.certificates" in f.items)
    assert "backups" in needs.subjects(f for f in functions if "infra.backup-system" in f.items)
    assert needs.subjects([]) == frozenset()
