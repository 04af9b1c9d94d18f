"""The inventory: valid files load; all mistakes are reported at once, with line and nearest name, and no secret."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from pathlib import Path

import pytest

from pytest_deploygate import redaction
from pytest_deploygate.inventory.loader import InventoryError, available, load

ROOT = Path(__file__).parents[2]
SMALLEST = """\
name: staging
database:
  name: platform
  user: deploygate
  password: env:STAGING_DB_PASSWORD
  primary: db1.example.com
  replicas: [db2.example.com, db3.example.com:5433]
writes:
  schema: deploygate
description: ten lines
"""
BASE = "name: x\ndatabase:\n  name: a\n  user: b\n"


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    """Forget the secrets of earlier tests."""
    monkeypatch.setattr(redaction, "_known", ())


@pytest.fixture
def write(tmp_path):
    """Write inventories/x.yml and load it; return the inventory, or the problems as lines."""

    def write_and_load(text: str | bytes):
        (tmp_path / "inventories").mkdir(exist_ok=True)
        raw = text if isinstance(text, bytes) else text.encode()
        (tmp_path / "inventories" / "x.yml").write_bytes(raw)
        try:
            return load("x", tmp_path).inventory
        except InventoryError as error:
            return str(error).splitlines()

    return write_and_load


def test_the_smallest_useful_inventory_has_ten_lines(write, monkeypatch):
    """Ten lines load: short forms of nodes, a secret from the environment, defaults for everything else."""
    monkeypatch.setenv("STAGING_DB_PASSWORD", "hunter2")
    found = write(SMALLEST)
    assert len(SMALLEST.splitlines()) == 10
    assert [(n.name, n.host, n.port) for n in found.database.nodes] == [
        ("db1.example.com", "db1.example.com", 5432),
        ("db2.example.com", "db2.example.com", 5432),
        ("db3.example.com", "db3.example.com", 5433),
    ]
    assert found.database.password.reveal() == "hunter2"
    assert "hunter2" not in repr(found)
    assert found.database.replication.max_lag == 16 * 2**20
    assert found.policy.decision_valid == timedelta(hours=24)


def test_it_comes_with_its_file_and_digest(tmp_path, write):
    """A loaded inventory has its file and the SHA-256 of exactly those bytes."""
    write("name: x\n")
    loaded = load("x", tmp_path)
    assert loaded.file == tmp_path / "inventories" / "x.yml"
    assert loaded.sha256 == hashlib.sha256(b"name: x\n").hexdigest()


@pytest.mark.parametrize(
    ("node", "name", "host", "port"),
    [
        ("db1", "db1", "db1", 5432),
        ("db1:5433", "db1", "db1", 5433),
        ("10.0.0.1:5433", "10.0.0.1", "10.0.0.1", 5433),
        ("'fe80::1'", "fe80::1", "fe80::1", 5432),
        ("{host: db1}", "db1", "db1", 5432),
        ("{name: first, host: db1, port: 1}", "first", "db1", 1),
    ],
)
def test_short_forms_of_a_node(write, node, name, host, port):
    """A node is a host, host:port, an IPv6 address or keys; its name defaults to the host."""
    primary = write(f"{BASE}  primary: {node}\n").database.primary
    assert (primary.name, primary.host, primary.port) == (name, host, port)


def test_every_problem_is_said_at_once(write):
    """Sixteen different mistakes give sixteen lines, in file order, each with line, key and what to write."""
    lines = write(
        """\
name: x
databse: 1
database:
  nam: a
  user: b
  passwrd: geheim123
  password: geheim456
  primary: {host: 'postgresql://u:geheim789@db1/x', prt: 3}
  replicas:
    - db2:99999
    - {host: db3, port: abc}
  connect_timeout: 5
  statement_timeout: 5 parsecs
  replication: {max_lag: 16 XB, slots: maybe}
  backups:
    - {name: n, schedule: {crontab: c}, last_run: {}}
  validation:
    - {name: v, sql: s, expect: {minn: 3}}
    - {name: v, sql: s, expect: [1]}
"""
    )
    expected = [
        (2, "databse: no such key; did you mean 'database'?"),
        (3, "database.name: is missing (name of the database)"),
        (4, "database.nam: no such key; did you mean 'name'?"),
        (6, "database.passwrd: no such key; did you mean 'password'?"),
        (
            7,
            "database.password: secrets must not be in plaintext here; write env:NAME, file:PATH, keyring:SERVICE/USER or vault:PATH#FIELD",
        ),
        (8, "database.primary.host: is not a host name or address (user, password and database have keys"),
        (8, "database.primary.prt: no such key; did you mean 'port'?"),
        (10, "database.replicas[0].port: must be at most 65535"),
        (11, "database.replicas[1].port: 'abc' is not a port number"),
        (12, "database.connect_timeout: 5 has no unit; write for example 500ms, 30s, 5m or 2h"),
        (13, "database.statement_timeout: '5 parsecs' is not a duration; write for example"),
        (14, "database.replication.max_lag: '16 XB' is not a size; write for example 512kB"),
        (14, "database.replication.slots: must be true or false"),
        (16, "database.backups[0].schedule: `crontab` needs `command`"),
        (16, "database.backups[0].last_run: set exactly one of `pgbackrest`, `status_file`"),
        (18, "database.validation[0].expect.minn: no such key; did you mean 'min'?"),
        (19, "database.validation[1].expect: must be the value, a range {min, max}, or `nothing`"),
    ]
    assert len(lines) == len(expected)
    for line, (number, text) in zip(lines, expected, strict=True):
        assert line.startswith(f"inventories/x.yml:{number}: {text}")
    assert "geheim" not in "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: x\nname: y\n", "inventories/x.yml:2: duplicate key 'name'"),
        (f"{BASE}  user: c\n", "inventories/x.yml:5: duplicate key 'user'"),
        ("name: [x\n", "inventories/x.yml:2: this is not YAML: did not find expected"),
        ("name: x\n\tdatabase: y\n", "inventories/x.yml:2: this is not YAML: found a tab character"),
        ("name: x\n---\nname: y\n", "inventories/x.yml:2: this is not YAML"),
        ("name: x\0\n", "inventories/x.yml:1: this is not YAML: the character U+0000"),
        ("name: " + "[" * 1000, "inventories/x.yml:1: it is nested deeper than 50 levels"),
        ("", "inventories/x.yml: is empty; the smallest inventory is `name: staging`"),
        ("# nothing\n", "inventories/x.yml: is empty; the smallest inventory is `name: staging`"),
        ("- a\n", "inventories/x.yml:1: must begin with keys, for example `name: staging`"),
        ("hello\n", "inventories/x.yml:1: must begin with keys, for example `name: staging`"),
        (b"name: \xff\xfe\n", "inventories/x.yml:1: is not UTF-8 text: byte 7 is 0xff"),
        ("description: x\n", "inventories/x.yml:1: name: is missing (name of the environment"),
        ("name: 3\n", "inventories/x.yml:1: name: must be text; put it in quotes"),
        ("name: 2026-01-01\n", "inventories/x.yml:1: name: must be text; put it in quotes"),
        ("name: x\n1: 2\n", "inventories/x.yml:2: 1: no such key"),
        (
            f"{BASE}  primary: db1\n  replicas: []\n",
            "inventories/x.yml:6: database.replicas: is empty; add at least",
        ),
        (
            f"{BASE}  primary: db1\n  replicas: db2\n",
            "inventories/x.yml:6: database.replicas: must be a list",
        ),
        (
            f"{BASE}  primary: [db1]\n",
            "inventories/x.yml:5: database.primary: must be a mapping of keys to values",
        ),
        (f"{BASE}  primary:\n", "inventories/x.yml:5: database.primary: has no value; add its keys"),
        (
            f"{BASE}  primary: db1\n  replicas: [db1]\n",
            "inventories/x.yml:2: database: two nodes are named db1",
        ),
        (
            f"{BASE}  primary: db1\n  replication: {{max_lag_time: -5s}}\n",
            "inventories/x.yml:6: database.replication.max_lag_time: '-5s' is not a duration",
        ),
        (
            f"{BASE}  primary: db1\n  replication: {{max_lag: true}}\n",
            "inventories/x.yml:6: database.replication.max_lag: True is not a size",
        ),
        (
            f"{BASE}  primary: db1\n  tables: {{snapshot: nope.json}}\n",
            "inventories/x.yml:6: database.tables.snapshot: no such file or folder",
        ),
        (
            f"{BASE}  primary: db1\n  migrations: {{query: SELECT 1}}\n",
            "inventories/x.yml:6: database.migrations: `query` needs `expect`",
        ),
        (
            f"{BASE}  primary: {{host: db1, port: lab:db1.port}}\n",
            "inventories/x.yml:5: database.primary.port: the lab is not running; start it with `deploygate lab up`",
        ),
    ],
)
def test_one_mistake_is_one_sentence(write, monkeypatch, tmp_path, text, says):
    """Each mistake alone gives exactly one line with file, line, key and what to write."""
    monkeypatch.setenv("DEPLOYGATE_LAB", str(tmp_path / "nowhere"))
    (line,) = write(text)
    assert line.startswith(says)


def test_two_unknown_keys_are_two_problems(write):
    """Two mistakes of the same kind in one section are both reported, each with its line."""
    assert [
        line.partition(": no such")[0] for line in write("name: x\nwrites: {schema: s}\naaa: 1\nbbb: 2\n")
    ] == [
        "inventories/x.yml:3: aaa",
        "inventories/x.yml:4: bbb",
    ]


def test_one_cause_in_many_places_is_said_once(write, monkeypatch, tmp_path):
    """That the lab is not running is reported once, with the other lines that need it."""
    monkeypatch.setenv("DEPLOYGATE_LAB", str(tmp_path / "nowhere"))
    (line,) = write(
        f"{BASE}  primary: {{host: a, port: lab:a.port}}\n  replicas:\n  - {{host: b, port: lab:b.port}}\n"
    )
    assert line.endswith("start it with `deploygate lab up` (also in line 7)")


def test_the_labs_own_inventory_says_one_thing_without_a_lab(monkeypatch, tmp_path):
    """Lab values of any type give no type errors while the lab is down; a plan can be made before it runs."""
    monkeypatch.setenv("DEPLOYGATE_LAB", str(tmp_path / "nowhere"))
    with pytest.raises(InventoryError) as refused:
        load("lab", ROOT)
    assert ["the lab is not running" in str(problem) for problem in refused.value.problems] == [True]
    missing: list[str] = []
    load("lab", ROOT, missing=missing)
    assert missing == ["the lab is not running; start it with `deploygate lab up`"]


@pytest.mark.parametrize(
    "text",
    [
        f"{BASE}  primary: db1\n  password: geheim42\n",
        f"{BASE}  primary: db1\n  password: 'geh:geheim42'\n",
        f"{BASE}  primary: db1\n  password: *geheim42\n",
        f"{BASE}  primary: db1\n  password: !geheim42 x\n",
        f"{BASE}  primary: db1\n  password: {{geheim42: x}}\n",
        f"{BASE}  primary: db1\n  password: [geheim42]\n",
        f"{BASE}  primary: db1\n  password: 'geheim42\n",
        f"{BASE}  primary: db1\n  password: @geheim42\n",
        f"{BASE}  primary: postgresql://u:geheim42@db1/x\n",
        f"{BASE}  primary: u:geheim42@db1\n",
        f"{BASE}  primary: {{host: 'u:geheim42@db1'}}\n",
        f"{BASE}  primary: db1\n  passwort: geheim42\n",
        f"{BASE}  primary: db1\n  connect_timeout: geheim42\n  password: geheim42\n",
        f"{BASE}  primary: {{host: db1, password: geheim42, port: geheim42}}\n",
        "name: x\nwrites: {schema: s, token: geheim42}\n",
    ],
)
def test_a_secret_in_clear_is_refused_and_not_repeated(write, text):
    """A password in the file, in a URL, under a wrong key or in broken YAML is rejected; no message contains it."""
    lines = write(text)
    assert isinstance(lines, list)
    assert "geheim42" not in "\n".join(lines)
    assert all(re.match(r"inventories/x\.yml:\d+: ", line) for line in lines)


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("env:NOT_SET_HERE", "the environment variable NOT_SET_HERE is not set; export it before the run"),
        ("env:EMPTY_HERE", "the secret env:EMPTY_HERE is empty"),
        ("file:nope.txt", "nope.txt cannot be read: No such file or directory"),
        ("file:.", "cannot be read: it is a folder, not a file"),
        ("file:binary", "binary cannot be read: it is not text"),
        ("file:empty", "the secret file:empty is empty"),
        ("'env:'", "secrets must not be in plaintext here"),
    ],
)
def test_a_secret_that_cannot_be_had(write, tmp_path, monkeypatch, reference, says):
    """A variable that is not set, a missing, binary or empty file: reported with its name and line."""
    monkeypatch.delenv("NOT_SET_HERE", raising=False)
    monkeypatch.setenv("EMPTY_HERE", "")
    (tmp_path / "inventories").mkdir()
    (tmp_path / "inventories" / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "inventories" / "empty").write_text("\n")
    (line,) = write(f"{BASE}  primary: db1\n  password: {reference}\n")
    assert line.startswith("inventories/x.yml:6: database.password: ")
    assert says in line


def test_a_secret_from_a_file_beside_the_inventory(write, tmp_path):
    """A relative path starts at the inventory's folder; the final newline is not part of the secret."""
    (tmp_path / "inventories").mkdir()
    (tmp_path / "inventories" / "pw").write_text("hunter2\n")
    assert write(f"{BASE}  primary: db1\n  password: file:pw\n").database.password.reveal() == "hunter2"
    assert redaction.redact("it is hunter2") == "it is [secret]"


def test_finding_the_file(tmp_path, monkeypatch):
    """By name (.yml and .yaml) or by path; for an unknown name or path the nearest one is suggested."""
    folder = tmp_path / "inventories"
    with pytest.raises(InventoryError, match="inventories/ is empty"):
        load("prod", tmp_path)
    folder.mkdir()
    (folder / "prod.yml").write_text("name: prod\n")
    (folder / "staging.yaml").write_text("name: staging\n")
    assert available(tmp_path) == ["prod", "staging"]
    assert load("staging", tmp_path).inventory.name == "staging"
    assert load(str(folder / "prod.yml"), Path("/")).inventory.name == "prod"
    monkeypatch.chdir(folder)
    assert load("./prod.yml", tmp_path).inventory.name == "prod"
    with pytest.raises(
        InventoryError, match=r"--inventory prdo: no inventory has this name; did you mean 'prod'\?"
    ):
        load("prdo", tmp_path)
    with pytest.raises(InventoryError, match="valid here: prod, staging"):
        load("zzz", tmp_path)
    with pytest.raises(InventoryError, match=r"no such inventory file; did you mean 'prod'\?"):
        load("inventories/prodd.yml", tmp_path)
    with pytest.raises(InventoryError, match="is a folder, not an inventory file"):
        load(str(folder) + "/", tmp_path)


@pytest.mark.parametrize("name", ["staging.example", "prod.example"])
def test_the_examples_load(monkeypatch, name):
    """The committed examples load once their variables are set; before that the errors name them."""
    with pytest.raises(InventoryError, match=r"the environment variable \w+_DB_PASSWORD is not set"):
        load(name, ROOT)
    monkeypatch.setenv("STAGING_DB_PASSWORD", "hunter2")
    monkeypatch.setenv("PROD_DB_PASSWORD", "hunter2")
    monkeypatch.setenv("SERVICENOW_PASSWORD", "hunter3")
    monkeypatch.setenv("MAIL_PASSWORD", "hunter4")
    assert load(name, ROOT).inventory.database.nodes


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        ("prod", "is a word that this file uses elsewhere"),
        ("x7Kq", "has fewer than 6 characters"),
        ("long-enough", ""),
    ],
)
def test_a_weak_secret_is_said_and_not_shown(tmp_path, monkeypatch, secret, why):
    """With file and line, and without the secret itself; names and paths stay readable."""
    monkeypatch.setenv("DB_PASSWORD", secret)
    file = tmp_path / "inventories" / "prod.yml"
    file.parent.mkdir()
    file.write_text(
        "name: prod\ndatabase:\n  name: platform\n  user: gate\n  primary: db1\n  password: env:DB_PASSWORD\n"
    )
    notes = [str(note) for note in load("prod", tmp_path).notes]
    if not why:
        assert notes == []
        return
    (note,) = notes
    assert note.startswith("inventories/prod.yml:6: database.password: the secret in env:DB_PASSWORD ")
    assert why in note
    assert secret not in note.replace("inventories/prod.yml", "")
    assert redaction.redact("/srv/prod/x7Kq") == "/srv/prod/x7Kq"


def test_a_merged_key_has_the_line_of_its_mapping(tmp_path):
    folder = tmp_path / "inventories"
    folder.mkdir()
    (folder / "x.yml").write_text("name: x\ndatabase:\n  <<: {<<: {usr: a}}\n  name: y\n")
    with pytest.raises(InventoryError, match=r"x\.yml:\d: database\.usr: no such key; did you mean 'user'"):
        load("x", tmp_path)


@pytest.mark.parametrize(
    "start", ["0001-01-01T00:00:00+14:00", '"0001-01-01T00:00:00+14:00"', "9999-12-31T23:59:59-14:00"]
)
def test_a_time_that_no_clock_has_is_a_mistake_with_its_line(tmp_path, start):
    folder = tmp_path / "inventories"
    folder.mkdir()
    text = "name: x\ntimetable:\n  t0: 2026-12-01\n  freezes:\n"
    (folder / "x.yml").write_text(
        f"{text}    - {{start: {start}, end: 2026-12-02T00:00:00Z, reason: holiday sales}}\n"
    )
    with pytest.raises(InventoryError, match=r"x\.yml"):
        load("x", tmp_path)
