"""SSH signatures through `ssh-keygen -Y`: made with a key file or an agent, checked offline.

Three questions are kept apart: does the file have the form that ssh-keygen writes, does it match these bytes and the key
that it names, and may that key sign in this role.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import os
import re
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pytest_deploygate.checks.people.probe.ssh_signatures import armoured, canonical
from pytest_deploygate.lazy import dataclass

NAMESPACE = "deploygate-signoff"
_MAGIC = b"SSHSIG"
_VERSION = 1
_CHECK_S = 10
_AT_LINE = re.compile(r":(\d+): (.{1,80})")
#: A person may have to enter a passphrase or touch a token.
_SIGN_S = 180


class SshError(Exception):
    """ssh-keygen failed; the message says why and what to do."""


@dataclass(frozen=True)
class Made:
    """Who made a signature: the key (`SHA256:…` as `ssh-keygen -l` prints it), or why it is invalid."""

    key: str = ""
    problem: str = ""
    canonical: bool = True


def sign(message: bytes, key: Path, namespace: str = NAMESPACE) -> bytes:
    """Sign with a private key, or with a public key whose private key is in the agent. Raises SshError.

    ssh-keygen itself asks for passphrases at the terminal.
    """
    if not key.is_file():
        raise SshError(
            f"there is no key {key}; name a private key, or a public one whose private half is in the agent"
        )
    # ssh-keygen asks to touch a token only if its standard error is a terminal.
    said = None if sys.stderr.isatty() else subprocess.PIPE
    done = _run(["sign", "-q", "-n", namespace, "-f", str(key)], message, _SIGN_S, said, where={})
    if done.returncode != 0:
        why = _words(done.stderr or b"") or f"exit code {done.returncode}"
        raise SshError(
            f"ssh-keygen could not sign with {key}: {why}. Is the private key beside it, or in the agent (`ssh-add -l`)?"
        )
    made = made_by(message, done.stdout, namespace)
    if made.problem:
        raise SshError(f"ssh-keygen gave a signature that does not verify: {made.problem}")
    return done.stdout


@functools.lru_cache(maxsize=64)
def made_by(message: bytes, signature: bytes, namespace: str = NAMESPACE) -> Made:
    """Return which key signed these bytes, permitted or not. Raises SshError if there is no ssh-keygen."""
    if not canonical(signature):
        return Made(
            problem="not written as ssh-keygen writes it: changed line ends, or something after its end",
            canonical=False,
        )
    blob = base64.b64decode("".join(signature.decode().split("\n")[1:-2]))
    public = _public_key(blob, namespace)
    if public is None:
        return Made(problem=f"no signature for {namespace}, or damaged", canonical=False)
    with tempfile.TemporaryDirectory(prefix="deploygate-") as folder:
        file = Path(folder) / "sig"
        file.write_bytes(signature)
        done = _run(["check-novalidate", "-n", namespace, "-s", str(file)], message)
    if done.returncode != 0:
        return Made(problem="the signature was not made over this statement, or one of the two was changed")
    return Made(key=_fingerprint(public))


def refused(
    message: bytes,
    signature: bytes,
    role: str,
    allowed: Path,
    moments: Sequence[datetime],
    namespace: str = NAMESPACE,
) -> str:
    """Return why the signer may not sign in this role according to the allowed-signers file; empty if it may.

    The role is the principal. The key must be allowed at each of `moments`; times in the file count as UTC.
    """
    with tempfile.TemporaryDirectory(prefix="deploygate-") as folder:
        file = Path(folder) / "sig"
        file.write_bytes(signature)
        for moment in moments:
            then = f"verify-time={moment.astimezone(UTC):%Y%m%d%H%M%S}"
            done = _run(
                ["verify", "-f", str(allowed), "-I", role, "-n", namespace, "-s", str(file), "-O", then],
                message,
            )
            if done.returncode != 0:
                return _why(_words(done.stderr + done.stdout), moment, namespace)
    return ""


def _why(said: str, moment: datetime, namespace: str) -> str:
    for sign_of, words in (
        ("expired", f"was no longer allowed at {moment:%Y-%m-%d %H:%M} UTC (valid-before)"),
        ("not yet valid", f"was not yet allowed at {moment:%Y-%m-%d %H:%M} UTC (valid-after)"),
        ("not permitted", f"may not be used for {namespace} (namespaces=…)"),
    ):
        if sign_of in said:
            return words
    if at_line := _AT_LINE.search(said):
        return f"cannot be judged, because line {at_line[1]} cannot be read ({at_line[2]})"
    return "is not listed for this role"


def _public_key(blob: bytes, namespace: str) -> bytes | None:
    """Return the public key inside a signature; None if its parts are not exactly those of our SSHSIG."""
    head = _MAGIC + struct.pack(">I", _VERSION)
    if not blob.startswith(head):
        return None
    parts: list[bytes] = []
    at = len(head)
    while at < len(blob):
        (size,) = struct.unpack(">I", blob[at : at + 4]) if at + 4 <= len(blob) else (len(blob),)
        if at + 4 + size > len(blob):
            return None
        parts.append(blob[at + 4 : at + 4 + size])
        at += 4 + size
    # public key, namespace, reserved (empty in this version), hash, signature
    right = len(parts) == 5 and parts[1] == namespace.encode() and not parts[2]
    return parts[0] if right else None


def _fingerprint(public: bytes) -> str:
    """Return the fingerprint of a public key; for a certificate, that of the certified key."""
    (size,) = struct.unpack(">I", public[:4])
    kind = public[4 : 4 + size]
    if b"-cert-" not in kind:
        return "SHA256:" + base64.b64encode(hashlib.sha256(public).digest()).decode().rstrip("=")
    with tempfile.TemporaryDirectory(prefix="deploygate-") as folder:
        file = Path(folder) / "key.pub"
        file.write_bytes(kind + b" " + base64.b64encode(public) + b"\n")
        done = _run_any(["-l", "-f", str(file)], b"", _CHECK_S, subprocess.PIPE)
    words = done.stdout.decode(errors="replace").split()
    if done.returncode != 0 or len(words) < 2:
        raise SshError("ssh-keygen cannot read the certificate inside a signature")
    return words[1]


def _run(
    arguments: list[str],
    message: bytes,
    seconds: float = _CHECK_S,
    said: int | None = subprocess.PIPE,
    where: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    return _run_any(["-Y", *arguments], message, seconds, said, where)


def _run_any(
    arguments: list[str],
    message: bytes,
    seconds: float,
    said: int | None,
    where: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    # A time without a zone in an allowed-signers file would otherwise mean something else on each machine.
    extra = {"TZ": "UTC", "LC_ALL": "C"} if where is None else where
    try:
        return subprocess.run(
            ["ssh-keygen", *arguments],
            input=message,
            stdout=subprocess.PIPE,
            stderr=said,
            timeout=seconds,
            check=False,
            env={**os.environ, **extra},
        )
    except FileNotFoundError:
        raise SshError(
            "there is no ssh-keygen on this machine; install OpenSSH 8.9 or later (openssh-client on Debian)"
        ) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SshError(f"ssh-keygen did not answer within {seconds:.0f} s ({type(error).__name__})") from None


def _words(said: bytes) -> str:
    return " ".join(said.decode(errors="replace").split())[:300]


def as_stored(signature: bytes) -> bytes:
    """Return a signature in the only accepted armour. Raises SshError if it is not a signature."""
    try:
        blob = base64.b64decode("".join(signature.decode("ascii").split("\n")[1:-2]), validate=True)
    except ValueError:
        raise SshError("the output of ssh-keygen is not a signature") from None
    return armoured(blob).encode()
