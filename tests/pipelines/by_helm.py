"""Lint and render a chart with Helm's library: `by_helm.py CHART VALUES`, values as JSON. Prints JSON. No tests here."""

from __future__ import annotations

import json
import sys

import helm_python  # type: ignore[import-not-found]


def main() -> None:
    place, values = sys.argv[1], json.loads(sys.argv[2])
    with helm_python.Chart.load(place) as chart:
        try:
            rendered = chart.render(values, name="deploygate", namespace="gates", revision=7)
            told = {"lint": helm_python.lint(place), "rendered": rendered}
        except helm_python.HelmError as error:
            told = {"refused": str(error)}
    sys.stdout.write(json.dumps(told))


main()
