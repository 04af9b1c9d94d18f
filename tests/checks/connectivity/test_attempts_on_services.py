"""The attempts themselves, on real servers of loopback, from here and from a host with a real sshd."""

from __future__ import annotations

import contextlib
import importlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from network_sockets import full, listening
from ssh_server import serving

from pytest_deploygate.checks.connectivity import judge, probe
from pytest_deploygate.checks.connectivity.facts import Kind, Matrix, Step
from pytest_deploygate.checks.connectivity.probe import attempts
from pytest_deploygate.checks.connectivity.section import Connectivity
from pytest_deploygate.checks.hosts.section import Hosts
from pytest_deploygate.clients import reach
from pytest_deploygate.judging.silent_hosts import Cause
from pytest_deploygate.lab import authority
from pytest_deploygate.model import CannotTell, Verdict

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(autouse=True)
def _forget() -> None:
    reach.begin()


@contextlib.contextmanager
def server(
    answer: bytes, *, tls: ssl.SSLContext | None = None, first: Callable[[socket.socket], None] | None = None
) -> Iterator[int]:
    """Answer each line, in TLS if a context is given; `first` is done before."""
    listener = socket.create_server(("127.0.0.1", 0))

    def one(plain: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.enter_context(plain)
            plain.settimeout(10)
            if first:
                first(plain)
            there = stack.enter_context(tls.wrap_socket(plain, server_side=True)) if tls else plain
            said = b""
            while not said.endswith(b"\r\n") and (more := there.recv(65536)):
                said += more
            there.sendall(answer)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    with listener:
        yield listener.getsockname()[1]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two authorities, `ca.pem` and `other.pem`, and a certificate of the first for `localhost`."""
    folder = tmp_path_factory.mktemp("certificates")
    nowhere = "http://127.0.0.1:1/"
    own, other = (authority.make(nowhere, nowhere, datetime.now(UTC)) for _ in "ab")
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = authority.leaf(own, key, ["localhost"])
    (folder / "ca.pem").write_text(authority.pem(own.root))
    (folder / "other.pem").write_text(authority.pem(other.root))
    (folder / "leaf.pem").write_text(authority.pem(leaf, own.intermediate))
    (folder / "leaf.key").write_text(authority.key_pem(key))
    return folder


def context(folder: Path) -> ssl.SSLContext:
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(folder / "leaf.pem", folder / "leaf.key")
    return made


def section(*services: dict[str, object], source: str = "here", **keys: object) -> Connectivity:
    named = [{"name": f"s{number}", "host": "127.0.0.1", **each} for number, each in enumerate(services)]
    rows = [{"from": source, "to": "all"}]
    return Connectivity.model_validate({"services": named, "rows": rows, "timeout": "500ms", **keys})


def tried(*services: dict[str, object], **keys: object) -> Matrix:
    return probe.matrix(section(*services, **keys), None)


def first_of(measured: Matrix) -> tuple[Step | None, Kind | None, str]:
    """How the first attempt ended, over IPv4 where there are both."""
    first = min(measured.cells, key=lambda cell: ":" in cell.address).tries[0]
    return first.failed, first.kind, first.said


def test_an_http_server_and_packets_of_full_size():
    with server(OK) as port:
        measured = tried({"port": port, "speaks": "http"})
    (cell,) = measured.cells
    assert [(each.failed, each.status) for each in cell.tries] == [(None, 200)] * 2
    assert cell.full_size is not None
    assert cell.full_size.acknowledged is True
    assert cell.full_size.segment > 1000
    assert judge.judge(measured, section({"port": port, "speaks": "http"})).verdict is Verdict.PASS


def test_a_port_that_nobody_listens_on():
    with listening() as port:
        pass
    assert first_of(tried({"port": port}))[:2] == (Step.TCP, Kind.REFUSED)


def test_a_port_that_gives_no_answer():
    with full() as port:
        assert first_of(tried({"port": port}))[:2] == (Step.TCP, Kind.SILENT)


def test_a_name_that_does_not_exist():
    measured = tried({"host": "nowhere.invalid", "port": 80})
    assert first_of(measured)[0] is Step.NAME
    assert measured.cells[0].address == ""


def test_a_server_that_takes_the_connection_and_says_nothing():
    with listening() as port:
        assert first_of(tried({"port": port, "speaks": "banner"}))[:2] == (Step.FIRST, Kind.SILENT)


def test_another_protocol_than_the_declared_one():
    with server(b"220 mail.example.com ESMTP\r\n") as port:
        step, kind, said = first_of(tried({"port": port, "speaks": "http"}))
    assert (step, kind) == (Step.FIRST, Kind.REFUSED)
    assert "does not speak http" in said


def test_tls_with_and_without_trust(certificates):
    ca = {"ca_file": str(certificates / "ca.pem")}
    with server(OK, tls=context(certificates)) as port:
        service = {"host": "localhost", "port": port, "tls": True, "speaks": "http"}
        good = tried(service | ca)
        other = first_of(tried({**service, "ca_file": str(certificates / "other.pem")}))
        name = first_of(tried(service | ca | {"server_name": "api.example.com"}))
        missing = first_of(tried({**service, "ca_file": str(certificates / "none.pem")}))
        unverified = first_of(tried({**service, "verify": False}))
    by_ipv4 = next(cell for cell in good.cells if ":" not in cell.address)
    assert by_ipv4.tries[0].failed is None
    assert by_ipv4.full_size is not None
    assert by_ipv4.full_size.acknowledged is True
    assert unverified[0] is None
    for met, says in ((other, "certificate not trusted"), (name, "api.example.com"), (missing, "cannot use")):
        assert met[:2] == (Step.TLS, Kind.REFUSED)
        assert says in met[2]


def test_postgresql_asks_for_tls_first(certificates):
    def asked(there: socket.socket) -> None:
        if there.recv(8)[4:] == bytes.fromhex("04d2162f"):
            there.sendall(b"S")

    with server(b"", tls=context(certificates), first=asked) as port:
        service = {"host": "localhost", "port": port, "tls": True, "speaks": "postgres"}
        measured = tried({**service, "ca_file": str(certificates / "ca.pem")})
    assert first_of(measured)[0] is None


def test_postgresql_without_tls():
    with server(b"", first=lambda there: there.sendall(b"N")) as port:
        said = first_of(tried({"port": port, "tls": True, "speaks": "postgres", "verify": False}))
    assert said == (Step.TLS, Kind.REFUSED, "the server does no TLS")


def test_what_is_not_done_in_time_is_left_out():
    service = {"name": "s", "host": "127.0.0.1", "speaks": "banner", "tls": False, "fills": False}
    with listening() as port:
        plan = {"timeout_s": 5.0, "within_s": 0.3, "at_once": 4, "headers": {}}
        lines = attempts.make({**plan, "services": [{**service, "port": port}]})
    assert [sorted(line) for line in lines] == [["addresses", "of"]]


def test_attempts_that_we_delayed_are_made_again(monkeypatch):
    late = attempts.Late()
    made = iter([0.4, 0.0, 0.4, 0.0])

    def attempt(*_: object) -> dict[str, object]:
        late.total_s += next(made)
        return {"connect_s": 0.1}

    monkeypatch.setattr(attempts, "attempt", attempt)
    monkeypatch.setattr(attempts, "full_size", lambda *_: {})
    told = attempts.cell({"name": "s"}, "127.0.0.1", {"timeout_s": 1.0, "headers": {}}, late)
    assert (len(told["tries"]), told["late_s"], told["made"], next(made, None)) == (2, 0.0, 5, None)
    made = iter(6 * [0.4])
    always = attempts.cell({"name": "s"}, "127.0.0.1", {"timeout_s": 1.0, "headers": {}}, late)
    assert len(always["tries"]) == 6
    assert always["late_s"] >= 0.4


def test_from_a_host(tmp_path):
    with serving(tmp_path) as connection, server(OK) as port, full() as filtered:
        hosts = Hosts.model_validate({"servers": [{"name": "web1", "connection": connection}]})
        wanted = section({"port": port, "speaks": "http"}, {"port": filtered}, source="web1")
        measured = probe.matrix(wanted, hosts)
    assert [(each.source, each.tries[0].failed) for each in measured.cells] == [
        ("web1", None),
        ("web1", Step.TCP),
    ]
    assert judge.judge(measured, wanted).verdict is Verdict.FAIL


def test_a_host_without_python(monkeypatch):
    # The package has a function of the module's name.
    monkeypatch.setattr(importlib.import_module(f"{probe.__name__}.matrix"), "_PYTHON", "P=")
    hosts = Hosts.model_validate({"servers": [{"name": "web1", "connection": "local://"}]})
    failure = probe.matrix(section({"port": 1}, source="web1"), hosts).places[0].failure
    assert failure is not None
    assert failure.cause is Cause.ANSWER
    assert "python3" in failure.said


def test_rows_that_name_no_place():
    with pytest.raises(CannotTell, match="name no place"):
        probe.matrix(section({"port": 1}, source="all"), None)
