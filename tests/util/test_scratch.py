"""Scratch folders of processes: those of killed ones are removed, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from factory.store.prune import prune
from factory.util.paths import Layout
from factory.util.scratch import discard, is_abandoned, is_foreign, own_folder

KILLED = """
import os, signal, sys
from pathlib import Path
from factory.util.scratch import own_folder
with own_folder(Path(sys.argv[1]), sys.argv[2], sys.argv[3], keep=False) as folder:
    (folder / "work").mkdir(parents=True)
    print(folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_in(scratch: Path, kind: str = "check", package: str = "demo") -> Path:
    """Return the scratch folder of a process that was killed in it."""
    words = [sys.executable, "-c", KILLED, str(scratch), kind, package]
    return Path(subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip())


@pytest.mark.parametrize("kind", ["check", "bench", "rebuild"])
def test_own_folder_removes_folders_of_killed_processes(tmp_path: Path, kind: str) -> None:
    left = killed_in(tmp_path, kind)
    assert (left / "work").is_dir()
    with own_folder(tmp_path, kind, "another", keep=False) as folder:
        folder.mkdir()
        assert not left.exists()
    assert list(tmp_path.iterdir()) == []


def test_own_folder_with_reused_pid_is_abandoned(tmp_path: Path) -> None:
    """The number of a killed process may be that of a new one, which started at another time."""
    with own_folder(tmp_path, "check", "demo", keep=False) as folder:
        process, started, namespace = folder.name.rpartition("-")[2].split(".")
        earlier = folder.with_name(f"check-demo-{process}.{int(started) - 1}.{namespace}")
        elsewhere = folder.with_name(f"check-demo-{process}.{int(started) - 1}.{int(namespace) + 1}")
    assert process == str(os.getpid())
    assert (is_abandoned(folder), is_abandoned(earlier), is_abandoned(elsewhere)) == (False, True, False)
    assert (is_foreign(folder), is_foreign(elsewhere)) == (False, True)


def test_own_folder_keeps_running_processes_and_other_names(tmp_path: Path) -> None:
    """Jobs of recipes named check-x and bench-x are no scratch folders."""
    others = [tmp_path / "check-x-0123456789abcdef", tmp_path / "check-x-0123456789abcdef.lock"]
    others[0].mkdir()
    others[1].touch()
    with own_folder(tmp_path, "check", "one", keep=False) as one:
        one.mkdir()
        with own_folder(tmp_path, "check", "x", keep=False):
            assert one.is_dir()
    assert sorted(tmp_path.iterdir()) == others


def test_prune_removes_scratch_of_killed_processes(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    left = killed_in(layout.scratch, "rebuild")
    with own_folder(layout.scratch, "rebuild", "demo", keep=False) as folder:
        folder.mkdir(parents=True, exist_ok=True)
        left.mkdir(exist_ok=True)
        said: list[str] = []
        prune(layout, 30, said.append)
        assert folder.is_dir()
    assert [line.partition(":")[0] for line in said] == [f"scratch/{left.name}"]


def test_discard_removes_links_and_not_their_targets(tmp_path: Path) -> None:
    kept, folder = tmp_path / "kept", tmp_path / "folder"
    for path in (kept, folder / "a/b", folder / "closed"):
        path.mkdir(parents=True)
        for number in range(20):
            (path / str(number)).touch()
    (folder / "a/link").symlink_to(kept)
    (folder / "a/dangling").symlink_to("nowhere")
    (folder / "closed").chmod(0o500)
    discard(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert len(list(kept.iterdir())) == 20
