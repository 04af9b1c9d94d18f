"""What a browser saw on pages, as frozen values, and how Core Web Vitals are rated."""

from __future__ import annotations

from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Picture

__all__ = ["Opened", "Request", "Said", "Seen", "Vitals", "rated"]


@dataclass(frozen=True)
class Request:
    """A request that a page made. `status` is None without an answer; `problem` is then Chromium's word for it.

    `kind` is Chromium's: `document`, `script`, `image`, `fetch`, `websocket` … `at_s` are seconds since the visit began.
    `aborted`: the page itself gave it up, or never read its body: that is no failure of the server. `ours`: it never left
    this machine, or found no way from it.
    """

    url: str
    method: str
    kind: str
    at_s: float
    status: int | None = None
    problem: str = ""
    aborted: bool = False
    ours: bool = False
    took_s: float | None = None

    @property
    def failed(self) -> bool:
        """Whether it got an error, or no answer though the page waited for one."""
        return self.status >= 400 if self.status is not None else bool(self.problem) and not self.aborted


@dataclass(frozen=True)
class Said:
    """An error of a page: `kind` is `console` for what it wrote to the console, `script` for one that nothing caught.

    `at_s` are seconds since the visit began.
    """

    kind: str
    text: str
    url: str
    at_s: float = 0.0


@dataclass(frozen=True)
class Vitals:
    """Core Web Vitals and what belongs to them, as far as the page had them; seconds, and a share for `cls`."""

    ttfb_s: float | None = None
    fcp_s: float | None = None
    lcp_s: float | None = None
    cls: float | None = None
    inp_s: float | None = None


@dataclass(frozen=True)
class Opened:
    """A page that was opened. `took_s` is until its `load` event; None if that had not come when it was left."""

    url: str
    status: int | None
    took_s: float | None
    vitals: Vitals = Vitals()


@dataclass(frozen=True)
class Seen:
    """What a visit saw, in the order of time. `more` counts what was left out of each list beyond its bound."""

    requests: tuple[Request, ...] = ()
    errors: tuple[Said, ...] = ()
    pages: tuple[Opened, ...] = ()
    pictures: tuple[Picture, ...] = ()
    more: int = 0

    @property
    def failed(self) -> tuple[Request, ...]:
        """The requests that failed."""
        return tuple(request for request in self.requests if request.failed)


#: Bounds of web.dev: good up to the first, poor beyond the second.
_BOUNDS = {
    "lcp_s": (2.5, 4.0),
    "cls": (0.1, 0.25),
    "inp_s": (0.2, 0.5),
    "fcp_s": (1.8, 3.0),
    "ttfb_s": (0.8, 1.8),
}


def rated(vitals: Vitals) -> str:
    """Return the vitals that a page had, in words: `LCP 0.31 s (good), CLS 0.02 (good)`. Empty if it had none."""
    said = []
    for name, (good, poor) in _BOUNDS.items():
        value = getattr(vitals, name)
        if value is not None:
            word = "good" if value <= good else "poor" if value > poor else "needs improvement"
            unit = " s" if name.endswith("_s") else ""
            said.append(f"{name.removesuffix('_s').upper()} {value:.2g}{unit} ({word})")
    return ", ".join(said)
