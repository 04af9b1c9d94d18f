"""Faults of certificates and TLS at the edge."""

from __future__ import annotations

from pytest_deploygate.lab.faults import Fault
from pytest_deploygate.lab.services import edge
from pytest_deploygate.lab.state import Lab

_CERTIFICATES = {"infra.certificates": "fail"}
_TLS = {"sec.tls": "fail"}
_INFRASTRUCTURE = "preflight and infrastructure"
_SECURITY = "preflight and security"
_STRONG = edge.Switches().suites


def _fault(name: str, what: str, items: dict[str, str], says: str, **switches: object) -> Fault:
    def breaks(lab: Lab) -> None:
        edge.change(lab, **switches)

    def heals(lab: Lab) -> None:
        edge.restore(lab, *switches)

    scope = _INFRASTRUCTURE if "infra.certificates" in items else _SECURITY
    return Fault(name, what, items, breaks, heals, says, needs=(edge.NAME,), scope=scope)


EXPIRED = _fault(
    "certificate-expired",
    "the certificates of app.lab.test expired yesterday",
    _CERTIFICATES,
    "expired",
    app="expired",
    second="expired",
)
ENDING = _fault(
    "certificate-ending",
    "the certificates of app.lab.test expire in five days of 90",
    _CERTIFICATES,
    "expires in",
    app="ending",
    second="ending",
)
WRONG_NAME = _fault(
    "certificate-wrong-name",
    "app.lab.test serves the certificates of other.lab.test",
    _CERTIFICATES,
    "not for app.lab.test",
    app="wrong-name",
    second="wrong-name",
)
NO_INTERMEDIATE = _fault(
    "certificate-no-intermediate",
    "app.lab.test sends its leaf without the intermediate",
    _CERTIFICATES,
    "intermediate",
    app="no-intermediate",
    second="no-intermediate",
)
OLD_ON_ONE = _fault(
    "certificate-old-on-one-address",
    "127.0.0.2 was not reloaded after the renewal and serves the old certificates",
    _CERTIFICATES,
    "different",
    second="old",
)
REVOKED = _fault(
    "certificate-revoked",
    "the certificates of app.lab.test are on the authority's revocation list",
    _CERTIFICATES,
    "revoked",
    app="revoked",
    second="revoked",
)
CLIENTS_UNASKED = _fault(
    "mutual-tls-off", "partner.lab.test accepts clients without a certificate", _CERTIFICATES, "without a certificate",
    verify_clients="optional",
)  # fmt: skip
TLS_1_0 = _fault(
    "tls-1.0-on",
    "app.lab.test accepts TLS 1.0",
    _TLS,
    "TLSv1.0",
    protocols="TLSv1 TLSv1.2 TLSv1.3",
    suites=f"{_STRONG}:ECDHE-RSA-AES128-SHA:@SECLEVEL=0",
)
WEAK_SUITE = _fault(
    "tls-weak-suite",
    "app.lab.test accepts suites without forward secrecy",
    _TLS,
    "AES128-SHA",
    suites=f"{_STRONG}:AES128-SHA:AES256-SHA",
)
NO_HSTS = _fault("tls-no-hsts", "no answer has Strict-Transport-Security", _TLS, "HSTS", hsts=False)
NO_REDIRECT = _fault(
    "tls-no-redirect",
    "plain HTTP serves the page instead of redirecting",
    _TLS,
    "does not redirect",
    redirect=False,
)
NO_STAPLE = _fault(
    "tls-no-staple",
    "the certificate of api.lab.test names an OCSP responder, but no answer is stapled",
    _TLS,
    "stapled",
    api_staple="none",
)
