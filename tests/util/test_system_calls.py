"""Filter of system calls: keys, rings and sockets of other kinds are absent, everything else goes on."""

from __future__ import annotations

import json
import os
import socket
import struct

import pytest

from factory.util.confinement import run_tool
from factory.util.system_calls import DENIED, DENIED_IN_CONTAINERS, docker_profile, seccomp_program

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
