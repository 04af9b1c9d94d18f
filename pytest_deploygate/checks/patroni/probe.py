"""Ask every member of Patroni, its DCS and the databases. Nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from pytest_deploygate.checks.patroni.facts import Found, InDatabase, Listed, Reported, Settings, Store
from pytest_deploygate.clients import patroni as rest
from pytest_deploygate.clients import reach
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.fields.patroni import Member, Patroni
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact, shortened

__all__ = ["observe"]

T = TypeVar("T")
_SERVER = (
    "SELECT pg_is_in_recovery(), (SELECT timeline_id FROM pg_control_checkpoint()),"
    " current_setting('synchronous_standby_names'), (SELECT received_tli FROM pg_stat_wal_receiver),"
    " substr(CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_walfile_name(pg_current_wal_lsn()) END, 1, 8)"
)
_SENDERS = (
    "SELECT application_name, sync_state, pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::bigint"
    " FROM pg_stat_replication WHERE state = 'streaming'"
)
_CLOSED = ("nofailover", "nosync")


def observe(cluster: Cluster, patroni: Patroni) -> Found:
    """Return what Patroni and the databases say at about the same time. Raises CannotTell if no member answers."""
    with ThreadPoolExecutor(2 * len(patroni.members) + len(patroni.dcs)) as pool:
        members = [pool.submit(_reported, patroni, member) for member in patroni.members]
        stores = [pool.submit(_store, patroni, url) for url in patroni.dcs]
        answered = tuple(each.result() for each in members)
        if all(each.problem for each in answered):
            raise CannotTell("; ".join(each.problem for each in answered))
        able = [m for m, said in zip(patroni.members, answered, strict=True) if not said.problem]
        listed, listed_problem = _first(patroni, able, "/cluster", _listed)
        settings, settings_problem = _first(patroni, able, "/config", _settings)
        databases = list(pool.map(lambda member: _database(cluster, member.name), patroni.members))
        return Found(
            answered,
            listed or (),
            settings,
            tuple(databases),
            tuple(each.result() for each in stores),
            listed_problem,
            settings_problem,
        )


def _reported(patroni: Patroni, member: Member) -> Reported:
    try:
        answer = rest.get(patroni, member, "/patroni")
        said = answer.document
        seen, clock_s = _whole(said.get("dcs_last_seen")), answer.clock_s
        return Reported(
            member.name,
            role=str(said["role"]),
            state=str(said["state"]),
            timeline=_whole(said.get("timeline")),
            paused=said.get("pause") is True,
            dcs_age_s=max(0.0, clock_s - seen) if seen and clock_s is not None else None,
            version=str(said.get("patroni", {}).get("version", "")),
        )
    except CannotTell as unknown:
        return Reported(
            member.name, str(unknown), ours=bool(unknown.__cause__ and reach.why_ours(unknown.__cause__))
        )
    except (KeyError, AttributeError) as error:
        return Reported(member.name, f"{member.url}/patroni lacks {error}: is it Patroni's REST API?")


def _first(
    patroni: Patroni, members: list[Member], path: str, read: Callable[[Mapping[str, Any]], T]
) -> tuple[T | None, str]:
    """Return what the first member that can answer says, or why none can."""
    problems = []
    for member in members:
        try:
            answer = rest.get(patroni, member, path)
            if answer.status == 200:
                return read(answer.document), ""
            problems.append(f"{member.name} answers {answer.status} to {path}")
        except CannotTell as unknown:
            problems.append(str(unknown))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            problems.append(
                f"{member.name}'s answer to {path} cannot be read ({type(error).__name__}: {error})"
            )
    return None, "; ".join(problems)


def _listed(document: Mapping[str, Any]) -> tuple[Listed, ...]:
    return tuple(_one_listed(each) for each in document["members"])


def _one_listed(said: Mapping[str, Any]) -> Listed:
    tags = said.get("tags") or {}
    barred = [name for name in _CLOSED if tags.get(name) is True]
    if "nofailover" not in tags and tags.get("failover_priority") == 0:
        barred.append("failover_priority")
    return Listed(
        str(said["name"]),
        str(said["role"]),
        str(said["state"]),
        _whole(said.get("timeline")),
        _whole(said.get("lag")),
        tuple(barred),
    )


def _settings(document: Mapping[str, Any]) -> Settings:
    mode = document.get("synchronous_mode", False)
    strict = document.get("synchronous_mode_strict", False)
    synchronous = "quorum" if mode == "quorum" else "off" if not mode else "strict" if strict else "on"
    # The defaults are those of Patroni's documentation ("Dynamic Configuration Settings").
    return Settings(
        synchronous,
        document.get("failsafe_mode") is True,
        float(document.get("ttl", 30)),
        int(document.get("maximum_lag_on_failover", 1_048_576)),
        document.get("pause") is True,
    )


def _database(cluster: Cluster, name: str) -> InDatabase:
    node = _node(cluster, name)
    if node is None:
        return InDatabase(
            name, f"{name} is no node of the inventory: name it in `database.primary` or `replicas`"
        )
    try:
        standby, checkpoint, names, received, written = cluster.rows(node, _SERVER)[0]
        senders = [] if standby else cluster.rows(node, _SENDERS)
    except CannotTell as unknown:
        return InDatabase(name, str(unknown))
    # A promoted server's checkpoint is older than its timeline for a moment, a replica's as long as it lives.
    timeline = int(written, 16) if written else received or checkpoint
    found = tuple(
        (str(who), str(how), None if behind is None else int(behind)) for who, how, behind in senders
    )
    return InDatabase(name, "", bool(standby), int(timeline), str(names), found)


def _node(cluster: Cluster, name: str) -> Node | None:
    return next((node for node in cluster.nodes if node.name == name), None)


def _store(patroni: Patroni, url: str) -> Store:
    """Ask a member of etcd: https://etcd.io/docs/v3.5/op-guide/monitoring/#health-check."""
    import requests  # noqa: PLC0415 (takes long to import)

    from pytest_deploygate.clients.http import sending, whole  # noqa: PLC0415 (the same)

    # Patroni's own login is not for etcd.
    trusted = str(patroni.ca_file) if patroni.ca_file else True
    try:
        answer = whole.request("GET", f"{url.rstrip('/')}/health", patroni.timeout_s, verify=trusted)
        said = answer.json()
        healthy = answer.status_code == 200 and said.get("health") in ("true", True)
        return Store(url, healthy, "" if healthy else shortened(redact(answer.text.strip()), rest.SHOWN))
    except (ValueError, AttributeError):
        return Store(url, healthy=False, said="its answer is no JSON object: is it etcd?")
    except (requests.RequestException, OSError) as error:
        return Store(url, healthy=False, said=shortened(redact(sending.why(error)), rest.SHOWN))


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
