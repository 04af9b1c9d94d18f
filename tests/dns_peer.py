"""A DNS server on loopback whose answers a function makes: for servers that misbehave."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

#: A question and whether it came over TCP in; the answer out, None for silence.
Answers = Callable[[dns.message.Message, bool], dns.message.Message | None]


def records(*lines: str, soa_minimum: int = 60, zone: str = "example.test.") -> Answers:
    """Serve records such as `app 60 A 192.0.2.10` (names as they are), authoritatively and without anything else."""
    sets: dict[tuple[str, str], list[str]] = {}
    ttls: dict[tuple[str, str], int] = {}
    for line in lines:
        name, ttl, kind, data = line.split(None, 3)
        key = (f"{name}.{zone}" if name != "@" else zone, kind)
        sets.setdefault(key, []).append(data)
        ttls[key] = int(ttl)

    def answer(asked: dns.message.Message, _tcp: bool) -> dns.message.Message:
        made = dns.message.make_response(asked)
        made.flags |= dns.flags.AA
        question = asked.question[0]
        name, kind = question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype)
        for wanted in (kind, "CNAME"):
            if found := sets.get((name, wanted)):
                made.answer.append(dns.rrset.from_text(name, ttls[name, wanted], "IN", wanted, *found))
                return made
        soa = f"ns1.{zone} hostmaster.{zone} 1 3600 600 604800 {soa_minimum}"
        made.authority.append(dns.rrset.from_text(zone, 86400, "IN", "SOA", soa))
        if not any(one == name for one, _ in sets):
            made.set_rcode(dns.rcode.NXDOMAIN)
        return made

    return answer


def truncated(answers: Answers) -> Answers:
    """Truncate everything over UDP."""

    def answer(asked: dns.message.Message, tcp: bool) -> dns.message.Message | None:
        made = answers(asked, tcp)
        if made is not None and not tcp:
            made.answer.clear()
            made.flags |= dns.flags.TC
        return made

    return answer


def without_edns(answers: Answers, rcode: dns.rcode.Rcode | None) -> Answers:
    """Answer queries with EDNS by a code, or not at all."""

    def answer(asked: dns.message.Message, tcp: bool) -> dns.message.Message | None:
        if asked.edns < 0:
            return answers(asked, tcp)
        if rcode is None:
            return None
        made = dns.message.make_response(asked)
        if rcode == dns.rcode.FORMERR:  # such a server often returns the header alone
            made = dns.message.Message(asked.id)
            made.flags |= dns.flags.QR
        made.set_rcode(rcode)
        return made

    return answer


def _sockets() -> tuple[socket.socket, socket.socket]:
    """Return a socket for UDP and one for TCP at the same port."""
    while True:
        tcp, udp = socket.create_server(("127.0.0.1", 0)), socket.socket(type=socket.SOCK_DGRAM)
        try:
            udp.bind(tcp.getsockname())
        except OSError:  # somebody has the other one
            tcp.close()
            udp.close()
        else:
            return udp, tcp


@contextlib.contextmanager
def serving(answers: Answers) -> Iterator[int]:
    """Yield the port, the same over UDP and TCP."""
    udp, tcp = _sockets()

    def over_udp() -> None:
        with contextlib.suppress(OSError):
            while True:
                raw, peer = udp.recvfrom(65535)
                if not raw:
                    return
                made = answers(dns.message.from_wire(raw), False)
                if made is not None:
                    udp.sendto(made.to_wire(), peer)

    def one(connection: socket.socket) -> None:
        with contextlib.suppress(OSError, struct.error), connection, connection.makefile("rb") as stream:
            while True:
                raw = stream.read(struct.unpack("!H", stream.read(2))[0])
                made = answers(dns.message.from_wire(raw), True)
                if made is not None:
                    wire = made.to_wire()
                    connection.sendall(struct.pack("!H", len(wire)) + wire)

    def over_tcp() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=one, args=(tcp.accept()[0],), daemon=True).start()

    threads = [threading.Thread(target=each, daemon=True) for each in (over_udp, over_tcp)]
    for thread in threads:
        thread.start()
    try:
        yield udp.getsockname()[1]
    finally:
        with socket.socket(type=socket.SOCK_DGRAM) as last:
            last.sendto(b"", udp.getsockname())
        tcp.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)
        udp.close()
        tcp.close()
