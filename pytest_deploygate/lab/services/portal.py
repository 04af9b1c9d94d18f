"""A portal with visitors behind HAProxy, the old portal beside it, and what Prometheus remembers of both from before.

All of their counters begin at 0 when they start. What was before is backfilled: a night. Faults cause real requests; `as_before` takes what they left out of Prometheus again.
"""

from __future__ import annotations

import concurrent.futures
import http.client
import itertools
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import timedelta
from functools import cache
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any

from pytest_deploygate.checks.load.section import Histogram
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.lab import client, nodes, processes, sql
from pytest_deploygate.lab.services import Service, monitoring, monitoring_history
from pytest_deploygate.lab.services.monitoring_history import samples
from pytest_deploygate.lab.state import HOST, Lab, LabError, write_whole
from pytest_deploygate.lab.supervisor import Program

NEW, OLD, BALANCER = "portal", "portal-old", "portal-balancer"
_STATS = "portal-balancer-metrics"
NOBODY_VISITS, OLD_ADDRESS = "nobody-visits", "old-address"
_SINCE, _REWRITTEN = "disturbed-since", "orders-rewritten"
_HAPROXY = """global
    maxconn 500

defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s

frontend portal
    bind {host}:{port}
    use_backend nobody if {{ path /nobody }}
    default_backend portal

backend portal
    server portal {host}:{new}

backend nobody

frontend metrics
    bind {host}:{stats}
    http-request use-service prometheus-exporter if {{ path /metrics }}
"""
#: Requests per second that are remembered, and how many of 1,000 took longer than each bound of the histogram.
_PER_SECOND = 5.0
USUAL = {
    "0.005": 700,
    "0.01": 300,
    "0.025": 100,
    "0.05": 40,
    "0.1": 15,
    "0.2": 5,
    "0.5": 1,
    "1": 0,
    "2.5": 0,
    "+Inf": 0,
}
_HOUR_S = 3600.0
#: How far back everything is remembered: promtool reads its input once for every two hours.
REMEMBERED_S = 13 * _HOUR_S
_RECENT_S, _SPARED_S = 900.0, 1800.0


def orders_per_minute(at_s: float) -> float:
    """Return the orders at a time: a slow wave with a ripple, between about 30 and 70."""
    return round(50 + 14 * math.sin(2 * math.pi * at_s / (24 * _HOUR_S)) + 5 * math.sin(at_s / 437), 1)


def where(lab: Lab) -> Path:
    """Return the folder of HAProxy's configuration and of the switches."""
    return lab.private / "portal"


def start(lab: Lab) -> None:
    """Start both applications and HAProxy, let Prometheus scrape them, and give it the past. Raises LabError."""
    processes.run(["/bin/mkdir", "-p", str(where(lab))], user=lab.user)
    ports = lab.ports
    text = _HAPROXY.format(host=HOST, port=ports[BALANCER], new=ports[NEW], stats=ports[_STATS])
    nodes.put(lab, where(lab) / "haproxy.cfg", text)
    programs = {
        NEW: Program(
            [sys.executable, "-m", "pytest_deploygate.lab.portal", str(lab.folder)], death_signal=SIGTERM
        ),
        BALANCER: Program(
            [lab.programs["haproxy"], "-db", "-f", str(where(lab) / "haproxy.cfg")],
            lab.user,
            death_signal=SIGKILL,
        ),
    }
    # Prometheus takes up to five seconds to notice new targets.
    for job, address in _addresses(lab).items():
        monitoring.scrape(lab, job, [address], {"__param_scope": "frontend"} if job == BALANCER else None)
    for name, program in programs.items():
        client.start(lab, name, program)
    _fill(lab, time.time() - REMEMBERED_S)


def _fill(lab: Lab, start_s: float, slower: Mapping[str, int] | None = None) -> None:
    """Replace what Prometheus has of the portal from a time on by usual requests and orders. Raises LabError.

    It ends one interval before a scrape of each of them: a restart that no scrape is near would leave a doubt, however
    late scrapes come. `slower` are other numbers for the histogram, for all but the last half an hour.
    """
    scraped_s = _await_scrape(lab, time.time())
    for job, names in _SERIES.items():
        selectors = [f'{{job="{job}",__name__=~"{names}"}}']
        monitoring_history.forget(
            lab.ports[monitoring.PROMETHEUS], selectors, (start_s, scraped_s[job] - 0.01)
        )
    lines = list(_past(lab, start_s, scraped_s, slower))
    monitoring.rewrite(lab, [], (start_s, start_s), lines)


#: Not `up`: that a target was down is true.
_SERIES = {NEW: "http_.*|portal_.*", OLD: "http_.*|portal_.*", BALANCER: "haproxy_frontend_http_.*"}


def _past(
    lab: Lab, start_s: float, ends_s: Mapping[str, float], slower: Mapping[str, int] | None
) -> Iterator[str]:
    """Yield what was counted from a time until one interval before the end, which each job has for itself."""
    at_times = {job: list(times(start_s, end_s)) for job, end_s in ends_s.items()}
    labels = {job: {"job": job, "instance": address} for job, address in _addresses(lab).items()}

    def counter(job: str, name: str, own: Mapping[str, str], per_second: float) -> list[str]:
        counted = [(at, round(per_second * (at - start_s))) for at in at_times[job]]
        return samples(name, {**labels[job], **own}, counted)

    yield from counter(NEW, "http_requests_total", {"code": "200"}, _PER_SECOND)
    yield from counter(OLD, "http_requests_total", {"code": "200"}, 0.0)
    for code in ("1xx", "2xx", "3xx", "4xx", "5xx", "other"):
        own = {"proxy": "portal", "code": code}
        per_second = _PER_SECOND if code == "2xx" else 0.0
        yield from counter(BALANCER, "haproxy_frontend_http_responses_total", own, per_second)
    for bound, over in USUAL.items():
        own = {**labels[NEW], "le": bound}
        slow_over, slow_until = (slower or {}).get(bound, over), max(start_s, ends_s[NEW] - _SPARED_S)
        slow_ones = round(_PER_SECOND * (slow_until - start_s))
        within = []
        for at in at_times[NEW]:
            n = round(_PER_SECOND * (at - start_s))
            slow = min(n, slow_ones)
            within.append((at, _within(slow, slow_over) + _within(n - slow, over)))
        yield from samples("http_request_duration_seconds_bucket", own, within)
    yield from samples(
        "portal_orders_per_minute", labels[NEW], [(at, orders_per_minute(at)) for at in at_times[NEW]]
    )


def _within(requests: int, over: int) -> int:
    """Return how many of the first requests were at or below a bound that `over` of 1,000 exceed.

    The slow ones are spread, and one that is over a bound is over every lower one: what a histogram counts between two
    scrapes must be a histogram, too.
    """
    whole, more = divmod(requests, 1000)
    return requests - whole * over - _slow_of_first(over)[more]


@cache
def _slow_of_first(over: int) -> list[int]:
    return [0, *itertools.accumulate(int(n * 387 % 1000 < over) for n in range(1000))]


def times(start_s: float, end_s: float) -> Iterator[float]:
    """Yield times from a start until exactly one interval before the end, those of the last minutes at that interval."""
    recent = int(min(_RECENT_S, end_s - start_s) / monitoring.EVERY_S)
    at, recent_s = start_s, end_s - recent * monitoring.EVERY_S
    while at < recent_s - 0.5:
        yield at
        at += 60.0
    for before in range(recent, 0, -1):
        yield end_s - before * monitoring.EVERY_S


def record(lab: Lab) -> None:
    """Write the record of the run before: the response times of the night as they are now."""
    from pytest_deploygate.checks.load.probe import server_histogram  # noqa: PLC0415 (needs pycurl)

    prometheus = Prometheus(url=f"http://{HOST}:{lab.ports[monitoring.PROMETHEUS]}")
    found = server_histogram(Histogram(window=timedelta(hours=12), selector='job="portal"'), prometheus)
    write_whole(_record(lab), {"measurement": asdict(found)})


def _record(lab: Lab) -> Path:
    return lab.folder / "portal-record.json"


def disturb(lab: Lab, ago_s: float = 0.0) -> None:
    """Note since when what Prometheus sees is not as usual."""
    nodes.put(lab, where(lab) / _SINCE, json.dumps(time.time() - ago_s))


def as_before(lab: Lab, slower: Mapping[str, int] | None = None) -> None:
    """Let visitors come, start everything anew, and replace in Prometheus what was there since `disturb`."""
    for name in (NOBODY_VISITS, OLD_ADDRESS):
        (where(lab) / name).unlink(missing_ok=True)
    since = where(lab) / _SINCE
    if not since.exists():
        return
    for name in (BALANCER, NEW):
        client.stop(lab, name, SIGTERM)
    for name in (NEW, BALANCER):
        client.start(lab, name)
    _fill(lab, float(json.loads(since.read_text())), slower)
    if slower is None:
        since.unlink()


def rewrite_orders(lab: Lab, start_s: float, lasted_s: float, value: float | None) -> None:
    """Replace the orders of a part of the night by a value, or by nothing."""
    nodes.put(lab, where(lab) / _REWRITTEN, json.dumps([start_s, start_s + lasted_s]))
    _orders(lab, start_s, start_s + lasted_s, lambda _at: value)


def restore_orders(lab: Lab) -> None:
    """Put back the orders that `rewrite_orders` replaced."""
    if (where(lab) / _REWRITTEN).exists():
        start_s, end_s = json.loads((where(lab) / _REWRITTEN).read_text())
        _orders(lab, start_s, end_s, orders_per_minute)
        (where(lab) / _REWRITTEN).unlink()


def _orders(lab: Lab, start_s: float, end_s: float, value: Callable[[float], float | None]) -> None:
    labels = {"job": NEW, "instance": _addresses(lab)[NEW]}
    times = [start_s + 60 * n for n in range(int((end_s - start_s) // 60))]
    found = [(at, made) for at in times if (made := value(at)) is not None]
    lines = samples("portal_orders_per_minute", labels, found)
    monitoring.rewrite(lab, ['portal_orders_per_minute{job="portal"}'], (start_s, end_s), lines)


def nobody_visits(lab: Lab) -> None:
    """Send the visitors away."""
    nodes.put(lab, where(lab) / NOBODY_VISITS, "")


def some_keep_the_old_address(lab: Lab) -> None:
    """Let as many visitors come to the old portal, until `as_before`."""
    nodes.put(lab, where(lab) / OLD_ADDRESS, "")


def send(lab: Lab, port: str, path: str, number: int, *, at_once: int = 20) -> None:
    """Send requests for real, over a few connections. Raises LabError."""

    def some(_worker: int) -> None:
        there = http.client.HTTPConnection(HOST, lab.ports[port], timeout=10)
        for _ in range(number // at_once):
            there.request("GET", path)
            there.getresponse().read()
        there.close()

    try:
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            list(pool.map(some, range(at_once)))
    except OSError as error:
        raise LabError(f"{port} did not answer: {error}") from None


def await_value(lab: Lab, query: str, least: float) -> None:
    """Wait until Prometheus has seen at least so much. Raises LabError."""

    def seen() -> bool:
        found: list[Any] = [each["value"] for each in monitoring.query(lab, query)]
        return sum(float(value) for _, value in found) >= least

    sql.wait_until(f"{query} >= {least:g} in Prometheus", seen, 15.0)


def _addresses(lab: Lab) -> dict[str, str]:
    return {
        NEW: f"{HOST}:{lab.ports[NEW]}",
        OLD: f"{HOST}:{lab.ports[OLD]}",
        BALANCER: f"{HOST}:{lab.ports[_STATS]}",
    }


_UP = 'up{job=~"portal|portal-old|portal-balancer"}'
#: The time of a sample is only known of a plain selector: `timestamp(up == 1)` is the time of the query.
_SCRAPED = f"min by (job) (timestamp({_UP}) and {_UP} == 1)"


def _await_scrape(lab: Lab, since_s: float) -> dict[str, float]:
    """Wait until all three were scraped after a time, and return when, by job. Raises LabError."""
    at: dict[str, float] = {}

    def scraped() -> bool:
        found: list[Any] = monitoring.query(lab, f"{_SCRAPED} > {since_s}")
        at.update({each["metric"]["job"]: float(each["value"][1]) for each in found})
        return len(found) == 3

    try:
        sql.wait_until("scrapes of the portal", scraped, 20.0)
    except LabError as error:
        raise LabError(f"{error}: {nodes.log_end(lab, NEW)}; {nodes.log_end(lab, BALANCER)}") from None
    return at


def values(lab: Lab) -> dict[str, str]:
    """Return what inventories can refer to beside the ports."""
    return {"portal.record": str(_record(lab))}


SERVICE = Service(
    name="portal",
    servers={NEW: "a portal with its visitors, and the old one", BALANCER: "HAProxy in front of it"},
    programs=("haproxy",),
    missing="traffic, error rates and response times of the portal are not covered; apt install haproxy",
    start=start,
    where=where,
    values=values,
    once_up=record,
    more_ports=(OLD, _STATS),
    after=(monitoring.PROMETHEUS,),
    late=True,
    profiles=(monitoring.PROFILE,),
    modules=("pytest_deploygate.lab.portal",),
)
