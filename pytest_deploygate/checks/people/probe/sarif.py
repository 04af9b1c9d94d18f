"""Reads a findings file in SARIF 2.1.0: how many results are open at each level, and whether the scan finished.

Section numbers in comments refer to the OASIS standard.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_deploygate.checks.people.facts import OpenResult, SarifSeen
from pytest_deploygate.files import bounded
from pytest_deploygate.redaction import shortened

_MOST_BYTES = 100 * 1024**2
_MOST_EXAMPLES = 5
_LEVELS = ("none", "note", "warning", "error")
_KINDS = ("pass", "open", "informational", "notApplicable", "review", "fail")
#: Kinds (3.27.9) that are not a problem, and those that a person still has to review.
_HARMLESS = ("pass", "informational", "notApplicable")
_UNDECIDED = ("open", "review")


class _NotSarifError(Exception):
    """The file is not SARIF 2.1.0, or states that its scan did not finish."""


def measure(path: Path, shown: str = "") -> SarifSeen:
    """Read a SARIF file. Never raises: what is wrong with it is in `problem`."""
    name = shown or str(path)
    try:
        raw = bounded.read(path, bounded.MADE)
    except OSError as error:
        return SarifSeen(name, problem=f"cannot be read: {error.strerror}")
    return read(raw, name)


def read(raw: bytes, name: str) -> SarifSeen:
    """Read SARIF from bytes, as `measure` does from a file."""
    try:
        return _log(bounded.from_json(raw), name)
    except ValueError:
        return SarifSeen(name, problem="is not JSON in UTF-8")
    except _NotSarifError as error:
        return SarifSeen(name, problem=str(error))
    except (TypeError, KeyError):  # a list where an object belongs, deep inside
        return SarifSeen(name, problem="does not have the structure of SARIF 2.1.0")


def _log(log: Any, name: str) -> SarifSeen:
    if not isinstance(log, dict) or log.get("version") != "2.1.0":
        raise _NotSarifError('is not SARIF 2.1.0 (no `"version": "2.1.0"` at its top)')
    runs = log.get("runs")
    if not isinstance(runs, list) or not runs:
        raise _NotSarifError("contains no run, so nothing was scanned")
    found = [one for run in runs for one in _run(_object(run, "a run"))]
    worst_first = sorted(
        (result for state, result in found if state == "open"), key=lambda r: -_LEVELS.index(r.level)
    )
    states = Counter(state for state, _ in found)
    return SarifSeen(
        file=name,
        tools=tuple(dict.fromkeys(_tool(run) for run in runs)),
        open=dict(Counter(result.level for result in worst_first)),
        suppressed=states["suppressed"],
        undecided=states["undecided"],
        examples=tuple(worst_first[:_MOST_EXAMPLES]),
        ended=max(
            (str(i.get("endTimeUtc", "")) for run in runs for i in _objects(run, "invocations")), default=""
        ),
    )


def _run(run: dict[str, Any]) -> Iterator[tuple[str, OpenResult]]:
    """Yield every result of a run with its state: open, suppressed, undecided, harmless."""
    tool = _tool(run)
    if any(i.get("executionSuccessful") is not True for i in _objects(run, "invocations")):
        raise _NotSarifError(f"states that {tool} did not finish (executionSuccessful is not true)")
    references = run.get("externalPropertyFileReferences")
    if isinstance(references, dict) and references.get("results"):
        raise _NotSarifError(f"keeps the results of {tool} in other files; write them into one")
    if not isinstance(run.get("results"), list):  # 3.14.23: absent or null means that there was no scan
        raise _NotSarifError(f"has no list of results for {tool}: it did not scan")
    rules = _Rules(run)
    for result in run["results"]:
        yield _result(_object(result, "a result"), rules)


def _result(result: dict[str, Any], rules: _Rules) -> tuple[str, OpenResult]:
    kind = result.get("kind", "fail")
    if kind not in _KINDS:
        raise _NotSarifError(f"has a result of the unknown kind {kind!r}")
    level = result.get("level") or ("none" if kind != "fail" else rules.level(result))
    if level not in _LEVELS:
        raise _NotSarifError(f"has a result of the unknown level {level!r}")
    one = OpenResult(rules.name(result), level, _text(result), _place(result))
    if kind in _HARMLESS or result.get("baselineState") == "absent":
        return "harmless", one
    if _suppressed(result):
        return "suppressed", one
    return ("undecided" if kind in _UNDECIDED else "open"), one


def _suppressed(result: dict[str, Any]) -> bool:
    """3.27.23: there is a suppression, and none of them is under review or rejected."""
    statuses = [s.get("status", "accepted") for s in _objects(result, "suppressions")]
    return bool(statuses) and all(status == "accepted" for status in statuses)


class _Rules:
    """The rules of a run, from which a result without a level takes its level (3.27.10)."""

    def __init__(self, run: dict[str, Any]) -> None:
        tool = run["tool"]
        self._components = [_objects(tool["driver"], "rules")]
        self._components += [_objects(extension, "rules") for extension in _objects(tool, "extensions")]
        self._overrides = {
            override["descriptor"].get("id"): override["configuration"].get("level")
            for invocation in _objects(run, "invocations")
            for override in _objects(invocation, "ruleConfigurationOverrides")
            if isinstance(override.get("descriptor"), dict)
            and isinstance(override.get("configuration"), dict)
        }

    def name(self, result: dict[str, Any]) -> str:
        rule = result.get("rule")
        own = rule.get("id") if isinstance(rule, dict) else None
        return str(result.get("ruleId") or own or self._rule(result).get("id") or "no rule")

    def level(self, result: dict[str, Any]) -> str:
        override = self._overrides.get(self.name(result))
        default = self._rule(result).get("defaultConfiguration")
        own = default.get("level") if isinstance(default, dict) else None
        return str(override or own or "warning")

    def _rule(self, result: dict[str, Any]) -> dict[str, Any]:
        reference = result.get("rule")
        reference = reference if isinstance(reference, dict) else {}
        component = reference.get("toolComponent")
        place = component.get("index", -1) + 1 if isinstance(component, dict) else 0
        rules = self._components[place] if 0 <= place < len(self._components) else []
        index = result.get("ruleIndex", reference.get("index", -1))
        if isinstance(index, int) and 0 <= index < len(rules):
            return rules[index]
        wanted = result.get("ruleId", reference.get("id"))
        # A hierarchical id such as CA1000/1 belongs to the rule CA1000 (3.27.5).
        ids = (wanted, wanted.rpartition("/")[0]) if isinstance(wanted, str) else ()
        return next((rule for rule in rules if rule.get("id") and rule["id"] in ids), {})


def _tool(run: dict[str, Any]) -> str:
    tool = run.get("tool")
    driver = tool.get("driver") if isinstance(tool, dict) else None
    if not isinstance(driver, dict) or not isinstance(driver.get("name"), str):
        raise _NotSarifError("has a run without the name of its tool")
    version = driver.get("semanticVersion") or driver.get("version") or ""
    return f"{driver['name']} {version}".strip()


def _text(result: dict[str, Any]) -> str:
    message = result.get("message")
    text = message.get("text") or message.get("id") if isinstance(message, dict) else ""
    return shortened(" ".join(str(text or "").split()), 200)


def _place(result: dict[str, Any]) -> str:
    for location in _objects(result, "locations")[:1]:
        physical = location.get("physicalLocation")
        artifact = physical.get("artifactLocation") if isinstance(physical, dict) else None
        region = physical.get("region") if isinstance(physical, dict) else None
        uri = str(artifact.get("uri", "")) if isinstance(artifact, dict) else ""
        line = region.get("startLine") if isinstance(region, dict) else None
        return f"{uri}:{line}" if uri and line else uri
    return ""


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _NotSarifError(f"has {what} that is not an object")
    return value


def _objects(holder: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = holder.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise _NotSarifError(f"has {key} that is not a list")
    return [_object(entry, f"an entry of {key}") for entry in value]
