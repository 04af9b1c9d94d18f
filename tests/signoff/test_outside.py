"""An allowed-signers file that the folder's author could have chosen vouches for nothing, whatever path leads to it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pytest_deploygate.signoff.outside import reached_through
from pytest_deploygate.signoff.verify import verify


@pytest.fixture
def place(tmp_path):
    """A folder with a file and a link in it, beside a trusted file."""
    folder = tmp_path / "out" / "CHG-1"
    (folder / "evidence").mkdir(parents=True)
    (folder / "mine").write_text("forged")
    (tmp_path / "trusted").write_text("trusted")
    (folder / "evidence" / "to-trusted").symlink_to(tmp_path / "trusted")
    (folder / "up").symlink_to("../..")
    (folder / "dir").symlink_to(tmp_path)
    return tmp_path, folder


def ways(root, folder):
    """Return paths to allowed-signers files that the folder's author decides, by the kind of way."""
    (root / "link").symlink_to(folder / "mine")
    (root / "link2").symlink_to("link")
    (root / "folder-link").symlink_to(folder)
    (root / "over").symlink_to(folder / "evidence" / "to-trusted")
    (root / "hard").hardlink_to(folder / "mine")
    (root / "link-to-hard").symlink_to(root / "hard")
    return {
        "in it": folder / "mine",
        "in it, with dots": folder / "evidence" / ".." / "mine",
        "a link to it": root / "link",
        "a link to a link": root / "link2",
        "through a link to the folder": root / "folder-link" / "mine",
        "a link in it that leads out": folder / "evidence" / "to-trusted",
        "a link to a link in it that leads out": root / "over",
        "a folder's link in it": folder / "up" / "trusted",
        "an absolute folder's link in it": folder / "dir" / "trusted",
        "out and in again": folder / "up" / "out" / "CHG-1" / ".." / ".." / "trusted",
        "a hard link": root / "hard",
        "a link to a hard link": root / "link-to-hard",
    }


def test_no_way_through_the_folder_is_outside(place):
    for how, path in ways(*place).items():
        assert reached_through(place[1], path), how
        assert reached_through(place[0] / "folder-link", path), how


def test_ways_beside_the_folder_are_outside(place, monkeypatch):
    root, folder = place
    (root / "alias").symlink_to(root / "trusted")
    (root / "out" / "out-alias").symlink_to("../trusted")
    assert not reached_through(folder, root / "trusted")
    assert not reached_through(folder, root / "alias")
    assert not reached_through(folder, root / "out" / "out-alias")
    monkeypatch.chdir(folder)
    assert not reached_through(folder, folder.joinpath("..", "..", "trusted").relative_to(folder))


def test_a_mount_of_the_folder_is_the_folder(place):
    root, folder = place
    (root / "mount").mkdir()
    (root / "one").touch()
    said = (
        f"mount --bind {folder} {root}/mount && mount --bind {folder}/mine {root}/one && "
        f'python3 -c "import sys; sys.path[:0] = sys.argv[1:]; from pathlib import Path as P; '
        f"from pytest_deploygate.signoff.outside import reached_through as r; "
        f"print(r(P('{folder}'), P('{root}/mount/mine')), r(P('{folder}'), P('{root}/one')), sep='|')\" {Path.cwd()}"
    )
    if not shutil.which("unshare"):
        pytest.skip("there is no unshare")
    done = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", said],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and "ermi" in done.stderr:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert all(done.stdout.strip().split("|")), done.stdout


def test_a_loop_of_links_ends(place):
    root, folder = place
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    with pytest.raises(OSError, match="Too many levels"):
        reached_through(folder, root / "a")


def test_verify_trusts_no_such_file(signed, tmp_path):
    """Each way in a signed folder: the signatures are valid, and trust is not established."""
    shutil.copy(signed.allowed, signed.folder / "mine")
    (signed.folder / "out").symlink_to(signed.allowed)
    (tmp_path / "hard").hardlink_to(signed.folder / "mine")
    (tmp_path / "link").symlink_to(signed.folder / "out")
    for file in (signed.folder / "mine", signed.folder / "out", tmp_path / "hard", tmp_path / "link"):
        result = verify(signed.folder, file, root=signed.project)
        assert result.exit_code == 26, file
        assert "trust not established" in result.first.text
        assert "that it would vouch for" in result.first.text
    (signed.folder / "out").unlink()
    assert verify(signed.folder, signed.allowed, root=signed.project).exit_code == 0
