"""What a domain says of itself: its zone and name servers, addresses, aliases, CAA, and the certificate at its port."""

import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import Any

from pytest_deploygate.discovery.found import Fact, Found, Unread, Wanted
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

_TIMEOUT_S = 3.0


@dataclass(frozen=True)
class Name:
    """A name with what DNS says of it."""

    name: str
    alias: str
    addresses: tuple[str, ...]
    caa: tuple[str, ...]


def look(domain: str, port: int, resolver: tuple[str, int] | None, servers_port: int = 53) -> Found:
    """Return what is found of one domain. Raises CannotTell if no resolver answers, or the name does not exist."""
    asks = _resolver(resolver)
    who = f"the resolver {asks.nameservers[0]}" if asks.nameservers else "the resolver"
    name = _name(asks, domain, who)
    found = [Found(remarks=() if name.addresses else (f"{domain} has no address",))]
    if name.addresses:
        found.append(_endpoint(name, port))
    found.append(_zone(asks, name, who, servers_port))
    return Found(
        tuple(fact for each in found for fact in each.facts),
        tuple(unread for each in found for unread in each.unread),
        tuple(wanted for each in found for wanted in each.wanted),
        tuple(remark for each in found for remark in each.remarks),
    )


def _resolver(told: tuple[str, int] | None) -> Any:
    import dns.exception  # noqa: PLC0415 (only where a domain is named)
    import dns.resolver  # noqa: PLC0415

    try:
        found = dns.resolver.Resolver(configure=told is None)
    except dns.exception.DNSException as error:
        raise CannotTell(f"this machine has no resolver: {error}; name one with --resolver") from None
    if told:
        found.nameservers, found.port = [told[0]], told[1]
    found.lifetime = _TIMEOUT_S
    return found


def _name(asks: Any, domain: str, who: str) -> Name:
    import dns.exception  # noqa: PLC0415
    import dns.resolver  # noqa: PLC0415

    alias, addresses, answered = "", [], False
    for kind in ("A", "AAAA"):
        try:
            answer = asks.resolve(domain, kind)
        except dns.resolver.NXDOMAIN:
            raise CannotTell(f"{who} says that {domain} does not exist; correct the name") from None
        except dns.resolver.NoAnswer:
            answered = True
            continue
        except dns.exception.DNSException as error:
            if answered or kind == "A":
                raise CannotTell(
                    f"{who} does not answer for {domain}: {error}; name another with --resolver"
                ) from None
            raise
        answered = True
        addresses += [record.address for record in answer]
        canonical = answer.canonical_name.to_text(omit_final_dot=True)
        alias = canonical if canonical.lower() != domain.lower() else ""
    return Name(domain, alias, tuple(addresses), _caa(asks, domain))


def _caa(asks: Any, domain: str) -> tuple[str, ...]:
    import dns.exception  # noqa: PLC0415

    try:
        answer = asks.resolve(domain, "CAA")
    except dns.exception.DNSException:
        return ()
    return tuple(sorted({r.value.decode() for r in answer if r.tag == b"issue" and r.value.strip(b";")}))


def _zone(asks: Any, name: Name, who: str, port: int) -> Found:
    """Return the zone with the name servers that answer for it. Only those with an address are written."""
    import dns.exception  # noqa: PLC0415
    import dns.resolver  # noqa: PLC0415

    try:
        zone = dns.resolver.zone_for_name(name.name, resolver=asks).to_text(omit_final_dot=True)
        hosts = sorted(record.target.to_text(omit_final_dot=True) for record in asks.resolve(zone, "NS"))
    except dns.exception.DNSException as error:
        return Found(
            unread=(Unread(f"the zone of {name.name}", f"{who}: {error}", "a resolver that answers for NS"),)
        )
    servers = [
        Fact(("dns", "servers"), entry, f"NS of {zone}", entry=True) for entry in _servers(asks, hosts, port)
    ]
    if not servers:
        why = f"its name servers {', '.join(hosts)} have no address"
        return Found(wanted=(Wanted("dns.servers", why),))
    entry: dict[str, Any] = {"name": name.name}
    entry |= (
        {"cname": name.alias} if name.alias else {"addresses": list(name.addresses)} if name.addresses else {}
    )
    entry |= {"caa": list(name.caa)} if name.caa else {}
    facts = [Fact(("dns", "zone"), zone, f"SOA, by {who}"), *servers]
    if len(entry) > 1:
        facts.append(
            Fact(("dns", "names"), entry, f"{who}{'' if name.alias else ', A and AAAA'}", entry=True)
        )
    return Found(tuple(facts))


def _servers(asks: Any, hosts: Sequence[str], port: int) -> Iterator[dict[str, Any]]:
    import dns.exception  # noqa: PLC0415

    for host in hosts:
        addresses = []
        for kind in ("A", "AAAA"):
            try:
                addresses += [record.address for record in asks.resolve(host, kind)]
            except dns.exception.DNSException:
                continue
        for number, address in enumerate(addresses):
            entry: dict[str, Any] = {
                "name": host if number == 0 else f"{host} ({address})",
                "address": address,
            }
            yield entry | ({"port": port} if port != 53 else {})


def _endpoint(name: Name, port: int) -> Found:
    """Return the endpoint with its certificate's names and key; one that does not speak TLS is unread."""
    entry: dict[str, Any] = {"name": name.name, "host": name.name} | ({"port": port} if port != 443 else {})
    keys: set[str] = set()
    names: set[str] = set()
    unread = []
    for address in name.addresses:
        try:
            key, theirs = _certificate(address, port, name.name)
        except (OSError, ValueError) as error:
            unread.append(
                Unread(f"the certificate at {address}:{port}", str(error), "TLS that answers from here")
            )
            continue
        keys.add(key)
        names |= theirs
    if not keys:
        return Found(unread=tuple(unread))
    entry |= {"addresses": list(name.addresses)} | (
        {"keys": sorted(keys)} if keys <= {"rsa", "ecdsa"} else {}
    )
    others = sorted(names - {name.name})
    wanted = (
        (Wanted("endpoints", f"its certificate names {', '.join(others[:8])}, too: --domain"),)
        if others
        else ()
    )
    fact = Fact(("endpoints",), entry, f"DNS, and the certificate at port {port}", entry=True)
    return Found((fact,), tuple(unread), wanted)


def _certificate(address: str, port: int, name: str) -> tuple[str, set[str]]:
    """Return the kind of key and the names of the certificate. It is looked at, not trusted. Raises OSError, ValueError."""
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: PLC0415

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((address, port), timeout=_TIMEOUT_S) as plain,
        context.wrap_socket(plain, server_hostname=name) as secured,
    ):
        raw = secured.getpeercert(binary_form=True)
    if raw is None:
        raise ValueError("it shows no certificate")
    certificate = x509.load_der_x509_certificate(raw)
    public = certificate.public_key()
    kind = (
        "rsa"
        if isinstance(public, rsa.RSAPublicKey)
        else "ecdsa"
        if isinstance(public, ec.EllipticCurvePublicKey)
        else ""
    )
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return kind, set()
    return kind, set(extension.value.get_values_for_type(x509.DNSName))
