"""Two nodes of Alertmanager in a cluster, and the receivers of their alerts: webhooks and mails that are caught.

What a fault sets wrong is in `Switches`.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any

from pytest_deploygate.lab import alert_catcher, client, nodes, processes, sql
from pytest_deploygate.lab.alert_catcher import CATCHER, SMTP
from pytest_deploygate.lab.programs import tool
from pytest_deploygate.lab.services import Service, monitoring, monitoring_history
from pytest_deploygate.lab.state import HOST, Lab, LabError
from pytest_deploygate.lab.supervisor import Program
from pytest_deploygate.lazy import dataclass

NODES = ("alertmanager1", "alertmanager2")
_PROGRAM = "prometheus-alertmanager"
#: Alerts about the plant, whose values the catcher shows; one that always fires shows the way from Prometheus.
PRESSURE, COOLANT, ALWAYS = "PlantPressureHigh", "PlantCoolantHot", "Watchdog"
_RULES = [
    {"alert": ALWAYS, "expr": "vector(1)", "labels": {"severity": "none"}},
    {"alert": PRESSURE, "expr": "plant_pressure_bar > 5", "labels": {"severity": "critical"}},
    {
        "alert": COOLANT,
        "expr": "plant_coolant_celsius > 80",
        "labels": {"severity": "critical", "team": "plant"},
    },
]


@dataclass(frozen=True)
class Switches:
    """What is configured. The defaults are as they should be."""

    critical: str = "pager"
    warning: str = "team-mail"
    empty: bool = False
    resolved: bool = True
    shared: bool = True


def history(lab: Lab) -> list[str]:
    """Return what Prometheus remembers of the plant: in the night its coolant was hot for twenty minutes, and pumps tripped."""
    target = {"job": "plant", "instance": f"{HOST}:{lab.ports[CATCHER]}"}
    now = time.time()
    times = [now - ago * 60 for ago in range(13 * 60, 0, -1)]
    hot = [at for at in times if 7 * 3600 < now - at < 7 * 3600 + 1200]
    tripped = [
        at for at in times if 4 * 3600 < now - at < 4 * 3600 + 300 or 3 * 3600 < now - at < 3 * 3600 + 600
    ]
    coolant = {"alertname": COOLANT, "severity": "critical", "team": "plant"}
    pump = {"alertname": "PlantPumpTripped", "severity": "warning"}
    lines = monitoring_history.samples("up", target, [(at, 1.0) for at in times])
    for name, value in alert_catcher.HEALTHY.items():
        lines += monitoring_history.samples(name, target, [(at, value) for at in times])
    for labels, when in ((coolant, hot), (pump, tripped)):
        fired = {**labels, "alertstate": "firing", **target}
        lines += monitoring_history.samples("ALERTS", fired, [(at, 1.0) for at in when])
    return lines


def where(lab: Lab) -> Path:
    """Return the folder of the configuration and the data of both nodes."""
    return lab.private / "alerting"


def configure(lab: Lab, now: Switches) -> None:
    """Write the configuration of both nodes."""
    catcher = f"http://{HOST}:{lab.ports[CATCHER]}/hook"

    def hook(name: str) -> dict[str, Any]:
        return {
            "name": name,
            "webhook_configs": [{"url": f"{catcher}/{name}", "send_resolved": now.resolved}],
        }

    mail = {
        "to": "team@example.com",
        "from": "alertmanager@example.com",
        "smarthost": f"{HOST}:{lab.ports[SMTP]}",
        "require_tls": False,
        "send_resolved": True,
    }
    configuration = {
        "route": {
            "receiver": "team-mail",
            "group_by": ["alertname"],
            "group_wait": "1s",
            "group_interval": "3s",
            "repeat_interval": "4h",
            "routes": [
                {"matchers": ['severity="none"'], "receiver": "nobody"},
                {
                    "matchers": ['severity="critical"', 'team="database"'],
                    "receiver": "database-pager",
                    "continue": True,
                },
                {"matchers": ['severity="critical"'], "receiver": now.critical},
                {"matchers": ['severity="warning"'], "receiver": now.warning},
            ],
        },
        "receivers": [
            {"name": "nobody"},
            {"name": "pager"} if now.empty else hook("pager"),
            hook("database-pager"),
            {"name": "team-mail", "email_configs": [mail]},
        ],
    }
    nodes.put(lab, where(lab) / "alertmanager.json", json.dumps(configuration))


def program(lab: Lab, node: str, *, shared: bool = True) -> Program:
    """Return how a node is started: in a cluster with the other one, or by itself."""
    own, others = lab.ports[f"{node}-cluster"], [f"{name}-cluster" for name in NODES if name != node]
    cluster = [
        f"--cluster.listen-address={HOST}:{own}",
        f"--cluster.advertise-address={HOST}:{own}",
        *(f"--cluster.peer={HOST}:{lab.ports[name]}" for name in others),
        # A cluster settles within 10 gossip intervals, three times. The second node sends 2 s after the first if it knows of no
        # notification: sooner than `group_interval`, or it would send again what was resolved meanwhile.
        "--cluster.gossip-interval=50ms",
        "--cluster.peer-timeout=2s",
        "--cluster.reconnect-interval=500ms",
    ]
    arguments = [
        f"--config.file={where(lab)}/alertmanager.json",
        f"--storage.path={where(lab)}/{node}",
        f"--web.listen-address={HOST}:{lab.ports[node]}",
        *(cluster if shared else ["--cluster.listen-address="]),
    ]
    # At SIGTERM it first tells its peers that it leaves, and waits for them.
    return Program([lab.programs[_PROGRAM], *arguments], lab.user, death_signal=SIGKILL)


def start(lab: Lab) -> None:
    """Start the catcher and both nodes, and let Prometheus send them the alerts of its rules. Raises LabError."""
    processes.run(["/bin/mkdir", "-p", str(where(lab))], user=lab.user)
    show(lab, alert_catcher.HEALTHY)
    module = [sys.executable, "-m", "pytest_deploygate.lab.alert_catcher", str(lab.folder)]
    client.start(lab, CATCHER, Program(module, death_signal=SIGTERM))
    configure(lab, Switches())
    for node in NODES:
        client.start(lab, node, program(lab, node))
    monitoring.scrape(lab, "plant", [f"{HOST}:{lab.ports[CATCHER]}"])
    monitoring.alert_to(lab, [f"{HOST}:{lab.ports[node]}" for node in NODES])
    monitoring.rules(lab, "plant", [{"name": "plant", "rules": _RULES}])
    monitoring.reload(lab)
    _wait(lab, len(NODES))


def change(lab: Lab, now: Switches) -> None:
    """Configure both nodes; those that begin or end to share start anew."""
    configure(lab, now)
    sharing = _peers(lab, NODES[0]) == len(NODES)
    if sharing != now.shared:
        for node in NODES:
            client.stop(lab, node, SIGTERM)
        for node in NODES:
            client.start(lab, node, program(lab, node, shared=now.shared))
        _wait(lab, len(NODES) if now.shared else 0)
    else:
        for node in NODES:
            _post(lab, node, "/-/reload")


def rules(lab: Lab, *, broken: bool = False) -> None:
    """Write the plant's rules, one of them perhaps so that it cannot be evaluated, and wait until they were."""
    # Two series match each other on both sides: nothing says which belong together.
    worse = {"expr": f"{_RULES[1]['expr']} and on() (up * on() up)"} if broken else {}
    monitoring.rules(
        lab, "plant", [{"name": "plant", "rules": [_RULES[0], {**_RULES[1], **worse}, _RULES[2]]}]
    )
    monitoring.reload(lab)
    wanted = "err" if broken else "ok"
    sql.wait_until(f"rules that are {wanted}", lambda: monitoring.health(lab).get(PRESSURE) == wanted, 20.0)


def show(lab: Lab, shown: dict[str, float]) -> None:
    """Let the exporter show these values from its next scrape on."""
    file = alert_catcher.values(lab)
    aside = file.with_name(f"{file.name}.new")
    aside.write_text(json.dumps(shown))
    aside.replace(file)


def silence(lab: Lab, name: str, value: str, comment: str) -> str:
    """Silence the alerts whose label has a value, for an hour; return the silence's id."""
    now = datetime.now(UTC)
    document = {
        "matchers": [{"name": name, "value": value, "isRegex": False, "isEqual": True}],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=1)).isoformat(),
        "createdBy": "night-shift",
        "comment": comment,
    }
    answer = json.loads(_post(lab, NODES[0], "/api/v2/silences", document))
    return str(answer["silenceID"])


def end_silences(lab: Lab) -> None:
    """Expire all silences, and wait until both nodes know it."""
    for told in _get(lab, NODES[0], "/api/v2/silences") or []:
        if told["status"]["state"] != "expired":
            _request(lab, NODES[0], f"/api/v2/silence/{told['id']}", "DELETE")
    sql.wait_until("the end of all silences", lambda: not _silenced(lab), 10.0)


def silenced(lab: Lab) -> None:
    """Wait until both nodes know a silence."""
    sql.wait_until("the silence at both nodes", lambda: _silenced(lab) == len(NODES), 10.0)


def _silenced(lab: Lab) -> int:
    """Return how many nodes have a silence in force."""
    told = [_get(lab, node, "/api/v2/silences") or [] for node in NODES]
    return sum(any(each["status"]["state"] == "active" for each in silences) for silences in told)


def _wait(lab: Lab, peers: int) -> None:
    """Wait until both nodes are ready, know so many peers, and have the alert that always fires."""
    try:
        sql.wait_until(
            "both nodes of Alertmanager", lambda: all(_is(lab, node, peers) for node in NODES), 40.0
        )
    except LabError as error:
        logs = "; ".join(f"{name}: {nodes.log_end(lab, name)}" for name in (*NODES, CATCHER))
        raise LabError(f"{error}: {logs}") from None


def _is(lab: Lab, node: str, peers: int) -> bool:
    cluster = (_get(lab, node, "/api/v2/status") or {"cluster": {"status": ""}})["cluster"]
    settled = cluster["status"] == ("ready" if peers else "disabled")
    has = _get(lab, node, f"/api/v2/alerts?filter=alertname%3D%22{ALWAYS}%22")
    return settled and len(cluster.get("peers") or ()) == peers and bool(has)


def _peers(lab: Lab, node: str) -> int:
    return len(((_get(lab, node, "/api/v2/status") or {}).get("cluster") or {}).get("peers") or ())


def _get(lab: Lab, node: str, path: str) -> Any:
    """Return an answer; None while there is none."""
    try:
        return json.loads(_request(lab, node, path, "GET"))
    except LabError:
        return None


def _post(lab: Lab, node: str, path: str, document: object = None) -> bytes:
    return _request(lab, node, path, "POST", document)


def _request(lab: Lab, node: str, path: str, method: str, document: object = None) -> bytes:
    request = urllib.request.Request(
        f"http://{HOST}:{lab.ports[node]}{path}",
        None if document is None else json.dumps(document).encode(),
        {"Content-Type": "application/json"},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            found: bytes = answer.read()
            return found
    except OSError as error:
        raise LabError(f"{node} does not do {method} {path}: {error}") from None


def _values(lab: Lab) -> dict[str, str]:
    return {
        "alerts.mails": str(alert_catcher.maildir(lab)),
        "alerts.record": str(lab.folder / "alerts.record"),
    }


SERVICE = Service(
    name="alerting",
    servers={
        **dict.fromkeys(NODES, "Alertmanager"),
        CATCHER: "catches webhooks and mails of Alertmanager",
    },
    programs=(_PROGRAM,),
    missing="alert routing is not covered; apt install prometheus-alertmanager",
    start=start,
    where=where,
    values=_values,
    history=history,
    after=(monitoring.PROMETHEUS,),
    more_ports=(SMTP, *(f"{node}-cluster" for node in NODES)),
    find=tool,
    profiles=(monitoring.PROFILE,),
    modules=("pytest_deploygate.lab.alert_catcher",),
)
