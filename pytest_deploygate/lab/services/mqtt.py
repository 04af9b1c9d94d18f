"""Readings over MQTT: Mosquitto, and the consumer that gives them to the platform.

Devices publish as the user `devices` to `readings/DEVICE`; only the platform may read there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from signal import SIGKILL, SIGTERM

from pytest_deploygate.lab import client, nodes, processes, sql
from pytest_deploygate.lab.services import Service, platform
from pytest_deploygate.lab.state import HOST, Lab, LabError
from pytest_deploygate.lab.supervisor import Program

BROKER, CONSUMER = "mosquitto", "platform-consumer"
DEVICES, _PLATFORM = "platform-mqtt-devices", "platform-mqtt"
_CONFIGURATION = """listener {port} {host}
allow_anonymous false
password_file {folder}/users
acl_file {folder}/rights
persistence false
max_queued_messages 100000
max_inflight_messages 100
log_dest stderr
log_type error
log_type warning
"""
_RIGHTS = """user devices
topic write readings/#
user platform
topic readwrite readings/#
"""


def where(lab: Lab) -> Path:
    """Return the folder of the broker's configuration."""
    return lab.private / "mqtt"


def start(lab: Lab) -> None:
    """Start the broker and the consumer, and wait until the consumer has subscribed. Raises LabError."""
    folder = where(lab)
    processes.run(["/bin/mkdir", "-p", str(folder)], user=lab.user)
    users = {"devices": DEVICES, "platform": _PLATFORM}
    text = "".join(f"{name}:{lab.password(secret).reveal()}\n" for name, secret in users.items())
    nodes.put(lab, folder / "users", text)
    processes.run([lab.programs["mosquitto_passwd"], "-U", str(folder / "users")], user=lab.user)
    nodes.put(lab, folder / "rights", _RIGHTS)
    configuration = _CONFIGURATION.format(host=HOST, port=lab.ports[BROKER], folder=folder)
    nodes.put(lab, folder / "mosquitto.conf", configuration)
    words = [lab.programs["mosquitto"], "-c", str(folder / "mosquitto.conf")]
    client.start(lab, BROKER, Program(words, lab.user, death_signal=SIGTERM))
    _tell_platform(lab)
    module = [sys.executable, "-m", "pytest_deploygate.lab.application.consumer", str(platform.where(lab))]
    client.start(lab, CONSUMER, Program(module, death_signal=SIGKILL))
    try:
        sql.wait_until("the consumer's subscription", lambda: _subscribed(lab), 30.0)
    except LabError as error:
        logs = "; ".join(f"{name}: {nodes.log_end(lab, name)}" for name in (BROKER, CONSUMER))
        raise LabError(f"{error}: {logs}") from None


def _tell_platform(lab: Lab) -> None:
    """Let the consumer know the broker, by the settings of the platform."""
    file = platform.where(lab) / "settings.json"
    settings = json.loads(file.read_text())
    settings["mqtt_port"] = lab.ports[BROKER]
    settings["secrets"]["mqtt"] = str(lab.secret_file(_PLATFORM))
    nodes.put(lab, file, json.dumps(settings))


def _subscribed(lab: Lab) -> bool:
    return "subscribed" in (lab.folder / "log" / f"{CONSUMER}.log").read_text()


def values(lab: Lab) -> dict[str, str]:
    """Return what inventories can refer to beside the ports."""
    return {
        "platform.mqtt-folder": str(where(lab)),
        "platform.mqtt": str(lab.ports[BROKER]),
        "platform.password.devices": str(lab.secret_file(DEVICES)),
    }


SERVICE = Service(
    name="mqtt",
    servers={
        BROKER: "Mosquitto, the broker of the devices",
        CONSUMER: "gives readings over MQTT to the platform",
    },
    programs=("mosquitto", "mosquitto_passwd"),
    missing="readings over MQTT are not covered; apt install mosquitto",
    start=start,
    where=where,
    values=values,
    secrets=(DEVICES, _PLATFORM),
    after=(platform.BALANCER,),
    profiles=(platform.PROFILE,),
    modules=("pytest_deploygate.lab.application.consumer",),
)
