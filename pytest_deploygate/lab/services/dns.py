"""The zone lab.test on a primary and a secondary, a caching resolver, and the controller of the failover.

BIND where it is installed, else our small server. All listen on one address at different ports: BIND serves only addresses
of an interface. Records are changed by signed dynamic updates (RFC 2136), as in a cutover.
"""

from __future__ import annotations

import base64
import json
import secrets
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsigkeyring
import dns.update

from pytest_deploygate.lab import client, nodes, processes, programs, sql
from pytest_deploygate.lab.services import Service
from pytest_deploygate.lab.state import HOST, Lab, LabError
from pytest_deploygate.lab.supervisor import Program

PRIMARY, SECONDARY, RESOLVER, CONTROLLER = "dns-primary", "dns-secondary", "dns-resolver", "failover"
ZONE = "lab.test"
STANDBY = "127.0.0.2"
#: The name that the controller moves, the one that the cutover switched, and its address before.
FAILING_OVER, SWITCHED, OLD = f"app.{ZONE}", f"platform.{ZONE}", "127.0.0.9"
TTL = 60
_KEY = "deploygate-lab"

_RECORDS = f"""$ORIGIN {ZONE}.
$TTL {TTL}
@ IN SOA ns1.{ZONE}. hostmaster.{ZONE}. 2026010100 3600 600 604800 60
@ IN NS ns1.{ZONE}.
@ IN NS ns2.{ZONE}.
@ IN CAA 0 issue "ca.{ZONE}"
ns1 IN A 127.0.0.1
ns2 IN A 127.0.0.1
app IN A 127.0.0.1
platform IN A 127.0.0.1
www IN CNAME app
"""
_PARENT = f"""$ORIGIN test.
$TTL 60
@ IN SOA ns.test. hostmaster.test. 1 3600 600 604800 60
@ IN NS ns.test.
ns IN A 127.0.0.1
lab IN NS ns1.{ZONE}.
lab IN NS ns2.{ZONE}.
ns1.lab IN A 127.0.0.1
ns2.lab IN A 127.0.0.1
"""
_OPTIONS = """key "{key}" {{ algorithm hmac-sha256; secret "{secret}"; }};
controls {{ }};
options {{
    directory "{folder}"; pid-file "{folder}/named.pid"; session-keyfile "{folder}/session.key";
    managed-keys-directory "{folder}"; lock-file none;
    listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
    dnssec-validation no; notify {notify}; allow-new-zones no; empty-zones-enable no;
    {options}
}};
"""


def folder(lab: Lab, server: str) -> Path:
    """Return a server's folder."""
    return lab.private / server


def where(lab: Lab) -> Path:
    """Return the folder of the primary."""
    return folder(lab, PRIMARY)


def values(lab: Lab) -> dict[str, str]:
    """Return what inventories refer to."""
    return {
        "dns.observations": str(lab.folder / "jobs" / "dns-observations.jsonl"),
        "dns.update-key": str(_secret_file(lab)),
        "dns.drill": str(lab.folder / "jobs" / "dns-drill.json"),
    }


def start(lab: Lab) -> None:
    """Start all four. Raises LabError."""
    makes = [str(folder(lab, name)) for name in (PRIMARY, SECONDARY, RESOLVER)]
    processes.run(["/bin/mkdir", "-p", *makes], user=lab.user)
    _secret_file(lab).write_text(base64.b64encode(secrets.token_bytes(32)).decode())
    _secret_file(lab).chmod(0o600)
    for name in (PRIMARY, SECONDARY, RESOLVER):
        _configure(lab, name)
        client.start(lab, name, _program(lab, name))
        # The secondary may not meet a primary that does not listen yet: BIND then leaves it alone for ten minutes.
        if name == PRIMARY:
            _wait(lab, name)
    arguments = [sys.executable, "-m", "pytest_deploygate.lab.failover_controller", str(lab.folder)]
    for name in (SECONDARY, RESOLVER):
        _wait(lab, name)
    client.start(lab, CONTROLLER, Program(arguments, death_signal=signal.SIGTERM))
    forget_high(lab)


def forget_high(lab: Lab) -> None:
    """Write what earlier runs of the gate would have observed: the old answer a week ago, the new one since yesterday."""
    now = datetime.now(UTC)
    file = Path(values(lab)["dns.observations"])
    lines = [
        {"at": (now - timedelta(days=age)).isoformat(), "name": name, "values": [value], "ttl_s": TTL}
        for name in (FAILING_OVER, SWITCHED)
        for age, value in ((7, OLD if name == SWITCHED else HOST), (1, HOST))
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))


def update(lab: Lab, *records: tuple[str, int, str, str]) -> None:
    """Replace records (name, TTL, type, value) on the primary with one signed update. Raises LabError."""
    keys = dns.tsigkeyring.from_text({_KEY: _secret_file(lab).read_text()})
    made = dns.update.UpdateMessage(ZONE, keyring=keys)
    for name, ttl, kind, value in records:
        made.replace(f"{name}.", ttl, kind, value)
    _send(lab, made)


def remove(lab: Lab, name: str, kind: str) -> None:
    """Remove the records of one type from a name on the primary. Raises LabError."""
    keys = dns.tsigkeyring.from_text({_KEY: _secret_file(lab).read_text()})
    made = dns.update.UpdateMessage(ZONE, keyring=keys)
    made.delete(f"{name}.", kind)
    _send(lab, made)


def _send(lab: Lab, made: dns.update.UpdateMessage) -> None:
    try:
        answer = dns.query.tcp(made, HOST, port=lab.ports[PRIMARY], timeout=5)
    except (OSError, dns.exception.DNSException) as error:
        raise LabError(f"the DNS update failed: {error}") from None
    if answer.rcode() != dns.rcode.NOERROR:
        raise LabError(f"the DNS update was refused: {dns.rcode.to_text(answer.rcode())}")


def point(lab: Lab, name: str, address: str, *, ttl: int = TTL) -> None:
    """Point a name to an address."""
    update(lab, (name, ttl, "A", address))


def settle(lab: Lab) -> None:
    """Wait until the secondary has the primary's serial. Raises LabError."""
    sql.wait_until(
        "transfer of the zone to the secondary", lambda: serial(lab, PRIMARY) == serial(lab, SECONDARY), 15.0
    )


def again(lab: Lab, server: str, **changed: bool) -> None:
    """Restart a server: with `transfer=False` it refuses zone transfers, with `serve=False` it does not serve the zone. Raises LabError."""
    client.stop(lab, server)
    _configure(lab, server, **changed)
    client.start(lab, server, _program(lab, server))
    _wait(lab, server, **changed)


def ask(lab: Lab, server: str, name: str = ZONE, kind: str = "SOA") -> dns.message.Message | None:
    """Ask a server; None without an answer."""
    try:
        return dns.query.udp(dns.message.make_query(name, kind), HOST, port=lab.ports[server], timeout=1)
    except (OSError, dns.exception.DNSException):
        return None


def serial(lab: Lab, server: str) -> int | None:
    """Return the serial of the zone on a server."""
    answer = ask(lab, server)
    return (
        next((r[0].serial for r in answer.answer if r.rdtype == dns.rdatatype.SOA), None) if answer else None
    )


def _wait(lab: Lab, server: str, **changed: bool) -> None:
    def there() -> bool:
        return (
            ask(lab, server) is not None if changed.get("serve") is False else serial(lab, server) is not None
        )

    try:
        sql.wait_until(f"start of {server}", there, 15.0)
    except LabError as error:
        raise LabError(f"{error}: {nodes.log_end(lab, server)}") from None


def _secret_file(lab: Lab) -> Path:
    return lab.folder / "secrets" / "dns-update"


def _program(lab: Lab, server: str) -> Program:
    if named := _bind():
        arguments = [named, "-g", "-n", "1", "-c", str(folder(lab, server) / "named.conf")]
        return Program(arguments, lab.user, death_signal=signal.SIGTERM)
    arguments = [sys.executable, "-m", "pytest_deploygate.lab.dns_server", str(_own(lab, server))]
    return Program(arguments, death_signal=signal.SIGTERM)


def _bind() -> str | None:
    return programs.tool("named")


def _own(lab: Lab, server: str) -> Path:
    return lab.folder / "secrets" / f"{server}.json"


def _configure(lab: Lab, server: str, *, transfer: bool = True, serve: bool = True) -> None:
    if _bind():
        _configure_bind(lab, server, transfer=transfer, serve=serve)
    else:
        _configure_own(lab, server, transfer=transfer, serve=serve)


def _configure_bind(lab: Lab, server: str, *, transfer: bool, serve: bool) -> None:
    here = folder(lab, server)
    primary, secondary = lab.ports[PRIMARY], lab.ports[SECONDARY]
    zones, options, notify = "", "recursion no; minimal-responses yes;", "no"
    to = f"{{ key {_KEY}; }}" if transfer else "{ none; }"
    if server == PRIMARY:
        notify = f"explicit; also-notify {{ 127.0.0.1 port {secondary}; }}; notify-delay 0; startup-notify-rate 100"
        zones = (
            f'zone "{ZONE}" {{ type primary; file "{ZONE}.zone"; allow-transfer {to}; update-policy {{ grant {_KEY} zonesub any; }}; }};\n'
            'zone "test" { type primary; file "test.zone"; allow-transfer { none; }; notify no; };\n'
        )
        for name, text in ((f"{ZONE}.zone", _RECORDS), ("test.zone", _PARENT)):
            if not _there(lab, here / name):
                nodes.put(lab, here / name, text)
    elif server == SECONDARY and serve:
        zones = (
            f'zone "{ZONE}" {{ type secondary; file "{ZONE}.copy"; primaries {{ 127.0.0.1 port {primary} key {_KEY}; }}; '
            "allow-transfer { none; }; min-refresh-time 1; max-refresh-time 3; min-retry-time 1; max-retry-time 2; };\n"
        )
    elif server == RESOLVER:
        options = (
            f"recursion yes; forward only; forwarders {{ 127.0.0.1 port {primary}; }}; max-cache-size 8m;"
        )
    text = _OPTIONS.format(
        key=_KEY,
        secret=_secret_file(lab).read_text(),
        folder=here,
        port=lab.ports[server],
        notify=notify,
        options=options,
    )
    nodes.put(lab, here / "named.conf", text + zones)


def _there(lab: Lab, path: Path) -> bool:
    return (
        processes.run(["/bin/sh", "-c", 'test -e "$1" && echo yes || true', "sh", str(path)], user=lab.user)
        != ""
    )


def _configure_own(lab: Lab, server: str, *, transfer: bool, serve: bool) -> None:
    made: dict[str, object] = {
        "role": server.removeprefix("dns-"),
        "address": HOST,
        "port": lab.ports[server],
    }
    if server == PRIMARY:
        made |= {
            "zone": ZONE,
            "text": _RECORDS,
            "key": [_KEY, _secret_file(lab).read_text()],
            "transfer": transfer,
        }
    else:
        made |= {"upstream": [HOST, lab.ports[PRIMARY]], "zone": ZONE if serve else ""}
    _own(lab, server).write_text(json.dumps(made))
    _own(lab, server).chmod(0o600)


SERVICE = Service(
    name="dns",
    servers={
        PRIMARY: "DNS, primary of lab.test",
        SECONDARY: "DNS, secondary",
        RESOLVER: "DNS, a caching resolver",
        CONTROLLER: "moves app.lab.test to the standby",
    },
    programs=(),
    missing="DNS is not covered",
    start=start,
    where=where,
    values=values,
    after=("edge",),
    processes=("named",),
    modules=("pytest_deploygate.lab.dns_server", "pytest_deploygate.lab.failover_controller"),
    alone=True,
)
