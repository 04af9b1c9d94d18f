"""One ClientHello and the server's reply, without any cryptography of our own.

A library can only offer what it was built with: today's OpenSSL refuses TLS 1.0 by itself and has no RC4, 3DES or
SSL 3.0 at all, so a scan with it reports an insecure server as clean. A hello is bytes: it can offer everything, and the
server's choice is returned in the clear (RFC 5246 section 7.4, RFC 8446 section 4.1, RFC 6101 for SSL 3.0).
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Sequence
from dataclasses import field
from functools import cache
from importlib.resources import files

from pytest_deploygate.clients.deadline import Deadline
from pytest_deploygate.lazy import dataclass

VERSIONS = {"SSLv3": 0x0300, "TLSv1.0": 0x0301, "TLSv1.1": 0x0302, "TLSv1.2": 0x0303, "TLSv1.3": 0x0304}
_VERSION_NAMES = {number: name for name, number in VERSIONS.items()}
#: IANA's TLS Supported Groups; names as Mozilla's guidelines and OpenSSL write them.
GROUPS = {
    "X25519MLKEM768": 0x11EC,
    "X25519": 0x001D,
    "prime256v1": 0x0017,
    "secp384r1": 0x0018,
    "secp521r1": 0x0019,
    "X448": 0x001E,
    "secp256k1": 0x0016,
    "secp224r1": 0x0015,
    "prime192v1": 0x0013,
    "sect163k1": 0x0001,
    "sect233r1": 0x0007,
    "ffdhe2048": 0x0100,
    "ffdhe3072": 0x0101,
    "ffdhe4096": 0x0102,
}
_GROUP_NAMES = {number: name for name, number in GROUPS.items()}
#: RFC 8446 section 4.1.3: the random that makes a ServerHello a HelloRetryRequest.
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
_ALERTS = {
    10: "unexpected_message", 20: "bad_record_mac", 40: "handshake_failure", 42: "bad_certificate", 47: "illegal_parameter",
    50: "decode_error", 70: "protocol_version", 71: "insufficient_security", 80: "internal_error", 86: "inappropriate_fallback",
    109: "missing_extension", 112: "unrecognized_name", 116: "certificate_required", 120: "no_application_protocol",
}  # fmt: skip
_SIGNATURES = (
    0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0804, 0x0805, 0x0806, 0x0809, 0x080A, 0x080B,
    0x0401, 0x0501, 0x0601, 0x0303, 0x0301, 0x0302, 0x0402, 0x0202, 0x0201, 0x0203, 0x0101,
)  # fmt: skip
_ECDSA_SIGNATURES = (0x0403, 0x0503, 0x0603, 0x0203)
_MOST_BYTES = 200_000
#: An alert's level, and the warning that announces the end of the connection.
_WARNING, _CLOSE_NOTIFY = b"\x01", b"\x00"


@cache
def suites() -> dict[int, str]:
    """Return the cipher suites that can be offered: IANA's number and OpenSSL's name."""
    text = (files(__package__) / "data" / "cipher_suites.json").read_text()
    return {int(code, 16): names[1] for code, names in json.loads(text)["suites"].items()}


@cache
def _ordered() -> tuple[int, ...]:
    return tuple(sorted(suites(), key=lambda code: _KEY_EXCHANGES.index(key_exchange(code))))


def for_version(version: str) -> list[int]:
    """Return the suites to offer in a version, the best key exchange first; TLS 1.3 has its own suites.

    A server that follows the client's order takes the first, and may fail on one that it cannot complete.
    """
    return [code for code in _ordered() if (code >> 8 == 0x13) == (version == "TLSv1.3")]


_KEY_EXCHANGES = ("TLS 1.3", "ECDHE", "DHE", "RSA or static ECDH", "anonymous", "export or NULL")


def key_exchange(code: int) -> str:
    """Return how a suite exchanges keys, or a worse defect: anonymous, export or NULL."""
    name = suites()[code]
    if code >> 8 == 0x13:
        return "TLS 1.3"
    if "EXP" in name or "NULL" in name:
        return "export or NULL"
    if name.startswith(("ADH", "AECDH")):
        return "anonymous"
    if name.startswith("ECDHE"):
        return "ECDHE"
    return "DHE" if name.startswith(("DHE", "EDH")) else "RSA or static ECDH"


@dataclass(frozen=True)
class Offer:
    """What a hello offers. `compression` also offers DEFLATE."""

    version: str
    suites: Sequence[int]
    groups: Sequence[str] = tuple(GROUPS)
    compression: bool = False
    renegotiation_info: bool = True


@dataclass(frozen=True)
class Answer:
    """A server's reply. `outcome` is one of accepted, refused (an alert or another version), closed, timeout, no-tls.

    `detail` has the alert's name or what else was seen. `group` is the server's choice, None where none was seen.
    `chain` are certificates in DER as they were sent (TLS 1.2 and before), `staple` the stapled OCSP response,
    `asks_client` is whether a certificate was requested from us.
    """

    outcome: str
    detail: str = ""
    version: str = ""
    suite: int = 0
    group: str | None = None
    dh_bits: int | None = None
    compressed: bool = False
    secure_renegotiation: bool = False
    chain: tuple[bytes, ...] = ()
    staple: bytes | None = None
    asks_client: bool = False


def say_hello(connection: socket.socket, host: str, offer: Offer, *, whole: bool = False) -> Answer:
    """Send the hello on a connection that is ready for TLS; `whole` reads up to ServerHelloDone.

    The socket's timeout applies to the whole answer. The connection cannot be used afterwards.
    """
    deadline = Deadline(connection.gettimeout() or 0.0)
    try:
        connection.sendall(_client_hello(host, offer))
        return _read_answer(connection, offer, deadline, whole=whole)
    except TimeoutError:
        return Answer("timeout", "no answer to the hello in time")
    except (ConnectionError, BrokenPipeError) as error:
        return Answer("closed", type(error).__name__)
    except (struct.error, IndexError, ValueError) as error:
        return Answer("no-tls", f"the answer cannot be read as TLS: {error}")


def _vector(content: bytes, size: int) -> bytes:
    return len(content).to_bytes(size, "big") + content


def _extension(number: int, content: bytes) -> bytes:
    return struct.pack("!HH", number, len(content)) + content


def _numbers(values: Sequence[int]) -> bytes:
    return b"".join(struct.pack("!H", value) for value in values)


def _client_hello(host: str, offer: Offer) -> bytes:
    number = VERSIONS[offer.version]
    modern = number == VERSIONS["TLSv1.3"]
    legacy = min(number, VERSIONS["TLSv1.2"])
    # 0x00FF is TLS_EMPTY_RENEGOTIATION_INFO_SCSV (RFC 5746), for servers that do not accept extensions.
    chosen = [*offer.suites, *([0x00FF] if offer.renegotiation_info and not modern else [])]
    extensions = b""
    if number > VERSIONS["SSLv3"]:
        names = _vector(b"\x00" + _vector(host.encode("idna"), 2), 2) if not _is_address(host) else b""
        extensions += _extension(0, names) if names else b""
        groups = _numbers([GROUPS[group] for group in offer.groups])
        extensions += _extension(10, _vector(groups, 2)) + _extension(11, b"\x01\x00")
        extensions += (
            _extension(13, _vector(_numbers(_signatures(offer.suites)), 2)) if legacy == 0x0303 else b""
        )
        extensions += _extension(5, b"\x01\x00\x00\x00\x00")
    if modern:
        # No key share: the server names the group that it wants (HelloRetryRequest), and no key is computed.
        extensions += _extension(43, _vector(_numbers([number]), 1)) + _extension(51, _vector(b"", 2))
    body = struct.pack("!H", legacy) + os.urandom(32) + _vector(os.urandom(32) if modern else b"", 1)
    body += _vector(_numbers(chosen), 2) + _vector(b"\x01\x00" if offer.compression else b"\x00", 1)
    body += _vector(extensions, 2) if extensions else b""
    handshake = b"\x01" + _vector(body, 3)
    return struct.pack("!BH", 22, min(legacy, 0x0301)) + _vector(handshake, 2)


def _signatures(offered: Sequence[int]) -> tuple[int, ...]:
    """Leave out RSA signatures if only ECDSA suites are offered."""
    names = [suites().get(code, "") for code in offered]
    if names and all("ECDSA" in name for name in names):
        return _ECDSA_SIGNATURES
    return _SIGNATURES


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


@dataclass()
class _Heard:
    """What the server's messages contained so far."""

    version: int = 0
    suite: int = 0
    compressed: bool = False
    extensions: set[int] = field(default_factory=set)
    group: str | None = None
    dh_bits: int | None = None
    chain: tuple[bytes, ...] = ()
    staple: bytes | None = None
    asks_client: bool = False

    def answer(self, offer: Offer) -> Answer:
        name = _VERSION_NAMES.get(self.version, hex(self.version))
        accepted = name == offer.version and self.suite in offer.suites
        return Answer(
            "accepted" if accepted else "refused",
            "" if accepted else f"the server wants {name}",
            name,
            self.suite,
            self.group,
            self.dh_bits,
            self.compressed,
            0xFF01 in self.extensions,
            self.chain,
            self.staple,
            self.asks_client,
        )


def _read_answer(connection: socket.socket, offer: Offer, deadline: Deadline, *, whole: bool) -> Answer:
    heard = _Heard()
    handshake = b""
    warned = ""
    total = 0
    while total < _MOST_BYTES:
        header = _exactly(connection, 5, deadline)
        if len(header) < 5:
            return (
                heard.answer(offer) if heard.suite else Answer("closed", f"closed without an alert{warned}")
            )
        kind, _, length = struct.unpack("!BHH", header)
        if kind not in (20, 21, 22, 23):
            return Answer("no-tls", f"the answer begins with {header!r}")
        content = _exactly(connection, length, deadline)
        total += length
        if kind == 21:
            if heard.suite:
                return heard.answer(offer)
            name = f"alert {_ALERTS.get(content[1], content[1])}" if len(content) > 1 else "alert"
            if content[:1] == _WARNING and content[1:] != _CLOSE_NOTIFY:
                warned = f" after the warning {name}"  # clients go on
                continue
            return Answer("refused", name)
        if kind != 22:
            return heard.answer(offer) if heard.suite else Answer("no-tls", f"record of type {kind}")
        handshake += content
        handshake, done = _take_messages(handshake, heard, whole=whole)
        if done:
            return heard.answer(offer)
    return Answer("no-tls", "the handshake does not end")


def _exactly(connection: socket.socket, size: int, deadline: Deadline) -> bytes:
    got = b""
    while len(got) < size:
        part = deadline.receive(connection, size - len(got))
        if not part:
            return got
        got += part
    return got


def _take_messages(data: bytes, heard: _Heard, *, whole: bool) -> tuple[bytes, bool]:
    """Consume complete handshake messages; return the rest, and whether enough was read."""
    while len(data) >= 4 and len(data) >= 4 + int.from_bytes(data[1:4], "big"):
        kind, length = data[0], int.from_bytes(data[1:4], "big")
        body, data = data[4 : 4 + length], data[4 + length :]
        if kind == 2:
            _server_hello(body, heard)
            if heard.version == VERSIONS["TLSv1.3"] or not (whole or _has_key_exchange(heard.suite)):
                return data, True
        elif kind == 11:
            heard.chain = _certificates(body)
        elif kind == 22 and len(body) > 4 and body[0] == 1:
            heard.staple = body[4 : 4 + int.from_bytes(body[1:4], "big")]
        elif kind == 12:
            _key_exchange(body, heard)
            if not whole:
                return data, True
        elif kind == 13:
            heard.asks_client = True
        elif kind == 14:
            return data, True
    return data, False


def _has_key_exchange(suite: int) -> bool:
    return any(word in suites().get(suite, "") for word in ("DHE", "EDH", "ADH", "AECDH"))


def _server_hello(body: bytes, heard: _Heard) -> None:
    heard.version = int.from_bytes(body[:2], "big")
    random, session = body[2:34], body[34]
    at = 35 + session
    heard.suite = int.from_bytes(body[at : at + 2], "big")
    heard.compressed = body[at + 2] != 0
    at += 5
    while at + 4 <= len(body):
        number, length = struct.unpack_from("!HH", body, at)
        content = body[at + 4 : at + 4 + length]
        at += 4 + length
        heard.extensions.add(number)
        if number == 43 and len(content) == 2:
            heard.version = int.from_bytes(content, "big")
        elif number == 51 and len(content) >= 2 and random == _RETRY:
            heard.group = _group(int.from_bytes(content[:2], "big"))


def _certificates(body: bytes) -> tuple[bytes, ...]:
    found = []
    at = 3
    while at + 3 <= len(body):
        length = int.from_bytes(body[at : at + 3], "big")
        found.append(body[at + 3 : at + 3 + length])
        at += 3 + length
    return tuple(found)


def _key_exchange(body: bytes, heard: _Heard) -> None:
    """Read the server's parameters: a named curve, or the length of the Diffie-Hellman prime."""
    if "ECDH" in suites().get(heard.suite, ""):
        heard.group = _group(int.from_bytes(body[1:3], "big")) if body[0] == 3 else "explicit curve"
    else:
        length = int.from_bytes(body[:2], "big")
        heard.dh_bits = int.from_bytes(body[2 : 2 + length], "big").bit_length()


def _group(number: int) -> str:
    return _GROUP_NAMES.get(number, hex(number))
