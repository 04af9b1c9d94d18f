"""TLS like an ordinary, careful client: the same on every Python, since a verdict must not depend on its version."""

from __future__ import annotations

import ssl
from functools import lru_cache
from pathlib import Path


def client_context(roots: Path | None) -> ssl.SSLContext:
    """Return a context that checks chain and name against `roots`, or the platform's; reloaded if the file changed.

    Raises OSError (ssl.SSLError is one) when the roots cannot be read.
    """
    return _context(str(roots) if roots else None, roots.stat().st_mtime_ns if roots else 0)


@lru_cache(maxsize=16)
def _context(roots: str | None, _changed_ns: int) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=roots)
    # Python 3.13 turned both on: it refuses a root without an Authority Key Identifier, which browsers, curl and OpenSSL
    # accept, and trusts an intermediate that is among the roots.
    context.verify_flags &= ~(ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN)
    return context
