"""Secrets on a host over a real sshd on loopback, and on this machine: each place where one can stand, and what cannot be seen."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import secrets as randomness
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from no_secrets import forget
from ssh_server import serving

from pytest_deploygate.checks.hosts.section import Hosts
from pytest_deploygate.checks.secrets import judge, probe
from pytest_deploygate.checks.secrets.facts import Kind, Search
from pytest_deploygate.checks.secrets.section import Secrets
from pytest_deploygate.clients import reach
from pytest_deploygate.model import Verdict
from pytest_deploygate.redaction import Secret
from pytest_deploygate.session.gate import plain

VALUE = f"{randomness.token_urlsafe(18)}/x1"
Look = Callable[..., Search]


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("sshd")) as place:
        yield place


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """The folder that is looked into; everybody may enter it and the folders above."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == tmp_path.owner() and len(folder.parts) > 2:
            folder.chmod(0o755)
    for name in ("files", "logs"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o755)
    return tmp_path


@pytest.fixture
def look(connection: str, there: Path) -> Iterator[Look]:
    """Return a function that looks into the host for one secret of the inventory.

    Formats only where asked for: other programs of this machine may have keys, as Chromium has in its environment.
    """
    forget()
    Secret(VALUE, "env:DB_PASSWORD")
    reach.begin()

    def one(where: str = connection, run_as: str | None = None, **keys: object) -> Search:
        hosts = Hosts.model_validate({"servers": [{"name": "db1", "connection": where, "run_as": run_as}]})
        given = {"files": [str(there / "files")], "logs": [str(there / "logs")]}
        given |= {"known_formats": False, **keys}
        return probe.look(hosts, Secrets.model_validate(given))

    yield one
    forget()


def found(search: Search) -> list[tuple[str, Kind, str, int | None]]:
    """Return what was found on the only host."""
    [host] = search.hosts
    assert host.failure is None
    return [(f.what, f.place.kind, f.place.path, f.place.line) for f in host.found]


def hidden(search: Search) -> list[str]:
    """Return the processes of the only host that show their environment to nobody, not even to root."""
    looked = search.hosts[0].looked
    return [place.path for place in looked.hidden_environments] if looked else []


@contextlib.contextmanager
def running(*words: str, **environment: str) -> Iterator[None]:
    """Run a process that does not descend from this one."""
    script = 'setsid sh -c "while :; do sleep 60; done" "$@" >/dev/null 2>&1 </dev/null & echo $!'
    said = subprocess.run(
        ["sh", "-c", script, "sh", *words],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    pid = int(said.stdout)
    time.sleep(0.2)
    try:
        yield
    finally:
        os.killpg(pid, signal.SIGKILL)


def test_a_host_without_secrets_passes(look, there):
    (there / "files" / "app.conf").write_text("workers = 4\n")
    (there / "logs" / "app.log").write_text("INFO ready\n")
    search = look()
    looked = search.hosts[0].looked
    assert looked is not None
    assert (looked.files, looked.logs, looked.absent, looked.limited, looked.ended) == (1, 1, (), (), ())
    assert looked.processes > 1
    result = judge.judge(search, Secrets(allowed_environments=hidden(search)))
    assert result.verdict is Verdict.PASS, result.reason


def test_a_secret_in_arguments(look):
    with running("importer", f"--password={VALUE}"):
        search = look()
    assert {(what, kind) for what, kind, _, _ in found(search)} == {("env:DB_PASSWORD", Kind.ARGUMENTS)}


@pytest.mark.skipif(os.getuid() != 0, reason="environments of all processes are for root")
def test_a_secret_in_an_environment(look):
    with running(PGPASSWORD=VALUE):
        search = look()
    assert {(what, kind) for what, kind, _, _ in found(search)} == {("env:DB_PASSWORD", Kind.ENVIRONMENT)}


def test_our_own_process_and_its_children_are_not_found(look, monkeypatch):
    """`local://` asks by a child of ours, which has our environment."""
    monkeypatch.setenv("DB_PASSWORD", VALUE)
    with subprocess.Popen(["sh", "-c", "sleep 30; true", "child", VALUE], start_new_session=True) as child:
        try:
            assert found(look("local://")) == []
        finally:
            os.killpg(child.pid, signal.SIGKILL)


def test_neither_secret_nor_key_is_in_what_the_host_is_told(look, monkeypatch):
    """Every command that is run on the host, and every environment, is without the secret and its fingerprint."""
    commands: list[str] = []
    real = subprocess.Popen

    def watched(arguments, *rest, **words):
        commands.append(f"{arguments} {words.get('env')} {words.get('stdin')}")
        return real(arguments, *rest, **words)

    monkeypatch.setattr(subprocess, "Popen", watched)
    search = look()
    assert commands
    assert search.wanted == ("env:DB_PASSWORD",)
    assert not [command for command in commands if VALUE in command]


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("app.log", bytes),
        ("app.log.1", bytes),
        ("app.log.2.gz", gzip.compress),
    ],
)
def test_a_secret_in_a_log_whoever_may_read_it(look, there, name, pack):
    log = there / "logs" / name
    log.write_bytes(pack(f"INFO ready\nDEBUG url=postgresql://app:{VALUE}@db1/\n".encode()))
    log.chmod(0o600)
    assert found(look()) == [("env:DB_PASSWORD", Kind.LOG, str(log), 2)]


@pytest.mark.parametrize("tool", ["xz", "bzip2", "zstd"])
def test_a_log_packed_by_other_tools(look, there, tool):
    log = there / "logs" / "old.log"
    log.write_text(f"token {VALUE}\n")
    try:
        subprocess.run([tool, "-q", log], check=True)
    except FileNotFoundError:
        pytest.skip(f"there is no {tool} here")
    log.unlink(missing_ok=True)
    assert [kind for _, kind, _, _ in found(look())] == [Kind.LOG]


def test_of_a_long_log_the_end_is_looked_at(look, there):
    log = there / "logs" / "app.log"
    log.write_text("INFO x\n" * 1000 + f"DEBUG {VALUE}\n")
    search = look(bytes_per_file=2048)
    assert found(search) == [("env:DB_PASSWORD", Kind.LOG, str(log), None)]
    looked = search.hosts[0].looked
    assert (looked.cut, looked.cut_logs) == ((), (str(log),))


def test_a_file_of_which_only_the_beginning_was_looked_at_is_no_pass(look, there):
    short, long = there / "files" / "a.txt", there / "files" / "b.bin"
    short.write_text("x" * 2048)
    long.write_text("x" * 2049)
    for file in (short, long):
        file.chmod(0o644)
    search = look(bytes_per_file=2048)
    assert search.hosts[0].looked.cut == (str(long),)
    keys = {"bytes_per_file": 2048, "allowed_environments": hidden(search)}
    result = judge.judge(search, Secrets.model_validate(keys))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert f"only the first 2 kB were looked at: {long}; raise `bytes_per_file`" in result.reason
    assert look(bytes_per_file=4096).hosts[0].looked.cut == ()
    assert look(bytes_per_file=2048, ignored=[str(long)]).hosts[0].looked.cut == ()


def test_arguments_that_are_longer_than_what_is_looked_at_are_no_pass(look):
    with running("x" * 70_000):
        search = look(bytes_per_file=2048)
        assert look(bytes_per_file=128 * 1024).hosts[0].looked.cut_processes == ()
    [process] = search.hosts[0].looked.cut_processes
    assert process.startswith("sh (")
    result = judge.judge(search, Secrets(allowed_environments=hidden(search)))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert f"arguments or environment of {process} are longer than what is looked at" in result.reason


def test_a_secret_in_a_world_readable_file_only(look, there):
    open_to_all, closed = there / "files" / "a.env", there / "files" / "b.env"
    for file in (open_to_all, closed):
        file.write_text(f"USER=app\nPASSWORD={VALUE}\n")
    open_to_all.chmod(0o644)
    closed.chmod(0o640)
    hidden = there / "files" / "private"
    hidden.mkdir(mode=0o700)
    (hidden / "c.env").write_text(VALUE)
    assert found(look()) == [("env:DB_PASSWORD", Kind.FILE, str(open_to_all), 2)]


def test_a_secret_in_another_writing(look, there):
    """As base64 in a header, and escaped in a URL."""
    import base64
    from urllib.parse import quote

    header = base64.b64encode(f"app:{VALUE}".encode()).decode()
    (there / "logs" / "a.log").write_text(f"x\nAuthorization: Basic {header}\n")
    (there / "logs" / "b.log").write_text(f"GET /login?password={quote(VALUE, safe='')}\n")
    assert [(kind, line) for _, kind, _, line in sorted(found(look()), key=str)] == [
        (Kind.LOG, 2),
        (Kind.LOG, 1),
    ]


def test_a_secret_in_the_name_of_a_file(look, there):
    value = VALUE.replace("/", "-")
    Secret(value, "env:API_KEY")
    file = there / "files" / f"export-{value}.csv"
    file.write_text("")
    file.chmod(0o600)
    assert found(look()) == [("env:API_KEY", Kind.NAME, str(file), None)]


def test_names_with_odd_characters(look, there):
    file = there / "logs" / 'o\'dd "$(touch x)" ü.log'
    file.write_text(VALUE)
    assert found(look()) == [("env:DB_PASSWORD", Kind.LOG, str(file), 1)]


def test_what_is_ignored(look, there):
    file = there / "files" / "known.env"
    file.write_text(VALUE)
    assert found(look(ignored=[f"{there}/files/known*"])) == []


def test_a_private_key_that_everybody_may_read(look, there):
    key = there / "files" / "service.key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    key.chmod(0o644)
    search = look(known_formats=True)
    in_files = [(what, kind) for what, kind, _, _ in found(search) if kind is Kind.FILE]
    assert in_files == [("private-key", Kind.FILE)]
    assert [(state.path, state.mode) for state in search.hosts[0].keys] == [(str(key), 0o644)]
    key.chmod(0o640)
    search = look()
    assert found(search) == []
    assert [(state.path, state.mode) for state in search.hosts[0].keys] == [(str(key), 0o640)]
    key.chmod(0o600)
    assert look().hosts[0].keys == ()


def test_declared_keys(look, there):
    for name in ("one.key", "two.key"):
        (there / "files" / name).write_text("key")
        (there / "files" / name).chmod(0o400)
    search = look(key_files=[{"path": f"{there}/files/*.key"}, {"path": f"{there}/files/it's gone.key"}])
    states = search.hosts[0].keys
    assert [(state.path.rpartition("/")[2], state.mode) for state in states] == [
        ("one.key", 0o400),
        ("two.key", 0o400),
    ]
    assert search.hosts[0].no_key == (f"{there}/files/it's gone.key",)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can ask as another user")
def test_another_user_sees_less_and_says_so(look, there):
    log = there / "logs" / "private.log"
    log.write_text("x")
    log.chmod(0o600)
    search = look(run_as="nobody")
    looked = search.hosts[0].looked
    assert looked is not None
    assert looked.user == "nobody"
    assert looked.unread == (str(log),), looked
    assert 0 < len(looked.hidden_environments) < looked.processes
    result = judge.judge(search, Secrets())
    assert result.verdict is Verdict.INCONCLUSIVE
    assert (
        f"of {looked.processes} processes show their environment as nobody: set `run_as: root`"
        in result.reason
    )
    allowed = judge.judge(search, Secrets(unseen_passes=True))
    assert allowed.verdict is Verdict.PASS, allowed.reason
    assert any("`unseen_passes` accepts that" in note for note in allowed.notes)


def test_more_than_the_limit_is_said(look, there):
    for number in range(3):
        (there / "files" / f"{number}.txt").write_bytes(randomness.token_bytes(40_000))
    search = look(bytes_per_host=65536)
    assert search.hosts[0].looked.limited[-1:] == ("files",)
    assert judge.judge(search, Secrets()).verdict is Verdict.INCONCLUSIVE


def test_weak_secrets_are_not_looked_for(look, there):
    Secret("postgres", "env:ROLE_PASSWORD")
    Secret("lab", "env:SHORT")
    (there / "logs" / "app.log").write_text("the lab starts postgres\n")
    search = look()
    assert found(search) == []
    assert set(search.weak) == {"env:ROLE_PASSWORD", "env:SHORT"}
    notes = judge.judge(search, Secrets()).notes
    assert any(
        note.startswith("env:SHORT is not looked for: it has fewer than 8 characters") for note in notes
    )


def test_only_weak_secrets_are_no_pass(look):
    forget()
    Secret("lab", "env:SHORT")
    assert judge.judge(look(), Secrets()).verdict is Verdict.INCONCLUSIVE


def test_nothing_that_is_recorded_has_the_secret(look, there):
    (there / "logs" / "app.log").write_text(f"password {VALUE}\n")
    search = look()
    text = json.dumps(plain(search))
    assert "app.log" in text
    assert VALUE not in text


def test_fingerprints_hold_for_one_run_unless_there_is_a_key(look, there):
    (there / "logs" / "app.log").write_text(f"password {VALUE}\n")
    Secret("a-long-enough-key", "env:KEY")

    def fingerprint(**keys: object) -> str:
        return look(**keys).hosts[0].found[0].fingerprint

    assert fingerprint() != fingerprint()
    key = {"fingerprint_key": Secret("a-long-enough-key", "env:KEY")}
    assert fingerprint(**key) == fingerprint(**key)
    accepted = [
        {"fingerprint": fingerprint(**key), "where": "*/app.log", "reason": "a canary that nobody uses"}
    ]
    search = look(**key)
    criterion = Secrets.model_validate({**key, "accepted": accepted, "allowed_environments": hidden(search)})
    result = judge.judge(search, criterion)
    assert result.verdict is Verdict.PASS, result.reason
    assert any("accepted: a canary that nobody uses" in note for note in result.notes)


def test_a_host_that_does_not_answer_is_no_pass():
    hosts = Hosts.model_validate({"servers": [{"name": "db1", "connection": "ssh://nobody@127.0.0.1:1"}]})
    Secret(VALUE, "env:DB_PASSWORD")
    search = probe.look(hosts, Secrets())
    result = judge.judge(search, Secrets())
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "db1: it refuses the connection" in result.reason


@pytest.fixture
def image(tmp_path: Path) -> Iterator[str]:
    """An image whose settings and history have the secret: built from nothing, with an argument of the build."""
    podman = shutil.which("podman")
    if podman is None:
        pytest.skip("there is no podman here: apt install podman")
    name = f"localhost/deploygate-test-{randomness.token_hex(4)}:1"
    (tmp_path / "Containerfile").write_text(f"FROM scratch\nLABEL token={VALUE}\nCOPY Containerfile /x\n")
    built = subprocess.run(
        [podman, "build", "--layers=false", "-t", name, tmp_path],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if built.returncode:
        pytest.skip(f"podman cannot build here: {built.stderr[-200:]}")
    yield name
    subprocess.run([podman, "rmi", "-f", name], capture_output=True, timeout=60, check=False)


def test_a_secret_in_the_settings_of_an_image(look, image):
    search = look("local://", images=True)
    assert (("env:DB_PASSWORD", Kind.IMAGE, image, None)) in found(search)
    assert search.hosts[0].looked.images > 0
    assert "images" not in search.hosts[0].looked.ended
    reason = judge.judge(search, Secrets(images=True)).reason
    assert f"stands in the settings or the history of the image {image}" in reason


def test_a_program_for_containers_that_fails_is_no_pass(look, tmp_path, monkeypatch):
    for name in ("podman", "docker"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 125\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    search = look("local://", images=True)
    assert search.hosts[0].looked.no_images_by == ("podman", "docker")
    result = judge.judge(search, Secrets(images=True, allowed_environments=hidden(search)))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "container images cannot be listed by podman and docker: start its service" in result.reason


#: Takes the documented arguments of docker(1), and prints what it does: there is no daemon at hand.
_DOCKER = """#!/bin/sh
case "$*" in
  "images -q --no-trunc") echo sha256:0f1e;;
  "image inspect --format {{range .RepoTags}}{{.}} {{end}}{{println}}{{json .Config}} sha256:0f1e")
    printf 'shop/web:1 \\n\\n{"Env":["PATH=/bin"],"Labels":null}\\n';;
  "history --no-trunc --format {{.CreatedBy}} sha256:0f1e")
    echo 'RUN |1 TOKEN=%s /bin/sh -c make # buildkit';;
  *) echo "wrong arguments: $*" >&2; exit 64;;
esac
"""


def test_a_secret_in_the_history_of_an_image_of_docker(look, tmp_path, monkeypatch):
    (tmp_path / "docker").write_text(_DOCKER.replace("%s", VALUE))
    (tmp_path / "podman").write_text("#!/bin/sh\nexit 125\n")
    for name in ("podman", "docker"):
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    search = look("local://", images=True)
    assert ("env:DB_PASSWORD", Kind.IMAGE, "shop/web:1", None) in found(search)
    assert (search.hosts[0].looked.images, search.hosts[0].looked.no_images_by) == (1, ())


def test_images_beyond_the_most_that_are_looked_at_are_no_pass(look, tmp_path, monkeypatch):
    """What podman-images(1) prints, by a stand-in; docker is not there."""
    (tmp_path / "podman").write_text('#!/bin/sh\n[ "$1" = images ] && seq -f sha256:%g 130\ntrue\n')
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 1\n")
    for name in ("podman", "docker"):
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    looked = look("local://", images=True).hosts[0].looked
    assert (looked.images, looked.more_images, looked.no_images_by) == (100, 30, ())
    assert (looked.ended, looked.limited) == ((), ())


def test_without_a_program_for_containers_there_are_no_images(look, tmp_path, monkeypatch):
    for folder in ("/usr/bin", "/bin"):
        for program in Path(folder).iterdir():
            if program.name not in ("podman", "docker") and not (tmp_path / program.name).exists():
                (tmp_path / program.name).symlink_to(program)
    monkeypatch.setenv("PATH", str(tmp_path))
    search = look("local://", images=True)
    looked = search.hosts[0].looked
    assert (looked.images, looked.limited, looked.no_images_by) == (None, (), ())
    notes = judge.judge(search, Secrets(images=True)).notes
    assert any("there are no container images" in note for note in notes)


def test_the_tools_of_busybox_do(look, there, tmp_path, monkeypatch):
    """As on Alpine: its tools in place of GNU's, with the machine's shell."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("there is no busybox here: apt install busybox")
    tools = tmp_path / "busybox"
    tools.mkdir()
    subprocess.run([busybox, "--install", "-s", tools], check=True)
    log, file, key = there / "logs" / "a.log.1.gz", there / "files" / "b.env", there / "files" / "c.key"
    log.write_bytes(gzip.compress(f"x\n{VALUE}\n".encode()))
    file.write_text(VALUE)
    key.write_text("key")
    key.chmod(0o640)
    (there / "files" / f"d-{VALUE.replace('/', '-')}").write_text("")
    Secret(VALUE.replace("/", "-"), "env:OTHER")
    monkeypatch.setenv("PATH", str(tools))
    search = look("local://", key_files=[{"path": str(key)}])
    looked = search.hosts[0].looked
    assert looked is not None
    assert (looked.absent, looked.ended, looked.limited) == ((), (), ())
    assert {(kind, line) for _, kind, _, line in found(search)} == {
        (Kind.LOG, 2),
        (Kind.FILE, 1),
        (Kind.NAME, None),
    }
    assert [(state.path, state.mode) for state in search.hosts[0].keys] == [(str(key), 0o640)]
    assert looked.processes > 1
