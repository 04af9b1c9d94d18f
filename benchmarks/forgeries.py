"""Forgeries of a signed folder, generated, and whether `deploygate verify` sees them.

    python benchmarks/forgeries.py
    python benchmarks/forgeries.py --seed 2 --only journal --keep /tmp/passed

A small change is run for real, with a waiver and an attestation, signed by three roles, run again and signed again; and
a second change, signed too. Each forgery alters a copy of the first change's folder, or of the repository's records, as
somebody could who has no key, or one role's key, or keys that nobody allowed. Printed is how many of each kind `verify`
refused, and every one that it did not.
"""

from __future__ import annotations

import argparse
import base64
import collections
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from pytest_deploygate import journal
from pytest_deploygate.signoff import folder as folders
from pytest_deploygate.signoff import ssh, statement
from pytest_deploygate.signoff.verify import verify

ROLES = ("deployment-lead", "technical-lead", "operations-manager")
CHECKLIST = """\
## Phase 1 {#phase1 .database}
- [ ] Servers are up {#phase1.servers .critical}
- [ ] Logs are clean {#phase1.log-lines .minor}
- [ ] Caches are warm {#phase1.caches}
- [ ] Runbook is there {#phase1.runbook .manual}
## Final sign-off {.sign-off}
- [ ] Deployment lead: ____
- [ ] Technical lead: ____
- [ ] Operations manager: ____
"""
SUITE = """\
import pytest
from pytest_deploygate.model import Judgement, Reading, Verdict

def judge(measured, limit):
    good = measured <= limit
    reading = Reading("errors", measured, limit=f"at most {limit}", ok=good)
    return Judgement(Verdict.PASS if good else Verdict.FAIL, f"{measured} errors", (reading,), confirmed=True)

@pytest.mark.item("phase1.servers")
@pytest.mark.parametrize("server", ["db1", "db2"])
def test_servers(gate, server):
    gate.judge(judge, 0, 1)

@pytest.mark.item("phase1.log-lines")
def test_logs(gate):
    gate.judge(judge, 1, 1)

@pytest.mark.item("phase1.caches")
def test_caches(gate):
    gate.judge(judge, 7, 1)
"""
#: A journal's lines.
Lines = list[dict[str, Any]]
#: A forgery: its kind, what it does, and the change to a project's copy.
Forgery = tuple[str, str, Callable[["Case"], object]]
LOOKALIKES = {"a": "а", "e": "е", "o": "о", "p": "р", "c": "с", "i": "і", "s": "ѕ", "C": "С", "H": "Н"}


class Case:
    """A copy of the project in which one forgery is made."""

    def __init__(self, project: Path, keys: dict[str, Path], foreign: Path, draw: random.Random) -> None:
        self.project, self.keys, self.foreign, self.draw = project, keys, foreign, draw
        self.folder = project / "deploygate-out" / "CHG-1"
        self.other = project / "deploygate-out" / "CHG-2"
        self.signatures = self.folder / "signatures"
        (self.earlier,) = (self.signatures / "earlier").iterdir()
        self.journal = self.folder / journal.FILE
        self.allowed = project / "allowed_signers"

    def lines(self) -> Lines:
        """Return the journal's lines as data."""
        return [json.loads(line) for line in self.journal.read_bytes().splitlines()]

    def rewrite(self, lines: Lines) -> None:
        """Write the journal again with a chain that is intact, and the results that it gives."""
        before, out = journal.GENESIS, b""
        for number, line in enumerate(lines, start=1):
            said = {key: value for key, value in line.items() if key != "own"} | {
                "prev": before,
                "seq": number,
            }
            text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
            text = text[:-1] + f',"own":"{folders.sha256(text)}"}}'.encode()
            before = folders.sha256(text)
            out += text + b"\n"
        self.journal.write_bytes(out)
        with contextlib.suppress(journal.JournalError):  # what cannot be rendered keeps its results
            for name, raw in folders.rendered(out, self.journal).items():
                (self.folder / name).write_bytes(raw)

    def said(self, role: str) -> statement.Statement:
        """Return a role's statement."""
        return statement.parse((self.signatures / f"{role}.json").read_bytes())

    def sign(self, role: str, said: statement.Statement, key: Path, place: Path | None = None) -> None:
        """Write a statement with its signature by a key."""
        raw = statement.to_bytes(said)
        file = (place or self.signatures) / f"{role}.json"
        file.write_bytes(raw)
        file.with_name(f"{role}.json.sig").write_bytes(ssh.as_stored(ssh.sign(raw, key)))

    def about_now(self, role: str) -> statement.Statement:
        """Return a role's statement about the folder as it is now."""
        raw = self.journal.read_bytes()
        (head, number) = (folders.sha256(raw.splitlines()[-1]), len(raw.splitlines()))
        digests = {
            name: folders.sha256((self.folder / file).read_bytes())
            for name, file in (
                ("report_sha256", "signoff.html"),
                ("verdicts_sha256", "verdicts.json"),
                ("junit_sha256", "junit.xml"),
            )
        }
        return replace(self.said(role), journal_head=head, journal_lines=number, **digests)


def flip(file: Path, at: int, bit: int) -> None:
    """Change one bit of a file."""
    raw = bytearray(file.read_bytes())
    raw[at % len(raw)] ^= 1 << bit
    file.write_bytes(raw)


def of_bytes(case: Case) -> Iterator[Forgery]:
    """Bits, ends, copies and links of every file that counts."""
    draw = case.draw
    for file in signed_files(case):
        name = file.relative_to(case.project)
        size = file.stat().st_size
        for _ in range(3):
            at, bit = draw.randrange(size), draw.randrange(8)
            yield (
                "flipped bit",
                f"{name} byte {at} bit {bit}",
                lambda c, n=name, a=at, b=bit: flip(c.project / n, a, b),
            )
        cut = draw.randrange(size)
        yield "truncated", f"{name} to {cut}", lambda c, n=name, s=cut: os.truncate(c.project / n, s)
        yield "lengthened", f"{name} by a line", lambda c, n=name: append(c.project / n, b"\n")
        yield "removed", f"{name}", lambda c, n=name: (c.project / n).unlink()
        yield "emptied", f"{name}", lambda c, n=name: (c.project / n).write_bytes(b"")
        yield "folder in its place", f"{name}", lambda c, n=name: folder_for(c.project / n)
        yield "named pipe in its place", f"{name}", lambda c, n=name: pipe_for(c.project / n)


def signed_files(case: Case) -> list[Path]:
    """Return all files whose contents the signatures cover, and these."""
    below = [f for f in sorted(case.folder.rglob("*")) if f.is_file() and not f.name.startswith(".")]
    records = [
        f for name in ("waivers", "attestations", "docs") for f in sorted((case.project / name).iterdir())
    ]
    return below + records


def append(file: Path, raw: bytes) -> None:
    """Add bytes to a file."""
    file.write_bytes(file.read_bytes() + raw)


def folder_for(file: Path) -> None:
    """Put a folder in a file's place."""
    file.unlink()
    file.mkdir()


def pipe_for(file: Path) -> None:
    """Put a pipe in a file's place, which nobody writes to."""
    file.unlink()
    os.mkfifo(file)


def of_lines(case: Case) -> Iterator[Forgery]:
    """Lines of the journal, with the chain as it is, or made again."""
    count = len(case.lines())

    def moved(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Case], object]:
        return lambda c: c.journal.write_bytes(
            b"".join(change(c.journal.read_bytes().splitlines(keepends=True)))
        )

    def chained(change: Callable[[Lines], object]) -> Callable[[Case], object]:
        def made(c: Case) -> None:
            lines = c.lines()
            change(lines)
            c.rewrite(lines)

        return made

    for n in range(count):
        yield "line removed", f"line {n + 1}", moved(lambda ls, n=n: ls[:n] + ls[n + 1 :])
        yield "line doubled", f"line {n + 1}", moved(lambda ls, n=n: ls[: n + 1] + ls[n:])
        yield "lines cut off", f"from line {n + 1}", moved(lambda ls, n=n: ls[:n])
        if n:
            yield (
                "lines swapped",
                f"line {n} and {n + 1}",
                moved(lambda ls, n=n: [*ls[: n - 1], ls[n], ls[n - 1], *ls[n + 1 :]]),
            )
            yield "line removed, chain again", f"line {n + 1}", chained(lambda ls, n=n: ls.pop(n))
            yield (
                "lines cut off, chain again",
                f"from line {n + 1}",
                chained(lambda ls, n=n: ls.__delitem__(slice(n, None))),
            )
        yield "line doubled, chain again", f"line {n + 1}", chained(lambda ls, n=n: ls.insert(n, dict(ls[n])))
    for what, change in edits():
        yield "edited, chain again", what, chained(change)


def edits() -> Iterator[tuple[str, Callable[[Lines], object]]]:
    """Edits of what the journal says."""

    def findings(lines: Lines, change: Callable[[dict[str, Any]], object]) -> None:
        for line in lines:
            for found in line.get("findings", ()):
                change(found)

    def decisions(lines: Lines, change: Callable[[dict[str, Any]], object]) -> None:
        for line in lines:
            if line["kind"] == "decision":
                change(line["decision"])

    yield "all verdicts pass", lambda ls: findings(ls, lambda f: f.update(verdict="pass"))
    yield "no confirmed failure", lambda ls: findings(ls, lambda f: f.update(confirmed=False))
    yield "other reasons", lambda ls: findings(ls, lambda f: f.update(reason="all is well"))
    yield "other targets", lambda ls: findings(ls, lambda f: f.update(target=f["target"] + "0"))
    yield "no evidence", lambda ls: findings(ls, lambda f: f.update(evidence=[]))
    yield "later findings", lambda ls: findings(ls, lambda f: f.update(at=f["at"].replace("T0", "T1")))
    yield "decision GO", lambda ls: decisions(ls, lambda d: d.update(outcome="GO", exit_code=0))
    yield "decision HOLD", lambda ls: decisions(ls, lambda d: d.update(outcome="HOLD", exit_code=1))
    yield "no rules", lambda ls: decisions(ls, lambda d: d.update(rules=[]))
    for key in ("change", "inventory", "roles", "versions", "records", "scope", "expression"):
        yield (
            f"run without {key}",
            lambda ls, k=key: [line.pop(k, None) for line in ls if line["kind"] == "run"],
        )
    yield (
        "one role must sign",
        lambda ls: [line.update(roles=["Deployment lead"]) for line in ls if line["kind"] == "run"],
    )
    yield (
        "another version",
        lambda ls: [line.update(versions={"pytest-deploygate": "9"}) for line in ls if line["kind"] == "run"],
    )
    yield "another change", lambda ls: [line.update(change="CHG-2") for line in ls if line["kind"] == "run"]
    yield "another kind", lambda ls: [line.update(kind="note") for line in ls if line["kind"] == "test"]
    yield "the last line far in the future", lambda ls: ls[-1].update(at="2099-01-01T00:00:00+00:00")
    for letter, other in LOOKALIKES.items():
        yield (
            f"look-alike of {letter}",
            lambda ls, a=letter, b=other: findings(ls, lambda f: f.update(reason=f["reason"].replace(a, b))),
        )
    for form in ("NFD", "NFKC"):
        yield (
            f"in {form}, with an accent",
            lambda ls, f=form: findings(
                ls, lambda x: x.update(reason=unicodedata.normalize(f, x["reason"] + "é"))
            ),
        )
    for mark in ("\u200b", "\u202e", "\ufeff"):
        yield (
            f"with U+{ord(mark):04X}",
            lambda ls, m=mark: findings(ls, lambda x: x.update(reason=x["reason"] + m)),
        )


def of_signatures(case: Case) -> Iterator[Forgery]:
    """Signatures of others, of other reports, made again, and in other forms."""
    sig = case.signatures.relative_to(case.project)
    old = case.earlier.relative_to(case.project)

    def copy(source: Path | str, target: Path | str) -> Callable[[Case], object]:
        return lambda c: shutil.copy(c.project / source, c.project / target)

    for place in (sig, old):
        for one in ROLES:
            for other in ROLES:
                if one == other:
                    continue
                for end in (".json", ".json.sig"):
                    yield (
                        "another role's file",
                        f"{place}/{one}{end} as {other}",
                        copy(place / f"{one}{end}", place / f"{other}{end}"),
                    )
                yield (
                    "another role's pair",
                    f"{place}/{one} as {other}",
                    lambda c, p=place, a=one, b=other: (
                        [
                            shutil.copy(c.project / p / f"{a}{e}", c.project / p / f"{b}{e}")
                            for e in (".json", ".json.sig")
                        ]
                    ),
                )
    for role in ROLES:
        for end in (".json", ".json.sig"):
            yield "of the earlier report", f"{role}{end}", copy(old / f"{role}{end}", sig / f"{role}{end}")
            yield (
                "of this report as earlier",
                f"{role}{end}",
                copy(sig / f"{role}{end}", old / f"{role}{end}"),
            )
            yield (
                "of another change",
                f"{role}{end}",
                copy(f"deploygate-out/CHG-2/signatures/{role}{end}", sig / f"{role}{end}"),
            )
            yield (
                "of another change as earlier",
                f"{role}{end}",
                copy(f"deploygate-out/CHG-2/signatures/{role}{end}", old / f"{role}{end}"),
            )
        for group, word in ((sig, "now"), (old, "earlier")):
            yield (
                f"both of another change, {word}",
                role,
                lambda c, r=role, g=group: (
                    [
                        shutil.copy(c.other / "signatures" / f"{r}{e}", c.project / g / f"{r}{e}")
                        for e in (".json", ".json.sig")
                    ]
                ),
            )
        yield (
            "both of the earlier report",
            role,
            lambda c, r=role: (
                [shutil.copy(c.earlier / f"{r}{e}", c.signatures / f"{r}{e}") for e in (".json", ".json.sig")]
            ),
        )
        yield "a key that nobody allowed", role, lambda c, r=role: c.sign(r, c.said(r), c.foreign)
        yield (
            "a key that nobody allowed, earlier",
            role,
            lambda c, r=role: c.sign(
                r, statement.parse((c.earlier / f"{r}.json").read_bytes()), c.foreign, c.earlier
            ),
        )
        for holder in ROLES:
            if holder != role:
                yield (
                    "another role's key",
                    f"{role} by {holder}",
                    lambda c, r=role, h=holder: c.sign(r, c.said(r), c.keys[h]),
                )
                yield (
                    "another role's key, earlier",
                    f"{role} by {holder}",
                    lambda c, r=role, h=holder: c.sign(
                        r, statement.parse((c.earlier / f"{r}.json").read_bytes()), c.keys[h], c.earlier
                    ),
                )
        for what, changed in {
            "change": {"change": "CHG-9"},
            "inventory": {"inventory": "other"},
            "scope": {"scope": "everything"},
            "decision": {"decision": "HOLD", "reason": "seen"},
            "role": {"role": "executive-sponsor"},
            "journal": {"journal_head": "0" * 64},
            "lines": {"journal_lines": 3},
            "report": {"report_sha256": "0" * 64},
            "verdicts": {"verdicts_sha256": "0" * 64},
            "junit": {"junit_sha256": "0" * 64},
            "long before": {"at": case.said(role).at - timedelta(days=9)},
            "long after": {"at": case.said(role).at + timedelta(days=9)},
        }.items():
            yield (
                "own statement, other words",
                f"{role}: {what}",
                lambda c, r=role, w=changed: c.sign(r, replace(c.said(r), **w), c.keys[r]),
            )
        for what, form in FORMS.items():
            yield (
                "another form of the statement",
                f"{role}: {what}",
                lambda c, r=role, f=form: form_of(c.signatures / f"{r}.json", f),
            )
        for what, form in ARMOURS.items():
            yield (
                "another form of the signature",
                f"{role}: {what}",
                lambda c, r=role, f=form: form_of(c.signatures / f"{r}.json.sig", f),
            )


def form_of(file: Path, form: Callable[[bytes], bytes]) -> None:
    """Write a file in another form."""
    raw = file.read_bytes()
    if form(raw) == raw:
        raise ValueError("this is no other form")
    file.write_bytes(form(raw))


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "keys in another order": lambda raw: (
        json.dumps(dict(reversed(json.loads(raw).items())), indent=1).encode() + b"\n"
    ),
    "on one line": lambda raw: json.dumps(json.loads(raw)).encode(),
    "a key twice": lambda raw: raw.replace(b"{", b'{"decision": "GO",', 1),
    "with escapes": lambda raw: raw.replace(b"CHG-1", b"CHG\\u002d1"),
    "with a mark at its start": lambda raw: b"\xef\xbb\xbf" + raw,
    "with other line ends": lambda raw: raw.replace(b"\n", b"\r\n"),
    "with a key more": lambda raw: raw.replace(b"{", b'{"approved": "true",', 1),
}
ARMOURS: dict[str, Callable[[bytes], bytes]] = {
    "with other line ends": lambda raw: raw.replace(b"\n", b"\r\n"),
    "with words before": lambda raw: b"approved\n" + raw,
    "with words after": lambda raw: raw + b"approved\n",
    "twice": lambda raw: raw + raw,
    "in shorter lines": lambda raw: b"\n".join(
        [raw.split(b"\n")[0], *(p[i : i + 30] for p in raw.split(b"\n")[1:-2] for i in range(0, len(p), 30)), *raw.split(b"\n")[-2:]]
    ),
    "with bytes after it": lambda raw: raw.split(b"\n")[0] + b"\n" + base64.b64encode(
        base64.b64decode(b"".join(raw.split(b"\n")[1:-2])) + b"\0"
    ) + b"\n" + b"\n".join(raw.split(b"\n")[-2:]),
}  # fmt: skip


def of_folders(case: Case) -> Iterator[Forgery]:
    """Whole folders, evidence and trust."""
    yield (
        "another change's folder",
        "whole",
        lambda c: [shutil.rmtree(c.folder), shutil.copytree(c.other, c.folder)],
    )
    for name in (journal.FILE, *folders.RESULTS, "signatures", "evidence"):
        yield (
            "a part of another change's folder",
            name,
            lambda c, n=name: taken_over(c.other / n, c.folder / n),
        )
    for name in ("signatures",):
        yield (
            "all but its signatures",
            name,
            lambda c, n=name: (
                [
                    shutil.copytree(c.folder / n, c.project / "kept"),
                    shutil.rmtree(c.folder),
                    shutil.copytree(c.other, c.folder),
                    taken_over(c.project / "kept", c.folder / n),
                ]
            ),
        )
    evidence = sorted(f.name for f in (case.folder / "evidence").iterdir())
    for n, one in enumerate(evidence):
        other = evidence[n - 1]
        if (case.folder / "evidence" / one).read_bytes() == (case.folder / "evidence" / other).read_bytes():
            continue
        yield (
            "evidence swapped",
            f"{one} and {other}",
            lambda c, a=one, b=other: swapped(c.folder / "evidence" / a, c.folder / "evidence" / b),
        )
        yield (
            "evidence renamed",
            one,
            lambda c, a=one: (c.folder / "evidence" / a).rename(c.folder / "evidence" / f"x{a}"),
        )
    for path in sorted(case.folder.rglob("*.json")):
        name = path.relative_to(case.folder)
        yield (
            "a link to another file",
            str(name),
            lambda c, n=name: linked(c.folder / n, c.project / "pytest.ini"),
        )
    for role in ROLES:
        yield (
            "a look-alike name",
            role,
            lambda c, r=role: (
                [
                    f.rename(f.with_name(f.name.replace("e", "е")))
                    for f in sorted(c.signatures.glob(f"{r}.json*"))
                ]
            ),
        )
        yield (
            "a name in capitals",
            role,
            lambda c, r=role: (
                [f.rename(f.with_name(f.name.upper())) for f in sorted(c.signatures.glob(f"{r}.json*"))]
            ),
        )
        yield (
            "hidden",
            role,
            lambda c, r=role: (
                [f.rename(f.with_name("." + f.name)) for f in sorted(c.signatures.glob(f"{r}.json*"))]
            ),
        )
        yield (
            "signatures removed",
            role,
            lambda c, r=role: [f.unlink() for f in c.signatures.glob(f"{r}.json*")],
        )
        yield (
            "earlier signatures moved",
            role,
            lambda c, r=role: ([f.rename(c.signatures / f.name) for f in c.earlier.glob(f"{r}.json*")]),
        )
        yield (
            "earlier signatures removed",
            role,
            lambda c, r=role: [f.unlink() for f in c.earlier.glob(f"{r}.json*")],
        )
    yield "earlier signatures removed", "the group", lambda c: shutil.rmtree(c.earlier)
    yield (
        "earlier signatures removed",
        "all",
        lambda c: shutil.rmtree(c.signatures / "earlier"),
    )
    for how in ("inside", "link in", "link out", "hard link", "folder link"):
        yield "trust from the folder", how, lambda c, h=how: trust_from_inside(c, h)
    yield (
        "all forged with own keys",
        "own allowed signers inside",
        lambda c: forged_whole(c, c.folder / "allowed_signers"),
    )
    for holder in ROLES:
        yield "all forged with one role's key", holder, lambda c, h=holder: forged_by(c, h)
    for text in ("waivers", "attestations"):
        for what, form in RECORDS.items():
            yield (
                "a record rewritten",
                f"{text}: {what}",
                lambda c, t=text, f=form: [form_of(p, f) for p in (c.project / t).glob("*.yml")],
            )


RECORDS: dict[str, Callable[[bytes], bytes]] = {
    "a comment": lambda raw: raw + b"# approved\n",
    "another line end": lambda raw: raw.replace(b"\n", b"\r\n"),
    "a look-alike": lambda raw: raw.replace(b"a", "а".encode(), 1),
    "an invisible character": lambda raw: raw.replace(b"e", "e\u200b".encode(), 1),
    "another year": lambda raw: raw.replace(b"20", b"21", 1),
    "another order": lambda raw: b"\n".join(reversed(raw.splitlines())) + b"\n",
}


def taken_over(source: Path, target: Path) -> None:
    """Put a file or folder in another's place."""
    if target.is_dir():
        shutil.rmtree(target)
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)


def swapped(one: Path, other: Path) -> None:
    """Swap the contents of two files."""
    a, b = one.read_bytes(), other.read_bytes()
    one.write_bytes(b)
    other.write_bytes(a)


def linked(file: Path, to: Path) -> None:
    """Put a link in a file's place."""
    file.unlink()
    file.symlink_to(to)


def trust_from_inside(case: Case, how: str) -> None:
    """Have the allowed-signers file come from the folder."""
    inside = case.folder / "mine"
    shutil.copy(case.allowed, inside)
    outside = case.project / "trusted"
    case.allowed.rename(outside)
    if how == "inside":
        case.allowed = inside
    elif how == "link in":
        case.allowed.symlink_to(inside)
    elif how == "link out":
        inside.unlink()
        inside.symlink_to(outside)
        case.allowed.symlink_to(inside)
    elif how == "hard link":
        case.allowed.hardlink_to(inside)
    else:
        (case.folder / "up").symlink_to(case.project)
        case.allowed = case.folder / "up" / "trusted"


def better(case: Case) -> None:
    """Rewrite the journal so that all is well."""
    lines = case.lines()
    for line in lines:
        for found in line.get("findings", ()):
            found.update(verdict="pass", reason="0 errors")
    case.rewrite(lines)


def forged_whole(case: Case, allowed: Path) -> None:
    """Forge everything with keys of one's own, and an allowed-signers file that says so."""
    better(case)
    shutil.rmtree(case.signatures / "earlier")
    for role in ROLES:
        case.sign(role, case.about_now(role), case.foreign)
    public = " ".join(Path(f"{case.foreign}.pub").read_text().split()[:2])
    allowed.write_text("".join(f"{role} {public}\n" for role in ROLES))
    case.allowed = allowed


def forged_by(case: Case, holder: str) -> None:
    """Forge everything with one role's key, for all roles."""
    better(case)
    shutil.rmtree(case.signatures / "earlier")
    for role in ROLES:
        case.sign(role, case.about_now(role), case.keys[holder])


KINDS = {"bytes": of_bytes, "journal": of_lines, "signatures": of_signatures, "folders": of_folders}


def built(place: Path) -> tuple[Path, dict[str, Path], Path]:
    """Run and sign the changes; return the project, the roles' keys, and a key that nobody allowed."""
    project = place / "project"
    for name, text in {
        "suites/checklist.md": CHECKLIST,
        "suites/test_small.py": SUITE,
        "inventories/small.yml": "name: small\n",
        "pytest.ini": "[pytest]\ntestpaths = suites\n",
        "docs/runbook.md": "# Runbook\n",
    }.items():
        (project / name).parent.mkdir(exist_ok=True, parents=True)
        (project / name).write_text(text)
    keys = {}
    for role in (*ROLES, "nobody"):
        keys[role] = place / role
        subprocess.run(
            ["ssh-keygen", "-q", "-N", "", "-C", role, "-t", "ed25519", "-f", keys[role]], check=True
        )
    foreign = keys.pop("nobody")

    def command(*words: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", *words], cwd=project, capture_output=True, text=True, check=False
        )
        if done.returncode not in (0, 1):
            sys.exit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")

    gate = "pytest_deploygate"
    command(gate, "attest", "phase1.runbook", "--role", "operations-manager", "--name", "Operations manager",
            "--evidence", "docs/runbook.md", "--valid-until", "30d")  # fmt: skip
    command(gate, "waive", "phase1.caches", "--owner", "technical-lead", "--approver", "deployment-lead",
            "--ticket", "OPS-1", "--reason", "the caches warm up within an hour", "--expires", "7d")  # fmt: skip
    for change in ("CHG-1", "CHG-1", "CHG-2"):
        command("pytest", "-q", "-m", "phase1", "--inventory", "small", "--change", change)
        for role, key in keys.items():
            words = (
                "--role",
                role,
                "--key",
                str(key),
                "--name",
                f"The {role}",
                "--reason",
                "seen and agreed",
            )
            command(gate, "sign", "--change", change, *words)
    lines = [f"{role} {' '.join(Path(f'{key}.pub').read_text().split()[:2])}\n" for role, key in keys.items()]
    (project / "allowed_signers").write_text("".join(lines))
    return project, keys, foreign


def looks(project: Path) -> dict[str, bytes | str]:
    """Return the contents of all files of a project by path; of what is no file, its kind."""
    return {
        str(path.relative_to(project)): path.read_bytes()
        if path.is_file() and not path.is_symlink()
        else oct(path.lstat().st_mode)
        for path in sorted(project.rglob("*"))
    }


def main() -> None:
    """Make each forgery in a copy, verify it, and print what passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=list(KINDS))
    parser.add_argument("--keep", type=Path, help="where copies that passed are kept")
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        project, keys, foreign = built(Path(temporary))
        whole = Case(project, keys, foreign, random.Random(said.seed))
        untouched = verify(whole.folder, whole.allowed, root=project, change="CHG-1")
        if untouched.exit_code:
            sys.exit(f"the folder does not verify before anybody forged it: {untouched.first}")
        before = looks(project)
        counts: collections.Counter[tuple[str, int]] = collections.Counter()
        passed, slowest = [], 0.0
        for name, kind in KINDS.items():
            for what, how, change in kind(whole) if said.only in (None, name) else ():
                copied = shutil.copytree(project, Path(temporary) / "copy", symlinks=True)
                case = Case(copied, keys, foreign, whole.draw)
                change(case)
                if looks(copied) == before:
                    shutil.rmtree(copied)
                    continue  # there was nothing to change, such as a letter that nobody wrote
                began = time.perf_counter()
                result = verify(case.folder, case.allowed, root=copied, change="CHG-1")
                slowest = max(slowest, time.perf_counter() - began)
                counts[f"{name}: {what}", result.exit_code] += 1
                if sum(counts.values()) % 50 == 0:
                    print(f"{sum(counts.values())} …", file=sys.stderr, flush=True)
                if result.exit_code == 0:
                    passed.append(f"{what}: {how}")
                    print(f"passed: {passed[-1]}", file=sys.stderr, flush=True)
                    if said.keep:
                        shutil.copytree(copied, said.keep / str(len(passed)), symlinks=True)
                shutil.rmtree(copied)
    for (what, code), number in sorted(counts.items()):
        print(f"{number:5}  exit {code:2}  {what}")
    total = sum(counts.values())
    print(f"{total} forgeries, {len(passed)} passed; the slowest took {slowest:.1f} s to verify")
    for line in passed:
        print(f"  passed: {line}")


if __name__ == "__main__":
    main()
