"""Virtual machines boot Debian's kernel, do what a script says and give its end back."""

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


def test_a_script_runs_on_the_cpu_of_a_profile_and_sees_its_folder_and_disks(
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


def test_a_machine_that_takes_too_long_is_one_error_with_the_end_of_its_console(
    machine: VirtualMachine, tmp_path: Path, log: MemoryLog
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(EnvironmentSetupError, match="was not done after 2 s; the last lines of its console") as raised:
        machine.run(folder, "sleep 1000", hardware("rv64gc"), seconds=2, log=log)
    assert raised.value.hint == "the whole console is in log"


def test_a_cpu_that_qemu_does_not_know_is_an_error_that_says_so(
    machine: VirtualMachine, tmp_path: Path, log: MemoryLog
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    unknown = Hardware(cpu="no-such-cpu", processors=1, memory=1 << 30)
    with pytest.raises(EnvironmentSetupError, match="no-such-cpu"):
        machine.run(folder, "true", unknown, seconds=60, log=log)
