"""Tell why a container could not be asked, from what docker, podman and kubectl print here.

Sources: the messages of `docker exec`, podman-exec(1) and `kubectl exec`. podman's were seen with podman, docker's with
podman as its daemon and without one, kubectl's without a cluster; the others are those of their documentation and source code.
"""

from __future__ import annotations

import re

from pytest_deploygate.judging.silent_hosts import Cause, Failure

_KINDS = ("docker://", "podman://", "kubectl://")
_CAUSES = (
    (
        re.compile(r"^(?:/bin/)?sh: (?:line )?\d+: (docker|podman|kubectl): (?:command )?not found"),
        Cause.ROUTE,
        "{0} is not installed on this machine",
    ),
    (
        re.compile(r"Cannot connect to the Docker daemon at "),
        Cause.ROUTE,
        "the Docker daemon of this machine does not answer: start it, or set DOCKER_HOST",
    ),
    (
        re.compile(r"permission denied while trying to connect to the [Dd]ocker"),
        Cause.LOGIN,
        "the Docker daemon of this machine refuses us: let the gate's user use its socket",
    ),
    (
        re.compile(
            r"The connection to the server \S+ was refused - did you|Unable to connect to the server: "
        ),
        Cause.ROUTE,
        "kubectl does not reach the cluster: check the context, and the route from this machine",
    ),
    (
        re.compile(r"error: context \S+ does not exist"),
        Cause.ROUTE,
        "kubectl has no such context: correct the connection, or KUBECONFIG",
    ),
    (
        re.compile(r"error: You must be logged in to the server"),
        Cause.LOGIN,
        "the cluster does not know us: log kubectl in",
    ),
    (
        re.compile(r"Error from server \(Forbidden\)"),
        Cause.LOGIN,
        "the cluster forbids it: allow the gate's user `create` on `pods/exec`, and `get` on `pods`",
    ),
    (
        re.compile(
            r"error: unable to upgrade connection: container not found|container \S+ is not valid for pod "
        ),
        Cause.ANSWER,
        "the pod has no running container of that name",
    ),
    (
        re.compile(
            r"Error response from daemon: .*[Nn]o such container|Error: .*: no such container|Error from server \(NotFound\): pods "
        ),
        Cause.DOWN,
        "there is no such container or pod: start it, or correct the connection",
    ),
    (
        re.compile(
            r"Error response from daemon: [Cc]ontainer \S+ is (?:not running|paused|restarting)|(?:Error|daemon): .*container state improper"
            r"|error: cannot exec into a container in a completed pod|error: unable to upgrade connection: container not running"
        ),
        Cause.DOWN,
        "the container does not run: start it",
    ),
    (
        re.compile(r"unable to find user (\S+?): no matching entries in passwd file"),
        Cause.LOGIN,
        "the container has no user {0}: correct the connection",
    ),
    # Whatever else the daemon says: its exit code 1 would be the "no" of `test -e`.
    (
        re.compile(r"^(Error response from daemon: .{1,150}|unable to upgrade to tcp, received \d+)"),
        Cause.ANSWER,
        "docker could not run a command there ({0}): see that the container has the user of the connection",
    ),
)


def why_not_asked(connection: str, said: str) -> Failure | None:
    """Return why nothing of a container was heard, from what its program printed to its errors on one line.

    None for other hosts, and for words that are not known. The program's exit code is then 1 as often as the command's own.
    """
    if not connection.startswith(_KINDS):
        return None
    for form, cause, means in _CAUSES:
        if found := form.search(said):
            return Failure(cause, means.format(*found.groups()))
    return None
