"""Tests of control groups: their places, and commands that reach a limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.errors import CommandFailed
from factory.host.control_groups import control_group, parents
from factory.util.confinement import Limits
from factory.util.process import run

FORK = "import os, time\nfor _ in range(60):\n    if os.fork() == 0:\n        time.sleep(1)\n        os._exit(0)\n"
LIMITS = Limits(processes=20, memory=100 << 20)
HERE = Path("/groups")


def test_first_version_has_a_folder_for_each_controller() -> None:
    text = "9:name=systemd:/\n8:pids:/\n4:memory:/a/b\n2:cpu,cpuacct:/x\n0::/\n"
    assert parents(text, HERE) == ({"pids": HERE / "pids", "memory": HERE / "memory/a/b"}, HERE)


def test_second_version_has_one_folder() -> None:
    assert parents("0::/user.slice/user-0.slice\n", HERE) == ({}, HERE / "user.slice/user-0.slice")


@pytest.mark.parametrize(
    ("script", "named"), [(FORK, "20 processes"), ("x = b'1' * (400 << 20)", "memory")], ids=["processes", "memory"]
)
def test_command_at_a_limit_ends_alone_and_is_named(script: str, named: str) -> None:
    with control_group(LIMITS) as group:
        if not group.folders:
            pytest.skip("this machine lets the tests make no control groups")
        with pytest.raises(CommandFailed):
            run(group.command(["python3", "-c", script]))
        assert named in (group.reached() or "")
        folders = group.folders
    assert not any(folder.exists() for folder in folders)


def test_command_below_its_limits_reaches_none() -> None:
    with control_group(LIMITS) as group:
        run(group.command(["true"]))
        assert group.reached() is None
