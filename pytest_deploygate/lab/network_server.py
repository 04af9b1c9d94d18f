"""Servers of one host of the lab's network: TCP connections are taken and closed, DNS and NTP are answered.

Run as `python -m pytest_deploygate.lab.network_server FOLDER READY PORTS…`, with ports such as `tcp/5432` or `udp/53`. It
creates the file READY once it listens, on all addresses of IPv4 and IPv6. It says nothing that is true: the checks of
the firewall only ask whether somebody answers.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path
from typing import cast


class _Answers(asyncio.DatagramProtocol):
    """Answers each question with one of the same protocol."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Before Python 3.12 its class says no more than that it is a transport.
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self.transport is None or len(data) < 12:
            return
        # DNS: the same question with the bits of an answer and the code REFUSED (RFC 1035). NTP: a server (RFC 5905).
        dns, ntp = data[:2] + bytes([0x81, 0x05]) + data[4:], bytes([0x24]) + data[1:48]
        answer = dns if self.port == 53 else ntp
        self.transport.sendto(answer, addr)


def _bound(kind: socket.SocketKind, family: socket.AddressFamily, port: int) -> socket.socket:
    there = socket.socket(family, kind)
    there.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family is socket.AF_INET6:
        there.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    there.bind(("::" if family is socket.AF_INET6 else "0.0.0.0", port))  # noqa: S104 (within a network of its own)
    there.setblocking(False)
    return there


async def _serve(ports: list[str], ready: Path) -> None:
    loop = asyncio.get_running_loop()
    servers = []
    for text in ports:
        transport, _, number = text.partition("/")
        port = int(number)
        for family in (socket.AF_INET, socket.AF_INET6):
            if transport == "tcp":
                bound = _bound(socket.SOCK_STREAM, family, port)
                servers.append(await asyncio.start_server(lambda _, writer: writer.close(), sock=bound))
            else:
                bound = _bound(socket.SOCK_DGRAM, family, port)
                await loop.create_datagram_endpoint(lambda port=port: _Answers(port), sock=bound)  # type: ignore[misc]
    await asyncio.to_thread(ready.touch)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[3:], Path(sys.argv[2])))
