"""Whether the readings of a judgement agree with its verdict: a reader sees both beside each other.

`watch_judges` makes every judge assert it for the tests that call it, so each test of a judge is one of this too.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

from pytest_deploygate import checks
from pytest_deploygate.model import Judgement, Reading, Verdict


def disagreements(verdict: Verdict, readings: Iterable[Reading]) -> list[str]:
    """Return what contradicts the verdict, or cannot be compared with its limit."""
    rows = list(readings)
    found = []
    if verdict is Verdict.FAIL and not any(row.ok is False for row in rows):
        found.append("fail, but no reading is not ok")
    if verdict in (Verdict.PASS, Verdict.ATTESTED):
        found += [f"{verdict.value}, but {row.name} is not ok" for row in rows if row.ok is False]
    for row in rows:
        if row.ok is not None and not row.limit:
            found.append(f"{row.name} is judged, but has no limit")
        # In a failure another reading may be unknown, but a number beside its limit is compared with it.
        known = verdict is Verdict.PASS or (verdict is Verdict.FAIL and isinstance(row.value, int | float))
        if known and row.limit and row.ok is None and row.value is not None:
            found.append(f"{row.name} has the limit {row.limit!r}, but is not judged")
        if row.unit in ("s", "ms", "bytes", "%") and re.search(r"\d\s*$", row.limit):
            found.append(f"{row.name} is in {row.unit}, its limit {row.limit!r} has no unit")
    return found


def disagreements_of(item: Mapping[str, Any]) -> list[str]:
    """Return the same for an item of `verdicts.json`, target by target."""
    return [
        f"{item['id']} [{target['target']}]: {said} ({target['reason']})"
        for target in item["targets"]
        for said in disagreements(
            Verdict(target["verdict"]), [Reading(**measured) for measured in target["measurements"]]
        )
    ]


def watch_judges() -> None:
    """Wrap every judge: called from outside the package, its judgement must agree with its readings."""
    watched: dict[Any, Any] = {}
    for module in list(_judges()):
        for name, function in list(vars(module).items()):
            if _is_judge(function):
                watched.setdefault(function, _watched(function))
                setattr(module, name, watched[function])


def _judges() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(checks.__path__, f"{checks.__name__}."):
        if ".judge" in found.name:
            yield importlib.import_module(found.name)


def _is_judge(function: object) -> bool:
    return (
        inspect.isfunction(function)
        and not function.__name__.startswith("_")
        and ".judge" in function.__module__
        and function.__annotations__.get("return") == "Judgement"
    )


def _watched(judge: Callable[..., Judgement]) -> Callable[..., Judgement]:
    @functools.wraps(judge)
    def watched(*args: Any, **more: Any) -> Judgement:
        judged = judge(*args, **more)
        caller = sys._getframe(1).f_globals.get("__name__", "")
        # What a judge asks of another one is a part; the whole is looked at where it is returned.
        if judged.reason and not caller.startswith("pytest_deploygate."):
            wrong = disagreements(judged.verdict, judged.readings)
            assert not wrong, f"{judge.__module__}.{judge.__name__}: {'; '.join(wrong)} ({judged.reason})"
        return judged

    return watched
