"""Programs that the kernel ends for lack of memory, in a control group that has little."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from factory.errors import CommandFailed
from factory.stages.builders.base import build_failed
from factory.util.failure_hints import hint_for, is_machines_fault
from factory.util.process import run
from tests.support.logs import MemoryLog
from tests.support.recipes import SMALLEST, load_recipe, write

GROUPS = Path("/sys/fs/cgroup")
LIMIT_BYTES = 64 * 1024**2
TAKES_ALL = "blocks = []\nwhile True: blocks.append(bytearray(b'x') * (1 << 20))"


@pytest.fixture
def group() -> Iterator[Path]:
    """Make a control group with a limit of memory, in version 2 or 1 of control groups."""
    parent, name = (GROUPS, "memory.max") if (GROUPS / "cgroup.controllers").is_file() else (
        GROUPS / "memory", "memory.limit_in_bytes"
    )  # fmt: skip
    folder = parent / f"factory-test-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / name).write_text(str(LIMIT_BYTES))
    except OSError as error:
        pytest.skip(f"this machine lets nobody limit memory: {error}")
    swap = folder / "memory.swap.max"
    if swap.is_file():
        swap.write_text("0")
    yield folder
    folder.rmdir()


def in_group(group: Path, script: str) -> list[str]:
    """Return a command that runs a shell script in the control group."""
    return ["sh", "-c", f"echo $$ > {group}/cgroup.procs; {script}"]


@pytest.mark.parametrize(
    ("script", "status"),
    [
        (f'exec {sys.executable} -c "{TAKES_ALL}"', 137),
        # As ninja, make and setuptools report the end of a compiler.
        (f'{sys.executable} -c "{TAKES_ALL}" || {{ echo "error: command failed"; exit 1; }}', 1),
    ],
    ids=["itself", "its compiler"],
)
def test_command_killed_for_memory_is_the_machines_fault(
    group: Path, tmp_path: Path, log: MemoryLog, script: str, status: int
) -> None:
    with pytest.raises(CommandFailed) as caught:
        run(in_group(group, script), log=log, what="python")
    assert caught.value.status in (status, status - 128 - 18)
    assert "# out of memory: the kernel ended a program while python ran" in caught.value.output
    assert is_machines_fault(caught.value.output)
    assert "ran out of memory" in (hint_for(caught.value.output) or "")
    recipe = load_recipe(write(tmp_path, SMALLEST))
    assert build_failed(recipe, "build_wheel failed", caught.value, log).machines_fault


def test_command_that_fails_by_itself_is_not(group: Path, log: MemoryLog) -> None:
    with pytest.raises(CommandFailed) as caught:
        run(in_group(group, "exit 1"), log=log)
    assert not is_machines_fault(caught.value.output)
