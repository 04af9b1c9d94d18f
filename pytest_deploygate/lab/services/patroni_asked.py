"""What the members of Patroni say, by their REST API and their servers, and what is asked of them: changes, switchovers."""

from __future__ import annotations

import contextlib
import json
import urllib.error
import urllib.request
from typing import Any

import psycopg

from pytest_deploygate.lab import nodes, sql
from pytest_deploygate.lab.services.patroni_config import MEMBERS, NAME, REST_USER, address
from pytest_deploygate.lab.state import Lab, LabError


def ask(
    lab: Lab, member: str, path: str, *, method: str = "GET", body: object = None, timeout_s: float = 5.0
) -> tuple[int, Any]:
    """Send a request to a member's REST API; return status and document, (0, None) if it does not answer."""
    url = f"http://{address(lab, member)}:{lab.ports[f'{member}-rest']}{path}"
    password = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    password.add_password(None, url, REST_USER, lab.password(NAME).reveal())
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(password))
    sent = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, sent, {"Content-Type": "application/json"}, method=method)
    try:
        with opener.open(request, timeout=timeout_s) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    except OSError:
        return 0, None
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text.decode(errors="replace")


def change(lab: Lab, **settings: object) -> None:
    """Change the dynamic configuration, as `patronictl edit-config` does. Raises LabError."""
    refusals = []
    for member in MEMBERS:
        status, said = ask(lab, member, "/config", method="PATCH", body=settings)
        if status == 200:
            return
        refusals.append(f"{member}: {status} {said}")
    raise LabError(f"Patroni does not take {settings}: {'; '.join(refusals)}")


def leader(lab: Lab) -> str:
    """Return the member that says that it is the primary; empty if none does."""
    return next((name for name in MEMBERS if ask(lab, name, "/primary", timeout_s=1.0)[0] == 200), "")


def wait_whole(lab: Lab, within_s: float = 60.0) -> None:
    """Wait until one member leads, the others stream, and one is synchronous where that is configured. Raises LabError."""
    wait("a leader and two streaming replicas of Patroni", lambda: _whole(lab), lab, MEMBERS, within_s)


def lead(lab: Lab, wanted: str) -> None:
    """Switch over to a member, unless it leads. Raises LabError.

    Patroni switches to a synchronous replica only. Where that is another one, it goes first; the wanted one, which goes on
    streaming, is synchronous then.
    """

    def there() -> bool:
        now = leader(lab)
        if now == wanted:
            return True
        if now:
            _, cluster = ask(lab, now, "/cluster")
            members = cluster.get("members", []) if isinstance(cluster, dict) else []
            next_one = [each["name"] for each in members if each["role"] == "sync_standby"]
            body = {"leader": now, "candidate": next_one[0] if next_one else wanted}
            ask(lab, now, "/switchover", method="POST", body=body, timeout_s=30.0)
            with contextlib.suppress(LabError):
                wait_whole(lab, 20.0)
        return leader(lab) == wanted

    wait(f"switchover to {wanted}", there, lab, MEMBERS, 90.0)
    wait_whole(lab)


def _whole(lab: Lab) -> bool:
    status, cluster = ask(lab, MEMBERS[0], "/cluster")
    if status != 200:
        return False
    members = cluster.get("members", [])
    roles = sorted(each["role"] for each in members)
    if len(members) != len(MEMBERS) or roles not in (
        ["leader", "replica", "replica"],
        ["leader", "replica", "sync_standby"],
    ):
        return False
    lead_node = next(each["name"] for each in members if each["role"] == "leader")
    timelines = {each.get("timeline") for each in members}
    _, config = ask(lab, lead_node, "/config")
    wanted = isinstance(config, dict) and bool(config.get("synchronous_mode"))
    try:
        rows = on(lab, lead_node, "SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'")
    except psycopg.Error:
        return False
    synchronous = any(row[0] in ("sync", "quorum") for row in rows)
    return len(timelines) == 1 and len(rows) == 2 and synchronous is wanted


def on(lab: Lab, member: str, *statements: str, database: str = "postgres") -> list[tuple[Any, ...]]:
    """Run statements on a member as superuser; return the rows of the last one. Raises psycopg.Error."""
    rows: list[tuple[Any, ...]] = []
    with sql.connect(lab, member, database=database, host=address(lab, member)) as connection:
        for statement in statements:
            done = connection.execute(statement.encode())
            rows = done.fetchall() if done.description else []
    return rows


def wait(what: str, there: Any, lab: Lab, about: tuple[str, ...], within_s: float = 40.0) -> None:
    """Wait until something is so; else name the ends of the logs of some servers. Raises LabError."""
    try:
        sql.wait_until(what, there, within_s)
    except LabError as error:
        logs = "; ".join(f"{name}: {nodes.log_end(lab, name)}" for name in about)
        raise LabError(f"{error}: {logs}") from None
