"""What a browser keeps of pages: storage, databases, caches and service workers; and cookies that answers set."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

#: Keys of both storages, names of databases and caches, scopes of service workers, of one frame.
_STORED = """async () => {
  const found = [];
  const list = (kind, names) => names.forEach(name => found.push([kind, String(name)]));
  try { list('local storage', Object.keys(localStorage)); } catch (_) {}
  try { list('session storage', Object.keys(sessionStorage)); } catch (_) {}
  try { list('IndexedDB', (await indexedDB.databases()).map(d => d.name)); } catch (_) {}
  try { list('cache', await caches.keys()); } catch (_) {}
  try { list('service worker', (await navigator.serviceWorker.getRegistrations()).map(r => r.scope)); } catch (_) {}
  return found;
}"""
#: Origins that are no pages, such as about:blank.
_PAGES = ("http://", "https://")


def stored(page: Any) -> tuple[tuple[str, str], ...]:
    """Return (kind, name) of what all frames of a page have stored; names in frames of others have their host."""
    from playwright.sync_api import Error  # noqa: PLC0415 (heavy)

    found: list[tuple[str, str]] = []
    for frame in page.frames:
        if not frame.url.startswith(_PAGES):
            continue
        with contextlib.suppress(Error):  # a frame that went away keeps what the next look sees
            found += [(str(kind), str(name)) for kind, name in frame.evaluate(_STORED)]
    return tuple(dict.fromkeys(found))


def set_cookies(response: Any) -> Iterator[str]:
    """Yield the names of cookies that an answer sets; those that it deletes are left out."""
    from playwright.sync_api import Error  # noqa: PLC0415 (heavy)

    with contextlib.suppress(Error):
        for header in response.headers_array():
            if header["name"].lower() != "set-cookie":
                continue
            # Chromium joins several with line ends.
            for line in header["value"].splitlines():
                name, _, rest = line.partition("=")
                attributes = [part.strip().lower().replace(" ", "") for part in rest.split(";")[1:]]
                if not any(part in ("max-age=0", "max-age=-1") for part in attributes):
                    yield name.strip()
