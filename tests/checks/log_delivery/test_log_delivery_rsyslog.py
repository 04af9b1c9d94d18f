"""Messages through real rsyslog servers on loopback, a sender and an aggregator, configured well and badly."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_deploygate.checks.hosts.section import Hosts
from pytest_deploygate.checks.log_delivery import judge, probe
from pytest_deploygate.checks.log_delivery.section import LogDelivery
from pytest_deploygate.model import Judgement, Verdict

pytestmark = pytest.mark.skipif(
    not (shutil.which("rsyslogd") and shutil.which("logger")), reason="this machine has no rsyslog"
)
HOSTS = Hosts.model_validate({"servers": [{"name": "web1", "connection": "local://"}]})
WHOLE = "RSYSLOG_SyslogProtocol23Format"
JSON = (
    'template(name="json" type="list" option.jsonf="on") { property(outname="@timestamp" name="timereported" '
    'dateFormat="rfc3339" format="jsonf") property(outname="host" name="hostname" format="jsonf") '
    'property(outname="level" name="syslogseverity-text" format="jsonf") property(outname="msg" name="msg" format="jsonf") }'
)


class Servers:
    """A sender with a socket, and an aggregator that writes a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket, self.file = folder / "log", folder / "all.log"
        self._running: list[subprocess.Popen[bytes]] = []

    def start(
        self,
        *,
        protocol: str = "tcp",
        size: str = "64k",
        frames: str = "octet-counted",
        settings: str = "",
        template: str = WHOLE,
        more: str = "",
    ) -> None:
        """Start both; the keywords are settings of the aggregator, but `protocol` and `frames`."""
        self.stop()
        self.file.unlink(missing_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        address = "" if protocol == "relp" else 'address="127.0.0.1"'
        self._run(
            "aggregator",
            f'global(workDirectory="{self.folder}" maxMessageSize="{size}" net.enableDNS="off" {settings})\n'
            f'module(load="im{protocol}")\ninput(type="im{protocol}" {address} port="{port}")\n{more}\n'
            f'action(type="omfile" file="{self.file}" template="{template}")\n',
        )
        if protocol == "udp":
            self._until(lambda: f":{port:04X} " in Path("/proc/net/udp").read_text())
        else:
            self._until(lambda: _listens(port))
        escape = "" if frames != "traditional" else 'parser.escapeControlCharactersOnReceive="off"'
        how = f'type="omfwd" protocol="{protocol}" TCP_Framing="{frames}"'
        load = ""
        if protocol == "relp":
            load, how = 'module(load="omrelp")', 'type="omrelp"'
        self._run(
            "sender",
            f'global(workDirectory="{self.folder}" maxMessageSize="64k" localHostname="web1" {escape})\n'
            f'module(load="imuxsock" SysSock.Name="{self.socket}")\n'
            f"{load}\n"
            f'action({how} target="127.0.0.1" port="{port}" template="{WHOLE}")\n',
        )
        self._until(self.socket.exists)

    def _run(self, name: str, text: str) -> None:
        file = self.folder / f"{name}.conf"
        file.write_text(text)
        self._running.append(
            subprocess.Popen(["rsyslogd", "-n", "-iNONE", "-f", str(file)], stdin=subprocess.DEVNULL)
        )

    @staticmethod
    def _until(done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not done():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop both."""
        while self._running:
            process = self._running.pop()
            process.terminate()
            process.wait(10)

    def judged(self, **changes: object) -> Judgement:
        """Send messages, and judge what arrives within a second."""
        aggregator = {"connection": "local://", "file": str(self.file)} | dict(changes.pop("aggregator", {}))  # type: ignore[call-overload]
        given = {
            "aggregator": aggregator,
            "send": {"socket": str(self.socket)},
            "named": {"web1": "web1"},
            "within": "1500ms",
            "look_on": "100ms",
        }
        section = LogDelivery.model_validate(given | changes)
        return judge.judge(probe.deliver(section, HOSTS), section)


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1.0):
            return True
    except OSError:
        return False


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Two servers that are started by each test as it needs them."""
    made = Servers(tmp_path_factory.mktemp("rsyslog"))
    yield made
    made.stop()


@pytest.mark.parametrize("protocol", ["tcp", "relp", "udp"])
def test_all_arrive(servers: Servers, protocol: str) -> None:
    if protocol == "relp" and not list(Path("/usr/lib").glob("*/rsyslog/omrelp.so")):
        pytest.skip("this machine has no rsyslog-relp")
    servers.start(protocol=protocol)
    found = servers.judged()
    assert (found.verdict, found.notes) == (Verdict.PASS, ())
    assert "4 messages of 1 host, and 100 more at once, arrived once and whole" in found.reason


def test_json(servers: Servers) -> None:
    servers.start(more=JSON, template="json")
    assert servers.judged(aggregator={"format": "json"}).verdict is Verdict.PASS


def test_usual_file_of_rsyslog_has_no_level(servers: Servers) -> None:
    servers.start(template="RSYSLOG_FileFormat")
    found = servers.judged(aggregator={"format": "syslog"}, may_lack=["level"])
    assert found.verdict is Verdict.PASS
    assert found.reason.endswith("with host and time")
    found = servers.judged()
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "has another form than `format: rfc5424`" in found.reason


def test_traditional_times_have_no_zone(servers: Servers) -> None:
    servers.start(template="RSYSLOG_TraditionalFileFormat")
    found = servers.judged(aggregator={"format": "syslog"}, may_lack=["level"])
    assert found.verdict is Verdict.FAIL
    assert "the time of its message has no zone" in found.reason
    zone = {
        "format": "syslog",
        "zone": Path("/etc/timezone").read_text().strip() if Path("/etc/timezone").exists() else "UTC",
    }
    assert servers.judged(aggregator=zone, may_lack=["level"]).verdict is Verdict.PASS


def test_long_messages_are_cut(servers: Servers) -> None:
    servers.start(size="4k")
    found = servers.judged()
    assert found.verdict is Verdict.FAIL
    assert "its long message is not whole: it is cut after 4" in found.reason


def test_lines_become_records(servers: Servers) -> None:
    servers.start(frames="traditional")
    found = servers.judged()
    assert found.verdict is Verdict.FAIL
    assert "its message of several lines is not whole: its lines are separate records" in found.reason


def test_characters_outside_ascii_are_escaped(servers: Servers) -> None:
    servers.start(settings='parser.escape8BitCharactersOnReceive="on"')
    found = servers.judged()
    assert found.verdict is Verdict.FAIL
    assert (
        "its message with characters outside ASCII is not whole: its characters are changed to 'Gr#303"
        in found.reason
    )


def test_the_aggregator_is_stopped(servers: Servers) -> None:
    """The sender keeps the messages: nothing arrives, and nothing is refused."""
    servers.start()
    servers._running[0].terminate()
    servers._running[0].wait(10)
    found = servers.judged(burst=0)
    assert found.verdict is Verdict.FAIL
    assert (
        "none of its messages arrived within 1.5 s, nor those of any other host: look at the aggregator"
        in found.reason
    )


def test_the_socket_is_gone(servers: Servers) -> None:
    servers.start()
    found = servers.judged(send={"socket": "/nonexistent/log"})
    assert found.verdict is Verdict.FAIL
    assert (
        "web1: its logging does not take messages (/nonexistent/log): logger: socket /nonexistent/log"
        in found.reason
    )


def test_the_file_cannot_be_read(servers: Servers) -> None:
    servers.start()
    found = servers.judged(aggregator={"file": str(servers.folder)})
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "it is a folder: name the file in it" in found.reason


def test_a_file_that_something_follows(tmp_path: Path) -> None:
    """What is appended to a file arrives where that file is read."""
    log = tmp_path / "app.log"
    log.touch()
    section = LogDelivery.model_validate(
        {
            "aggregator": {"connection": "local://", "file": str(log), "format": "syslog"},
            "send": {"file": str(log)},
            "may_lack": ["host", "level", "time"],
            "multi_line": False,
            "within": "1s",
            "look_on": "0s",
        }
    )
    delivered = probe.deliver(section, HOSTS)
    assert judge.judge(delivered, section).verdict is Verdict.PASS
    log.unlink()
    found = judge.judge(probe.deliver(section, HOSTS), section)
    assert (found.verdict, found.reason) == (
        Verdict.INCONCLUSIVE,
        f"web1: it has no file {log}: correct `send: {{file: …}}`",
    )
