"""A small DNS server with dnspython, where BIND is not installed, and for tests: primary, secondary or resolver.

Run as `python -m pytest_deploygate.lab.dns_server CONFIG.json`. The file has `role`, `address`, `port`; of a primary
`zone`, `text`, `key` (name, base64 secret) and `transfer`; of a secondary and a resolver `upstream` (address, port).
A primary takes signed updates (RFC 2136), a secondary copies the zone ten times a second, a resolver keeps answers for
their TTL. It is meant for a lab only.
"""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import sys
import threading
import time
from pathlib import Path
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.node
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.renderer
import dns.rrset
import dns.tsig
import dns.tsigkeyring
import dns.update
import dns.zone

_TIMEOUT_S = 2.0
_EVERY_S = 0.1
_FAILURES = (OSError, dns.exception.DNSException, EOFError)


class Server:
    """One server: its zone or cache, and how it answers a message."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.role = settings["role"]
        self.zone: dns.zone.Zone | None = None
        self.cache: dict[tuple[str, str], tuple[float, dns.message.Message]] = {}
        self.guard = threading.Lock()
        if self.role == "primary":
            self.zone = dns.zone.from_text(settings["text"], settings["zone"], relativize=False)

    @property
    def keyring(self) -> dict[dns.name.Name, dns.tsig.Key] | None:
        """The keys whose updates are accepted."""
        key = self.settings.get("key")
        return dns.tsigkeyring.from_text({key[0]: key[1]}) if key else None

    def answer(self, raw: bytes, *, tcp: bool) -> bytes | None:
        """Answer one message in wire format."""
        try:
            asked = dns.message.from_wire(raw, keyring=self.keyring)
        except dns.tsig.BadSignature:
            return self._not_authentic(raw, dns.rcode.BADSIG)
        except dns.message.UnknownTSIGKey:
            return self._not_authentic(raw, dns.rcode.BADKEY)
        except dns.exception.DNSException:
            return None
        with self.guard:
            if isinstance(asked, dns.update.UpdateMessage):
                made = self._update(asked)
            elif self.role == "resolver":
                made = self._forward(asked)
            else:
                made = self._serve(asked)
        if asked.had_tsig and asked.keyring:
            made.use_tsig(asked.keyring, asked.keyname)
        return made.to_wire(max_size=65535 if tcp else 1232)

    @staticmethod
    def _not_authentic(raw: bytes, error: dns.rcode.Rcode) -> bytes:
        """Answer a message that was signed with an unknown key; its signature means nothing (RFC 8945, 5.2)."""
        asked = dns.message.from_wire(raw, keyring=False)
        made = dns.message.make_response(asked)
        made.set_rcode(dns.rcode.NOTAUTH)
        made.use_tsig(dns.tsig.Key(asked.keyname or "unknown", b"none"), tsig_error=error)
        return made.to_wire()

    def _serve(self, asked: dns.message.Message) -> dns.message.Message:
        made = dns.message.make_response(asked)
        question = asked.question[0]
        zone = self.zone
        if zone is None or zone.origin is None or not question.name.is_subdomain(zone.origin):
            made.set_rcode(dns.rcode.REFUSED)
            return made
        if question.rdtype == dns.rdatatype.AXFR:
            return self._transfer(made, zone)
        made.flags |= dns.flags.AA
        node = zone.get_node(question.name)
        if node is None:
            made.set_rcode(dns.rcode.NXDOMAIN)
            return made
        self._fill(made, node, question, dnssec=bool(asked.ednsflags & dns.flags.DO))
        return made

    @staticmethod
    def _fill(
        made: dns.message.Message, node: dns.node.Node, question: dns.rrset.RRset, *, dnssec: bool
    ) -> None:
        wanted = (question.rdtype, dns.rdatatype.CNAME)
        for rdataset in node:
            covers = dnssec and rdataset.rdtype == dns.rdatatype.RRSIG and rdataset.covers in wanted
            if rdataset.rdtype in wanted or covers:
                made.answer.append(dns.rrset.from_rdata_list(question.name, rdataset.ttl, list(rdataset)))

    def _transfer(self, made: dns.message.Message, zone: dns.zone.Zone) -> dns.message.Message:
        if not self.settings.get("transfer"):
            made.set_rcode(dns.rcode.REFUSED)
            return made
        soa = zone.get_rrset(zone.origin or "@", "SOA")
        assert soa is not None  # noqa: S101 (a zone has one)
        made.flags |= dns.flags.AA
        rest = [
            dns.rrset.from_rdata_list(name, rdataset.ttl, list(rdataset))
            for name, node in zone.nodes.items()
            for rdataset in node
            if rdataset.rdtype != dns.rdatatype.SOA
        ]
        made.answer = [soa, *rest, soa]
        return made

    def _update(self, asked: dns.update.UpdateMessage) -> dns.message.Message:
        made = dns.message.make_response(asked)
        if self.role != "primary" or self.zone is None or not asked.had_tsig:
            made.set_rcode(dns.rcode.REFUSED)
            return made
        with self.zone.writer() as change:
            for rrset in asked.update:
                if rrset.deleting == dns.rdataclass.ANY:
                    change.delete(rrset.name, rrset.rdtype)
                else:
                    change.add(rrset.name, rrset.ttl, *rrset)
            if asked.update:
                change.update_serial(name=self.zone.origin or dns.name.empty)
        return made

    def _forward(self, asked: dns.message.Message) -> dns.message.Message:
        question = asked.question[0]
        key = (question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype))
        kept = self.cache.get(key)
        if kept is None or kept[0] <= time.time():
            address, port = self.settings["upstream"]
            forwarded = dns.message.make_query(question.name, question.rdtype)
            try:
                found = dns.query.udp(forwarded, address, port=port, timeout=_TIMEOUT_S)
            except _FAILURES:
                made = dns.message.make_response(asked)
                made.set_rcode(dns.rcode.SERVFAIL)
                return made
            ttl = min((rrset.ttl for rrset in found.answer), default=0)
            kept = self.cache[key] = (time.time() + ttl, found)
        made = dns.message.make_response(asked, recursion_available=True)
        made.set_rcode(kept[1].rcode())
        for rrset in kept[1].answer:
            left = dns.rrset.from_rdata_list(rrset.name, max(0, int(kept[0] - time.time())), list(rrset))
            made.answer.append(left)
        return made

    def copy(self) -> None:
        """Copy the zone from the primary periodically; what cannot be copied stays as it was."""
        address, port = self.settings["upstream"]
        while self.settings.get("zone"):
            with contextlib.suppress(*_FAILURES):
                copied = dns.zone.Zone(self.settings["zone"], relativize=False)
                dns.query.inbound_xfr(address, copied, port=port, timeout=_TIMEOUT_S)
                with self.guard:
                    self.zone = copied
            time.sleep(_EVERY_S)


class _Udp(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        raw, connection = self.request
        if made := self.server.dns.answer(raw, tcp=False):  # type: ignore[attr-defined]
            connection.sendto(made, self.client_address)


class _Tcp(socketserver.StreamRequestHandler):
    timeout = 5

    def handle(self) -> None:
        while len(size := self.rfile.read(2)) == 2:
            made = self.server.dns.answer(self.rfile.read(int.from_bytes(size, "big")), tcp=True)  # type: ignore[attr-defined]
            if made:
                self.wfile.write(len(made).to_bytes(2, "big") + made)


class _UdpServer(socketserver.ThreadingUDPServer):
    daemon_threads = True
    allow_reuse_address = True


class _TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


def serve(settings: dict[str, Any]) -> tuple[socketserver.BaseServer, ...]:
    """Answer over UDP and TCP in threads; returns what `shutdown` ends."""
    state = Server(settings)
    place = (settings["address"], settings["port"])
    family = socket.AF_INET6 if ":" in settings["address"] else socket.AF_INET
    servers = []
    for kind, handler in ((_UdpServer, _Udp), (_TcpServer, _Tcp)):
        made = type(kind.__name__, (kind,), {"address_family": family})(place, handler)
        made.dns = state
        threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        servers.append(made)
    if state.role == "secondary":
        threading.Thread(target=state.copy, daemon=True).start()
    return tuple(servers)


if __name__ == "__main__":
    serve(json.loads(Path(sys.argv[1]).read_text()))
    threading.Event().wait()
