"""Detached SSH signatures (`ssh-keygen -Y`): which of the given identities signed these bytes, if any."""

from __future__ import annotations

import base64
import binascii
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pytest_deploygate.checks.people.facts import SignatureSeen

_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_WIDTH = 70
_SECONDS = 10
_MOST_BYTES = 64 * 1024


def check(
    message: bytes, signature: Path, signers: Path | None, identities: Sequence[str], namespace: str
) -> SignatureSeen:
    """Check a signature against an allowed-signers file, where one of `identities` must be the principal."""
    try:
        with signature.open("rb") as stream:
            raw = stream.read(_MOST_BYTES)
    except FileNotFoundError:
        return SignatureSeen("none")
    except OSError as error:
        return SignatureSeen("bad", detail=f"{signature.name} cannot be read: {error.strerror}")
    if not canonical(raw):
        return SignatureSeen("bad", detail=f"{signature.name} is damaged: not as ssh-keygen writes it")
    try:
        return _verified(message, signature, signers, identities, namespace)
    except FileNotFoundError:
        return SignatureSeen("unchecked", detail="there is no ssh-keygen on this machine")
    except (OSError, subprocess.TimeoutExpired) as error:
        return SignatureSeen("unchecked", detail=f"ssh-keygen did not answer: {type(error).__name__}")


def _verified(
    message: bytes, signature: Path, signers: Path | None, identities: Sequence[str], namespace: str
) -> SignatureSeen:
    file, space = ("-s", str(signature)), ("-n", namespace)
    right, said = _run(message, "check-novalidate", *space, *file)
    if not right:
        return SignatureSeen("bad", detail=said)
    if signers is None or not signers.is_file():
        return SignatureSeen("unchecked", detail="there is no allowed_signers file to check it against")
    for identity in dict.fromkeys(filter(None, identities)):
        right, said = _run(message, "verify", "-f", str(signers), "-I", identity, *space, *file)
        if right:
            return SignatureSeen("good", identity, key=said.rpartition(" key ")[2])
    return SignatureSeen("unlisted", detail=said)


def _run(message: bytes, verb: str, *arguments: str) -> tuple[bool, str]:
    done = subprocess.run(
        ["ssh-keygen", "-Y", verb, *arguments],
        input=message,
        capture_output=True,
        timeout=_SECONDS,
        check=False,
    )
    return done.returncode == 0, " ".join((done.stderr or done.stdout).decode(errors="replace").split())[:300]


def canonical(raw: bytes) -> bool:
    """Tell whether a signature is written exactly as ssh-keygen writes it: other line endings or trailing text would
    verify too, and a file that can be changed unnoticed is not a record.
    """
    try:
        lines = raw.decode("ascii").split("\n")
        blob = base64.b64decode("".join(lines[1:-2]), validate=True)
    except (UnicodeDecodeError, binascii.Error):
        return False
    return raw == armoured(blob).encode()


def armoured(blob: bytes) -> str:
    """Return a signature's bytes in armour as ssh-keygen writes it."""
    text = base64.b64encode(blob).decode()
    lines = [text[at : at + _WIDTH] for at in range(0, len(text), _WIDTH)]
    return "\n".join([_BEGIN, *lines, _END, ""])
