"""What this tool, sslscan and testssl.sh each report for every server with a known defect, as rows of a table.

    python benchmarks/tls_agreement.py [NAME ...]

The servers are `openssl s_server` on loopback, as `tests/checks/tls_defects.py` builds them. testssl.sh takes about
half a minute for each. The table in docs/tls-agreement.md is written from this by hand, with each difference explained.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "probes")]

import tls_servers as servers
from tls_defects import SERVERS

from pytest_deploygate.checks.tls.judge import certificates as judge_certificates
from pytest_deploygate.checks.tls.judge import protocols as judge_tls
from pytest_deploygate.checks.tls.probe import certificates as tls
from pytest_deploygate.checks.tls.probe import protocols as tls_offers
from pytest_deploygate.checks.tls.section.endpoints import Endpoint
from pytest_deploygate.checks.tls.section.guidelines import profile

_LIMIT_S = 240


def ours(endpoint: Endpoint, folder: Path) -> str:
    """Return versions with counts of suites, and both verdicts with their reasons."""
    settings, wanted = servers.settings(folder), profile("intermediate")
    found, offered = tls.measure(endpoint, settings), tls_offers.measure(endpoint, settings)
    suites = ", ".join(f"{v} {len(names)}" for v, names in offered.addresses[0].suites.items())
    verdicts = [
        judge_certificates.judge_certificates(
            found, judge_certificates.ExpectedCertificates(endpoint, settings, wanted)
        ),
        judge_tls.judge_protocols(offered, judge_tls.ExpectedProtocols(endpoint, wanted, found)),
    ]
    return suites + "".join(f"\n      {one.verdict.value}: {one.reason}" for one in verdicts)


def sslscan(port: int) -> str:
    """Return versions with counts of suites, and what it prints about the certificate."""
    command = ["sslscan", f"--sni-name={servers.HOST}", "--xml=-", "--no-heartbleed", f"127.0.0.1:{port}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_LIMIT_S)
    test = ET.fromstring(done.stdout).find("ssltest")
    if test is None:
        return "nothing"
    counts: dict[str, int] = {}
    for cipher in test.findall("cipher"):
        version = cipher.get("sslversion", "")
        counts[version] = counts.get(version, 0) + 1
    on = [f"{p.get('type')}{p.get('version')}" for p in test.findall("protocol") if p.get("enabled") == "1"]
    said = f"on: {', '.join(on)}; suites: {', '.join(f'{v} {n}' for v, n in counts.items())}"
    for one in test.iter("certificate"):
        fields = " ".join(f"{e.tag}={(e.text or '').strip()}{dict(e.attrib) or ''}" for e in one)
        said += f"\n      {one.get('type')}: {fields}"
    return said


def testssl(port: int, folder: Path) -> str:
    """Return the relevant lines on protocols, server defaults and suites of each protocol, and its exit code."""
    out = folder / "testssl.json"
    command = [
        *("testssl", "--quiet", "--warnings", "off", "--color", "0", "-p", "-S", "-E", "-f"),
        *("--nodns", "none", "--ip", "127.0.0.1", "--add-ca", str(folder / "root.pem")),
        *("--connect-timeout", "5", "--openssl-timeout", "5", "--jsonfile", str(out)),
        f"{servers.HOST}:{port}",
    ]
    # A plain s_server serves one client at a time; it does not need a terminal's answers.
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=_LIMIT_S, stdin=subprocess.DEVNULL
    )
    found = json.loads(out.read_text())
    suites: dict[str, int] = {}
    lines = []
    for one in found:
        key, text, severity = one["id"], one["finding"], one["severity"]
        if key.startswith("cipher-"):
            version = key.removeprefix("cipher-").rsplit("_", 1)[0]
            suites[version] = suites.get(version, 0) + 1
        elif severity in ("LOW", "MEDIUM", "HIGH", "CRITICAL", "WARN", "FATAL") or key in _WANTED:
            lines.append(f"{key} [{severity}] {text}")
    counts = ", ".join(f"{v} {n}" for v, n in suites.items())
    return f"suites: {counts}; exit {done.returncode}" + "".join(f"\n      {line}" for line in lines)


_WANTED = {
    "cert_trust",
    "cert_chain_of_trust",
    "cert_expirationStatus",
    "cert_signatureAlgorithm",
    "cert_keySize",
}


def main() -> None:
    """Print what each tool reports for each server, or for those named."""
    for name in sys.argv[1:] or SERVERS:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            made, arguments = SERVERS[name](folder)
            with servers.s_server(made, *arguments) as port:
                endpoint = servers.endpoint(port)
                print(f"## {name}\n    ours: {ours(endpoint, folder)}")
                if shutil.which("sslscan"):
                    print(f"    sslscan: {sslscan(port)}")
                if shutil.which("testssl"):
                    print(f"    testssl.sh: {testssl(port, folder)}", flush=True)


if __name__ == "__main__":
    main()
