"""What supports an attestation, with real files, real SSH keys and a real web server."""

from __future__ import annotations

import hashlib
import subprocess
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from pytest_deploygate.checklist.attestations import NAMESPACE
from pytest_deploygate.checklist.vocabulary import Attestation, Backing, FindingsFile
from pytest_deploygate.checks.people.judge.attestations import Needed, judge
from pytest_deploygate.checks.people.probe import ssh_signatures
from pytest_deploygate.checks.people.probe.attestations import measure
from pytest_deploygate.model import Verdict

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
TEXT = b"item: sec.audit\n"
NEEDED = Needed("sec.audit", ("security-lead",))


def sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    for name in ("lead", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    return folder


@pytest.fixture
def one(tmp_path, keys):
    (tmp_path / "attestations").mkdir()
    (tmp_path / "attestations" / "one.yml").write_bytes(TEXT)
    (tmp_path / "audit.pdf").write_bytes(b"report")
    kind, key, _ = (keys / "lead.pub").read_text().split(maxsplit=2)
    (tmp_path / "allowed_signers").write_text(f"security-lead {kind} {key}\n")
    return Attestation(
        file="attestations/one.yml",
        sha256=sha256(TEXT),
        item="sec.audit",
        role="security-lead",
        name="The security lead",
        meaning="Security audit completed",
        at=NOW - timedelta(days=1),
        valid_until=NOW + timedelta(days=30),
        evidence=(Backing(file="audit.pdf", sha256=sha256(b"report")),),
    )


def sign(root, key, namespace=NAMESPACE):
    file = root / "attestations" / "one.yml"
    file.with_name("one.yml.sig").unlink(missing_ok=True)
    subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", key, file], check=True, capture_output=True
    )
    return file.with_name("one.yml.sig")


def look(root, *attestations, **options):
    return measure(root, "sec.audit", attestations, change="CHG-1", inventory="prod", now=NOW, **options)


def verdict(root, one, **options):
    return judge(look(root, one, **options), NEEDED)


def test_unchanged_evidence_is_attested(tmp_path, one):
    assert verdict(tmp_path, one).verdict is Verdict.ATTESTED
    assert look(tmp_path, replace(one, item="sec.pentest")).attestations == ()


def test_altered_and_missing_evidence(tmp_path, one):
    (tmp_path / "audit.pdf").write_bytes(b"Report")
    judged = verdict(tmp_path, one)
    assert judged.verdict is Verdict.FAIL
    assert sha256(b"report") in judged.reason
    assert sha256(b"Report") in judged.reason
    (tmp_path / "audit.pdf").unlink()
    assert "is missing" in verdict(tmp_path, one).reason


def test_evidence_that_is_no_file(tmp_path, one):
    (tmp_path / "audit.pdf").unlink()
    (tmp_path / "audit.pdf").symlink_to("/dev/zero")
    judged = verdict(tmp_path, one)
    assert (judged.verdict, "audit.pdf is not a file" in judged.reason) == (Verdict.INCONCLUSIVE, True)


def test_the_attestation_itself_changed_since_it_was_loaded(tmp_path, one):
    (tmp_path / one.file).write_bytes(TEXT + b"#")
    assert "was changed during this run" in verdict(tmp_path, one).reason


def test_a_findings_file_is_evidence_too(tmp_path, one):
    (tmp_path / "scan.sarif").write_text("{}")
    backed = replace(one, findings=FindingsFile("scan.sarif", sha256(b"{}")))
    assert "is not SARIF 2.1.0" in verdict(tmp_path, backed).reason
    assert verdict(tmp_path, backed).verdict is Verdict.INCONCLUSIVE
    (tmp_path / "scan.sarif").write_text("{ }")
    assert "its SHA-256 was" in verdict(tmp_path, backed).reason
    (tmp_path / "scan.sarif").unlink()
    gone = verdict(tmp_path, backed)
    assert gone.verdict is Verdict.FAIL
    assert "scan.sarif (SHA-256" in gone.reason


def test_signatures(tmp_path, one, keys):
    assert look(tmp_path, one).attestations[0].signature.state == "none"
    sign(tmp_path, keys / "lead")
    seen = look(tmp_path, one).attestations[0].signature
    assert (seen.state, seen.identity) == ("good", "security-lead")
    (tmp_path / "allowed_signers").unlink()
    assert look(tmp_path, one).attestations[0].signature.state == "unchecked"


def test_a_signature_by_another_key_or_for_another_purpose(tmp_path, one, keys):
    sign(tmp_path, keys / "other")
    assert look(tmp_path, one).attestations[0].signature.state == "unlisted"
    sign(tmp_path, keys / "lead", namespace="file")
    assert look(tmp_path, one).attestations[0].signature.state == "bad"


def test_the_key_of_a_listed_person_counts_for_that_name_only(tmp_path, one, keys):
    listed = tmp_path / "allowed_signers"
    listed.write_text(listed.read_text().replace("security-lead", "technical-lead"))
    sign(tmp_path, keys / "lead")
    assert look(tmp_path, one).attestations[0].signature.state == "unlisted"


def test_every_flipped_byte_of_a_signature_is_found(tmp_path, one, keys):
    file = sign(tmp_path, keys / "lead")
    raw = file.read_bytes()
    for at in range(0, len(raw), 7):
        file.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        assert look(tmp_path, one).attestations[0].signature.state == "bad", at
    for changed in (raw + b"\n", raw.replace(b"\n", b"\r\n"), raw + b"junk", b"", raw[:-1]):
        file.write_bytes(changed)
        assert look(tmp_path, one).attestations[0].signature.state == "bad"


def test_without_ssh_keygen_a_signature_is_not_checked(tmp_path, one, keys, monkeypatch):
    sign(tmp_path, keys / "lead")
    monkeypatch.setenv("PATH", str(tmp_path))
    seen = look(tmp_path, one).attestations[0].signature
    assert (seen.state, "no ssh-keygen" in seen.detail) == ("unchecked", True)


def test_canonical_armour_is_what_ssh_keygen_writes(tmp_path, one, keys):
    assert ssh_signatures.canonical(sign(tmp_path, keys / "lead").read_bytes())


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response({"/ok": 200, "/login": 403}.get(self.path, 404))
        self.end_headers()
        self.wfile.write(b"page")

    def log_message(self, *_):
        pass


@pytest.fixture
def web():
    with HTTPServer(("127.0.0.1", 0), _Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(
    ("path", "digest", "expected", "says"),
    [
        ("/ok", "", Verdict.ATTESTED, ""),
        ("/ok", sha256(b"page"), Verdict.ATTESTED, ""),
        ("/ok", sha256(b"other"), Verdict.FAIL, sha256(b"page")),
        ("/gone", "", Verdict.FAIL, "HTTP 404"),
        ("/login", "", Verdict.ATTESTED, ""),
    ],
)
def test_urls_are_fetched_when_asked(tmp_path, one, web, path, digest, expected, says):
    backed = replace(one, evidence=(Backing(url=web + path, sha256=digest),))
    judged = verdict(tmp_path, backed, fetch=True)
    assert judged.verdict is expected
    assert says in judged.reason
    assert "was not fetched" in verdict(tmp_path, backed).notes[0]


def test_a_url_that_does_not_answer(tmp_path, one):
    backed = replace(one, evidence=(Backing(url="http://127.0.0.1:1/"),))
    assert verdict(tmp_path, backed, fetch=True).verdict is Verdict.INCONCLUSIVE
