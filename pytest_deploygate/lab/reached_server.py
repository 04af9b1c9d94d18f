"""What the lab's hosts connect to: an HTTP server, and one with TLS, in the namespace of the network's bridge.

Run as `python -m pytest_deploygate.lab.reached_server FOLDER READY ADDRESS PORT TLS_PORT CERTIFICATE KEY`. It creates the
file READY once it listens.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
from pathlib import Path

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
        async with asyncio.timeout(10):
            await reader.readuntil(b"\r\n\r\n")
        writer.write(_ANSWER)
        await writer.drain()
    writer.close()


async def _serve(ready: Path, address: str, port: int, tls_port: int, certificate: str, key: str) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    plain = await asyncio.start_server(_answer, address, port)
    safe = await asyncio.start_server(_answer, address, tls_port, ssl=context)
    await asyncio.to_thread(ready.touch)
    await asyncio.gather(plain.serve_forever(), safe.serve_forever())


if __name__ == "__main__":
    _, _, _ready, _address, _port, _tls_port, _certificate, _key = sys.argv
    asyncio.run(_serve(Path(_ready), _address, int(_port), int(_tls_port), _certificate, _key))
