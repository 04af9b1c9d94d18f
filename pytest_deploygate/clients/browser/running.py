"""One Chromium for a run: started at the first visit, trusting what the inventory says, and ended within a second."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_deploygate.clients import stopping
from pytest_deploygate.clients.browser.trust import key_of, origin
from pytest_deploygate.clients.browser.visit import Visit
from pytest_deploygate.fields.browser import Browser as Settings
from pytest_deploygate.model import CannotTell

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium
    from playwright.sync_api import BrowserContext, Page, Playwright

__all__ = ["Browser", "system_browser"]

#: Names of the system's browsers, best first.
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "microsoft-edge")
_NOTHING_AT_HOME = (
    # It asks nobody but the platform: no updates, no reports, no first-run pages, no proxies found by itself.
    "--disable-component-update",
    "--disable-background-networking",
    "--disable-domain-reliability",
    "--no-pings",
)
_INSTALL = "install `chromium`, or run `playwright install chromium`, or name one in `browser.program`"


class Browser:
    """A browser that is started when it is first needed. `folder` is where pictures and traces are kept (the out folder)."""

    def __init__(self, settings: Settings, folder: Path, *, headless: bool = True) -> None:
        self.settings = settings
        self._headless = headless
        self.folder = folder
        self._keys: dict[str, str] = {}
        self._playwright: Playwright | None = None
        self._chromium: Chromium | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._visits = 0
        self._agent = ""
        self._empty: Page | None = None

    @contextlib.contextmanager
    def visit(
        self,
        *,
        headers: Mapping[str, str] | None = None,
        url: str = "",
        traced: bool = False,
        **options: Any,
    ) -> Iterator[Visit]:
        """Open an empty page in a context of its own: no cookies, no storage, nothing cached.

        `headers` are those of an active probe (`spending.headers`): its `User-Agent` stands behind Chromium's own. `url` is
        another base address than the inventory's. `options` are Playwright's own for a context (`storage_state` …). Raises
        CannotTell if there is no browser.
        """
        base = url or self.settings.url
        with self._in_use(base):
            context = self._context(base, dict(headers or {}), options)
            with stopping.cutting(self.cut):
                visit = Visit(context, self.settings, base, self.folder, self._scratch)
                try:
                    if traced:
                        visit.trace()
                    yield visit
                finally:
                    with contextlib.suppress(Exception):  # the driver may have been cut
                        visit.close()

    def close(self) -> None:
        """End the browser. It may be called again, and after a cut."""
        playwright, self._playwright, self._chromium, self._empty = self._playwright, None, None, None
        if playwright is None:
            return
        self._enter_loop()
        try:
            with contextlib.suppress(Exception):  # what was cut cannot be closed
                playwright.stop()
        finally:
            _mark_running(None)
            self._loop = None

    def cut(self) -> None:
        """End the processes from another thread: everything that waits for a page gets an error at once."""
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError, OSError):
            os.kill(
                process, signal.SIGTERM
            )  # Playwright's driver then ends Chromium and takes its profile away
        timer = threading.Timer(0.6, _kill, (process,))
        timer.daemon = True
        timer.start()

    @property
    def version(self) -> str:
        """Chromium's version; empty before the first visit."""
        return self._chromium.version if self._chromium else ""

    @property
    def _process(self) -> int | None:
        """The process of Playwright's driver. It has no public name."""
        found: Any = self._playwright
        for name in ("_impl_obj", "_connection", "_transport", "_proc", "pid"):
            found = getattr(found, name, None)
        return found if isinstance(found, int) else None

    @contextlib.contextmanager
    def _in_use(self, base: str) -> Iterator[None]:
        """Start the browser if need be, and let asyncio be used by others between visits.

        Playwright leaves its loop marked as running in the thread, so that nothing else could run one.
        """
        if self._visits == 0:
            self._ready(base)
        self._visits += 1
        try:
            yield
        finally:
            self._visits -= 1
            if self._visits == 0:
                _mark_running(None)

    def _ready(self, base: str) -> None:
        self._enter_loop()
        if self._chromium is not None and not self._chromium.is_connected():
            self.close()
        known = set(self._keys)
        self._trust([self.settings.url, *self.settings.servers, base])
        if self._chromium is not None and set(self._keys) != known:
            self.close()  # what it trusts is said when it is started
        if self._chromium is None:
            self._start()

    def _enter_loop(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            _mark_running(self._loop)

    def _trust(self, urls: list[str]) -> None:
        ca_file = self.settings.ca_file
        for server in dict.fromkeys(origin(url) for url in urls if url.startswith("https:")):
            if ca_file is not None and server not in self._keys:
                timeout_s = self.settings.timeout.total_seconds()
                self._keys[server] = key_of(server, ca_file, self.settings.names, timeout_s)

    def _start(self) -> None:
        try:
            from playwright.sync_api import Error, sync_playwright  # noqa: PLC0415 (heavy, and an extra)
        except ImportError:
            raise CannotTell(
                "pages are looked at with Playwright, which is not installed: pip install 'pytest-deploygate[browser]'"
            ) from None
        self._playwright = sync_playwright().start()
        self._loop = asyncio.get_running_loop()
        program = self._program(Path(self._playwright.chromium.executable_path))
        try:
            self._chromium = self._playwright.chromium.launch(
                executable_path=program,
                args=self._arguments(),
                headless=self._headless,
                # As root Chromium refuses to have one.
                chromium_sandbox=self.settings.sandbox and os.geteuid() != 0,
            )
            page = self._chromium.new_page()
            # As people's browsers say it: some servers turn headless ones away.
            self._agent = str(page.evaluate("navigator.userAgent")).replace("HeadlessChrome", "Chrome")
            page.close()
        except Error as error:
            self.close()
            said = str(error)
            why = next((line for line in said.splitlines() if "rror" in line), said.partition("\n")[0])
            hint = "set `browser.sandbox: false`" if "sandbox" in said.lower() else _INSTALL
            raise CannotTell(f"{program} did not start: {why.strip()[:200]}; {hint}") from None

    def _program(self, own: Path) -> Path:
        named = self.settings.program
        if named is not None:
            if not named.is_file():
                self.close()
                raise CannotTell(f"there is no browser {named}: correct `browser.program`")
            return named
        if own.is_file():
            return own
        found = system_browser()
        if found is None:
            self.close()
            raise CannotTell(f"there is no browser here: {_INSTALL}")
        return found

    def _arguments(self) -> list[str]:
        said = list(_NOTHING_AT_HOME)
        if self.settings.names:
            rules = ", ".join(f"MAP {name} {address}" for name, address in self.settings.names.items())
            said.append(f"--host-resolver-rules={rules}")
        if self._keys:
            said.append(f"--ignore-certificate-errors-spki-list={','.join(sorted(set(self._keys.values())))}")
        return said

    def _context(self, base: str, headers: dict[str, str], options: dict[str, Any]) -> BrowserContext:
        if self._chromium is None:
            raise CannotTell("the browser has ended")
        settings = self.settings
        agent = headers.pop("User-Agent", "")
        given: dict[str, Any] = {
            "base_url": base,
            "user_agent": f"{self._agent} {agent}".rstrip(),
            "viewport": {"width": settings.width, "height": settings.height},
            "locale": settings.locale,
            "timezone_id": settings.timezone,
        }
        if headers:
            given["extra_http_headers"] = headers
        context = self._chromium.new_context(**(given | options))
        context.set_default_timeout(settings.timeout.total_seconds() * 1000)
        return context

    @contextlib.contextmanager
    def _scratch(self) -> Iterator[Any]:
        """An empty page of a context of its own, for work on pictures."""
        if self._chromium is None:
            raise CannotTell("the browser has ended")
        if self._empty is None:
            self._empty = self._chromium.new_context().new_page()
        yield self._empty


def system_browser() -> Path | None:
    """Return the program of this machine's Chromium or one like it; None if there is none."""
    found = next((path for name in _PROGRAMS if (path := shutil.which(name))), None)
    return Path(found) if found else None


def _mark_running(loop: asyncio.AbstractEventLoop | None) -> None:
    """Say which loop runs in this thread, by asyncio's function for makers of loops."""
    asyncio._set_running_loop(loop)  # noqa: SLF001 (documented in its source; it has no other name)


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError, OSError):
        os.kill(process, signal.SIGKILL)
