"""Virtual machines: they boot Debian's kernel, run a script and report its status."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory.bench.virtual_machine import DISKS, Hardware, VirtualMachine, virtual_machine
from factory.errors import EnvironmentSetupError
from factory.model.distribution import DEFAULT_DISTRIBUTION
from factory.model.target import PROFILES
from factory.util.paths import Layout
from tests.support.layer_stores import layer_store
from tests.support.logs import MemoryLog

pytestmark = pytest.mark.environment

SCRIPT = """
uname -m
echo "processors: $(nproc)"
grep --max-count 1 ^isa /proc/cpuinfo
cat /mnt/greeting
head --bytes 4 {disk}
"""


@pytest.fixture(scope="module")
def machine(layout: Layout) -> VirtualMachine:
    return virtual_machine(layer_store(layout), DEFAULT_DISTRIBUTION)


def hardware(profile: str) -> Hardware:
    return Hardware(cpu=PROFILES[profile].qemu_cpu, processors=2, memory=1 << 30)


def test_script_runs_on_profile_cpu_with_folder_and_disks(
    machine: VirtualMachine, tmp_path: Path, log: MemoryLog
) -> None:
    folder, disk = tmp_path / "folder", tmp_path / "a,b"
    folder.mkdir()
    (folder / "greeting").write_text("hello from the second disk\n")
    disk.write_bytes(b"data")
    console = machine.run(folder, SCRIPT.format(disk=DISKS[0]), hardware("k1"), disks=[disk], seconds=300, log=log)
    lines = console.splitlines()
    assert {"riscv64", "processors: 2", "hello from the second disk", "data"} <= set(lines)
    (isa,) = (line for line in lines if line.startswith("isa"))
    assert "_zvfh" in isa
    assert not (tmp_path / "folder.ext4").exists()


def test_time_limit_reports_last_console_lines(machine: VirtualMachine, tmp_path: Path, log: MemoryLog) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(EnvironmentSetupError, match=r"time limit of 2 s (.|\n)*console") as raised:
        machine.run(folder, "sleep 1000", hardware("rv64gc"), seconds=2, log=log)
    assert (raised.value.hint or "").endswith(" log")


def test_unknown_cpu_is_named(machine: VirtualMachine, tmp_path: Path, log: MemoryLog) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    unknown = Hardware(cpu="no-such-cpu", processors=1, memory=1 << 30)
    with pytest.raises(EnvironmentSetupError, match="no-such-cpu"):
        machine.run(folder, "true", unknown, seconds=60, log=log)
