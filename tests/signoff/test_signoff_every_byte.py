"""Each byte changed anywhere in a signed folder is found."""

from __future__ import annotations

import dataclasses
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from pytest_deploygate.signoff import folder as folders
from pytest_deploygate.signoff import recorded, signatures
from pytest_deploygate.signoff.verify import examine, recorded_checks, verify

LATER = datetime(2099, 1, 1, tzinfo=UTC)


def flips(raw):
    """Yield the bytes with one bit changed, once per byte: the lowest bit, then the next, and so on, to vary the change."""
    for at in range(len(raw)):
        yield at, raw[:at] + bytes([raw[at] ^ (1 << at % 8)]) + raw[at + 1 :]


def found(checks):
    return any(check.ok is False for check in checks)


@pytest.fixture(scope="module")
def taken(all_signed):
    return folders.take(all_signed)


def test_unchanged_nothing_is_found(taken):
    """The baseline of all other tests: without a change nothing is reported."""
    assert not found(recorded_checks(taken))


def test_each_byte_of_the_journal(taken):
    """Its last line and the last line feed included."""
    missed = [
        at
        for at, raw in flips(taken.journal)
        if not found(recorded_checks(dataclasses.replace(taken, journal=raw)))
    ]
    assert missed == []


@pytest.mark.parametrize("name", folders.RESULTS)
def test_each_byte_of_the_results(taken, name):
    """Report, verdicts and JUnit file are compared byte for byte with what the unchanged journal gives."""
    stands = recorded.read(taken)

    def seen(raw):
        changed = dataclasses.replace(taken, results={**taken.results, name: raw})
        return found(recorded.results(changed, stands))

    assert not seen(taken.results[name])
    assert [at for at, raw in flips(taken.results[name]) if not seen(raw)] == []


@pytest.mark.parametrize("name", folders.RESULTS)
def test_each_byte_of_the_results_by_another_version(taken, name, monkeypatch):
    """A version that cannot render them again still compares the digests that were signed."""
    monkeypatch.setattr("pytest_deploygate.__version__", "99.0")
    stands = recorded.read(taken)
    assert not stands.same_version
    signs = signatures.found(taken)
    assert not found(signatures.digests(taken, stands, signs))
    for _, raw in flips(taken.results[name]):
        assert found(
            signatures.digests(
                dataclasses.replace(taken, results={**taken.results, name: raw}), stands, signs
            )
        )


def test_each_byte_of_the_evidence(taken):
    """All evidence files, and a missing one."""
    assert taken.evidence
    for path in taken.evidence:
        for _, raw in flips((taken.folder / path).read_bytes()):
            changed = {**taken.evidence, path: folders.digest(raw)}
            assert found(recorded_checks(dataclasses.replace(taken, evidence=changed)))
        gone = {other: sha for other, sha in taken.evidence.items() if other != path}
        assert found(recorded_checks(dataclasses.replace(taken, evidence=gone)))


@pytest.mark.parametrize("suffix", [".json", ".json.sig"])
@pytest.mark.parametrize("role", ["deployment-lead", "technical-lead"])
def test_each_byte_of_a_signature(taken, role, suffix):
    """Ed25519 and RSA: statement and armour."""
    stands = recorded.read(taken)
    own = {name: raw for name, raw in taken.signatures.items() if name.startswith(role)}

    def seen(raw):
        one = signatures.found(dataclasses.replace(taken, signatures={**own, role + suffix: raw}))
        return (
            found(signatures.statements(stands, one, LATER))
            or found(signatures.armour(one))
            or found(signatures.validity(one))
        )

    assert not seen(own[role + suffix])
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(seen, [raw for _, raw in flips(own[role + suffix])]))
    assert [at for at, good in enumerate(results) if not good] == []


def test_a_sample_on_the_disk(signed):
    """End to end: one byte of each file, by chance; exit code 25 for what was recorded, 26 for signatures."""
    chance = random.Random(7)
    assert verify(signed.folder, signed.allowed).exit_code == 0
    files = [f for f in signed.folder.rglob("*") if f.is_file() and not f.name.startswith(".")]
    assert len(files) >= 12
    for file in files:
        raw = file.read_bytes()
        at = chance.randrange(len(raw))
        file.write_bytes(raw[:at] + bytes([raw[at] ^ (1 << chance.randrange(8))]) + raw[at + 1 :])
        result = verify(signed.folder, signed.allowed)
        assert result.first, (file, at)
        assert result.exit_code == (26 if file.parent.name == "signatures" else 25), (file, at, result.first)
        file.write_bytes(raw)
    assert verify(signed.folder, signed.allowed).exit_code == 0


def test_any_bytes_are_no_crash(taken):
    """Random changes anywhere are found, without an exception."""
    chance = random.Random(3)
    for _ in range(60):
        noise = chance.randbytes(chance.randrange(200))
        assert examine(dataclasses.replace(taken, journal=noise), None).exit_code == 25
        one = dataclasses.replace(
            taken, signatures={"technical-lead.json": noise, "technical-lead.json.sig": noise}
        )
        assert examine(one, None).exit_code == 26
