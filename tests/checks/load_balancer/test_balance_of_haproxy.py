"""Shares, stickiness, states and drills, measured on a real HAProxy in each way to balance."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_deploygate.checks.load_balancer import judge, probe
from pytest_deploygate.checks.load_balancer.facts import Kind, State
from pytest_deploygate.checks.load_balancer.probe import haproxy as reading
from pytest_deploygate.checks.load_balancer.section import Haproxy, Pool
from pytest_deploygate.clients import budget, haproxy, stopping
from pytest_deploygate.clients.budget import Ended
from pytest_deploygate.model import CannotTell, Judgement, Verdict

PLAIN = "server web1 {web1} weight 2 check\n    server web2 {web2} weight 1 check\n    server web3 {web3} weight 1 check"
WAYS = {
    "roundrobin": f"balance roundrobin\n    {PLAIN}",
    "random": f"balance random(1)\n    {PLAIN}",
    "leastconn": f"balance leastconn\n    {PLAIN}",
    "source": f"balance source\n    {PLAIN}",
    "header": f"balance hdr(X-Key)\n    hash-type consistent\n    {PLAIN}",
    "url": f"balance uri whole\n    hash-type consistent\n    {PLAIN}",
    "sticky": "balance roundrobin\n    cookie SRV insert indirect nocache\n    "
    + PLAIN.replace("check", "check cookie NAME"),
    "unsticky": "balance roundrobin\n    http-response add-header Set-Cookie other=1\n    " + PLAIN,
    "four": f"mode tcp\n    balance roundrobin\n    {PLAIN}",
    "raw": f"balance roundrobin\n    retry-on none\n    retries 0\n    {PLAIN}",
    "health": "balance roundrobin\n    option httpchk GET /healthz\n    http-check expect status 200\n"
    "    default-server inter 50ms fall 2 rise 1\n    " + PLAIN,
}  # fmt: skip
BACKEND = """frontend {name}
    bind {at}
    acl sick env(NOTHING) -m found
    acl sick nbsrv({name}-ready) eq 0
    http-request return status 503 content-type text/plain string sick if sick
    http-request return status 200 content-type text/plain hdr X-Backend {name} lf-string "I am {name}" if TRUE
backend {name}-ready
    server dependency {dependency}
"""
PASSWORD = "only-for-reading"
HEAD = """global
    stats socket {socket} mode 600 level admin
defaults
    mode http
    timeout connect 1s
    timeout client 10s
    timeout server 10s
    timeout check 1s
    option redispatch 1
    retries 3
    retry-on all-retryable-errors
"""


@dataclass(frozen=True)
class Balancer:
    """A HAProxy with its backends in one process: `places` by name."""

    folder: Path
    places: dict[str, str]

    @property
    def socket(self) -> str:
        return str(self.folder / "s")

    def tell(self, command: str) -> None:
        assert haproxy.ask(self.socket, command).strip() == ""

    def pool(self, way: str, **more: object) -> Pool:
        backends = [
            {"name": "web1", "weight": 2, "health": {"url": f"http://{self.places['web1']}/healthz"}},
            {"name": "web2", "health": {"url": f"http://{self.places['web2']}/healthz"}},
            {"name": "web3", "health": {"url": f"http://{self.places['web3']}/healthz"}},
        ]
        control = [
            {
                "name": "lb",
                "haproxy": {"socket": self.socket, "backend": way, "config": str(self.folder / "cfg")},
            }
        ]
        given = {"name": way, "url": f"http://{self.places[way]}/", "told_by": {"header": "X-Backend"}}
        return Pool.model_validate(given | {"backends": backends, "control": control} | more)


def _free() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Balancer]:
    """Run HAProxy, and wait until all its checks are good."""
    program = shutil.which("haproxy") or shutil.which("/usr/sbin/haproxy")
    if program is None:
        pytest.skip("HAProxy is not installed here")
    places = {name: _free() for name in ("web1", "web2", "web3", "stats", *WAYS)}
    found = Balancer(folder, places)
    text = HEAD.format(socket=found.socket)
    for name in ("web1", "web2", "web3"):
        text += BACKEND.format(name=name, at=places[name], dependency=places["roundrobin"])
    for way, lines in WAYS.items():
        mode = "    mode tcp\n" if way == "four" else ""
        named = "".join(
            line.replace("cookie NAME", f"cookie {line.split()[1]}") + "\n" for line in lines.splitlines()
        )
        text += (
            f"frontend f-{way}\n{mode}    bind {places[way]}\n    default_backend {way}\nbackend {way}\n    "
        )
        text += named.format(**places)
    text += f"frontend statistics\n    bind {places['stats']}\n    stats enable\n    stats uri /stats\n"
    text += f"    stats auth reader:{PASSWORD}\n"
    (folder / "cfg").write_text(text)
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen([program, "-db", "-f", str(folder / "cfg")], stdout=log, stderr=log) as process,
    ):
        try:
            ends = time.monotonic() + 15
            while not _up(found):
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < ends, (folder / "log").read_text()
                time.sleep(0.1)
            yield found
        finally:
            process.kill()


def _up(found: Balancer) -> bool:
    with contextlib.suppress(OSError, CannotTell):
        members = [
            member
            for way in WAYS
            for member in reading.read("lb", Haproxy(socket=found.socket, backend=way)).members
        ]
        return all(each.check is not None and each.says == "UP" for each in members)
    return False


@pytest.fixture(scope="module")
def balancer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Balancer]:
    with running(tmp_path_factory.mktemp("lb")) as found:
        yield found


def judged(pool: Pool) -> Judgement:
    return judge.judge_shares(probe.shares(pool, budget.unrecorded("infra.load-balancer")), pool)


GOOD = {
    "roundrobin": {},
    "random": {"balance": "random"},
    "leastconn": {"balance": "leastconn", "floor": 0.2},
    "sticky": {"sticky": "cookie"},
    "header": {"balance": "hash-header", "hash_header": "X-Key"},
    "url": {"balance": "hash-url"},
    "four": {"layer": 4},
}


@pytest.mark.parametrize("way", GOOD)
def test_each_way_to_balance(balancer, way):
    found = judged(balancer.pool(way, **GOOD[way]))
    assert found.verdict is Verdict.PASS, found.reason


@pytest.mark.parametrize(
    "told",
    [{"body": "I am (web[0-9])"}, {"counters": True}, {"header": "X-Backend"}],
    ids=["body", "counters", "header"],
)
def test_each_way_to_tell(balancer, told):
    found = judged(balancer.pool("roundrobin", told_by=told))
    assert found.verdict is Verdict.PASS, found.reason


def test_a_cookie_that_names_the_backend(balancer):
    found = judged(balancer.pool("sticky", sticky="cookie", told_by={"cookie": "SRV"}))
    assert found.verdict is Verdict.PASS, found.reason


def test_another_protocol_by_its_first_words(balancer):
    request = "GET / HTTP/1.0\r\n\r\n"
    pool = balancer.pool(
        "four",
        url=None,
        tcp=balancer.places["four"],
        sends=request,
        told_by={"body": "I am (web[0-9])"},
        layer=4,
    )
    found = judged(pool)
    assert found.verdict is Verdict.PASS, found.reason


def test_a_protocol_in_which_clients_speak_first(balancer):
    """Nothing is said, and the balancer counts the connections."""
    pool = balancer.pool("four", url=None, tcp=balancer.places["four"], told_by={"counters": True}, layer=4)
    found = judged(pool)
    assert found.verdict is Verdict.PASS, found.reason


def test_a_client_that_does_not_stay(balancer):
    """Another cookie is set, and none that binds."""
    found = judged(balancer.pool("unsticky", sticky="cookie"))
    assert found.verdict is Verdict.FAIL
    assert "connections of the same client reached another backend than its first" in found.reason
    found = judged(balancer.pool("roundrobin", sticky="cookie"))
    assert "a new client gets none" in found.reason


def test_a_hash_of_the_address(balancer):
    """From here one backend serves everything: the answers tell nothing of shares, the counters that two are idle."""
    found = judged(balancer.pool("source", balance="hash-source"))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "so the shares are not seen from here" in found.reason
    found = judged(balancer.pool("source", balance="hash-source", told_by={"counters": True}))
    assert found.verdict is Verdict.FAIL
    assert "got nothing of" in found.reason


def test_balanced_in_another_way_than_declared(balancer):
    found = judged(balancer.pool("roundrobin", balance="hash-url"))
    assert found.verdict is Verdict.FAIL
    assert "connections of the same key reached another backend" in found.reason
    found = judged(balancer.pool("source"))
    assert "got nothing of" in found.reason


def test_answers_that_tell_nothing(balancer):
    found = judged(balancer.pool("roundrobin", told_by={"header": "X-Other"}))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "do not tell their backend: correct `told_by`" in found.reason


def test_nothing_listens(balancer):
    """The count does not begin; that the address is dead is a failure of the balancer's own redundancy."""
    pool = balancer.pool("roundrobin", url="http://127.0.0.1:1/")
    with pytest.raises(Ended, match="not begun: 5 of 5 harmless requests were answered with errors"):
        judged(pool)
    found = judge.judge_entries(probe.entries(pool), pool)
    assert found.verdict is Verdict.FAIL
    assert "nothing listens there" in found.reason


@pytest.mark.parametrize(
    ("command", "back", "state"),
    [
        ("set server health/web2 state drain", "set server health/web2 state ready", State.DRAIN),
        ("set server health/web2 state maint", "set server health/web2 state ready", State.MAINT),
        ("set weight health/web2 0", "set weight health/web2 100%", State.DRAIN),
    ],
)
def test_states(balancer, command, back, state):
    balancer.tell(command)
    try:
        pool = balancer.pool("health")
        (control,) = probe.backends(pool).controls
        assert [each.state for each in control.members] == [State.IN, state, State.IN]
    finally:
        balancer.tell(back)
        time.sleep(0.3)


def test_kinds_of_checks_without_the_configuration(balancer):
    """By the last result."""
    kinds = {
        way: reading.read("lb", Haproxy(socket=balancer.socket, backend=way)).members[0].check.kind
        for way in ("roundrobin", "health")
    }
    assert kinds == {"roundrobin": Kind.TCP, "health": Kind.HTTP}


def test_a_check_that_was_switched_off_at_run_time(balancer):
    balancer.tell("disable health health/web2")
    try:
        member = reading.read("lb", Haproxy(socket=balancer.socket, backend="health")).members[1]
        assert member.check.kind is Kind.NONE, member
    finally:
        balancer.tell("enable health health/web2")
        time.sleep(0.3)


def test_the_statistics_page_says_the_same(balancer, monkeypatch):
    monkeypatch.setenv("LB_PASSWORD", PASSWORD)
    page = {"url": f"http://{balancer.places['stats']}/stats;csv"}
    login = {"auth": {"user": "reader", "password": "env:LB_PASSWORD"}}
    by_page = reading.read("lb", Haproxy.model_validate({"statistics": page | login, "backend": "health"}))
    by_socket = reading.read("lb", Haproxy(socket=balancer.socket, backend="health"))
    assert [(m.name, m.state, m.check.kind) for m in by_page.members] == [
        (m.name, m.state, m.check.kind) for m in by_socket.members
    ]
    with pytest.raises(CannotTell, match="answer 401: look at `stats auth`"):
        reading.read("lb", Haproxy.model_validate({"statistics": page, "backend": "health"}))


def test_the_addresses_of_a_name(balancer):
    port = balancer.places["roundrobin"].rpartition(":")[2]
    pool = balancer.pool("roundrobin", url=f"http://localhost:{port}/", redundancy={"dns": 2})
    found = probe.entries(pool)
    served = {each.address: each.problem for each in found.entries}
    assert served[f"127.0.0.1:{port}"] == ""
    assert judge.judge_entries(found, pool).verdict is Verdict.FAIL  # one address, or one that nobody serves
    pool = balancer.pool("roundrobin", url="http://nowhere.invalid/", redundancy={"dns": 2})
    assert judge.judge_entries(probe.entries(pool), pool).verdict is Verdict.INCONCLUSIVE
    assert judged(pool).verdict is Verdict.INCONCLUSIVE


def test_machines_of_a_virtual_address(balancer):
    """Each answers at its own address, and says what it is."""
    one, other = balancer.places["roundrobin"], balancer.places["leastconn"]
    members = [{"address": one, "state": "echo MASTER"}, {"address": other, "state": "echo state: backup"}]
    pool = balancer.pool("roundrobin", redundancy={"vrrp": members})
    found = judge.judge_entries(probe.entries(pool), pool)
    assert found.verdict is Verdict.PASS, found.reason
    members[1]["state"] = "echo MASTER"
    pool = balancer.pool("roundrobin", redundancy={"vrrp": members})
    assert "are MASTER at once" in judge.judge_entries(probe.entries(pool), pool).reason
    members[1]["state"] = "exit 4"
    pool = balancer.pool("roundrobin", redundancy={"vrrp": members})
    assert "ended with exit code 4" in judge.judge_entries(probe.entries(pool), pool).reason


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"socket": "/nowhere"}, "cannot be asked: No such file"),
        ({"backend": "healht"}, "knows no backend 'healht'; did you mean 'health'?"),
        ({"socket": None, "statistics": {"url": "http://127.0.0.1:1/;csv"}}, "nothing listens there"),
    ],
)
def test_a_haproxy_that_cannot_be_asked(balancer, settings, says):
    given = {"socket": balancer.socket, "backend": "health"} | settings
    with pytest.raises(CannotTell) as error:
        reading.read("lb", Haproxy.model_validate(given))
    assert says in str(error.value)


def _drill(balancer: Balancer, way: str = "health", **more: object) -> Pool:
    """The dependency of web3 is a server that it looks at: it goes and comes by two commands."""

    def command(state: str) -> str:
        python = "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode()+b'\\n'); s.recv(9)"
        return f"""python3 -c "{python}" {balancer.socket} 'set server web3-ready/dependency state {state}'"""

    drill = {"backend": "web3", "break": command("maint"), "repair": command("ready"), "leaves_within": "3s",
             "returns_within": "3s", "rate": 80, "record": str(balancer.folder / "drill.json")}  # fmt: skip
    return balancer.pool(way, drill=drill | more)


def test_a_drill(balancer):
    """The load keeps to what may be open at a time, and is not ended for more."""
    pool = _drill(balancer)
    ran = probe.drill(pool, "prod", budget.unrecorded("infra.load-balancer", budget.Limits(concurrency=4)))
    found = judge.judge_drill(probe.drilled(pool, ran, "prod"), pool)
    assert found.verdict is Verdict.PASS, found.reason
    assert ran.facts.health_bad
    assert ran.facts.before
    found = judge.judge_drill(probe.drilled(pool, None, "prod"), pool)
    assert found.verdict is Verdict.PASS, found.reason


def test_a_drill_where_nothing_checks_health(balancer):
    """The port accepts connections all the time, and the balancer asks another backend: only its own word shows it."""
    pool = _drill(balancer, "roundrobin", leaves_within="500ms")
    ran = probe.drill(pool, "prod", budget.unrecorded("infra.load-balancer"))
    found = judge.judge_drill(probe.drilled(pool, ran, "prod"), pool)
    assert found.verdict is Verdict.FAIL
    assert "web3 stayed in rotation" in found.reason
    assert "lb says UP" in found.reason


def test_a_drill_that_users_suffer_from_ends_at_once(balancer):
    """A quarter of all clients get errors, and it would go on for half a minute."""
    pool = _drill(balancer, "raw", leaves_within="30s", rate=150)
    ran = probe.drill(pool, "prod", budget.unrecorded("infra.load-balancer"))
    assert ran.facts.given_up
    assert ran.facts.waited_s < 20
    found = judge.judge_drill(probe.drilled(pool, ran, "prod"), pool)
    assert found.verdict is Verdict.FAIL
    assert (
        "clients got an error while web3 left and returned (it was repaired at once) (first: HTTP 503)"
        in found.reason
    )
    assert "stayed in rotation" not in found.reason


def test_a_drill_by_states(balancer):
    """Where the answers do not tell."""
    pool = _drill(balancer).model_copy(
        update={"told_by": balancer.pool("health", told_by={"counters": True}).told_by}
    )
    ran = probe.drill(pool, "prod", budget.unrecorded("infra.load-balancer"))
    assert judge.judge_drill(probe.drilled(pool, ran, "prod"), pool).verdict is Verdict.PASS


def test_a_drill_of_a_sick_backend_does_not_begin(balancer):
    balancer.tell("set server web3-ready/dependency state maint")
    try:
        with pytest.raises(CannotTell, match=r"own health page answers HTTP 503"):
            probe.drill(_drill(balancer), "prod", budget.unrecorded("infra.load-balancer"))
    finally:
        balancer.tell("set server web3-ready/dependency state ready")
        time.sleep(0.5)


def test_a_command_that_fails_is_followed_by_the_repair(balancer):
    mark = balancer.folder / "repaired"
    pool = _drill(balancer, **{"break": "exit 3", "repair": f"touch {mark}"})
    with pytest.raises(CannotTell, match="exit code 3"):
        probe.drill(pool, "prod", budget.unrecorded("infra.load-balancer"))
    assert mark.exists()


def test_a_stop_repairs(balancer, tmp_path):
    """A stop while the backend is broken ends the drill within a second, and the backend is whole again."""
    pool = _drill(balancer, "roundrobin", leaves_within="30s")
    stop = tmp_path / "STOP"
    allowed = budget.unrecorded("infra.load-balancer", stop_file=stop)
    timer = threading.Timer(2.5, stop.touch)
    timer.start()
    began = time.monotonic()
    try:
        with pytest.raises(Ended, match="stopped by the stop file"):
            probe.drill(pool, "prod", allowed)
    finally:
        timer.cancel()
        stopping.begin(None)
    assert time.monotonic() - began < 2.5 + 2
    state = haproxy.ask(balancer.socket, "show servers state web3-ready").splitlines()[2].split()
    assert state[6] == "0", "the dependency is in maintenance"


def test_the_budget_ends_the_count(balancer):
    allowed = budget.Budget(
        "infra.load-balancer", budget.Ledger(), budget.Limits(requests=100, connections=100)
    )
    with pytest.raises(Ended, match="of its budget are used up"):
        probe.shares(balancer.pool("roundrobin"), allowed)
