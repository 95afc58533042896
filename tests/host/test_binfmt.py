"""Our binfmt_misc entry among those of the host."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from factory.host import binfmt
from factory.model.protocols import Command
from factory.stages.environments.debian.layers import DebianLayers
from factory.stages.environments.rootfs import RootfsEnvironment
from factory.util.log import LogFile
from factory.util.paths import Layout
from tests.support.layer_stores import layer_store

pytestmark = pytest.mark.environment

RIVAL = binfmt.BINFMT / "rival-riscv64"


# A native program reads the path of the QEMU that runs an emulated one.
WHO_RUNS = "sleep 9 & python-pure -c \"import os, sys; print(os.readlink(f'/proc/{sys.argv[1]}/exe'))\" $! > /build/who"


@pytest.fixture
def rival(hybrid: RootfsEnvironment, tmp_path: Path) -> Iterator[str]:
    """Another program's entry, newer than ours, with its own QEMU."""
    ours = binfmt.registered_interpreter()
    assert ours is not None
    other = tmp_path / "rival-qemu"
    shutil.copy(ours, other)
    (binfmt.BINFMT / "register").write_text(f":{RIVAL.name}:M::{binfmt.MAGIC}:{binfmt.MASK}:{other}:PF")
    yield RIVAL.read_text()
    RIVAL.write_text("-1")


def who_runs(environment: RootfsEnvironment, work: Path) -> str:
    with environment.open(work, caches="test") as sandbox:
        sandbox.run(Command(["sh", "-c", WHO_RUNS]), log=LogFile(work.with_name("log")))
    return Path((work / "who").read_text().strip()).name


def test_registered_interpreter_is_our_qemu(hybrid: RootfsEnvironment, layout: Layout) -> None:
    registered = binfmt.registered_interpreter()
    assert registered is not None
    assert registered.name == "qemu-riscv64"
    assert binfmt.ENTRY not in binfmt.rivals()


def test_register_qemu_with_rival_wins_and_keeps_it(
    hybrid: RootfsEnvironment, layout: Layout, tmp_path: Path, rival: str
) -> None:
    assert RIVAL.name in binfmt.rivals()
    assert who_runs(hybrid, tmp_path / "before") == "rival-qemu"
    DebianLayers(layer_store(layout)).register_qemu()
    assert RIVAL.read_text() == rival
    assert who_runs(hybrid, tmp_path / "after") == "qemu-riscv64"


# The table of a user namespace is empty at first. Arguments: folder, version, flags.
REGISTER_ANOTHER = """
import sys
from pathlib import Path
from factory.host import binfmt
from factory.util.process import run
run(binfmt.MOUNT)
assert not binfmt.is_served()
qemu = Path(sys.argv[1], "qemu")
qemu.write_text(f"#!/bin/sh\\necho qemu-riscv64 version {sys.argv[2]}\\n")
qemu.chmod(0o755)
(binfmt.BINFMT / "register").write_text(f":another:M::{binfmt.MAGIC}:{binfmt.MASK}:{qemu}:{sys.argv[3]}")
print(binfmt.is_served())
"""


@pytest.mark.parametrize(
    ("version", "flags", "served"), [("10.0.2", "OCF", "True"), ("7.2.19", "OCF", "False"), ("10.0.2", "OC", "False")]
)
def test_is_served_needs_recent_qemu_with_flag_f(tmp_path: Path, version: str, flags: str, served: str) -> None:
    enter = ["unshare", "--user", "--map-root-user", "--mount"]
    command = [*enter, sys.executable, "-c", REGISTER_ANOTHER, str(tmp_path), version, flags]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == served


# Registers a QEMU in a table of its own, whose locks are in the folder of the first argument; then waits for a line.
USER = """
import sys
from pathlib import Path
from factory.host import binfmt
binfmt.LOCKS = Path(sys.argv[1])
binfmt.ensure_registered(Path(sys.argv[2]))
print(binfmt.registered_interpreter().name, (binfmt.BINFMT / binfmt.ENTRY).stat().st_mtime_ns, flush=True)
sys.stdin.readline()
"""
# Several processes share one table.
TOGETHER = """
import subprocess, sys
from pathlib import Path
from factory.host import binfmt
from factory.util.process import run
run(binfmt.MOUNT)
folder = Path(sys.argv[1])
for name in ("one", "two"):
    (folder / name).write_text(f"#!/bin/sh\\n# {name}\\n")
    (folder / name).chmod(0o755)

def start(name):
    command = [sys.executable, "-c", sys.argv[2], str(folder), str(folder / name)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

def end(process):
    process.communicate("\\n")

first = start("one")
print(registered := first.stdout.readline().strip())
second = start("two")
print(second.stdout.readline().strip() == registered)
end(first)
third = start("two")
print(third.stdout.readline().strip() == registered)
end(second)
end(third)
several = [start("two") for _ in range(4)]
print(*(process.stdout.readline().split()[0] for process in several))
for process in several:
    end(process)
print(sorted(path.name for path in binfmt.BINFMT.iterdir()))
"""


def test_register_while_others_build_keeps_the_entry(tmp_path: Path) -> None:
    """A second QEMU waits for the builds of the first one to end."""
    enter = ["unshare", "--user", "--map-root-user", "--mount"]
    command = [*enter, sys.executable, "-c", TOGETHER, str(tmp_path), USER]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    registered, second, third, several, entries = ran.stdout.splitlines()
    assert registered.startswith("one ")
    assert (second, third, several) == ("True", "True", "two two two two")
    assert entries == str(sorted([binfmt.ENTRY, "register", "status"]))


def test_register_again_with_older_rival_changes_nothing(hybrid: RootfsEnvironment, layout: Layout, rival: str) -> None:
    time.sleep(0.05)  # longer than a tick of the clock that dates entries
    DebianLayers(layer_store(layout)).register_qemu()
    before = (binfmt.BINFMT / binfmt.ENTRY).stat().st_mtime_ns
    DebianLayers(layer_store(layout)).register_qemu()
    assert (binfmt.BINFMT / binfmt.ENTRY).stat().st_mtime_ns == before
    assert RIVAL.read_text() == rival
