"""Window of QEMU's log: a part of a program's run that is logged block by block.

Logging every block of a program that imports for minutes takes hours. A program stops itself with SIGSTOP where its
window opens and where it closes. While it is stopped, the bits for translations and block runs are switched in QEMU's
own variables of log items, the only numbers of their value among QEMU's variables. Until then the log has items that
say nothing of a user's program. A window finds no block that was translated before: with `nochain` a block is another.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from factory.errors import FactoryError
from factory.util.quantities import quantity
from factory.util.repetition import repeated

# QEMU's bits of the items (include/qemu/log.h); LOG_TRACE is set beside any other where QEMU was built with traces.
IN_ASM, EXEC, NOCHAIN, LOG_TRACE = 1 << 1, 1 << 5, 1 << 13, 1 << 15
UNIMP, GUEST_ERRORS, MMU, FPU = 1 << 10, 1 << 11, 1 << 12, 1 << 17
SILENT = "unimp,guest_errors,mmu,fpu"
SWITCHED = IN_ASM | EXEC | NOCHAIN
CLOSED = UNIMP | GUEST_ERRORS | MMU | FPU
OPENED = CLOSED | SWITCHED
# QEMU keeps the items that it was asked for, and those that it logs.
COPIES = 2
EMULATOR = "/qemu-riscv64"
MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \d+ *(.*)")
PAUSE = 0.005


@contextmanager
def switched_at_stops() -> Iterator[None]:
    """Switch the log of blocks whenever a program stops itself.

    The program is an emulated one below this process.

    Raises:
        FactoryError: QEMU's log items were not found.
    """
    failures: list[FactoryError] = []
    with repeated(PAUSE, lambda: _switch_stopped(failures)):
        yield
    if failures:
        raise failures[0]


def _switch_stopped(failures: list[FactoryError]) -> None:
    """Switch the log of each stopped program, and let it continue; end one without log items."""
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if process.status() != psutil.STATUS_STOPPED or not process.exe().endswith(EMULATOR):
                continue
            try:
                switch(process.pid)
            except FactoryError as error:
                failures.append(error)
                process.kill()
            process.resume()


def switch(pid: int) -> None:
    """Switch the log of blocks of a stopped QEMU process on or off.

    Raises:
        FactoryError: the numbers of its log items are not found, or there are others like them.
    """
    descriptor = os.open(f"/proc/{pid}/mem", os.O_RDWR)
    try:
        found = [(at, value) for at, value in _numbers(pid, descriptor) if value & ~LOG_TRACE in (CLOSED, OPENED)]
        if len(found) != COPIES:
            raise FactoryError(
                f"QEMU process {pid}: cannot open a window in its log: "
                f"{quantity(len(found), 'number')} like its log items",
                hint="another version of QEMU keeps them elsewhere: see factory/bench/instructions/log_window.py",
            )
        for at, value in found:
            os.pwrite(descriptor, struct.pack("<i", value ^ SWITCHED), at)
    finally:
        os.close(descriptor)


def _numbers(pid: int, descriptor: int) -> Iterator[tuple[int, int]]:
    """Iterate over QEMU's variables of four bytes, with their addresses."""
    for start, end in _variables(pid):
        data = os.pread(descriptor, end - start, start)
        for at, (value,) in enumerate(struct.iter_unpack("<i", data[: len(data) // 4 * 4])):
            yield start + 4 * at, value


def _variables(pid: int) -> Iterator[tuple[int, int]]:
    """Iterate over the memory of QEMU's variables.

    It is the writable part of the program, and the memory without a name that follows.
    """
    lines = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    own, end_before = False, 0
    for match in filter(None, map(MAPPING.match, lines)):
        start, end = int(match[1], 16), int(match[2], 16)
        own = match[4].endswith(EMULATOR) or (own and not match[4] and start == end_before)
        if own and "w" in match[3]:
            yield start, end
        end_before = end
