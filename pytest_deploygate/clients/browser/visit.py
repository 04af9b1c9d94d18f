"""A visit: one page in one context, what it saw, and pictures of it without secrets."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_deploygate.clients.browser import pictures, traces
from pytest_deploygate.fields.browser import Browser as Settings
from pytest_deploygate.files import sha256, write_new
from pytest_deploygate.judging.browsing import Opened, Request, Said, Seen, Vitals
from pytest_deploygate.model import CannotTell, NotReached, Picture

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, ConsoleMessage, Page
    from playwright.sync_api import Error as PageError
    from playwright.sync_api import Request as Asked

#: The most requests, errors and pages of a visit that are kept.
_MOST = 2000
_MOST_ERRORS = 50
#: Requests that stay open as long as the page does.
_ENDLESS = ("websocket", "eventsource", "ping")
_MOST_TEXT = 500
#: How long a page may take to say how it did.
_ASKING_MS = 2000
#: Chromium's words for what failed on our own side.
OURS = (
    "ERR_NAME_NOT_RESOLVED", "ERR_INTERNET_DISCONNECTED", "ERR_ADDRESS_UNREACHABLE", "ERR_NETWORK_CHANGED",
    "ERR_NETWORK_ACCESS_DENIED", "ERR_UNSAFE_PORT", "ERR_PROXY_CONNECTION_FAILED", "ERR_TUNNEL_CONNECTION_FAILED",
    "ERR_INSUFFICIENT_RESOURCES", "ERR_OUT_OF_MEMORY",
)  # fmt: skip
#: Keeps the vitals that are only told to observers.
_OBSERVE = """(() => {
  const kept = window.__deploygate = {cls: null, lcp: null, inp: null};
  const on = (type, take, more) => { try {
    new PerformanceObserver(list => list.getEntries().forEach(take)).observe({type, buffered: true, ...more});
  } catch (_) {} };
  on('largest-contentful-paint', e => { kept.lcp = e.startTime; kept.cls ??= 0; });
  on('layout-shift', e => { if (!e.hadRecentInput) kept.cls = (kept.cls || 0) + e.value; });
  on('event', e => { if (e.interactionId) kept.inp = Math.max(kept.inp || 0, e.duration); }, {durationThreshold: 16});
})()"""
_VITALS = """async () => {
  await new Promise(done => { requestAnimationFrame(() => setTimeout(done)); setTimeout(done, 100); });
  const n = performance.getEntriesByType('navigation')[0];
  const p = performance.getEntriesByName('first-contentful-paint')[0];
  return {ttfb: n ? n.responseStart : null, fcp: p ? p.startTime : null, load: n && n.loadEventEnd ? n.loadEventEnd : null,
          ...(window.__deploygate || {})};
}"""


class Visit:
    """One page, what it saw so far, and pictures of it. `page` and `context` are Playwright's own."""

    def __init__(
        self,
        context: BrowserContext,
        settings: Settings,
        base: str,
        folder: Path,
        scratch: Callable[[], AbstractContextManager[Any]],
    ) -> None:
        self.context = context
        self.settings = settings
        self.base = base
        self._folder, self._scratch = folder, scratch
        self._began = time.monotonic()
        self._requests: dict[int, tuple[Any, Request]] = {}
        self._errors: list[Said] = []
        self._pages: list[Opened] = []
        self._pictures: list[Picture] = []
        self._last: bytes | None = None
        self._more = 0
        self._traced = False
        self._status: int | None = None
        self._problem, self._asked = "", ""
        self._going_on: set[int] = set()
        self._last_change = self._began
        #: How many requests there were so far, also those beyond the bound of what is kept.
        self.requests = 0
        context.add_init_script(_OBSERVE)
        context.on("request", self._on_request)
        context.on("response", lambda response: self._answered(response.request, response.status))
        context.on("requestfinished", self._on_finished)
        context.on("requestfailed", self._on_failed)
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self._on_error(error.error))
        self.page: Page = context.new_page()

    def open(self, url: str, *, until: str = "load") -> Opened:
        """Open a URL, or a path below the base address; return the page with its status and times.

        Raises NotReached if the name does not resolve here or there is no way there from here, and CannotTell if nothing
        answered in time. A refused connection, a bad certificate or a loop of redirects has the status None, and is among
        the requests with its problem.
        """
        from playwright.sync_api import Error  # noqa: PLC0415 (heavy)
        from playwright.sync_api import TimeoutError as Late  # noqa: PLC0415

        began = time.monotonic()
        try:
            answer = self.page.goto(url, wait_until=until)  # type: ignore[arg-type]  # a word of Playwright's
        except Late:
            wait = self.settings.timeout.total_seconds()
            raise CannotTell(f"{self.shown(url)} was not loaded in {wait:g} s: check that it is up") from None
        except Error as error:
            said = str(error).partition("\n")[0]
            if any(word in said for word in OURS):
                raise NotReached(f"{self.shown(url)} was not reached from here: {said}") from None
            if "net::" not in said:
                raise
            opened = Opened(self.shown(url), None, time.monotonic() - began)
            self._pages.append(opened)
            return opened
        vitals, load_s = self._vitals()
        opened = Opened(self.page.url, answer.status if answer else None, load_s, vitals)
        self._pages.append(opened)
        return opened

    def note_page(self) -> None:
        """Note the page that stands now, with its vitals as they are: before it is left."""
        if self.page.is_closed() or not self.page.url.startswith("http"):
            return
        vitals, load_s = self._vitals()
        same = self._pages[-1] if self._pages and self._pages[-1].url == self.page.url else None
        if same is not None:
            self._pages[-1] = Opened(same.url, same.status, same.took_s or load_s, vitals)
        elif len(self._pages) < _MOST:
            self._pages.append(Opened(self.page.url, self._status_of(self.page.url), load_s, vitals))

    @property
    def address(self) -> str:
        """The address of the page; where Chromium shows an error page of its own, that of what it asked for last."""
        return self._asked if self.page.url.startswith("chrome-error:") else str(self.page.url)

    @property
    def since_s(self) -> float:
        """The seconds since the visit began."""
        return round(time.monotonic() - self._began, 3)

    @property
    def pending(self) -> int:
        """How many requests are open that end: not those of WebSockets and event streams."""
        return len(self._going_on)

    @property
    def quiet_s(self) -> float:
        """The seconds since the last request began or ended."""
        return time.monotonic() - self._last_change

    @property
    def busy(self) -> bool:
        """Whether the page still waits for something, or does not even say so: what it lacks may yet come."""
        if self._going_on:
            return True
        try:
            self.page.wait_for_function("document.readyState === 'complete'", timeout=_ASKING_MS)
        except Exception:  # noqa: BLE001 (it says nothing, so it is not known to be ready)
            return True
        return False

    def status(self) -> int | None:
        """Return the status of the page that stands now; None if it had none."""
        return self._status

    @property
    def last_problem(self) -> str:
        """Chromium's word for why the last page was not opened, such as `ERR_TOO_MANY_REDIRECTS`; empty if it was."""
        return self._problem

    def kept_picture(self) -> str:
        """Take a picture for the out folder only, with secrets covered; return its path, empty if there is none."""
        with contextlib.suppress(pictures.NoPicture):
            return self._kept(self._taken())[0]
        return ""

    def picture(self, title: str, *, keep: bool = True, last: bool = False) -> Picture | None:
        """Take a picture of what can be seen now, with secrets covered; None if that cannot be had.

        With `keep` the whole one is kept in the out folder. With `last` it is the one that was taken last, if there is one.
        """
        with contextlib.suppress(pictures.NoPicture):
            png = self._last if last and self._last is not None else self._taken()
            path, digest = self._kept(png) if keep else ("", "")
            with self._scratch() as page:
                thumbnail, width, height = pictures.thumbnail(page, png)
            made = Picture(title, thumbnail, width, height, path, digest)
            self._pictures.append(made)
            return made
        return None

    def trace(self) -> None:
        """Begin a trace: snapshots of the page at each action, and the network."""
        if not self._traced:
            self.context.tracing.start(snapshots=True, screenshots=False, sources=False)
            self._traced = True

    def untraced(self) -> None:
        """End the trace and throw it away: what comes next has secrets in it."""
        if self._traced:
            self.context.tracing.stop()
            self._traced = False

    def keep_trace(self) -> tuple[str, str] | None:
        """End the trace and keep it without secrets; return its path in the out folder and its digest, None if there is none."""
        if not self._traced:
            return None
        self._traced = False
        made = traces.without_secrets(self.context)
        if made is None:
            return None
        digest = sha256(made)
        path = f"evidence/trace--{digest[:12]}.zip"
        self._write(path, made)
        return path, digest

    def seen(self) -> Seen:
        """Return what was seen so far."""
        return Seen(
            tuple(request for _, request in self._requests.values()),
            tuple(self._errors),
            tuple(self._pages),
            tuple(self._pictures),
            self._more,
        )

    def shown(self, url: str) -> str:
        """Return the whole address of a path below the base address."""
        from urllib.parse import urljoin  # noqa: PLC0415 (with the browser only)

        return urljoin(self.base, url)

    def close(self) -> None:
        """End the visit, with what belongs to it."""
        if self._traced:
            with contextlib.suppress(Exception):
                self.context.tracing.stop()
        self.context.close()

    def _taken(self) -> bytes:
        self._last = None
        self._last = pictures.without_secrets(self.page, self.settings.timeout.total_seconds())
        return self._last

    def _kept(self, png: bytes) -> tuple[str, str]:
        digest = sha256(png)
        path = f"evidence/page--{digest[:12]}.png"
        self._write(path, png)
        return path, digest

    def _write(self, path: str, raw: bytes) -> None:
        file = self._folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():  # its name has its digest
            write_new(str(file), raw, 0o600)

    def _vitals(self) -> tuple[Vitals, float | None]:
        try:
            # With a timeout, unlike `evaluate`: a script of the page may keep it busy for ever.
            found = self.page.wait_for_function(_VITALS, timeout=_ASKING_MS).json_value()
        except Exception:  # noqa: BLE001 (a page on its way elsewhere has none)
            return Vitals(), None
        ms = {name: None if value is None else value / 1000 for name, value in found.items()}
        cls = found.get("cls")
        return Vitals(ms.get("ttfb"), ms.get("fcp"), ms.get("lcp"), cls, ms.get("inp")), ms.get("load")

    def _status_of(self, url: str) -> int | None:
        documents = [
            r for _, r in self._requests.values() if r.kind == "document" and r.url == url.partition("#")[0]
        ]
        return documents[-1].status if documents else None

    def _on_request(self, request: Asked) -> None:
        self.requests += 1
        self._last_change = time.monotonic()
        if self._is_page(request):
            self._asked = request.url
        if request.resource_type not in _ENDLESS:
            self._going_on.add(id(request))
        if len(self._requests) >= _MOST:
            self._more += 1
            return
        made = Request(request.url, request.method, request.resource_type, self.since_s)
        self._requests[id(request)] = request, made  # kept, so that no other request gets its number

    def _answered(self, request: Asked, status: int) -> None:
        self._change(request, status=status)
        if self._is_page(request):
            self._status, self._problem = status, ""

    def _on_finished(self, request: Asked) -> None:
        self._ended(request)
        took_ms = request.timing.get("responseEnd", -1)
        if took_ms >= 0:
            self._change(request, took_s=round(took_ms / 1000, 4))

    def _on_failed(self, request: Asked) -> None:
        said = request.failure or "no reason given"
        self._ended(request)
        self._change(request, problem=said, aborted="ERR_ABORTED" in said, ours=any(w in said for w in OURS))
        if self._is_page(request) and "ERR_ABORTED" not in said:
            self._status, self._problem = None, said.removeprefix("net::")

    def _ended(self, request: Asked) -> None:
        self._going_on.discard(id(request))
        self._last_change = time.monotonic()

    def _is_page(self, request: Asked) -> bool:
        """Tell whether a request is for the page itself, not for a frame in it."""
        with contextlib.suppress(Exception):  # a worker's request has no frame
            return request.is_navigation_request() and request.frame == self.page.main_frame
        return False

    def _change(self, request: Asked, **new: Any) -> None:
        import dataclasses  # noqa: PLC0415 (with the browser only)

        if known := self._requests.get(id(request)):
            self._requests[id(request)] = request, dataclasses.replace(known[1], **new)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._add(
                Said("console", message.text[:_MOST_TEXT], str(message.location.get("url", "")), self.since_s)
            )

    def _on_error(self, error: PageError) -> None:
        url = self.page.url if hasattr(self, "page") else ""
        self._add(Said("script", str(error.message)[:_MOST_TEXT], url, self.since_s))

    def _add(self, error: Said) -> None:
        if len(self._errors) < _MOST_ERRORS:
            self._errors.append(error)
        else:
            self._more += 1
