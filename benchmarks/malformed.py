"""Malformed files of every kind that the product reads: each must end in a sentence, soon, and never in a traceback.

    python benchmarks/malformed.py
    python benchmarks/malformed.py --files 10000 --seed 1 --only inventory,journal

A good file of each kind is changed at random, by a generator with a seed, so that a case can be made again from its
number. The readers are called in this process, as the plugin and the commands call them, under a limit of processor time;
`--ends 40` also gives that many inventories, checklists and records to `pytest --inventory`, and journals to
`deploygate verify`, as processes. Printed are the number of files by kind and how they ended.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pytest_deploygate import journal
from pytest_deploygate.checklist import attestations, issue_log, parser, waivers, windows
from pytest_deploygate.checklist.records import RecordsError
from pytest_deploygate.checks.load.probe import baselines
from pytest_deploygate.checks.migrations import statements
from pytest_deploygate.checks.migrations.probe import lint, tools
from pytest_deploygate.checks.migrations.section.versions import Migrations
from pytest_deploygate.checks.people.probe import sarif
from pytest_deploygate.checks.structure import snapshot
from pytest_deploygate.checks.uptime.probe import record as uptime
from pytest_deploygate.inventory import loader
from pytest_deploygate.model import CannotTell
from pytest_deploygate.report import from_journal, results
from pytest_deploygate.rollback import runbook, situation
from pytest_deploygate.session import shipped
from pytest_deploygate.signoff import statement, verify

#: Limits of one file, in seconds of processor time: what a person waits for, and what counts as a hang.
LIMIT_S, HANG_S = 2.0, 20.0
FILLER = "a reason that is long enough to be one"
WAIVER = f"""\
item: db.pooling
reason: {FILLER}
owner: operations-manager
approver: deployment-lead
ticket: OPS-17
created: 2026-03-04T10:00:00Z
expires: 2026-03-11T10:00:00Z
"""
ATTESTATION = """\
item: sec.audit
role: technical-lead
name: Technical lead
meaning: the audit is done
at: 2026-03-04T10:00:00Z
valid_until: 2026-06-02T10:00:00Z
evidence:
  - file: docs/runbook.md
    sha256: 0000000000000000000000000000000000000000000000000000000000000000
"""
ISSUES = f"""\
- item: db.pooling
  target: db1
  owner: operations-manager
  severity: major
  decision: accept
  summary: {FILLER}
  opened: 2026-03-04T10:00:00Z
"""
INVENTORY = """\
name: staging
description: "a small platform"
database:
  name: platform
  user: deploygate
  password: env:MALFORMED_PASSWORD
  primary: db1.example.com
  replicas: [db2.example.com, db3.example.com:5433]
  connect_timeout: 5s
policy:
  decision_valid: 24h
  rollback_from: golive
  max_waivers: 3
timetable:
  t0: 2026-12-01
  timezone: America/New_York
  freezes:
    - start: 2026-12-24T00:00:00Z
      end: 2026-12-27T00:00:00Z
      reason: holiday sales
contacts:
  - role: deployment-lead
    mail: deployment-lead@example.com
not_applicable:
  - item: db.pooling
    reason: there is no pooler here
    owner: operations-manager
"""
SARIF = {
    "version": "2.1.0",
    "runs": [
        {
            "tool": {"driver": {"name": "scanner", "version": "1"}},
            "invocations": [{"executionSuccessful": True, "endTimeUtc": "2026-03-04T10:00:00Z"}],
            "results": [{"ruleId": "r1", "level": "error", "message": {"text": "bad"}, "kind": "fail"}],
        }
    ],
}
SQL = """\
BEGIN;
CREATE TABLE orders (id bigint PRIMARY KEY, note text DEFAULT 'it''s');
ALTER TABLE orders ADD COLUMN total numeric NOT NULL DEFAULT 0; -- a comment
CREATE INDEX CONCURRENTLY orders_total ON orders (total);
DO $$ BEGIN PERFORM 1; END $$;
COMMIT;
"""
LIQUIBASE = """\
databaseChangeLog:
  - changeSet:
      id: 1
      author: someone
      changes: [{sql: {sql: SELECT 1}}]
"""
REHEARSALS = {"rehearsals": [{"at": "2026-03-04T10:00:00+00:00", "took_s": {"switch": 1.5}}]}
LOAD = {
    "measurement": {
        "stopped": "",
        "started": "2026-03-04T10:00:00+00:00",
        "client": {"rate_achieved": 100.0},
        "whole": {"name": "all", "requests": 100, "failed": 0, "histogram": "x"},
        "endpoints": [],
    }
}
DNS = {"at": "2026-03-04T10:00:00+00:00", "name": "www.example.com", "ttl_s": 300, "answers": ["192.0.2.1"]}

ODD_VALUES = (
    b"", b"null", b"~", b"[]", b"{}", b"-1", b"0", b"1e400", b"-1e400", b".inf", b".nan", b"NaN", b"9" * 400, b"9" * 5000,
    b"99999999999999999999h", b"999999999d", b"0x" + b"f" * 300, b"1:1:1:1:1:1", b"9999-12-31T23:59:59-14:00",
    b"0001-01-01T00:00:00+14:00", b"2026-13-41", b"2026-02-30T25:61:61Z", b"T+99999999999 days", b'"\\ud800"',
    b'"\\udfff\\ud800"', b"\xed\xa0\x80", b"\xff\xfe", b"\x00", b"\x1b[31mGO: go on\x1b[0m", b'"GO: go on\\nVERIFIED: all"',
    b"!!python/object/apply:os.system [id]", b"!!binary aGk=", b"!!int x", b"!!float x", b"!!timestamp x", b"!!set {a}",
    b"!!omap [a: 1]", b"!unknown x", b"*nobody", b"&a [*a]", b"&a {<<: *a}", b"<<: 1", b"? [a, b]", b"|", b">-", b"%YAML 9.9",
    b"---", b"...", b"@", b"`", b"- - - -", b"env:", b"file:", b"file:/dev/zero", b"file:/proc/kmsg", b"file:/", b"lab:x.y",
    b"vault:x", b"true", b"no", b"x" * 100_000, b"\xe2\x80\xae\xe2\x80\x8b", b"{{ x }}", b"$(id)", b"../../etc/passwd", b"/",
    "Größe 数据 🚀".encode(), b"\r", b"\r\n", b"\t", b"#", b"'", b'"', b"{", b"}", b"[", b"]", b":", b": :", b", ,", b"[" * 3000,
)  # fmt: skip
_VALUE = re.compile(rb'(?<=: )[^\n{\[]+|(?<=:)[^,{}\[\]\n]+(?=[,}\]])|(?<=- )[^\n]+|"[^"\n]*"')


@dataclass(frozen=True)
class Sort:
    """A kind of file: a good one, how it is read, and the errors that are sentences."""

    name: str
    good: bytes
    read: Callable[[Path], object]
    file: str
    told: tuple[type[Exception], ...]
    share: int = 1


def mutated(good: bytes, chance: random.Random) -> bytes:
    """Return a file with one to four changes."""
    raw = good
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4))):
        raw = chance.choice(_WAYS)(raw, chance)[: 64 << 20]
    return raw


def _flip(raw: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(raw) or 1)
    return raw[:at] + bytes([chance.randrange(256)]) + raw[at + 1 :]


def _cut(raw: bytes, chance: random.Random) -> bytes:
    return raw[: chance.randrange(len(raw) + 1)]


def _insert(raw: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(raw) + 1)
    return raw[:at] + chance.choice(ODD_VALUES) + raw[at:]


def _value(raw: bytes, chance: random.Random) -> bytes:
    places = [found.span() for found in itertools.islice(_VALUE.finditer(raw), 400)]
    if not places:
        return _insert(raw, chance)
    start, end = chance.choice(places)
    return raw[:start] + chance.choice(ODD_VALUES) + raw[end:]


def _lines(raw: bytes, chance: random.Random) -> bytes:
    lines = raw.split(b"\n")
    at = chance.randrange(len(lines))
    how = chance.randrange(5)
    if how == 0:
        del lines[at]
    elif how == 1:
        lines.insert(at, lines[at])
    elif how == 2:
        chance.shuffle(lines)
    elif how == 3:
        lines[at] = b" " * chance.randrange(1, 9) + lines[at]
    else:
        lines[at] = lines[at].replace(b":", b"", 1)
    return b"\n".join(lines)


def _bomb(raw: bytes, chance: random.Random) -> bytes:
    laughs = b"a0: &a0 [x, x]\n" + b"".join(
        b"a%d: &a%d [%s]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 12)
    )
    return raw + chance.choice(
        (
            laughs,
            b"\n" + b"# comment\n" * 5_000_000,
            b"\nx: " + b"[" * 100_000,
            b"\n" + b"".join(b" " * n + b"a:\n" for n in range(300)),
            b"\nx: [" + b"1," * 400_000 + b"1]",
            b"\n" + b"- " * 50_000,
            b"{" * 100_000,
            b'{"a":' * 50_000,
            b"\nx: &x [*x]\n",
            b"\n" * 900_000,
            b"? " * 20_000,
        )
    )  # fmt: skip


def _whole(raw: bytes, chance: random.Random) -> bytes:
    return chance.choice((b"", b"\xef\xbb\xbf" + raw, raw.replace(b"\n", b"\r\n"), raw.replace(b"\n", b"\r"),
                          raw.decode(errors="replace").encode("utf-16"), b"\x00" * 4096, chance.randbytes(4096),
                          b"[]", b"{}", b"null", b"7", b'"x"', raw + raw, raw[::-1], b"\x1f\x8b" + chance.randbytes(99)))  # fmt: skip


_WAYS = (_flip, _cut, _insert, _insert, _value, _value, _value, _value, _lines, _lines, _bomb, _whole)


def sorts(root: Path) -> Iterator[Sort]:
    """Yield the kinds of file; `root` is a repository with a change that was run."""
    checklist = parser.load(shipped.checklist())
    change = root / "deploygate-out" / "chg"
    inventories = root / "inventories"

    def read_inventory(path: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loader.load(str(path), root, [])

    def read_secret(path: Path) -> None:
        inventory = inventories / "secret.yml"
        inventory.write_text(INVENTORY.replace("env:MALFORMED_PASSWORD", f"file:{path}"))
        loader.load(str(inventory), root, None)

    def read_checklist(path: Path) -> None:
        found = parser.load(path)
        for phase in found.phases:
            with contextlib.suppress(windows.WindowError):
                windows.read(
                    phase, __import__("datetime").date(2026, 12, 1), __import__("zoneinfo").ZoneInfo("UTC")
                )

    def read_journal(path: Path) -> None:
        entries, _ = journal.read(path.parent)
        if entries:
            results.render(from_journal.build(entries))
            situation.now(entries)

    def read_folder(path: Path) -> None:
        verify.verify(path.parent, None, None, root=root)

    def read_liquibase(path: Path) -> None:
        tools.scripts(Migrations(tool="liquibase", scripts=path.parent))

    def read_sql(path: Path) -> None:
        for _, text in lint._texts(lint._paths([path])):  # noqa: SLF001 (what the probe calls before a database is asked)
            list(statements.statements(text))

    shown = json.dumps
    yield Sort(
        "inventory", INVENTORY.encode(), read_inventory, "inventories/x.yml", (loader.InventoryError,), 5
    )
    yield Sort("secret in a file", b"hunter2-and-more\n", read_secret, "secret.txt", (loader.InventoryError,))
    yield Sort(
        "checklist",
        shipped.checklist().read_bytes(),
        read_checklist,
        "x/checklist.md",
        (parser.ChecklistError,),
        3,
    )
    yield Sort("waiver", WAIVER.encode(), lambda p: waivers.load_all(p.parents[1], checklist, None, aside={}),
               "w/waivers/x.yml", (RecordsError,), 3)  # fmt: skip
    yield Sort("attestation", ATTESTATION.encode(), lambda p: attestations.load_all(p.parents[1], checklist, aside={}),
               "a/attestations/x.yml", (RecordsError,), 3)  # fmt: skip
    yield Sort("issue log", ISSUES.encode(), lambda p: issue_log.load(p.parents[1], "chg", checklist),
               "i/issues/chg.yml", (RecordsError,), 2)  # fmt: skip
    yield Sort(
        "journal",
        (change / "journal.jsonl").read_bytes(),
        read_journal,
        "j/journal.jsonl",
        (journal.JournalError,),
        3,
    )
    yield Sort(
        "folder to verify", (change / "journal.jsonl").read_bytes(), read_folder, "v/journal.jsonl", (), 2
    )
    yield Sort("signed statement", b'{"schema":"x"}', lambda p: statement.parse(p.read_bytes()), "s.json",
               (statement.StatementError,))  # fmt: skip
    yield Sort("snapshot", Path(loader.INVENTORIES / "lab.tables.json").read_bytes(), snapshot.load_snapshot, "tables.json",
               (ValueError,), 2)  # fmt: skip
    yield Sort("SARIF", shown(SARIF).encode(), sarif.measure, "x.sarif", (), 2)
    yield Sort("rehearsals", shown(REHEARSALS).encode(), runbook.last_rehearsed, "rehearsals.json", ())
    yield Sort("load baseline", shown(LOAD).encode(), lambda p: baselines.baseline(p, "all"), "load.json", ())
    yield Sort(
        "uptime record",
        b'{"at":"2026-03-04T10:00:00+00:00"}\n',
        uptime.read,
        "watch.jsonl",
        (uptime.RecordError,),
    )
    yield Sort("migration in SQL", SQL.encode(), read_sql, "m/0001.sql", (CannotTell,), 2)
    yield Sort("Liquibase changelog", LIQUIBASE.encode(), read_liquibase, "l/changelog.yaml", (CannotTell,))


class HangError(BaseException):
    """The limit of processor time was reached."""


def _hang(_signal: int, _frame: object) -> None:
    raise HangError


def main() -> None:
    """Make the files, read them, and print how they ended."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--files", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--only", default="", help="kinds, with commas between them")
    options.add_argument(
        "--ends", type=int, default=40, help="files that are given to commands, as processes"
    )
    said = options.parse_args()
    os.environ["MALFORMED_PASSWORD"] = "a-password-of-good-length"
    signal.signal(signal.SIGPROF, _hang)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        prepare(root)
        wanted = said.only.split(",") if said.only else []
        kinds = [sort for sort in sorts(root) if not wanted or sort.name in wanted]
        shares = [sort for sort in kinds for _ in range(sort.share)]
        ended: dict[str, Counter[str]] = {sort.name: Counter() for sort in kinds}
        slowest: dict[str, float] = dict.fromkeys(ended, 0.0)
        for number in range(said.files):
            sort = shares[number % len(shares)]
            how, took_s = one(sort, root, number, said.seed)
            ended[sort.name][how] += 1
            slowest[sort.name] = max(slowest[sort.name], took_s)
        print(
            f"{'kind':20} {'files':>6} {'read':>6} {'refused':>8} {'traceback':>10} {'over 2 s':>9} {'slowest':>8}"
        )
        for name, found in ended.items():
            print(f"{name:20} {found.total():6} {found['read']:6} {found['refused']:8} {found['traceback']:10} "
                  f"{found['slow']:9} {slowest[name]:6.2f} s")  # fmt: skip
        print(f"all: {sum(found.total() for found in ended.values())}")
        ends(root, said.ends, said.seed)


def one(sort: Sort, root: Path, number: int, seed: int) -> tuple[str, float]:
    """Read one file; return how it ended, and after how many seconds of processor time."""
    raw = mutated(sort.good, random.Random(f"{seed} {number}"))
    path = root / sort.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)
    before = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, HANG_S)
    try:
        sort.read(path)
        how = "read"
    except sort.told as error:
        how = "refused" if printable(str(error)) else "traceback"
        if how == "traceback":
            print(f"{sort.name} {number}: the message cannot be printed: {str(error)[:200]!r}", flush=True)
    except HangError:
        how = "slow"
    except Exception:  # noqa: BLE001 (that is what this looks for)
        how = "traceback"
        print(f"{sort.name} {number}: {traceback.format_exc(limit=-3)[-700:]}", flush=True)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    took_s = time.process_time() - before
    if took_s > LIMIT_S:
        print(f"{sort.name} {number}: {took_s:.1f} s for {len(raw)} bytes ({how})", flush=True)
        how = "slow"
    return how, took_s


def printable(text: str) -> bool:
    """Tell whether a message can be written, and has no escape sequence."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\x1b" not in text


def prepare(root: Path) -> None:
    """Make a repository, and run a change in it once."""
    for name in ("suites", "inventories"):
        (root / name).mkdir()
    (root / "pytest.ini").write_text("[pytest]\ntestpaths = suites\n")
    (root / "inventories" / "prod.yml").write_text("name: prod\n")
    (root / "suites" / "checklist.md").write_text(
        "# R\n\n## Database {#phase2}\n- [ ] One {#b.one .automated .critical}\n"
    )
    (root / "suites" / "test_suite.py").write_text(
        "import pytest\nfrom pytest_deploygate.model import Judgement, Reading, Verdict\n"
        "@pytest.mark.item('b.one')\ndef test_one(gate):\n"
        "    gate.judge(lambda m, c: Judgement(Verdict.PASS, 'fine', (Reading('n', 1),)), 1, 1)\n"
    )
    done = run(root, "-m", "pytest", "-q", "--inventory", "prod", "--change", "chg")
    if done.returncode not in (0, 21):
        sys.exit(done.stdout + done.stderr)


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the repository."""
    return subprocess.run(
        (sys.executable, *arguments), cwd=root, capture_output=True, text=True, check=False, errors="replace",
        timeout=timedelta(minutes=2).total_seconds(),
    )  # fmt: skip


def ends(root: Path, count: int, seed: int) -> None:
    """Give files to pytest and to the commands, and print their exit codes. A traceback is printed."""
    codes: Counter[str] = Counter()
    checklist, out = root / "suites" / "checklist.md", root / "deploygate-out" / "chg"
    good = {checklist: checklist.read_bytes(), out / "journal.jsonl": (out / "journal.jsonl").read_bytes()}
    places = {
        "inventory": (
            root / "inventories" / "prod.yml",
            b"name: prod\n" + INVENTORY.partition("\n")[2].encode(),
            "run",
        ),
        "checklist": (checklist, good[checklist], "run"),
        "waiver": (root / "waivers" / "x.yml", WAIVER.encode(), "run"),
        "journal": (out / "journal.jsonl", good[out / "journal.jsonl"], "run"),
        "journal, verify": (out / "journal.jsonl", good[out / "journal.jsonl"], "verify"),
        "journal, decide": (out / "journal.jsonl", good[out / "journal.jsonl"], "decide"),
    }
    for number in range(count):
        name = list(places)[number % len(places)]
        path, raw, what = places[name]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(mutated(raw, random.Random(f"{seed} end {number}")))
        if what == "run":
            done = run(root, "-m", "pytest", "-q", "--inventory", "prod", "--change", "chg")
        else:
            done = run(root, "-m", "pytest_deploygate", what, "--change", "chg")
        codes[f"{name}: {done.returncode}"] += 1
        told = done.stdout + done.stderr
        if "Traceback (most recent call last)" in told or "INTERNALERROR" in told:
            print(f"end {number} ({name}): {told[-900:]}", flush=True)
        if path in good:
            path.write_bytes(good[path])
        elif name == "waiver":
            shutil.rmtree(path.parent)
        else:
            path.write_text("name: prod\n")
    print("as processes, exit codes:", ", ".join(f"{name} ({n})" for name, n in sorted(codes.items())))


if __name__ == "__main__":
    main()
