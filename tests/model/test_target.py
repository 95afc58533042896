"""Tests of ISA profiles, on QEMU's user emulation."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from factory.model.target import PROFILES, Profile
from tests.support.elf_images import code

READ_VLENB, ZERO = 0xC2202573, 0x00000513  # csrr a0, vlenb; li a0, 0
EXIT = (0x05D00893, 0x00000073)  # li a7, 93; ecall
ADDRESS, HEADERS = 0x10000, 64 + 56


def write_program(path: Path, *instructions: int) -> Path:
    """Write a static riscv64 executable."""
    text = code(*instructions)
    size, entry = HEADERS + len(text), ADDRESS + HEADERS
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 243, 1, entry, 64, 0, 5, 64, 56, 1, 64, 0, 0)
    path.write_bytes(header + struct.pack("<IIQQQQQQ", 1, 5, 0, ADDRESS, ADDRESS, size, size, 0x1000) + text)
    path.chmod(0o755)
    return path


@pytest.mark.environment
@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_profile_starts_in_qemu_with_its_vlen(profile: Profile, native_qemu: list[str], tmp_path: Path) -> None:
    """QEMU refuses unknown CPUs, and VLEN that it does not emulate: 11.1 takes at most 1024."""
    program = write_program(tmp_path / "program", READ_VLENB if profile.vlen else ZERO, *EXIT)
    finished = subprocess.run([*native_qemu, "-cpu", profile.qemu_cpu, str(program)], capture_output=True, text=True)
    assert (finished.stderr, 8 * finished.returncode) == ("", profile.vlen)
