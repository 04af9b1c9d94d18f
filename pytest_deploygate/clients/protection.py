"""Deployments that wait for an answer: GitHub's custom protection rules, GitLab's protected environments.

Sources: GitHub REST, "Review custom deployment protection rules for a workflow run"; GitLab, "Deployments API", "Approve or
reject a blocked deployment". A redirect is never followed: whoever answers with one would decide where the token goes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit

import requests

from pytest_deploygate.clients.budget import AGENT
from pytest_deploygate.clients.http import sending, whole
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.problems import one_line
from pytest_deploygate.redaction import Secret, shortened

System = Literal["github", "gitlab"]
_PATHS: Mapping[System, tuple[re.Pattern[str], str]] = {
    "github": (
        re.compile(r"(/api/v3)?/repos/[\w.-]+/[\w.-]+/actions/runs/[0-9]+/deployment_protection_rule"),
        "https://api.github.com/repos/OWNER/NAME/actions/runs/RUN/deployment_protection_rule",
    ),
    "gitlab": (
        re.compile(r"(/[\w.-]+)*/api/v4/projects/[\w.%-]+/deployments/[0-9]+/approval"),
        "https://HOST/api/v4/projects/PROJECT/deployments/DEPLOYMENT/approval",
    ),
}
_HERE = ("localhost", "127.0.0.1", "::1")
_LIMIT_S = 30.0
_MOST_BYTES = 65536
_LONGEST = 1000


class AddressError(ValueError):
    """This is no address of a deployment that waits; the message says what one looks like."""


class UntoldError(Exception):
    """The system was not told. `mistake`: something must be set right first, else the same again may work."""

    def __init__(self, text: str, *, mistake: bool) -> None:
        super().__init__(text)
        self.mistake = mistake


@dataclass(frozen=True)
class Waiting:
    """A deployment that waits: the system, the address that takes the answer, and GitHub's environment."""

    system: System
    url: str
    environment: str = ""


def waiting(system: System, url: str, environment: str = "") -> Waiting:
    """Return the deployment of an address. Raises AddressError."""
    pattern, like = _PATHS[system]
    try:
        parts = urlsplit(url)
        safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _HERE)
    except ValueError:
        raise AddressError(f"{url!r} is no address; write {like}") from None
    if not safe or not parts.hostname or parts.username or parts.query or not pattern.fullmatch(parts.path):
        raise AddressError(f"{url!r} does not take the answer of a protection; write {like}")
    return Waiting(system, url, environment)


def tell(deployment: Waiting, token: Secret, *, approve: bool, comment: str) -> None:
    """Approve or reject a deployment. Raises UntoldError unless the system says that it took the answer."""
    said = "approved" if approve else "rejected"
    comment = shortened(comment, _LONGEST)
    if deployment.system == "github":
        body = {"environment_name": deployment.environment, "state": said, "comment": comment}
        headers = {
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            "Authorization": f"Bearer {token.reveal()}",
        }
        taken: tuple[int, ...] = (204,)
    else:
        body = {"status": said, "comment": comment}
        headers = {"Accept": "application/json", "PRIVATE-TOKEN": token.reveal()}
        taken = (200, 201)
    host = urlsplit(deployment.url).netloc
    try:
        answer = whole.request(
            "POST",
            deployment.url,
            _LIMIT_S,
            json=body,
            headers={"User-Agent": AGENT, **headers},
            auth=_as_given,
            allow_redirects=False,
            stream=True,
        )
        raw, _ = whole.read(answer, _MOST_BYTES)
    except (requests.RequestException, OSError) as error:
        raise UntoldError(f"{host}: {sending.why(error)}", mistake=False) from None
    if answer.status_code not in taken:
        mistake = answer.status_code < 500 and answer.status_code not in (408, 425, 429)
        raise UntoldError(f"{host}: HTTP {answer.status_code}{_words(raw)}", mistake=mistake)


def _as_given(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave a request unchanged: without this, requests replaces our login with one from ~/.netrc."""
    return request


def _words(raw: bytes) -> str:
    text = raw[:2000].decode(errors="replace").strip()
    return f" ({shortened(one_line(text), 200)})" if text and not text.startswith("<") else ""
