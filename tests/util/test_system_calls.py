"""Filter of system calls: keys, rings and sockets of other kinds are absent, everything else goes on."""

from __future__ import annotations

import errno
import json
import os
import socket
import struct

import pytest

from factory.util.confinement import run_tool
from factory.util.system_calls import DENIED, DENIED_IN_CONTAINERS, docker_profile, seccomp_program

# Actions of a filter.
ALLOWED, FAILED = 0x7FFF0000, 0x00050000
CALLS = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
for number in map(int, sys.argv[1:]):
    libc.syscall(number, 0, 0, 0, 0, 0)
    print(os.strerror(ctypes.get_errno()))
"""
SOCKETS = """
import socket
for family in range(64):
    try:
        socket.socket(family, socket.SOCK_DGRAM if family != 16 else socket.SOCK_RAW).close()
        print(family)
    except OSError:
        pass
"""


def test_denied_call_is_absent() -> None:
    column = 0 if os.uname().machine == "x86_64" else 1
    numbers = [str(each[column]) for each in DENIED.values()]
    said = run_tool(["python3", "-c", CALLS, *numbers]).splitlines()
    assert said == ["Function not implemented"] * len(DENIED)


def test_sockets_are_of_known_families() -> None:
    found = {int(line) for line in run_tool(["python3", "-c", SOCKETS]).split()}
    assert socket.AF_UNIX in found
    assert found <= {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK}


def action(machine: str, architecture: int, number: int, argument: int = 0) -> int:
    """Run the filter on a system call as the kernel does; return its action."""
    program = list(struct.iter_unpack("=HBBI", seccomp_program(machine)))
    data, place, value = struct.pack("=IIQQ", number, architecture, 0, argument), 0, 0
    while True:
        code, if_true, if_false, constant = program[place]
        place += 1
        if code == 0x06:
            return int(constant)
        if code == 0x20:
            (value,) = struct.unpack_from("=I", data, constant)
        else:
            place += if_true if {0x15: value == constant, 0x35: value >= constant}[code] else if_false


@pytest.mark.parametrize(
    ("machine", "architecture", "calls", "other"),
    [("x86_64", 0xC000003E, (41, 53), 0), ("riscv64", 0xC00000F3, (198, 199), 63)],
)
def test_program_allows_sockets_of_known_families(
    machine: str, architecture: int, calls: tuple[int, ...], other: int
) -> None:
    """A pair of sockets of AF_TIPC, 30, is made without socket()."""
    for number in calls:
        found = {family: action(machine, architecture, number, family) for family in range(64)}
        assert {family for family, each in found.items() if each == ALLOWED} == {1, 2, 10, 16}
        assert set(found.values()) == {ALLOWED, FAILED | errno.EAFNOSUPPORT}
    assert {action(machine, architecture, other, family) for family in range(64)} == {ALLOWED}
    assert action(machine, 0x40000003, other) == FAILED | errno.ENOSYS


@pytest.mark.parametrize(("machine", "io_uring", "add_key"), [("x86_64", 425, 248), ("riscv64", 425, 217)])
def test_program_compares_numbers_of_its_machine(machine: str, io_uring: int, add_key: int) -> None:
    program = seccomp_program(machine)
    compared = {value for code, _, _, value in struct.iter_unpack("=HBBI", program) if code == 0x15}
    assert {io_uring, add_key} <= compared


def test_program_of_other_machine_allows_all() -> None:
    assert len(seccomp_program("s390x")) == 8


def test_profile_for_docker_denies_at_least_the_same() -> None:
    profile = json.loads(docker_profile())
    denied = {name for rule in profile["syscalls"] if not rule["args"] for name in rule["names"]}
    assert denied == {*DENIED, *DENIED_IN_CONTAINERS}
