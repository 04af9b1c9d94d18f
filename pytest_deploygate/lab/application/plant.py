"""The plant: its devices send a reading each every few seconds, over HTTP with the token of a program.

Run as `python -m pytest_deploygate.lab.application.plant FOLDER`. The switch `plant_silent` keeps it from sending.
"""

from __future__ import annotations

import json
import math
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from pytest_deploygate.lab.application import settings
from pytest_deploygate.lab.application.settings import Settings

EVERY_S = 3.0
#: The middle of each device's values, well below its limit.
USUAL = {"press-1": 50.0, "furnace-1": 530.0, "lathe-1": 6.7}


def run(folder: Path) -> None:
    """Send readings until the process is ended."""
    own = settings.load(folder)
    switches = own.switches()
    trusted = ssl.create_default_context(cafile=str(folder / "root.pem"))
    token, until = "", 0.0
    while True:
        try:
            if time.monotonic() > until:
                token, until = _token(own, trusted), time.monotonic() + 300
            for device in USUAL if not switches.on("plant_silent") else ():
                _send(own, trusted, token, device)
        except (OSError, ValueError, KeyError) as error:
            until = 0.0
            sys.stderr.write(f"{error}\n")
        time.sleep(EVERY_S)


def _token(own: Settings, trusted: ssl.SSLContext) -> str:
    form = {
        "grant_type": "client_credentials",
        "client_id": "integration",
        "client_secret": own.secret("client"),
    }
    request = urllib.request.Request(f"{own.url}/oauth/token", urllib.parse.urlencode(form).encode())  # noqa: S310
    with urllib.request.urlopen(request, timeout=5, context=trusted) as answer:  # noqa: S310
        return str(json.load(answer)["access_token"])


def _send(own: Settings, trusted: ssl.SSLContext, token: str, device: str) -> None:
    now = time.time()
    reading = {
        "id": f"{device}-{now:.3f}",
        "device": device,
        "sent_at": datetime.fromtimestamp(now, UTC).isoformat(),
        "value": round(USUAL[device] * (1 + 0.08 * math.sin(now / 300) + 0.02 * math.sin(now * 1.7)), 2),
    }
    request = urllib.request.Request(  # noqa: S310
        f"{own.url}/api/readings",
        json.dumps(reading).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
    )
    with urllib.request.urlopen(request, timeout=5, context=trusted):  # noqa: S310
        pass


if __name__ == "__main__":
    run(Path(sys.argv[1]))
