"""Serve a live, read-only page of one change."""

from __future__ import annotations

import secrets
import threading
from pathlib import Path

import click

from pytest_deploygate.cli.shared import journals, options, signers
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.cli.shared.root import find_root

_SHORTEST = 16


@click.command()
@options.change
@options.out
@click.option(
    "--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="The address to listen on."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8642,
    show_default=True,
    help="The port; 0 takes a free one.",
)
@click.option("--name", "names", multiple=True, metavar="HOST", help="A name by which browsers reach it.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The file with the token that browsers must show. Default: none on loopback, else a new one.",
)
@click.option(
    "--allowed-signers",
    "allowed",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"Who may sign in which role. Default: {signers.ALLOWED} of the repository.",
)
def serve(
    change: str,
    out: Path | None,
    host: str,
    port: int,
    names: tuple[str, ...],
    token_file: Path | None,
    allowed: Path | None,
) -> None:
    """Serve a live, read-only page of one change: what is red and why, phases, clock, rollback, who must sign.

    Argo Rollouts can ask /decision.json, and Flagger /flagger: see docs/serve.md.

    Beyond loopback the page needs a token, which the printed address contains. Traffic is not encrypted: put a proxy with
    TLS before it where others can listen. Ctrl-C ends it.

    \b
    deploygate serve --change CHG-1234
    deploygate serve --change CHG-1234 --host 192.0.2.10 --token-file token.txt
    """
    from pytest_deploygate.report.live.server import Server, is_loopback  # noqa: PLC0415 (start time)
    from pytest_deploygate.signoff.shown import Signatures  # noqa: PLC0415

    folder = journals.place_of(change, out)
    signed = Signatures(folder, signers.allowed(allowed, find_root(Path.cwd())))
    token = _read(token_file) if token_file else "" if is_loopback(host) else secrets.token_urlsafe(24)
    if host in {"0.0.0.0", "::", ""} and not names:  # noqa: S104 (refused here)
        raise click.UsageError(f"--host {host} needs --name HOST: the name or address that browsers use")
    if ":" in host:
        raise click.UsageError("--host takes an IPv4 address or a name")
    try:
        server = Server((host, port), folder, change, token, (host, *names), signed)
    except OSError as error:
        raise Refused(
            f"{host}:{port} cannot be listened on: {error.strerror}; name another --port or --host"
        ) from None
    query = f"?token={token}" if token and not token_file else ""
    shown = names[0] if names else host
    click.echo(f"http://{shown}:{server.server_address[1]}/{query} shows {folder}. Ctrl-C ends it.")
    threading.Thread(target=server.follow, daemon=True).start()
    try:
        server.serve_forever(poll_interval=0.2)
    except KeyboardInterrupt:
        click.echo("Ended.")
    finally:
        server.server_close()


def _read(file: Path) -> str:
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise Refused(f"{file} cannot be read as a token: name a text file that this user can read") from None
    if len(token) < _SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        raise Refused(f"the token in {file} must have {_SHORTEST} or more printable characters and no space")
    return token
