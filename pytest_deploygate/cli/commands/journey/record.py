"""Record a journey with Playwright's recorder, and write it as a test."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import click

from pytest_deploygate.cli.shared import recorded
from pytest_deploygate.cli.shared.refusals import Command, Refused
from pytest_deploygate.clients.browser.running import system_browser
from pytest_deploygate.files import write_whole


@click.command(cls=Command)
@click.argument("url")
@click.option("--name", required=True, metavar="TEXT", help="What the user does, e.g. `reads a report`.")
@click.option(
    "--item", default="phase3.smoke", show_default=True, metavar="ID", help="The item that it is for."
)
@click.option(
    "--user",
    default="viewer",
    show_default=True,
    metavar="NAME",
    help="The user of `journeys.users` who logs in.",
)
@click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where it is written. Default: suites/test_NAME.py.",
)
def record(url: str, name: str, item: str, user: str, file: Path | None) -> None:
    """Record a journey with Playwright's recorder, and write it as a test.

    A browser opens at URL; close it when you are done. A password that you type is not written: the login becomes
    `journey.login(…)`. It needs a display, and Playwright's own browser or the system's Chromium.

    \b
    deploygate journey record https://app.example.com --name "reads a report"
    """
    if not re.match(r"https?://[^/\s]+", url):
        raise Refused(f"{url!r} is not a URL; write for example https://app.example.com")
    if find_spec("playwright") is None:
        raise Refused(
            "the recorder is Playwright's, which is not installed: pip install 'pytest-deploygate[browser]'"
        )
    target = file or Path("suites") / f"test_{re.sub(r'[^a-z0-9]+', '_', name.lower()).strip('_')}.py"
    if target.exists():
        raise Refused(f"{target} exists: choose another --name or --file")
    try:
        source = recorded.journey(_recording(url), name, item, user, url)
    except recorded.Unreadable as error:
        raise Refused(str(error)) from None
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, source)
    if fields := recorded.typed_into(source):
        click.echo(f"{target} has what you typed into {', '.join(fields)}: no secret must be among it.")
    click.echo(f"{target} is written. Say in it what must be seen, then try it:")
    click.echo(f"  deploygate journey run {target} --inventory NAME")


def _recording(url: str) -> str:
    """Let a person act in the recorder's browser; return what it wrote. The file is removed: a password may be in it."""
    with tempfile.TemporaryDirectory(prefix="deploygate-recording-") as folder:
        file = Path(folder) / "recording.py"
        words = [
            sys.executable,
            "-m",
            "playwright",
            "codegen",
            "--target",
            "python-pytest",
            "-o",
            str(file),
            url,
        ]
        environment = os.environ | _browsers(Path(folder) / "browsers")
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
        if not file.exists():
            raise Refused(f"the recorder wrote nothing: {_why(done.stderr)}")
        return file.read_text("utf-8")


def _browsers(folder: Path) -> dict[str, str]:
    """Return what the recorder needs in its environment. It knows Playwright's own browser alone: the system's is put there."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 (heavy, and an extra)

    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
    if own.is_file():
        return {}
    found = system_browser()
    if found is None:
        raise Refused(
            "there is no browser here: `playwright install chromium`, or `apt-get install chromium`"
        )
    # chromium-1255/chrome-linux64/chrome
    link = folder.joinpath(*own.parts[-3:])
    link.parent.mkdir(parents=True)
    link.symlink_to(found)
    return {"PLAYWRIGHT_BROWSERS_PATH": str(folder)}


def _why(said: str) -> str:
    if "XServer" in said or "X server" in said or "$DISPLAY" in said:
        return "it needs a display; run it on a desktop, or over `ssh -X`"
    line = next((line for line in said.splitlines() if "rror" in line), "")
    return line.strip() or "its browser was closed at once"
