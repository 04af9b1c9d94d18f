"""Prometheus with many targets and rules: how long it takes to read and judge them, and how much memory.

    python benchmarks/monitoring.py                              # 5,000 targets, 1,000 rules
    python benchmarks/monitoring.py --targets 20000 --rules 5000

The answers have the documented form and come from another process, so that its time and memory are not counted. `infra`
are the targets, rules and what 100 required alerts watch; `fresh` are the newest samples. Prints wall and processor
time, the most memory of this process, and the load of the machine.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "checks"))

from prometheus_answers import Answers, answering

from pytest_deploygate.checks.monitoring import judge, probe
from pytest_deploygate.checks.monitoring.section import Expected
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.model import Judgement, Verdict

REQUIRED, JOBS = 100, 20


def places(number: int) -> list[tuple[str, str]]:
    """Jobs and instances."""
    return [(f"job{n % JOBS}", f"host{n}.example.com:9100") for n in range(number)]


def answers(targets: int, rules: int) -> Answers:
    """What a Prometheus with so many targets and rules answers."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%S.123456789Z", time.gmtime())
    active = [
        {
            "discoveredLabels": {
                "__address__": instance,
                "__metrics_path__": "/metrics",
                "__scheme__": "http",
                "__scrape_interval__": "15s",
                "__scrape_timeout__": "10s",
                "__meta_kubernetes_pod_name": f"pod-{instance}",
                "job": job,
            },
            "labels": {"instance": instance, "job": job, "zone": "a"},
            "scrapePool": job,
            "scrapeUrl": f"http://{instance}/metrics",
            "globalUrl": f"http://{instance}/metrics",
            "lastError": "",
            "lastScrape": moment,
            "lastScrapeDuration": 0.01,
            "health": "up",
            "scrapeInterval": "15s",
            "scrapeTimeout": "10s",
        }
        for job, instance in places(targets)
    ]
    groups = [
        {
            "name": f"group{n}",
            "file": f"rules/{n}.yml",
            "interval": 3600,
            "evaluationTime": 0.02,
            "lastEvaluation": moment,
            "rules": [
                {
                    "name": f"Alert{number}",
                    "query": f'sum by (job) (rate(metric{number}{{job="job1",code=~"5.."}}[5m])) / '
                    f"sum by (job) (rate(metric{number}[5m])) > 0.05",
                    "duration": 300,
                    "labels": {"severity": "critical"},
                    "annotations": {"summary": "errors of the job"},
                    "alerts": [],
                    "health": "ok",
                    "type": "alerting",
                    "state": "inactive",
                    "evaluationTime": 0.001,
                    "lastEvaluation": moment,
                }
                for number in range(n * 20, n * 20 + 20)
            ],
        }
        for n in range(rules // 20)
    ]
    said = (200, {"Content-Type": "text/plain"}, "Prometheus Server is Ready.\n")
    told = Answers(
        {
            "/-/ready": said,
            "/api/v1/targets": {"activeTargets": active, "droppedTargets": []},
            "/api/v1/rules": {"groups": groups},
            "/api/v1/label/__name__/values": [f"metric{n}" for n in range(rules * 5)],
            "/api/v1/status/tsdb": {"headStats": {"numSeries": 1_900_000}, "seriesCountByMetricName": []},
            "/api/v1/status/runtimeinfo": {
                "startTime": "2026-01-01T00:00:00Z",
                "reloadConfigSuccess": True,
                "lastConfigTime": "2026-01-01T00:00:00Z",
                "storageRetention": "30d",
            },
        }
    )
    usual = told.query

    def query(asked: dict[str, str]) -> object:
        text = asked["query"]
        if text == "time()":
            return usual(asked)
        now = time.time()
        if numbers := re.findall(r'"deploygate", "(\d+)"', text):
            if "timestamp" not in text:
                return vector([({"deploygate": number}, 3.0) for number in numbers], now)
            job = re.search(r'job="(job\d+)"', text)
            those = [place for place in places(targets) if job and place[0] == job[1]]
            return vector([({"job": j, "instance": i, "deploygate": "0"}, now - 5) for j, i in those], now)
        if "by (__name__)" in text:
            return vector([({"__name__": f"metric{n}"}, float(targets // JOBS)) for n in range(300)], now)
        value = now - 5 if text.startswith("timestamp") else 500.0 if text.startswith("scrape") else 1.0
        return vector([({"job": j, "instance": i}, value) for j, i in places(targets)], now)

    told.paths["/api/v1/query"] = query
    return told


def vector(values: list[tuple[dict[str, str], float]], now: float) -> object:
    """The data of an instant query."""
    return {"resultType": "vector", "result": [{"metric": m, "value": [now, str(v)]} for m, v in values]}


def serve(targets: int, rules: int, url: multiprocessing.Queue[str]) -> None:
    """Answer until this process is ended."""
    with answering(answers(targets, rules)) as there:
        url.put(there.url)
        time.sleep(3600)


def timed(name: str, measure: Callable[[], Judgement]) -> None:
    """Run once, and print what it took."""
    began, used = time.perf_counter(), time.process_time()
    said = measure()
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - used
    most_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert said.verdict is Verdict.PASS, said.reason
    print(
        f"{name:6} {wall_s:6.2f} s, {cpu_s:5.2f} s of a processor, {most_mb:4.0f} MB at most: {said.reason}"
    )


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--targets", type=int, default=5000)
    parser.add_argument("--rules", type=int, default=1000)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    urls: multiprocessing.Queue[str] = context.Queue()
    server = context.Process(target=serve, args=(options.targets, options.rules, urls), daemon=True)
    server.start()
    asked = Prometheus.model_validate({"url": urls.get(timeout=60)})
    known = places(options.targets)
    expected = Expected.model_validate(
        {
            "targets": [{"job": job, "instances": [i for j, i in known if j == job]} for job in dict(known)],
            "alerts": [{"name": f"Alert{n}"} for n in range(min(REQUIRED, options.rules))],
        }
    )
    timed("infra", lambda: judge.judge_server(probe.server(asked, expected), expected))
    timed("fresh", lambda: judge.judge_freshness(probe.freshness(asked, expected), expected))
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")
    server.terminate()


if __name__ == "__main__":
    main()
