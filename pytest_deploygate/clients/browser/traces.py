"""Traces of Playwright without secrets: everything that was typed, sent and answered is in them."""

from __future__ import annotations

import io
import re
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_deploygate.redaction import masked

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

_MASK = "***"
_TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*")
#: A shorter value of a cookie, such as a language, says no secret.
_SHORT = 8
#: A larger trace is not kept.
_MOST_BYTES = 20_000_000


def without_secrets(context: BrowserContext) -> bytes | None:
    """End a context's trace and return it without secrets, cookies' values and tokens; None if it is too large."""
    cookies = {cookie.get("value", "") for cookie in context.cookies() if cookie.get("httpOnly")}
    with tempfile.TemporaryDirectory(prefix="deploygate-trace-") as folder:
        file = Path(folder) / "trace.zip"
        context.tracing.stop(path=file)
        if file.stat().st_size > _MOST_BYTES:
            return None
        return _masked(file, sorted((c for c in cookies if len(c) >= _SHORT), key=len, reverse=True))


def _masked(file: Path, cookies: list[str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(file) as whole, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as kept:
        for name in sorted(whole.namelist()):
            raw = whole.read(name)
            try:
                text = raw.decode()
            except UnicodeDecodeError:
                # Pictures, fonts: nothing that was typed. Other files of the platform's own are left out.
                if not name.endswith((".png", ".jpeg", ".jpg", ".webp", ".woff2", ".woff")):
                    continue
            else:
                for cookie in cookies:
                    text = text.replace(cookie, _MASK)
                raw = _TOKEN.sub(_MASK, masked(text)).encode()
            kept.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), raw)
    return made.getvalue()
