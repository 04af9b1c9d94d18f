"""The set of servers with known defects: each makes its chain in a folder and says how `openssl s_server` serves it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from tls_servers import HOST, Made, build, ecdsa_key, own, rsa_key, write

from pytest_deploygate.checks.tls.section.guidelines import profile

#: A chain, and the further arguments of `openssl s_server`.
Served = tuple[Made, tuple[str, ...]]
_ANY = ("-cipher", "ALL:@SECLEVEL=0")
PROFILE = (
    "-cipher",
    ":".join(sorted(s for s in profile("intermediate").suites if not s.startswith("TLS_"))),
    "-no_tls1",
    "-no_tls1_1",
)


def _chain(*more: str, **leaf: object) -> Callable[[Path], Served]:
    """Serve a leaf with its intermediate."""
    return lambda folder: (
        write(folder, build(**leaf), own().intermediate, key=leaf.get("key")),  # type: ignore[arg-type]
        more or PROFILE,
    )


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def sha_1(folder: Path) -> Served:
    """cryptography signs with SHA-1 no more, so `openssl req` makes the certificate, signed by itself."""
    made = write(folder, build())
    subject = ("-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}", "-days", "80")
    _openssl("req", "-x509", "-sha1", "-key", made.key, *subject, "-out", made.certificate)
    return made, _ANY


def version_1(folder: Path) -> Served:
    """`openssl x509` makes it, because cryptography makes none: no name in it, no extensions, signed by itself."""
    made = write(folder, build())
    request = folder / "v1.csr"
    _openssl("req", "-new", "-key", made.key, "-subj", f"/CN={HOST}", "-out", request)
    signed = ("-signkey", made.key, "-out", made.certificate, "-days", "80")
    _openssl("x509", "-req", "-in", request, *signed)
    return made, PROFILE


def self_signed(folder: Path) -> Served:
    """An ordinary leaf that its own key has signed."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    return write(folder, build(signing=rsa_key(), issuer=subject)), PROFILE


def both_kinds(folder: Path) -> Served:
    """An RSA and an ECDSA leaf side by side."""
    made = write(folder, build(), own().intermediate)
    second = folder / "second"
    second.mkdir()
    other = write(second, build(ecdsa_key()), own().intermediate, key=ecdsa_key())
    more = ("-dcert", other.certificate, "-dkey", other.key, "-dcert_chain", other.rest)
    return made, (*PROFILE, *map(str, more))


def mutual(verify: str) -> Callable[[Path], Served]:
    """`-Verify` requires a client's certificate, `-verify` only asks for one."""

    def served(folder: Path) -> Served:
        made = write(folder, build(), own().intermediate)
        return made, (*PROFILE, verify, "2", "-CAfile", str(folder / "root.pem"), "-verify_return_error")

    return served


def _order(folder: Path) -> Served:
    return write(folder, build(), own().root, own().intermediate), PROFILE


def _leaf_alone(folder: Path) -> Served:
    return write(folder, build()), PROFILE


_WEAK = "AES128-SHA:ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0"
#: Name of the defect (or of the sound server), and what serves it.
SERVERS: dict[str, Callable[[Path], Served]] = {
    "sound, RSA": _chain(),
    "sound, ECDSA": _chain(key=ecdsa_key()),
    "sound, RSA and ECDSA": both_kinds,
    "TLS 1.0 only": _chain("-tls1", *_ANY),
    "TLS 1.1 only": _chain("-tls1_1", *_ANY),
    "TLS 1.3 only": _chain("-tls1_3"),
    "weak suites": _chain("-tls1_2", "-cipher", _WEAK),
    "anonymous suites": _chain("-tls1_2", "-cipher", "ADH-AES128-SHA256:AES128-SHA:@SECLEVEL=0"),
    "weak group": _chain(
        "-tls1_2", "-groups", "secp224r1", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0"
    ),
    "RSA 1024": _chain(*_ANY, key=rsa_key(1024)),
    "SHA-1": sha_1,
    "expired": _chain(age=91, left=-1),
    "ends soon": _chain(age=85, left=5),
    "not yet valid": _chain(age=-2),
    "wrong name": _chain(name="other.example.test"),
    "missing intermediate": _leaf_alone,
    "wrong order": _order,
    "no serverAuth": _chain(server_auth=False),
    "self-signed": self_signed,
    "X.509 v1 leaf": version_1,
    "mutual TLS, required": mutual("-Verify"),
    "mutual TLS, only asked for": mutual("-verify"),
}
