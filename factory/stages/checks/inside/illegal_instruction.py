"""Run a script and locate its illegal instruction: python illegal_instruction.py SCRIPT.

Before the signal ends the process, a line `factory-fault {...}` goes to standard error, with the instruction's address,
file, symbol and bytes, those before it, and the extensions of the CPU. The handler is in Python, which a thread without
the interpreter's lock may wait for: so a check runs without it, and only a failed one again with it.
"""

from __future__ import annotations

import ctypes
import json
import os
import runpy
import signal
import sys

BEFORE, AFTER = 512, 4
SA_SIGINFO, SI_ADDR = 4, 16


class Action(ctypes.Structure):
    """The C library's struct sigaction, which x86-64 and riscv64 have in common."""

    _fields_ = (
        ("handler", ctypes.c_void_p),
        ("mask", ctypes.c_ulong * 16),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    )


class Symbol(ctypes.Structure):
    """The C library's Dl_info."""

    _fields_ = (
        ("file", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    )


LIBC = ctypes.CDLL(None)
OLD = Action()


def mapping_of(address: int) -> tuple[int, int, str]:
    """Return the start of the mapping, its offset in its file, and the file."""
    with open("/proc/self/maps") as maps:  # noqa: PTH123
        for line in maps:
            span, _, offset, _, _, *path = line.split(maxsplit=5)
            start, end = (int(part, 16) for part in span.split("-"))
            if start <= address < end:
                return start, int(offset, 16), path[0].strip() if path else ""
    return address, 0, ""


def symbol_of(address: int) -> str:
    """Return `name+0x12`, empty where no symbol contains the address."""
    found = Symbol()
    if not LIBC.dladdr(ctypes.c_void_p(address), ctypes.byref(found)) or not found.name:
        return ""
    return f"{found.name.decode(errors='replace')}+{address - found.address:#x}"


def isa() -> str:
    """Return the extensions that the kernel, or QEMU, lists for the CPU."""
    with open("/proc/cpuinfo") as file:  # noqa: PTH123
        lines = [line.split(":", 1) for line in file if line.startswith("isa")]
    return lines[0][1].strip() if lines else ""


def report(_signal: int, information: int, _context: int) -> None:
    """Write the line, and let the signal come again without this handler."""
    LIBC.sigaction(int(signal.SIGILL), ctypes.byref(OLD), None)
    address = ctypes.c_void_p.from_address(information + SI_ADDR).value or 0
    start, offset, path = mapping_of(address)
    before = min(BEFORE, address - start)
    fault = {
        "address": address,
        "file": path,
        "offset": address - start + offset,
        "symbol": symbol_of(address),
        "before": ctypes.string_at(address - before, before).hex(),
        "code": ctypes.string_at(address, AFTER).hex() if path or address else "",
        "isa": isa(),
    }
    os.write(2, f"\nfactory-fault {json.dumps(fault)}\n".encode())


HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(report)


def main(script: str) -> None:
    """Run the script as the main program."""
    action = Action(handler=ctypes.cast(HANDLER, ctypes.c_void_p).value, flags=SA_SIGINFO)
    LIBC.sigaction(int(signal.SIGILL), ctypes.byref(action), ctypes.byref(OLD))
    sys.argv[:] = [script]
    sys.path[0] = os.path.dirname(script)  # noqa: PTH120
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1])
