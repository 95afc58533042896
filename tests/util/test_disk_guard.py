"""Tests of the disk guard on a real, tiny file system."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.errors import CommandFailed
from factory.util.disk_guard import disk_guard
from factory.util.failure_hints import is_machines_fault
from factory.util.process import run


def test_command_that_fills_the_disk_is_ended(tiny_disk: Path) -> None:
    fill = f"while :; do head -c 4096 /dev/zero >> {tiny_disk}/file; sleep 0.02; done"
    with pytest.raises(CommandFailed) as caught, disk_guard(tiny_disk):
        run(["sh", "-c", fill])
    assert str(tiny_disk) in caught.value.message
    assert is_machines_fault(caught.value.output)


def test_small_command_may_use_the_reserve(tiny_disk: Path) -> None:
    (tiny_disk / "others").write_bytes(bytes(244 << 10))
    with disk_guard(tiny_disk):
        run(["sh", "-c", f"echo small > {tiny_disk}/file; sleep 0.7"])
    assert (tiny_disk / "file").read_text() == "small\n"
