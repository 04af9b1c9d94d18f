"""The platform as its users meet it: two replicas behind HAProxy with TLS, and its own schema in the database.

What a fault sets wrong is a switch in `switches.json`, which the replicas read at each request: `change` sets some,
`as_started` removes all.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import sys
import time
import urllib.request
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any

from pytest_deploygate.clients import haproxy
from pytest_deploygate.lab import client, nodes, old_application, processes, sql
from pytest_deploygate.lab.programs import tool
from pytest_deploygate.lab.services import Service
from pytest_deploygate.lab.state import DATABASE, HOST, PRIMARY, Lab, LabError
from pytest_deploygate.lab.supervisor import Program

PROFILE = "application"
REPLICAS = ("platform1", "platform2")
BALANCER = "platform"
_THIRD_PARTY = "platform-third-party"
PARTNER, PLANT = "platform-partner", "platform-plant"
PREVIOUS = "platform-previous"
SCHEDULERS = {"new": "platform-scheduler", "old": "platform-scheduler-old"}
_PARTNER_DOOR = "platform-partner-door"
_DOMAIN, _THIRD_PARTY_DOMAIN, _PARTNER_DOMAIN = "app.lab.test", "metrics.example.test", "partner.example.test"
#: The site of a partner, whose pages may call the API from a browser.
PARTNER_SITE = f"https://{_PARTNER_DOMAIN}"
VERSION = "2.4.0"
#: Users by name: tenant and role. `operations` watches the platform, `lockout` is there to be locked.
USERS = {
    "viewer": ("plant", "viewer"),
    "operator": ("plant", "operator"),
    "admin": ("plant", "admin"),
    "operations": ("plant", "viewer"),
    "lockout": ("plant", "viewer"),
    "synthetic-a": ("synthetic-a", "operator"),
    "synthetic-b": ("synthetic-b", "operator"),
}
_CLIENT = "platform-client"
_SERVE = "pytest_deploygate.lab.application.serve"
#: Shorter than a replica needs to start.
_LOOP_S = 0.5
_LOOP = 'trap "kill -9 $!; exit" TERM; while :; do "$@" & sleep {seconds}; kill $!; wait $!; done'
_HAPROXY = """global
    maxconn 1000
    stats socket {folder}/haproxy.sock mode 600 level admin

defaults
    mode http
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    timeout tunnel 1h
    timeout check 5s

frontend platform
    bind {host}:{port} ssl crt {folder}/web.pem alpn http/1.1
    option forwardfor
    http-request set-header X-Forwarded-Proto https
    http-response set-header Strict-Transport-Security "max-age=31536000"
    default_backend platform

backend platform
    balance roundrobin
    option httpchk GET /readyz
    option redispatch 1
    default-server inter 500ms fall 4 rise 1
{servers}

frontend partner
    bind {host}:{partner_port} ssl crt {folder}/web.pem alpn http/1.1
    default_backend partner

backend partner
    server partner {host}:{partner}

frontend third-party
    bind {host}:{third_party_port} ssl crt {folder}/web.pem alpn http/1.1
    http-request return status 200 content-type "text/css" string "@font-face {{ font-family: Plant }}" if {{ path /font.css }}
    http-request return status 204 hdr "Set-Cookie" "visitor=1; Path=/; Secure; SameSite=None"
"""


def where(lab: Lab) -> Path:
    """Return the folder of settings, keys, switches and HAProxy's configuration."""
    return lab.private / "platform"


def url(lab: Lab) -> str:
    """Return the address that users know."""
    return f"https://{HOST}:{lab.ports[BALANCER]}"


def start(lab: Lab) -> None:
    """Make the schema, keys and certificates, and start the replicas and HAProxy. Raises LabError."""
    prepare(lab)
    for name, program in programs(lab).items():
        client.start(lab, name, program)
    try:
        sql.wait_until("both replicas behind HAProxy", lambda: _ready(lab), 40.0)
    except LabError as error:
        logs = "; ".join(f"{name}: {nodes.log_end(lab, name)}" for name in (*REPLICAS, BALANCER))
        raise LabError(f"{error}: {logs}") from None


def prepare(lab: Lab) -> None:
    """Make keys, certificates, settings, the schema, and tokens that must be refused."""
    processes.run(["/bin/mkdir", "-p", str(where(lab))], user=lab.user)
    for name, text in {**_keys(), **_certificates()}.items():
        nodes.put(lab, where(lab) / name, text)
    _settings(lab)
    fill(lab)
    old_application.create(lab)
    _tokens(lab)


def change(lab: Lab, **switches: object) -> None:
    """Set switches beside those that are set; None removes one."""
    file = where(lab) / "switches.json"
    before: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    now = {name: value for name, value in {**before, **switches}.items() if value is not None}
    aside = file.with_name("switches.new")
    nodes.put(lab, aside, json.dumps(now))
    processes.run(["/bin/mv", str(aside), str(file)], user=lab.user)


def unready(lab: Lab, name: str) -> None:
    """Let a replica say that it is not ready, and wait until HAProxy sends it no more requests."""
    change(lab, not_ready=[name])
    sql.wait_until(f"HAProxy leaves out {name}", partial(_down, lab, name), 10.0)


def ready(lab: Lab) -> None:
    """Let all replicas be ready again, and wait until HAProxy knows them."""
    change(lab, not_ready=None)
    for name in REPLICAS:
        sql.wait_until(f"HAProxy knows {name}", partial(_up, lab, name), 10.0)


def restart_again_and_again(lab: Lab, name: str) -> None:
    """Let a replica be ended and started again before it can do its work."""
    argv = ["/bin/sh", "-c", _LOOP.format(seconds=_LOOP_S), "sh", *programs(lab)[name].argv]
    client.stop(lab, name, SIGTERM)
    client.start(lab, name, Program(argv, death_signal=SIGTERM))


def restart(lab: Lab, name: str) -> None:
    """Start a replica as usual, in place of what runs now, and wait until it is ready and HAProxy knows it."""
    client.stop(lab, name, SIGTERM)
    client.start(lab, name, programs(lab)[name])
    sql.wait_until(f"{name} is ready", lambda: answers(lab, name), 30.0)
    sql.wait_until(f"HAProxy knows {name}", lambda: _up(lab, name), 10.0)


def _up(lab: Lab, name: str) -> bool:
    """Return whether HAProxy sends requests to a replica, and its last checks were all good."""
    return _status(lab, name) == "UP"


def _down(lab: Lab, name: str) -> bool:
    """Return whether HAProxy sends no requests to a replica: `UP 1/4` still gets some."""
    return _status(lab, name).startswith("DOWN")


def _status(lab: Lab, name: str) -> str:
    lines = haproxy.ask(str(where(lab) / "haproxy.sock"), "show stat -1 4 -1").splitlines()
    rows = csv.DictReader(io.StringIO("\n".join(lines).lstrip("# ")))
    return next((row["status"] for row in rows if row["svname"] == name), "")


def as_started(lab: Lab) -> None:
    """Remove all switches."""
    (where(lab) / "switches.json").unlink(missing_ok=True)


def fill(lab: Lab) -> None:
    """Make the platform's schema anew, with its users and what happened before."""
    from cryptography.fernet import Fernet  # noqa: PLC0415 (only where a lab starts)

    from pytest_deploygate.lab.application import passwords  # noqa: PLC0415 (hashes one password when imported)

    fernet = Fernet(Fernet.generate_key())  # no page shows contacts, so nothing decrypts them
    text = (Path(__file__).parents[1] / "application" / "schema.sql").read_text()
    with sql.connect(lab) as connection:
        connection.execute(text.encode())
        for name, (tenant, role) in USERS.items():
            connection.execute(
                "INSERT INTO application.users (name, tenant, role, password_hash, contact) VALUES (%s, %s, %s, %s, %s)",
                (
                    name,
                    tenant,
                    role,
                    passwords.hashed(lab.password(f"platform-{name}").reveal()),
                    fernet.encrypt(f"{name}@example.com".encode()).decode(),
                ),
            )
        # Buyers are users; their orders were there before them.
        connection.execute("ANALYZE application.users")


def _reset(lab: Lab) -> None:
    as_started(lab)
    fill(lab)
    old_application.work(lab)


def _settings(lab: Lab) -> None:
    settings = {
        "database": f"host={HOST} port={lab.ports[PRIMARY]} dbname={DATABASE} user=platform_app sslmode=disable"
        " application_name=platform",
        "database_password": str(lab.secret_file("platform_app")),
        "url": url(lab),
        "third_party": third_party(lab),
        "partner_site": PARTNER_SITE,
        "version": VERSION,
        "secrets": {"client": str(lab.secret_file(_CLIENT)), "partner": str(lab.secret_file(PARTNER))},
    }
    nodes.put(lab, where(lab) / "settings.json", json.dumps(settings))


def third_party(lab: Lab) -> str:
    """Return the origin of the statistics that visitors may agree to."""
    return f"https://{_THIRD_PARTY_DOMAIN}:{lab.ports[_THIRD_PARTY]}"


def _keys() -> dict[str, str]:
    """Return the keys that sign tokens: the one in use, the next one, and one of another stage, which is never good here."""
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415 (only where a lab starts)

    from pytest_deploygate.lab import authority  # noqa: PLC0415

    names = ("key-1.pem", "key-2.pem", "key-staging.pem")
    return {
        name: authority.key_pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))
        for name in names
    }


def _certificates() -> dict[str, str]:
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 (only where a lab starts)

    from pytest_deploygate.lab import authority  # noqa: PLC0415

    own = authority.make(
        "http://127.0.0.1/crl", "http://127.0.0.1/ocsp", datetime.now(UTC).replace(microsecond=0)
    )
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = authority.leaf(own, key, [_DOMAIN, HOST, _THIRD_PARTY_DOMAIN, _PARTNER_DOMAIN])
    return {
        "root.pem": authority.pem(own.root),
        "web.pem": authority.pem(leaf, own.intermediate) + authority.key_pem(key),
    }


#: Tokens that were truly signed and are never good: what is wrong with each.
_BAD_TOKENS: dict[str, dict[str, object]] = {
    "expired": {
        "exp": int(time.time()) - 3600,
        "iat": int(time.time()) - 7200,
        "nbf": int(time.time()) - 7200,
    },
    "wrong-audience": {"aud": "another-api", "exp": int(time.time()) + 30 * 86400},
    "wrong-issuer": {"iss": "https://issuer.example.test", "exp": int(time.time()) + 30 * 86400},
}


def _tokens(lab: Lab) -> None:
    """Keep tokens of the operator that must be refused: made with the true key, and one with the key of another stage."""
    import jwt  # noqa: PLC0415 (an extra)

    from pytest_deploygate.lab.application.accounts import User  # noqa: PLC0415 (needs the extra)
    from pytest_deploygate.lab.application.settings import load  # noqa: PLC0415
    from pytest_deploygate.lab.application.tokens import Tokens  # noqa: PLC0415

    settings = load(where(lab))
    make = Tokens(settings, settings.switches())
    user = User("operator", *USERS["operator"])
    for name, changed in _BAD_TOKENS.items():
        nodes.put(lab, where(lab) / f"token-{name}", make.make(user, **changed))
    good = jwt.decode(make.make(user, exp=int(time.time()) + 30 * 86400), options={"verify_signature": False})
    staging = (where(lab) / "key-staging.pem").read_text()
    nodes.put(lab, where(lab) / "token-wrong-key", jwt.encode(good, staging, "RS256", {"kid": "key-1"}))


def programs(lab: Lab) -> dict[str, Program]:
    """Write the configuration of HAProxy, and return how each server is started."""

    def module(name: str, *words: str) -> Program:
        argv = [sys.executable, "-m", f"pytest_deploygate.lab.application.{name}", str(where(lab)), *words]
        # The supervisor ends them at once, as they keep nothing.
        return Program(argv, death_signal=SIGKILL)

    found = {name: module("serve", name, str(lab.ports[name])) for name in REPLICAS}
    found |= {name: module("scheduler", side) for side, name in SCHEDULERS.items()}
    found |= {PARTNER: module("partner", str(lab.ports[PARTNER])), PLANT: module("plant")}
    found[PREVIOUS] = module("previous", str(lab.ports[PREVIOUS]))
    configuration = _HAPROXY.format(
        host=HOST,
        port=lab.ports[BALANCER],
        third_party_port=lab.ports[_THIRD_PARTY],
        partner_port=lab.ports[_PARTNER_DOOR],
        partner=lab.ports[PARTNER],
        folder=where(lab),
        servers="\n".join(f"    server {name} {HOST}:{lab.ports[name]} check" for name in REPLICAS),
    )
    nodes.put(lab, where(lab) / "haproxy.cfg", configuration)
    words = [lab.programs["haproxy"], "-db", "-f", str(where(lab) / "haproxy.cfg")]
    return {**found, BALANCER: Program(words, lab.user, death_signal=SIGKILL)}


def _ready(lab: Lab) -> bool:
    return all(answers(lab, name) for name in REPLICAS)


def answers(lab: Lab, name: str) -> bool:
    """Return whether a replica is ready."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{lab.ports[name]}/readyz", timeout=2.0) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def values(lab: Lab) -> dict[str, str]:
    """Return what inventories can refer to beside the ports: passwords, tokens and keys are files."""
    folder = where(lab)
    found = {
        "platform.url": url(lab),
        "platform.ca": str(folder / "root.pem"),
        "platform.third-party": third_party(lab),
        "platform.version": VERSION,
        "platform.process": Path(sys.executable).name,
        "platform.socket": str(folder / "haproxy.sock"),
        "platform.partner": f"https://{HOST}:{lab.ports[_PARTNER_DOOR]}",
        "platform.partner-credential": str(lab.secret_file(PARTNER)),
        "platform.client-secret": str(lab.secret_file(_CLIENT)),
        "platform.staging-key": str(folder / "key-staging.pem"),
    }
    found |= {f"platform.process.{name}": f"{_SERVE} {folder} {name}" for name in REPLICAS}
    found |= {f"platform.password.{name}": str(lab.secret_file(f"platform-{name}")) for name in USERS}
    return found | {
        f"platform.token.{name}": str(folder / f"token-{name}") for name in (*_BAD_TOKENS, "wrong-key")
    }


#: Packages of the extra `lab` without which the platform does not start.
_PACKAGES = ("fpdf", "jwt", "openpyxl", "psycopg_pool", "starlette", "uvicorn", "websockets")


def _find(name: str) -> str | None:
    return tool(name) if all(importlib.util.find_spec(package) for package in _PACKAGES) else None


SERVICE = Service(
    name=BALANCER,
    servers={
        **dict.fromkeys(REPLICAS, "a replica of the platform"),
        BALANCER: "HAProxy in front of it, with TLS",
        PARTNER: "a partner of the platform",
        PLANT: "the plant, whose devices send readings",
        PREVIOUS: "the old application on the new schema",
        SCHEDULERS["new"]: "the platform's scheduler",
        SCHEDULERS["old"]: "the scheduler of the old side, which stands still",
    },
    programs=("haproxy",),
    missing="the application as its users meet it is not covered; apt install haproxy, and "
    "pip install 'pytest-deploygate[lab]'",
    start=start,
    where=where,
    values=values,
    once_up=old_application.work,
    reset=_reset,
    find=_find,
    more_ports=(_THIRD_PARTY, _PARTNER_DOOR),
    secrets=(_CLIENT, PARTNER, *(f"platform-{name}" for name in USERS)),
    profiles=(PROFILE,),
    modules=tuple(
        f"pytest_deploygate.lab.application.{name}"
        for name in ("serve", "partner", "plant", "previous", "scheduler")
    ),
)
