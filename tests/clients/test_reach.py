"""What our own side cannot reach, and that a silent address costs its timeout once in a run, for whatever asks there."""

from __future__ import annotations

import errno
import itertools
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

sys.path.insert(0, str(Path(__file__).parents[1]))
from slow_server import Answer, serving

from pytest_deploygate.checks.dns.probe import names as dns
from pytest_deploygate.checks.dns.section import Dns
from pytest_deploygate.checks.pages import probe as pages
from pytest_deploygate.checks.pages.section import Pages, PublicPage
from pytest_deploygate.checks.tls.probe import certificates, protocols
from pytest_deploygate.checks.tls.probe.connection import place
from pytest_deploygate.checks.tls.probe.mutual import client_control
from pytest_deploygate.checks.tls.section.endpoints import Endpoint, Tls
from pytest_deploygate.clients import reach
from pytest_deploygate.clients.host.shell import shell
from pytest_deploygate.clients.http import sending
from pytest_deploygate.fields.http import HttpAccess
from pytest_deploygate.model import NotReached

TIMEOUT_S = 1.0


class Silent:
    """A port that accepts connections and never answers."""

    def __init__(self, server: socket.socket) -> None:
        self.port = server.getsockname()[1]
        self.taken: list[socket.socket] = []
        self._server = server
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        for _ in itertools.count():
            try:
                self.taken.append(self._server.accept()[0])
            except OSError:
                return


@contextmanager
def silent() -> Iterator[Silent]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        made = Silent(server)
        yield made
    for one in made.taken:
        one.close()


def test_what_is_ours_and_what_is_the_other_sides() -> None:
    """A name and a route are our side; a refusal is the other's. Causes are found in any wrapping."""
    with pytest.raises(requests.RequestException) as unresolved:
        requests.get("http://nowhere.invalid/", timeout=5)
    with pytest.raises(requests.RequestException) as refused:
        requests.get("http://127.0.0.1:1/", timeout=5)
    assert reach.why_ours(unresolved.value) == "its name does not resolve here"
    assert reach.why_ours(refused.value) == ""
    assert reach.refused(refused.value)
    assert "no route from here" in reach.why_ours(OSError(errno.ENETUNREACH, "x"))
    assert reach.why_ours(ConnectionResetError(errno.ECONNRESET, "x")) == ""


@pytest.mark.parametrize(
    "said",
    [
        "ssh: Could not resolve hostname db9: Name or service not known",
        "failed to resolve host 'db9': [Errno -2] Name or service not known",
        'could not translate host name "db9" to address: Temporary failure in name resolution',
        "Error -2 connecting to cache.invalid:6379. Name or service not known.",
        "connection to server failed: Network is unreachable",
    ],
)
def test_our_side_in_the_words_of_others(said: str) -> None:
    assert reach.why_ours_in(said)
    assert not reach.why_ours_in("Connection refused")


def test_endpoint_and_pages_at_a_silent_address_cost_one_timeout() -> None:
    """Certificates, protocols and three pages: one timeout in all, and each says which attempt it relies on."""
    with silent() as place:
        endpoint = Endpoint.model_validate(
            {"name": "app", "host": "localhost", "port": place.port, "addresses": ["127.0.0.1"]}
        )
        settings = Tls.model_validate({"timeout": f"{TIMEOUT_S}s"})
        section = Pages.model_validate({"timeout": f"{TIMEOUT_S}s"})
        reach.asking("infra.certificates")
        began = time.monotonic()
        found = [certificates.measure(endpoint, settings).addresses[0].problem]
        reach.asking("sec.tls")
        found.append(protocols.measure(endpoint, settings).addresses[0].problem)
        for path in ("privacy", "terms", "maintenance"):
            page = PublicPage(url=f"https://127.0.0.1:{place.port}/{path}")
            found.append(pages.read(page, section).problem)
        took_s = time.monotonic() - began
    assert took_s < 2 * TIMEOUT_S, found
    assert len(place.taken) == 1
    assert all("tried by infra.certificates at " in said for said in found[1:]), found


@pytest.mark.long
def test_pages_at_a_silent_address_cost_one_timeout_over_plain_http() -> None:
    """Without TLS a silent address looks like a slow page: the others get a short time, and the retries none."""
    with silent() as place:
        section = Pages.model_validate({"timeout": "4s"})
        began = time.monotonic()
        for path in ("privacy", "terms"):
            page = pages.read(PublicPage(url=f"http://127.0.0.1:{place.port}/{path}"), section)
            assert page.status is None
            assert "no answer within 4 s to GET http" in page.problem or path == "privacy"
        assert time.monotonic() - began < 4 + 2 * sending._LAST_CHANCE_S


def test_a_slow_page_does_not_speak_for_its_server() -> None:
    """One page that takes too long leaves the others of its server readable, and with their whole time once one answered."""

    def answer(number: int, _since_s: float) -> Answer:
        return Answer(after_s=30 if number == 1 else 0)

    with serving(answer) as server:
        access = HttpAccess.model_validate({})
        url = f"http://127.0.0.1:{server.port}"
        with pytest.raises(OSError, match="no answer within"):
            sending.get(access, f"{url}/slow", 0.5)
        assert sending.get(access, f"{url}/quick", 0.5).status_code == 200
        assert reach.known(url) is None
        with pytest.raises(reach.Silent, match="not again in this run"):
            sending.get(access, f"{url}/slow", 0.5)
        assert sending.get(access, f"{url}/slow", 0.5, afresh=True).status_code == 200


def test_attempts_at_the_same_moment_learn_from_the_first() -> None:
    """Threads that ask an address at once wait for one attempt."""
    with silent() as place:
        endpoint = Endpoint.model_validate(
            {"name": "app", "host": "localhost", "port": place.port, "addresses": ["127.0.0.1"]}
        )
        settings = Tls.model_validate({"timeout": f"{TIMEOUT_S}s"})
        threads = [threading.Thread(target=certificates.measure, args=(endpoint, settings)) for _ in range(4)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert time.monotonic() - began < 2 * TIMEOUT_S
    assert len(place.taken) == 1


def test_a_silent_name_server_costs_its_timeouts_once() -> None:
    """Two names on a server that never answers: UDP with its retry and TCP, and nothing for the second name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        settings = Dns.model_validate(
            {
                "zone": "example.com",
                "servers": [{"address": "127.0.0.1", "port": udp.getsockname()[1]}],
                "names": [{"name": f"{n}.example.com", "addresses": ["192.0.2.1"]} for n in "ab"],
                "timeout": "500ms",
            }
        )
        first, second = settings.names
        dns.name(settings, first)
        began = time.monotonic()
        (server,) = dns.name(settings, second).servers
        assert time.monotonic() - began < 0.4
        assert "not again in this run" in server.over[0].problem
        began = time.monotonic()
        dns.name(settings, second, afresh=True)
        assert time.monotonic() - began > 0.9


def test_an_ssh_host_that_does_not_resolve_or_answer_is_not_reached() -> None:
    """The name is ours; a silent host is waited for once."""
    with pytest.raises(NotReached, match="cannot be accessed"):
        shell("ssh://nowhere.invalid")("true")
    with silent() as place:
        host = f"ssh://127.0.0.1:{place.port}?timeout=1"
        reach.silent(host.partition("?")[0], "no answer within 1 s")
        began = time.monotonic()
        with pytest.raises(NotReached, match="not again in this run"):
            shell(host)("true")
        assert time.monotonic() - began < 0.5


def test_a_run_begins_without_memory() -> None:
    reach.silent("192.0.2.1:443", "no answer within 5 s")
    assert reach.known("192.0.2.1:443")
    reach.begin()
    assert reach.known("192.0.2.1:443") is None


def test_without_a_connection_nothing_is_known_of_client_certificates(tmp_path) -> None:
    """A port that refuses lets nobody in and turns nobody away: both attempts are unclear."""
    (tmp_path / "c.pem").write_text("not a certificate")
    own = {"certificate": str(tmp_path / "c.pem"), "key": str(tmp_path / "c.pem")}
    endpoint = Endpoint.model_validate(
        {
            "name": "partner",
            "host": "localhost",
            "port": 1,
            "addresses": ["127.0.0.1"],
            "client_certificate": own,
        }
    )
    found = client_control(place(endpoint, "127.0.0.1", TIMEOUT_S), endpoint)
    assert found.without.outcome == "unclear"
    assert found.with_certificate.outcome == "unclear"


SILENT = """
import sys
from pathlib import Path
from pytest_deploygate.clients import reach
from pytest_deploygate.redaction import Secret
Secret("hunter2-hunter2")
reach.share(Path(sys.argv[1]))
reach.asking("db.cluster")
reach.silent("db1:5432", "no answer within 3 s to hunter2-hunter2")
reach.silent("db2:5432", "no answer within 3 s")
reach.heard("db2:5432")
"""


def test_another_process_of_the_run_does_not_try_again_what_was_silent(tmp_path):
    """Each worker paid the timeout of a dead address again. A place that answered meanwhile may be tried."""
    file = tmp_path / "silent.jsonl"
    reach.share(file)
    assert reach.known("db1:5432") is None
    subprocess.run([sys.executable, "-c", SILENT, str(file)], check=True, timeout=60)
    assert reach.known("db2:5432") is None
    told = r"db1:5432: no answer within 3 s to \[secret\] \(tried by db.cluster"
    with pytest.raises(reach.Silent, match=told), reach.attempt("db1:5432"):
        pytest.fail("it was tried again")
    reach.heard("db1:5432")
    assert reach.known("db1:5432") is None
    reach.begin()
    assert "db1" in file.read_text()
    assert "hunter2" not in file.read_text()


def test_a_file_that_cannot_be_opened_leaves_each_process_its_own_memory(tmp_path):
    reach.share(tmp_path / "missing" / "silent.jsonl")
    reach.silent("db1:5432", "no answer")
    assert str(reach.known("db1:5432")).startswith("db1:5432: no answer (tried at")
