"""Whether a certificate was taken back: stapled OCSP answers and revocation lists."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import datetime

import requests
from cryptography import x509
from cryptography.x509 import ocsp

from pytest_deploygate.probes.certificates import Certificate

_LARGEST = 20_000_000
_KEPT_S = 60.0


@dataclass(frozen=True, slots=True)
class Staple:
    """A stapled OCSP answer. `status` is good, revoked, unknown or what was wrong with the answer."""

    status: str
    about_this: bool
    this_update: datetime | None
    next_update: datetime | None


@dataclass(frozen=True, slots=True)
class Crl:
    """What a revocation list says. `problem` tells why it could not be read; `revoked` is None then."""

    url: str
    revoked: bool | None
    next_update: datetime | None
    problem: str = ""


def staple(der: bytes, serial: str) -> Staple:
    """Read a stapled answer about a certificate with this serial number."""
    try:
        found = ocsp.load_der_ocsp_response(der)
        if found.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return Staple(
                found.response_status.name.lower(), about_this=False, this_update=None, next_update=None
            )
        return Staple(
            found.certificate_status.name.lower(),
            about_this=f"{found.serial_number:x}" == serial,
            this_update=found.this_update_utc,
            next_update=found.next_update_utc,
        )
    except ValueError as error:
        return Staple(f"not readable: {error}", about_this=False, this_update=None, next_update=None)


@dataclass(frozen=True, slots=True)
class _List:
    at: float
    content: x509.CertificateRevocationList | str


_lists: dict[str, _List] = {}
_locks: dict[str, threading.Lock] = {}
_guard = threading.Lock()


def crl(leaf: Certificate, timeout_s: float) -> Crl | None:
    """Look a certificate up in the list that it names; None where it names none over HTTP."""
    url = next((url for url in leaf.crls if url.startswith("http")), None)
    if url is None:
        return None
    found = _fetch(url, timeout_s)
    if isinstance(found, str):
        return Crl(url, None, None, found)
    revoked = found.get_revoked_certificate_by_serial_number(int(leaf.serial, 16)) is not None
    return Crl(url, revoked, found.next_update_utc)


def _fetch(url: str, timeout_s: float) -> x509.CertificateRevocationList | str:
    """Return a list, which many endpoints share; kept for a minute."""
    with _guard:
        lock = _locks.setdefault(url, threading.Lock())
    with lock:
        kept = _lists.get(url)
        if kept is None or time.monotonic() - kept.at > _KEPT_S:
            kept = _lists[url] = _List(time.monotonic(), _download(url, timeout_s))
            if isinstance(kept.content, str):
                del _lists[url]
    return kept.content


def forget() -> None:
    """Drop the lists that are kept."""
    _lists.clear()


def _download(url: str, timeout_s: float) -> x509.CertificateRevocationList | str:
    try:
        with requests.get(url, timeout=timeout_s, stream=True) as answer:
            if answer.status_code != requests.codes.ok:
                return f"{url} answers {answer.status_code}"
            raw = answer.raw.read(_LARGEST + 1, decode_content=True)
        if len(raw) > _LARGEST:
            return f"{url} is larger than {_LARGEST} bytes"
        if raw.startswith(b"-----"):
            return x509.load_pem_x509_crl(raw)
        return x509.load_der_x509_crl(raw)
    except requests.RequestException as error:
        return f"{url} cannot be fetched: {type(error).__name__}"
    except ValueError as error:
        return f"{url} is no revocation list: {error}"
