"""What k6 measured, from its raw output: `k6 run --out json=FILE` writes a line for each sample.

Source: Grafana k6, "JSON output" and "Built-in metrics". `http_req_duration` leaves out the time until a request has a
connection, which is `http_req_blocked` (k6's tracer: from asking for one to having it, so connecting and TLS are within);
a user waits for both. A request began when its answer came, less that time.

k6 has executors that wait for answers. With them a stall hides the requests that it keeps from being sent. Whether requests
were begun by the clock is seen from when they began, against the plan.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict, deque
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pytest_deploygate.checks.load.facts import Client, LoadRun
from pytest_deploygate.checks.load.probe import arrivals
from pytest_deploygate.checks.load.section import Load
from pytest_deploygate.checks.load.tally import Tally
from pytest_deploygate.files import bounded
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell
from pytest_deploygate.problems import nearest

#: Raw output of ten million samples.
_MOST_BYTES = 4 << 30
#: A request that was begun later than this after it was due was not begun by the clock.
_LATE_S = 1.0
_DURATION, _FAILED, _DROPPED = "http_req_duration", "http_req_failed", "dropped_iterations"
_BLOCKED = "http_req_blocked"


@dataclass()
class _Request:
    """A request: when its answer came, how long it took in seconds, its status, and what k6 says was wrong with it."""

    at: float
    url: str
    label: str
    took_s: float
    status: str
    failure: str = ""

    def wrong(self, expected: Collection[int]) -> str:
        """Return what was wrong. A script can tell k6 to call every status a success, or to say nothing of it."""
        if self.failure or self.status in map(str, expected):
            return self.failure
        return f"status {self.status}" if self.status else "no status"


def k6(path: Path, load: Load) -> LoadRun:
    """Return the run that k6 recorded in a file, for the endpoints, limits and plan of the inventory's load.

    Raises CannotTell if the file is not k6's raw output, is cut off, or has requests to other endpoints.
    """
    requests, dropped = _read(path)
    if not requests:
        raise CannotTell(f"{path} has no request: k6 writes them with --out json={path.name}")
    labels = [endpoint.label for endpoint in load.endpoints]
    at = {f"{endpoint.method} {endpoint.path}": number for number, endpoint in enumerate(load.endpoints)}
    for request in requests:
        if request.label not in at:
            raise CannotTell(
                f"{path}: k6 requested {request.label}, which is no endpoint of the inventory's load"
                f"{nearest(request.label, list(at))}"
            )
        if load.target is not None and not load.target.is_at(request.url):
            raise CannotTell(f"{path}: k6 requested {request.url}, and `load.target` is {load.target.origin}")
    begun = sorted(((one.at - one.took_s, one) for one in requests), key=lambda pair: pair[0])
    first = begun[0][0]
    tally = Tally(labels, load.known_limits_s)
    for began, request in begun:
        number = at[request.label]
        wrong = request.wrong(load.endpoints[number].status)
        tally.add(number, began - first, request.took_s, wrong)
    whole, endpoints = tally.result()
    plan = arrivals.plan(load.stages, [endpoint.weight for endpoint in load.endpoints], load.max_requests)
    lasted = max(request.at for request in requests) - first
    return LoadRun(
        target=load.target.origin if load.target else "",
        started=datetime.fromtimestamp(first).astimezone().isoformat(timespec="seconds"),
        planned_s=plan.lasts_s,
        lasted_s=lasted,
        greatest_rate=load.greatest_rate,
        stopped="",
        cut=0,
        whole=whole,
        endpoints=endpoints,
        phases=(),
        client=_client([began - first for began, _ in begun], plan, dropped),
        connections=load.connections,
        http_version=load.target.http if load.target else "",
    )


def _client(begun_s: list[float], plan: arrivals.Plan, dropped: int) -> Client:
    """Compare when requests began with when they were due: the n-th with the n-th."""
    planned = len(plan.due_s)
    in_time = sum(began <= due + _LATE_S for began, due in zip(begun_s, plan.due_s, strict=False))
    lags = sorted(max(0.0, began - due) for began, due in zip(begun_s, plan.due_s, strict=False))
    span = max(begun_s[-1], plan.lasts_s, 1e-9)
    return Client(
        planned=planned,
        begun=len(begun_s),
        kept=in_time / planned if planned else 0.0,
        rate_planned=planned / plan.lasts_s if plan.lasts_s else 0.0,
        rate_achieved=len(begun_s) / span,
        lag_p50_s=lags[len(lags) // 2] if lags else math.inf,
        lag_p99_s=lags[int(len(lags) * 0.99)] if lags else math.inf,
        lag_max_s=lags[-1] if lags else math.inf,
        held=0,
        cpu_share=0.0,
        floor=None,
        problem=f"k6 dropped {dropped} iterations" if dropped else "",
        tool="k6",
    )


def _read(path: Path) -> tuple[list[_Request], int]:
    """Return all requests, and how many iterations k6 dropped because it had no user left for them."""
    requests: list[_Request] = []
    open_: defaultdict[tuple[str, ...], dict[str, deque[_Request]]] = defaultdict(lambda: defaultdict(deque))
    dropped = 0
    for number, metric, data in _points(path):
        try:
            value = float(data["value"])
            if metric == _DROPPED:
                dropped += int(value)
                continue
            tags = data["tags"]
            same = (str(data["time"]), str(tags.get("method")), str(tags.get("url")), str(tags.get("name")))
            if metric == _DURATION:
                request = _request(data, tags, value)
                requests.append(request)
                for one in (_BLOCKED, _FAILED):
                    open_[same][one].append(request)
            elif waiting := open_[same][metric]:
                _more(waiting.popleft(), metric, value)
                if not any(open_[same].values()):
                    del open_[same]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CannotTell(f"{path}:{number}: this is no sample of k6: {error!r}") from None
    return requests, dropped


def _points(path: Path) -> Iterator[tuple[int, str, Mapping[str, Any]]]:
    """Yield the number, the metric and the data of each line with a sample that matters."""
    wanted = {_DURATION, _FAILED, _DROPPED, _BLOCKED}
    try:
        with bounded.opened(path) as file:
            if path.stat().st_size > _MOST_BYTES:
                raise CannotTell(f"{path} is larger than {_MOST_BYTES >> 30} GB")
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    raise CannotTell(
                        f"{path}:{number}: the last line is cut off: k6 was killed, or still runs"
                    )
                plain = json.loads(line)
                if plain["type"] == "Point" and plain["metric"] in wanted:
                    yield number, plain["metric"], plain["data"]
    except OSError as error:
        raise CannotTell(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CannotTell(f"{path} is not what k6 writes with --out json: {error!r}") from None


def _request(data: Mapping[str, Any], tags: Mapping[str, Any], value: float) -> _Request:
    at = datetime.fromisoformat(_six_digits(str(data["time"]))).timestamp()
    parts = urlsplit(str(tags["url"]))
    label = f"{tags['method']} {parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    return _Request(at, str(tags["url"]), label, value / 1000, str(tags.get("status") or ""), _failure(tags))


def _failure(tags: Mapping[str, Any]) -> str:
    """Return what was wrong with a request; k6's `expected_response` says whether the status was expected."""
    if str(tags.get("expected_response", "true")) == "true":
        return ""
    code, status = tags.get("error_code"), tags.get("status")
    return f"k6's error {code}" if str(status) in ("0", "None") else f"status {status}"


def _more(request: _Request, metric: str, value: float) -> None:
    if metric == _FAILED:
        request.failure = request.failure or ("k6 counts it as failed" if value else "")
    else:
        request.took_s += value / 1000


def _six_digits(text: str) -> str:
    """Return a time with at most six digits of a second: Go writes nine, and Python 3.11 reads six."""
    head, point, rest = text.partition(".")
    if not point:
        return text
    digits = len(rest) - len(rest.lstrip("0123456789"))
    return f"{head}.{rest[: min(digits, 6)]:0<6}{rest[digits:]}"
