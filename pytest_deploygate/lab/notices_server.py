"""The mail server and the chat of the lab's notices: it refuses what its switches say.

Run as `python -m pytest_deploygate.lab.notices_server FOLDER`. Mails become files, and so does what is posted to the chat.
"""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from pathlib import Path
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP

from pytest_deploygate.lab.state import HOST, Lab, load

MAIL, CHAT = "notices-mail", "notices-chat"


def folder_of(lab: Lab) -> Path:
    """Return the folder of mails, templates, the record and the switches."""
    return lab.folder / "jobs" / "notices"


def switches_of(lab: Lab) -> Path:
    """Return the file that maps an address to the answer that refuses it."""
    return folder_of(lab) / "refused.json"


class _Handler:
    """Handlers of aiosmtpd."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's name)
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        """Refuse the addresses of the switches."""
        refused: dict[str, str] = json.loads(switches_of(self._lab).read_text())
        if address in refused:
            return refused[address]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        """Keep a mail."""
        name = uuid.uuid4().hex
        _keep(self._lab, f"{name}.eml", envelope.original_content)
        return f"250 2.0.0 queued as {name[:8]}"


def _keep(lab: Lab, name: str, content: bytes) -> None:
    place = folder_of(lab) / "arrived"
    place.mkdir(exist_ok=True)
    (place / name).write_bytes(content)


async def _posted(request: web.Request) -> web.Response:
    """Answer as Slack does."""
    document = await request.json()
    if not isinstance(document.get("text"), str):
        return web.Response(status=400, text="invalid_payload")
    _keep(request.app[_LAB], f"{uuid.uuid4().hex}.json", json.dumps(document).encode())
    return web.Response(text="ok")


_LAB = web.AppKey("lab", Lab)


async def _serve(lab: Lab) -> None:
    loop = asyncio.get_running_loop()
    handler = _Handler(lab)
    mail = await loop.create_server(
        lambda: SMTP(handler, loop=loop, hostname="mail.example.com"), HOST, lab.ports[MAIL]
    )
    chat = web.Application()
    chat[_LAB] = lab
    chat.router.add_post("/hook", _posted)
    runner = web.AppRunner(chat, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, lab.ports[CHAT]).start()
    await mail.serve_forever()


def main() -> None:
    """Serve until a signal ends it."""
    asyncio.run(_serve(load(Path(sys.argv[1]), up=False)))


if __name__ == "__main__":
    main()
