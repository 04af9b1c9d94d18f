"""The sources that `deploygate discover` was given, asked one after the other; each is imported only if it is asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path

from pytest_deploygate.discovery.found import Found, Unread, together
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell


class NothingFoundError(Exception):
    """No source said anything; the text has each source with its reason."""


@dataclass(frozen=True)
class Sources:
    """What the team has at hand. `snapshot` is the file for the structure of the tables; None: none is written."""

    dsn: str | None = None
    replicas: tuple[tuple[str, int], ...] = ()
    poolers: tuple[tuple[str, int], ...] = ()
    usual_ports: bool = False
    migrations: Path | None = None
    memory: str | None = None
    domains: tuple[str, ...] = ()
    resolver: str | None = None
    prometheus: str | None = None
    ansible: tuple[Path, ...] = ()
    compose: tuple[Path, ...] = ()
    kubernetes: tuple[Path, ...] = ()
    terraform: tuple[Path, ...] = ()
    folder: Path = Path()
    snapshot: Path | None = None

    @property
    def any(self) -> bool:
        """True if at least one source is named."""
        return bool(
            self.dsn is not None
            or self.domains
            or self.prometheus
            or self.ansible
            or self.compose
            or self.kubernetes
            or self.terraform
        )


def look(sources: Sources, says: Callable[[str], None]) -> Found:
    """Ask every source. One that fails is kept as unread if another one answers. Raises NothingFoundError, ValueError."""
    found: list[Found] = []
    failed: list[Unread] = []
    for name, needs, ask in _asked(sources, says):
        says(f"looking at {name} …")
        try:
            found.append(ask())
        except CannotTell as unknown:
            failed.append(Unread(name, str(unknown), needs))
    if not any(each.facts for each in found):
        said = [*failed, *(unread for each in found for unread in each.unread)]
        remarks = [remark for each in found for remark in each.remarks]
        raise NothingFoundError("\n".join([*map(str, said), *remarks]) or "nothing was found")
    return together([*found, Found(unread=tuple(failed))])


def _asked(sources: Sources, says: Callable[[str], None]) -> Iterator[tuple[str, str, Callable[[], Found]]]:
    """Yield each source: its name, what it needs, and how it is asked."""
    if sources.dsn is not None:
        dsn = sources.dsn
        yield (
            "the database",
            "a server that answers, and a role that may log in",
            lambda: _database(dsn, sources, says),
        )
    yield from _of_names(sources)
    yield from _of_files(sources)


def _of_names(sources: Sources) -> Iterator[tuple[str, str, Callable[[], Found]]]:
    """Yield the sources that are asked over the network."""
    told = servers([sources.resolver], 53, "--resolver")[0] if sources.resolver else None
    for host, port in servers(sources.domains, 443, "--domain"):

        def domain(host: str = host, port: int = port) -> Found:
            from pytest_deploygate.discovery import domain as source  # noqa: PLC0415

            return source.look(host, port, told)

        yield f"the domain {host}", "a resolver that answers", domain
    if sources.prometheus:
        url = sources.prometheus

        def prometheus() -> Found:
            from pytest_deploygate.discovery import prometheus as source  # noqa: PLC0415

            return source.look(url)

        yield "Prometheus", "its HTTP API", prometheus


def _of_files(sources: Sources) -> Iterator[tuple[str, str, Callable[[], Found]]]:
    """Yield the sources that are files."""
    if sources.ansible:

        def ansible() -> Found:
            from pytest_deploygate.discovery import ansible as source  # noqa: PLC0415

            return source.look([(path, _relative(path, sources.folder)) for path in sources.ansible])

        yield "the Ansible inventory", "Ansible's programs (the extra `ansible`)", ansible
    for kind, files in (
        ("compose", sources.compose),
        ("kubernetes", sources.kubernetes),
        ("terraform", sources.terraform),
    ):
        for file in files:
            yield str(file), "a file of that kind", _of_file(kind, file)


def _of_file(kind: str, file: Path) -> Callable[[], Found]:
    def look() -> Found:
        found: Found = import_module(f"pytest_deploygate.discovery.{kind}").look(file)
        return found

    return look


def _database(dsn: str, sources: Sources, says: Callable[[str], None]) -> Found:
    from pytest_deploygate.discovery.postgres import dsn as dsns  # noqa: PLC0415
    from pytest_deploygate.discovery.postgres import whole  # noqa: PLC0415

    address = dsns.read(dsn)
    asked = whole.Asked(
        told="the DSN" if dsn else "PGHOST, PGSERVICE and the other variables of libpq",
        replicas=sources.replicas,
        poolers=sources.poolers,
        usual_ports=sources.usual_ports,
        migrations=_relative(sources.migrations, sources.folder) if sources.migrations else None,
        memory=sources.memory,
        snapshot=sources.snapshot,
        says=says,
    )
    return whole.look(address, asked)


def _relative(path: Path, folder: Path) -> str:
    """Return a path as the inventory in a folder names it."""
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def servers(given: Sequence[str], port: int, option: str) -> tuple[tuple[str, int], ...]:
    """Return hosts and ports of `HOST[:PORT]`. Raises ValueError."""
    found = []
    for text in given:
        host, colon, number = text.rpartition(":")
        if text.startswith("[") and "]" in text:  # an IPv6 address
            host, _, number = text[1:].partition("]")
            colon, number = (":", number[1:]) if number else ("", "")
        elif not colon or ":" in host:
            host, colon, number = text, "", ""
        if (colon and not (number.isdigit() and 0 < int(number) < 65536)) or not host:
            raise ValueError(f"{option} {text}: write HOST or HOST:PORT")
        found.append((host, int(number) if colon else port))
    return tuple(found)
