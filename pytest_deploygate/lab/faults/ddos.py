"""Faults of rate limits and of the patience with slow clients."""

from __future__ import annotations

from pytest_deploygate.lab.faults import Change, Fault
from pytest_deploygate.lab.services import limiter
from pytest_deploygate.lab.services.limiter import Switches
from pytest_deploygate.lab.state import Lab

_ITEMS = {"sec.ddos": "fail"}
_NEEDS = (limiter.NGINX, limiter.HAPROXY)


def _with(switches: Switches) -> Change:
    return lambda lab: limiter.change(lab, switches)


def _healed(lab: Lab) -> None:
    limiter.change(lab, Switches())


OFF = Fault(
    "rate-limit-off",
    "nginx limits nobody",
    _ITEMS,
    _with(Switches(limited=False)),
    _healed,
    says="no limit",
    needs=_NEEDS,
)
EVERYBODY = Fault(
    "rate-limit-everybody",
    "nginx's limit counts the requests of all sources together",
    _ITEMS,
    _with(Switches(key="$server_name$server_port")),
    _healed,
    says="everybody is limited",
    needs=_NEEDS,
)
PER_PATH = Fault(
    "rate-limit-per-path",
    "nginx's limit counts the requests for a path, of all sources together",
    _ITEMS,
    _with(Switches(key="$request_uri")),
    _healed,
    says="counts by path, for all sources together",
    needs=_NEEDS,
)
PER_SOURCE_AND_PATH = Fault(
    "rate-limit-per-source-and-path",
    "nginx's limit counts each path of a source for itself",
    _ITEMS,
    _with(Switches(key="$binary_remote_addr$uri")),
    _healed,
    says="the limit counts by path: other paths",
    needs=_NEEDS,
)
TOO_HIGH = Fault(
    "rate-limit-too-high",
    "nginx's limit is five times as high as declared",
    _ITEMS,
    _with(Switches(rate=5 * limiter.RATE, burst=5 * limiter.BURST)),
    _healed,
    says="the limit is too high",
    needs=_NEEDS,
)
IGNORED = Fault(
    "rate-limit-not-found",
    "nginx refuses what is over the limit with 404",
    _ITEMS,
    _with(Switches(refusal=404)),
    _healed,
    says="refused with HTTP 404",
    needs=_NEEDS,
)
FORGED = Fault(
    "rate-limit-forged",
    "HAProxy believes X-Forwarded-For of everybody",
    _ITEMS,
    _with(Switches(claims=True)),
    _healed,
    says="a forged X-Forwarded-For escapes the limit",
    needs=_NEEDS,
)
STREAMS = Fault(
    "rate-limit-not-http2",
    "HAProxy does not count requests over HTTP/2",
    _ITEMS,
    _with(Switches(streams=True)),
    _healed,
    says="over one HTTP/2 connection escape the limit",
    needs=_NEEDS,
)
BANNED = Fault(
    "rate-limit-ban",
    "HAProxy bans for an hour who was over the limit once",
    _ITEMS,
    _with(Switches(bans=True)),
    _healed,
    says="still refused",
    needs=_NEEDS,
)
NO_RETRY = Fault(
    "rate-limit-no-retry-after",
    "HAProxy's refusals have no Retry-After",
    _ITEMS,
    _with(Switches(retry=False)),
    _healed,
    says="have no Retry-After",
    needs=_NEEDS,
)
SLOW_HEADERS = Fault(
    "slow-headers-held",
    "nginx waits a minute for the headers of a request",
    _ITEMS,
    _with(Switches(header_timeout="60s")),
    _healed,
    says="headers that come slowly",
    needs=_NEEDS,
)
SLOW_BODIES = Fault(
    "slow-bodies-held",
    "HAProxy passes bodies on as they come, however slowly",
    _ITEMS,
    _with(Switches(buffers=False)),
    _healed,
    says="a body that comes slowly",
    needs=_NEEDS,
)
IDLE = Fault(
    "idle-connections-held",
    "HAProxy keeps idle connections for a minute",
    _ITEMS,
    _with(Switches(keep_alive="60s", client="60s")),
    _healed,
    says="nothing sent after an answer",
    needs=_NEEDS,
)
SLOW_READERS = Fault(
    "slow-readers-held",
    "nginx waits a minute for a client that does not read its answer",
    _ITEMS,
    _with(Switches(send_timeout="60s")),
    _healed,
    says="an answer that is not read",
    needs=_NEEDS,
)
CROWDS = Fault(
    "connections-not-limited",
    "nginx lets one source have as many connections as it likes",
    _ITEMS,
    _with(Switches(crowds=True)),
    _healed,
    says="one source held",
    needs=_NEEDS,
)
