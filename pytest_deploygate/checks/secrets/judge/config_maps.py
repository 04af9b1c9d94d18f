"""Judge the ConfigMaps of a Kubernetes cluster: everybody who may read the namespace reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_deploygate.checks.secrets.facts import ConfigMaps
from pytest_deploygate.checks.secrets.judge.hosts import judge_found
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading

if TYPE_CHECKING:
    from pytest_deploygate.checks.secrets.section import Secrets


def judge_config_maps(measurement: ConfigMaps, criterion: Secrets) -> Judgement:
    """Pass if no ConfigMap holds a secret; without any ConfigMap nothing was measured."""
    found = Collector(most=6, confirmed=True)
    wrong = judge_found("", measurement.found, criterion, found)
    if measurement.number is None:
        found.unknown(f"ConfigMaps could not be read: {measurement.problem}")
    elif not measurement.number:
        found.unknown(
            "there are no ConfigMaps: correct `context` or `namespaces`, or the rights of kubectl's user"
        )
    else:
        found.read(
            Reading("secrets in ConfigMaps", wrong, limit="0", ok=not wrong),
            Reading("ConfigMaps looked into", measurement.number),
        )
    return found.judgement(lambda: f"no secret stands in {measurement.number} ConfigMaps")
