"""Checks of `signatures/earlier/`: what roles signed before the journal went on. Each is compared with the journal as it was."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath

from pytest_deploygate.journal import SIGNED, JournalError, noted
from pytest_deploygate.signoff import folder, recorded, signatures, ssh
from pytest_deploygate.signoff.folder import EARLIER, RESULTS, SIGNATURES, Taken, digest
from pytest_deploygate.signoff.recorded import Stands
from pytest_deploygate.signoff.result import BROKEN, UNSIGNED, Check
from pytest_deploygate.signoff.signatures import Found

_PATH = re.compile(r"[0-9a-f]{12}/[^/]+(\.json|\.json\.sig|\.html|\.xml)")


def checks(taken: Taken, stands: Stands, allowed: Path | None, at: datetime) -> Iterator[Check]:
    """Check every earlier signature. Keys must have been allowed when they signed. Raises ssh.SshError."""
    groups: dict[str, dict[str, bytes]] = {}
    wrong = [
        Check("earlier", False, f"{_shown(path)} is no earlier signature: remove it", UNSIGNED)
        for path in (*taken.earlier, *taken.earlier_results)
        if not _PATH.fullmatch(path)
    ]
    for path in (*taken.earlier, *taken.earlier_results):
        group, _, name = path.partition("/")
        if _PATH.fullmatch(path):
            groups.setdefault(group, {}).update({name: taken.earlier[path]} if path in taken.earlier else {})
    number = 0
    for group, files in groups.items():
        found = signatures.found(dataclasses.replace(taken, signatures=files))
        number += len(found)
        wrong += _of_group(taken, stands, group, found, allowed, at)
    yield from wrong
    if number and not wrong:
        text = f"{number} earlier signatures are valid, and say what the journal said then"
        yield Check("earlier", True, text)


def removed(taken: Taken, stands: Stands) -> Iterator[Check]:
    """Look for each signature that the journal names: what was there when it went on must be there now, in its place or aside."""
    there = {digest(raw) for raw in (*taken.signatures.values(), *taken.earlier.values())}
    named = [(entry.seq, *one) for entry in stands.entries if entry.kind == SIGNED for one in noted(entry)]
    wrong = [(line, name) for line, name, sha in named if sha not in there]
    for line, name in wrong:
        text = f"{name}, which was in {SIGNATURES}/ when line {line} of the journal was written, was removed or altered"
        yield Check("earlier", False, text, BROKEN)
    if named and not wrong:
        yield Check("earlier", True, f"all {len(named)} signature files that the journal names are there")


def _of_group(
    taken: Taken, stands: Stands, group: str, found: Sequence[Found], allowed: Path | None, at: datetime
) -> Iterator[Check]:
    """Yield what is wrong with the signatures that were moved aside together, and with the results beside them."""
    for number, one in enumerate(found):
        for check in _of_one(taken, stands, group, one, allowed, at):
            yield dataclasses.replace(check, text=f"{_shown(f'{group}/{one.role}.json')}: {check.text}")
        for other in found[:number]:
            if one.made.key and one.made.key == other.made.key:
                text = f"{one.role} and {other.role} signed with the same key, {one.made.key}: two roles need two people"
                yield Check("earlier", False, f"{_shown(group)}: {text}", UNSIGNED)
    signed = [signatures.signed_digests(one.said) for one in found if one.said and one.valid]
    by_report = any(one.said and one.valid and one.said.report_sha256[:12] == group for one in found)
    for name in RESULTS:
        there = taken.earlier_results.get(f"{group}/{name}")
        if there is None and by_report:  # a run kept what it would replace
            yield Check("earlier", False, f"{_shown(f'{group}/{name}')} is missing, or is no file", BROKEN)
        if there and (not signed or any(digests[name] != there for digests in signed)):
            text = f"{_shown(f'{group}/{name}')} is not the one that was signed: its SHA-256 is {there[:12]}…"
            yield Check("earlier", False, text, BROKEN)


def _shown(path: str) -> str:
    return str(PurePosixPath(SIGNATURES, EARLIER, path))


def _of_one(
    taken: Taken, stands: Stands, group: str, one: Found, allowed: Path | None, at: datetime
) -> Iterator[Check]:
    """Yield what is wrong with an earlier signature."""
    said = one.said
    if said is None or not one.valid or not one.made.canonical:
        yield Check(
            "earlier", False, one.problem or one.made.problem or "there is nothing to verify", UNSIGNED
        )
        return
    known = {entry.sha256: entry.seq for entry in stands.entries}
    if known.get(said.journal_head) != said.journal_lines:
        text = f"the journal never had the head that it names ({said.journal_head[:12]}…): it is of another, or was rewritten"
        yield Check("earlier", False, text, BROKEN)
        return
    if group not in (said.journal_head[:12], said.report_sha256[:12]):
        yield Check("earlier", False, "it was moved here from another folder of earlier signatures", UNSIGNED)
    if said.journal_head == stands.head:
        yield Check("earlier", False, "it signs the journal as it is now, and is not earlier", UNSIGNED)
    lines = (taken.journal or b"").split(b"\n")[: said.journal_lines]
    then = dataclasses.replace(taken, journal=b"".join(line + b"\n" for line in lines))
    try:
        stood = recorded.read(then)
        if why := signatures.contradiction(stood, one, at):
            yield Check("earlier", False, why, UNSIGNED)
        yield from _digests(then, stood, one)
    except JournalError as error:
        yield Check("earlier", False, str(error), BROKEN)
    if signatures.untrusted_file(taken.folder, allowed) or allowed is None:
        yield Check(
            "earlier", False, "trust not established: there is no allowed-signers file to trust", UNSIGNED
        )
    elif why := ssh.refused(one.raw, one.armour, one.role, allowed, (said.at,)):
        yield Check("earlier", False, f"{one.made.key} {why} in {allowed}", UNSIGNED)


def _digests(then: Taken, stood: Stands, one: Found) -> Iterator[Check]:
    """Compare the signed digests with the results that the journal of that time gives, if this version wrote them."""
    if one.said is None or not stood.same_version:
        return
    with recorded.shaped(then.folder):
        again = folder.rendered(then.journal or b"", then.folder)
    for name, signed in signatures.signed_digests(one.said).items():
        if digest(again[name]) != signed:
            text = f"it signs a {name} that the journal of that time does not give (SHA-256 {signed[:12]}…)"
            yield Check("earlier", False, text, BROKEN)
