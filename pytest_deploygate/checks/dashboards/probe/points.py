"""The points of an answer with data, in each form."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from pytest_deploygate.checks.dashboards.facts import Answer
from pytest_deploygate.checks.dashboards.section import DataRequest, Form

#: Time in seconds since 1970, and the value: None where there is none.
Point = tuple[float, float | None]


def read(request: DataRequest, url: str, status: int, body: bytes) -> Answer:
    """Return what an answer has, without the values themselves."""
    if not 200 <= status < 300:
        return Answer(url, status)
    try:
        points = list(_FORMS[request.form](json.loads(body), request))
    except (ValueError, KeyError, IndexError, TypeError) as error:
        return Answer(
            url, status, problem=f"is not of the form declared ({type(error).__name__}: {error})"[:200]
        )
    valued = [at for at, value in points if value is not None and math.isfinite(value)]
    return Answer(url, status, len(valued), len(points) - len(valued), max(valued, default=None))


def _plain(document: Any, request: DataRequest) -> Iterator[Point]:
    for point in _at(document, request.points):
        value = _part(point, request.value)
        yield _seconds(_part(point, request.time), request.unit), None if value is None else float(value)


def _grafana(document: Any, _request: DataRequest) -> Iterator[Point]:
    """Yield the points of frames: columns side by side, of which the schema says the types (Grafana's HTTP API, data frames)."""
    for result in document["results"].values():
        if result.get("error"):
            raise ValueError(str(result["error"])[:120])
        for frame in result.get("frames") or ():
            kinds = [field["type"] for field in frame["schema"]["fields"]]
            columns = frame["data"]["values"]
            times = next(
                (column for kind, column in zip(kinds, columns, strict=True) if kind == "time"), None
            )
            if times is None:
                continue
            for kind, column in zip(kinds, columns, strict=True):
                if kind == "number":
                    for at, value in zip(times, column, strict=True):
                        yield at / 1000, None if value is None else float(value)


def _prometheus(document: Any, _request: DataRequest) -> Iterator[Point]:
    for series in document["data"]["result"]:
        for at, value in series["values"]:
            yield float(at), float(value)


def _at(document: Any, path: str) -> Any:
    for key in filter(None, path.split(".")):
        document = document[key]
    if not isinstance(document, list):
        raise TypeError("the points are no list")
    return document


def _part(point: Any, key: str) -> Any:
    return point[int(key)] if isinstance(point, list) else point[key]


def _seconds(at: Any, unit: str) -> float:
    if unit != "iso":
        return float(at) / (1000 if unit == "ms" else 1)
    found = datetime.fromisoformat(at)
    if found.tzinfo is None:
        raise ValueError(f"the time {at} has no zone")
    return found.timestamp()


_FORMS: Mapping[Form, Callable[[Any, DataRequest], Iterator[Point]]] = {
    "points": _plain,
    "grafana": _grafana,
    "prometheus": _prometheus,
}
