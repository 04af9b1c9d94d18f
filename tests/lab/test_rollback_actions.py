"""The runbook's built-in actions against the lab's real servers: BIND, HAProxy, nginx, PostgreSQL with its backup tool."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_deploygate.checks.way_back.section.rollback import DnsSwitch, Haproxy, Step
from pytest_deploygate.inventory import loader
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.journal import Writer
from pytest_deploygate.lab import cluster, nodes, sql
from pytest_deploygate.lab.services import dns, front
from pytest_deploygate.lab.state import PRIMARY, Lab
from pytest_deploygate.redaction import Secret
from pytest_deploygate.rollback import actions, dns_switch, execution, haproxy, page
from pytest_deploygate.rollback.actions import Tools
from pytest_deploygate.rollback.hooks import load

ROOT = Path(__file__).parents[2]


@pytest.fixture
def inventory(lab: Lab) -> Inventory:
    """The lab's own inventory: its runbook is what is tested."""
    if front.FRONT not in lab.ports:
        pytest.skip("this lab has no HTTP front, so no runbook")
    return loader.load("lab", ROOT).inventory


@pytest.fixture
def tools(inventory: Inventory) -> Tools:
    """Tools of a rollback in progress."""
    hooks = load(ROOT / "tests", lambda where, what: pytest.fail(f"{where}: {what}"))
    return Tools("nothing-deployed", hooks, lambda _items: "", inventory, "r")


def step(inventory: Inventory, name: str) -> Step:
    """A step of the lab's runbook."""
    assert inventory.rollback is not None
    return next(one for one in inventory.rollback.steps if one.name == name)


@pytest.fixture
def switch(lab: Lab, inventory: Inventory) -> Iterator[DnsSwitch]:
    """The runbook's switch back; the name is at the new address again afterwards."""
    yield step(inventory, "DNS back").dns  # type: ignore[misc]
    dns.point(lab, dns.SWITCHED, "127.0.0.1")
    dns.settle(lab)


def test_dns_is_switched_back_once_and_every_server_follows(
    lab: Lab, switch: DnsSwitch, tools: Tools
) -> None:
    """A signed update with a prerequisite; the second time nothing is left to do; the secondary has it, too."""
    assert "now 127.0.0.1; " in dns_switch.plan(switch).said
    assert dns_switch.plan(switch).good
    assert not dns_switch.verify(switch).good
    assert dns_switch.switch(switch) == ""
    assert actions.verify_patiently(Step(name="DNS", dns=switch, within="30s"), tools).good  # type: ignore[arg-type]
    assert dns_switch.switch(switch) == "", "after a crash it may be asked for again"
    assert dns_switch.verify(switch).said == "2 servers return 127.0.0.9"


def test_dns_that_somebody_changed_meanwhile_is_left_alone(lab: Lab, switch: DnsSwitch) -> None:
    """The prerequisite (RFC 2136, 2.4) fails on the server itself."""
    dns.point(lab, dns.SWITCHED, "127.0.0.77")
    assert "127.0.0.77, neither the new side nor the old" in dns_switch.switch(switch)
    assert not dns_switch.verify(switch).good


def test_a_wrong_key_changes_no_dns(switch: DnsSwitch) -> None:
    """TSIG: the server refuses, and the reason says so."""
    wrong = switch.model_copy(update={"key": Secret("c2VjcmV0LW9mLW5vYm9keS1hdC1hbGwtMTIzNA==", "test")})
    assert dns_switch.switch(wrong) != ""
    assert "127.0.0.1" in dns_switch.plan(switch).said.rpartition("; now ")[2]
    looked = dns_switch.plan(wrong)
    assert not looked.good, "the dry run tries the key by an update that changes nothing"


def test_haproxy_takes_servers_out_and_back(lab: Lab, inventory: Inventory) -> None:
    """Its own state says so, users notice nothing, and a server that it does not have is refused."""
    fence = step(inventory, "new side fenced").haproxy
    assert fence is not None
    out = Haproxy(socket=fence.socket, backend="replicas", ready=["app2"], maint=["app1"])
    try:
        assert haproxy.switch(out) == ""
        assert haproxy.verify(out).good
        sql.wait_until("HAProxy's notice", lambda: front.replicas_up(lab) == ["app2"])
        assert front.answers(lab)
        assert haproxy.switch(out) == "", "doing it twice does no harm"
    finally:
        back = Haproxy(socket=fence.socket, backend="replicas", ready=["app1", "app2"])
        assert haproxy.switch(back) == ""
    front.wait_whole(lab)
    none = Haproxy(socket=fence.socket, backend="replicas", maint=["app9"])
    assert "No such server" in haproxy.switch(none)
    assert haproxy.verify(none).said == "replicas has no server app9"


def test_the_maintenance_page_is_shown_and_taken_away(lab: Lab, inventory: Inventory) -> None:
    """On is 503 with Retry-After and the page's text, at both addresses; off is the application again."""
    on, off = (step(inventory, f"maintenance page {state}").page for state in ("on", "off"))
    assert on is not None and off is not None  # noqa: PT018
    assert page.plan(on).good
    assert not page.verify(on).good
    try:
        assert page.switch(on) == page.switch(on) == ""
        assert "Retry-After 600" in page.verify(on).said
        assert page.verify(off.model_copy(update={"state": "on"})).good, "the old address shows it as well"
        assert not page.verify(off).good
    finally:
        assert page.switch(off) == page.switch(off) == ""
    assert page.verify(off).good


def test_a_restore_without_room_is_refused_before_anything_is_touched(
    inventory: Inventory, tools: Tools
) -> None:
    """The plan says so, and so does the step itself; no folder is made."""
    database = step(inventory, "database back")
    assert database.restore is not None
    greedy = database.model_copy(
        update={"restore": database.restore.model_copy(update={"spare": 1 << 50})}, deep=False
    )
    looked = actions.plan(greedy, tools)
    assert not looked.good
    assert "no restore was started" in looked.said
    assert "no restore was started" in actions.do(greedy, tools)
    assert not database.restore.data.with_name(f"{PRIMARY}.restoring").exists()


def test_a_moment_that_was_never_is_not_restored_and_the_old_server_goes_on(
    lab: Lab, inventory: Inventory, tools: Tools, tmp_path: Path
) -> None:
    """No restore point of this name: recovery ends beside, the server in use was not stopped; who to call is said."""
    writer = Writer(tmp_path / "out")
    said: list[str] = []
    steps = [step(inventory, "database back").model_copy(update={"needs": []}), step(inventory, "DNS back")]
    ended = execution.execute(writer, "r", steps, tools, lambda name, what: said.append(f"{name} {what}"))
    writer.close()
    assert (ended.failed, ended.call, ended.left) == ("database back", "database-admin", ("DNS back",))
    assert "recovery ended before configured recovery target was reached" in ended.why
    assert "no server was stopped" in ended.why
    assert sql.value(lab, "SELECT pg_is_in_recovery()") is False
    assert not lab.data(PRIMARY).with_name(f"{PRIMARY}.restoring").exists(), (
        "it would take the room of a database"
    )
    stands = {one.step: (one.good, one.said) for one in ended.platform}
    assert stands["DNS back"] == (False, stands["DNS back"][1])
    assert "returns 127.0.0.1" in stands["DNS back"][1]
    assert "is not the restored data folder" in stands["database back"][1]


def test_a_folder_of_somebody_else_is_never_removed(lab: Lab, inventory: Inventory, tools: Tools) -> None:
    """What stands where the restore would work and is none of ours is left, and named."""
    theirs = lab.data(PRIMARY).with_name(f"{PRIMARY}.restoring")
    nodes.processes.run(["/bin/mkdir", str(theirs)], user=lab.user)
    try:
        assert "not created by deploygate" in actions.do(step(inventory, "database back"), tools)
        assert theirs.is_dir()
    finally:
        theirs.rmdir()
    assert cluster.ailments(lab) == []
