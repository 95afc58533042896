"""System calls that commands in roots do not get, by a filter of Linux's seccomp.

No namespace separates keyrings, the work that io_uring does for a process, or sockets of kinds such as AF_VSOCK, which
reaches the hypervisor. Filtered calls fail as on a kernel without them, so programs take their other ways. bubblewrap
gets the filter as a program of classic BPF, Docker as a profile.
"""

from __future__ import annotations

import errno
import json
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass

# Numbers on x86-64, and on architectures with Linux's generic table.
KEYS = {"add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219)}
IO_URING = {name: (number, number) for name, number in (("setup", 425), ("enter", 426), ("register", 427))}
DENIED = {
    **KEYS,
    **{f"io_uring_{name}": numbers for name, numbers in IO_URING.items()},
    "perf_event_open": (298, 241),
    "open_by_handle_at": (304, 265),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
}
# Names alone: bubblewrap's user namespace forbids them, Docker's own profile would.
DENIED_IN_CONTAINERS = (
    *("acct", "clone3", "delete_module", "finit_module", "fsconfig", "fsmount", "fsopen", "fspick", "init_module"),
    *("ioperm", "iopl", "kcmp", "kexec_file_load", "kexec_load", "lookup_dcookie", "mount", "mount_setattr"),
    *("move_mount", "name_to_handle_at", "nfsservctl", "open_tree", "pivot_root", "process_vm_readv"),
    *("process_vm_writev", "quotactl", "reboot", "setns", "swapoff", "swapon", "syslog", "umount", "umount2"),
    *("unshare", "uselib", "ustat", "vhangup", "vm86", "vm86old"),
)
CLONE_NEWUSER = 0x10000000
# AF_UNIX, AF_INET, AF_INET6 and AF_NETLINK, by which programs ask for the machine's addresses.
SOCKET_FAMILIES = (1, 2, 10, 16)
# Linux 6.18 has families up to 45.
LARGEST_FAMILY = 63

# Instructions of classic BPF: load a word of the call's data, compare, return.
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
# In struct seccomp_data: number, architecture, lower half of the first argument.
_NUMBER, _ARCHITECTURE, _ARGUMENT = 0, 4, 16
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000
# Calls of x86-64's variant with 32-bit pointers have this bit.
_X32 = 0x40000000


@dataclass(frozen=True, slots=True)
class _Machine:
    """An architecture: its number in audit.h, its column of numbers, and two numbers of calls."""

    audit: int
    column: int
    socket: int
    socketpair: int


_MACHINES = {
    "x86_64": _Machine(0xC000003E, 0, 41, 53),
    "riscv64": _Machine(0xC00000F3, 1, 198, 199),
}


def seccomp_program(machine: str = os.uname().machine) -> bytes:
    """Return the filter for bubblewrap.

    It denies all calls of other architectures, such as the machine's 32-bit one. Machines on which no roots are opened
    have an empty one. Linux 5.16 and newer do not slow filtered programs down.
    """
    if (made := _MACHINES.get(machine)) is None:
        return _packed([(_RETURN, 0, 0, _ALLOW)])
    absent, no_family = _FAIL | errno.ENOSYS, _FAIL | errno.EAFNOSUPPORT
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, made.audit),
        (_RETURN, 0, 0, absent),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, absent),
    ]
    for numbers in DENIED.values():
        program += [(_EQUAL, 0, 1, numbers[made.column]), (_RETURN, 0, 0, absent)]
    families = [(_EQUAL, len(SOCKET_FAMILIES) - place, 0, each) for place, each in enumerate(SOCKET_FAMILIES)]
    program += [(_EQUAL, 1, 0, made.socketpair), (_EQUAL, 0, len(families) + 2, made.socket)]
    program += [(_LOAD, 0, 0, _ARGUMENT), *families]
    program += [(_RETURN, 0, 0, no_family), (_RETURN, 0, 0, _ALLOW)]
    return _packed(program)


def _packed(program: Sequence[tuple[int, int, int, int]]) -> bytes:
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def docker_profile() -> str:
    """Return the filter for Docker, in place of its own profile."""
    others = [each for each in range(LARGEST_FAMILY + 1) if each not in SOCKET_FAMILIES]
    families = [_argument("SCMP_CMP_EQ", each) for each in others] + [_argument("SCMP_CMP_GT", LARGEST_FAMILY)]
    rules = [
        _rule([*DENIED, *DENIED_IN_CONTAINERS], errno.ENOSYS),
        _rule(["clone"], errno.EPERM, _argument("SCMP_CMP_MASKED_EQ", CLONE_NEWUSER, CLONE_NEWUSER)),
        *(_rule(["socket", "socketpair"], errno.EAFNOSUPPORT, each) for each in families),
    ]
    return json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules})


def _rule(names: Sequence[str], error: int, *arguments: dict[str, object]) -> dict[str, object]:
    return {"names": list(names), "action": "SCMP_ACT_ERRNO", "errnoRet": error, "args": list(arguments)}


def _argument(comparison: str, value: int, second: int = 0) -> dict[str, object]:
    return {"index": 0, "op": comparison, "value": value, "valueTwo": second}
