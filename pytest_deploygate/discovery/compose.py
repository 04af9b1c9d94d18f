"""The services of a Compose file (the Compose specification): containers, images by digest, and health checks by HTTP.

Interpolated values (`${…}`) are not filled in: an entry that needs one is left out, with a remark. Environments of services
are not read: they hold secrets.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pytest_deploygate.discovery import documents
from pytest_deploygate.discovery.found import Fact, Found, Wanted
from pytest_deploygate.model import CannotTell

_URL = re.compile(r"https?://(?:localhost|127\.0\.0\.1)(?::\d+)?[^\s\"'|;&]*")
_PUBLISHED = re.compile(r"(?:(?P<host>\[[^]]*\]|[\d.]+):)?(?P<published>\d+):(?P<target>\d+)(?:/tcp)?")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_DATABASES = re.compile(r"(^|/)(postgres|timescaledb?|postgis)[^/]*(:|@|$)")


def look(path: Path) -> Found:
    """Return the services as components. Raises CannotTell if the file is no Compose file."""
    document = documents.of_yaml(path)
    services = documents.mapping(document, "services")
    if not services:
        raise CannotTell(f"{path} has no `services`: is it a Compose file?")
    project = str(documents.mapping(document).get("name") or _project(path.resolve().parent.name))
    facts, wanted, remarks = [], [], []
    for name, service in services.items():
        if not isinstance(service, Mapping):
            continue
        entry = _component(str(name), service, project)
        if entry is None:
            remarks.append(f"{path.name}: the service {name} has a name with ${{…}}, and is left out")
            continue
        facts.append(Fact(("stack", "components"), entry, f"{path.name}: service {name}", entry=True))
        if service.get("image") and not documents.digest(service["image"]):
            remarks.append(
                f"{path.name}: {name} has its image by a tag, which can be moved: name it by digest"
            )
        wanted += list(_databases(str(name), service))
    return Found(tuple(facts), (), tuple(wanted), tuple(remarks))


def _project(folder: str) -> str:
    """Return the name that Compose makes of a folder: lower case letters, digits, dashes and underscores."""
    return re.sub(r"[^a-z0-9_-]", "", folder.lower()).lstrip("_-")


def _component(name: str, service: Mapping[str, Any], project: str) -> dict[str, Any] | None:
    container = str(service.get("container_name") or f"{project}-{name}-1")
    if not _NAME.fullmatch(container):
        return None
    entry: dict[str, Any] = {"name": name, "hosts": ["here"], "container": container}
    if image := documents.digest(service.get("image", "")):
        entry["image"] = image
    if url := _health(service):
        entry["health"] = {"url": url}
    return entry


def _health(service: Mapping[str, Any]) -> str:
    """Return the address of the health check on this machine, where its port is published here."""
    test = documents.mapping(service, "healthcheck").get("test")
    found = _URL.search(" ".join(documents.texts(test)))
    if not found:
        return ""
    try:
        parts = urlsplit(found[0])
        inner = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return ""
    for published, target in _ports(service):
        if target == inner and "$" not in found[0]:
            return f"{parts.scheme}://127.0.0.1:{published}{parts.path or '/'}"
    return ""


def _ports(service: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    """Yield published ports with those of the container, in the short and the long form."""
    ports = service.get("ports")
    for port in ports if isinstance(ports, list) else ():
        if isinstance(port, Mapping):
            if str(port.get("published", "")).isdigit() and isinstance(port.get("target"), int):
                yield int(port["published"]), int(port["target"])
        elif found := _PUBLISHED.fullmatch(str(port)):
            yield int(found["published"]), int(found["target"])


def _databases(name: str, service: Mapping[str, Any]) -> Iterator[Wanted]:
    if _DATABASES.search(str(service.get("image", ""))):
        port = next((published for published, target in _ports(service) if target == 5432), None)
        where = f"--dsn postgresql://USER@localhost:{port}/NAME" if port else "its port is not published"
        yield Wanted("database", f"the service {name} is a PostgreSQL: {where}")
