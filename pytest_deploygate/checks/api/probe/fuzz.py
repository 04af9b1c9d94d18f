"""Generated requests of safe operations: schemathesis makes valid ones, and we send them as we send the examples.

Its own engine would also send what nobody asked for: other methods, invalid values. Sent by us, each request is within the
budget, unsafe methods are refused, and its answer is compared with the document in the same way.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from pytest_deploygate.checks.api.facts import Call, Purpose
from pytest_deploygate.checks.api.probe.made import Made
from pytest_deploygate.checks.api.probe.talk import Session, doubtful
from pytest_deploygate.clients.openapi import Operation
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

_PAUSE_S = 0.5


@dataclass(frozen=True)
class Generated:
    """How many requests were sent, those whose answer was not as documented, and what is unknown."""

    requests: int
    calls: tuple[Call, ...]
    unknown: tuple[str, ...]


def asked(session: Session, safe: list[Operation], examples: int) -> Generated:
    """Generate requests for each safe operation that may be asked, the same ones each time, and send them."""
    try:
        import schemathesis  # noqa: PLC0415 (heavy, and an extra)
    except ImportError:
        said = "requests are generated with schemathesis, which is not installed here: pip install 'pytest-deploygate[fuzz]'"
        return Generated(0, (), (said,))
    # It looks at servers only to send, which it does not do here.
    schema = schemathesis.openapi.from_dict(_plain(session.document.raw))
    requests, calls, unknown = 0, list[Call](), list[str]()
    for operation in safe:
        values = session.values(operation)
        if values and values.skip:
            continue
        try:
            login = session.login(values.login if values else None)
            made = _made(schema, operation, examples)
        except CannotTell as error:
            unknown.append(str(error))
            continue
        for request in made:
            requests += 1
            attempt = session.ask(operation, request, login)[0]
            if doubtful(attempt):
                time.sleep(_PAUSE_S)
                again = session.ask(operation, request, login, afresh=True)[0]
                requests += 1
                statuses = tuple(operation.responses)
                calls.append(Call(operation.name, Purpose.GENERATED, (attempt, again), statuses))
    return Generated(requests, tuple(calls), tuple(dict.fromkeys(unknown)))


def _made(schema: Any, operation: Operation, examples: int) -> list[Made]:
    import hypothesis  # noqa: PLC0415 (schemathesis brings it)
    from schemathesis import GenerationMode  # noqa: PLC0415 (as above)

    found: dict[str, Made] = {}
    try:
        strategy = schema[operation.path][operation.method].as_strategy(
            generation_mode=GenerationMode.POSITIVE
        )

        @hypothesis.settings(
            max_examples=examples,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=strategy)
        def keep(case: Any) -> None:
            parts = case.as_transport_kwargs(base_url="http://generated")
            wanted = {p.name.lower() for p in operation.parameters if p.where == "header"}
            headers = {name: text for name, text in parts["headers"].items() if name.lower() in wanted}
            made = Made(parts["url"].removeprefix("http://generated"), parts.get("params") or {}, headers)
            found.setdefault(repr(made), made)

        keep()
    except Exception as error:  # noqa: BLE001 (whatever it cannot read is not tried, and said so)
        said = " ".join(str(error).split())[:120]
        raise CannotTell(
            f"no request could be generated for {operation.name} ({type(error).__name__}: {said}): leave out `fuzz`, or correct "
            "its schema"
        ) from None
    return list(found.values())


def _plain(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {**raw, "servers": [{"url": "/"}]}
