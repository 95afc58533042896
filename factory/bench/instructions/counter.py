"""Instruction counter: runs a command in a root under QEMU and reads QEMU's log."""

from __future__ import annotations

import fcntl
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from threading import Event

from factory.bench.instructions.log_window import SILENT, switched_at_stops
from factory.bench.instructions.trace import LOG_ITEMS, Instruction, TraceCounter
from factory.model.protocols import BUILD, Command, Sandbox
from factory.util.log import LogSink
from factory.util.untrusted import UntrustedFolder

PIPE = "trace"
PIPE_BYTES = 1 << 20
# QEMU writes line by line, and a wake-up for each line would slow it down. The pipe fills in about 20 ms.
PAUSE = 0.003
# A reserved address space gives equal runs equal addresses. The seed fixes the random bytes that programs start with.
DETERMINISTIC = {"QEMU_RESERVED_VA": "0x4000000000", "QEMU_RAND_SEED": "1"}


def count_instructions(
    sandbox: Sandbox,
    argv: Sequence[str],
    *,
    log: LogSink,
    cpu: str,
    env: Mapping[str, str] | None = None,
    ranges: Sequence[range] = (),
    windows: bool = False,
) -> Counter[Instruction]:
    """Run a riscv64 program under QEMU and count the instructions of all its threads.

    `ranges` are addresses: if given, only translated blocks that begin in them are counted, and the rest of the program
    costs little time. With `windows`, only what runs between the program's first stop (SIGSTOP, sent to itself) and its
    second is counted, and between the third and the fourth. The command must not start other programs: they would write
    to the same log.

    Raises:
        CommandFailed: the program failed.
        FactoryError: QEMU's log is incomplete.
    """
    pipe = sandbox.work / PIPE
    UntrustedFolder(sandbox.work).remove(PIPE)
    os.mkfifo(pipe)
    items = SILENT if windows else LOG_ITEMS
    variables = {**(env or {}), **DETERMINISTIC, "QEMU_LOG": items, "QEMU_LOG_FILENAME": str(BUILD / PIPE)}
    if ranges:
        variables["QEMU_DFILTER"] = ",".join(f"{part.start:#x}..{part.stop - 1:#x}" for part in ranges)
    counter, writer_exited = TraceCounter(), Event()
    # Opened for writing too, the pipe reports no end of file before the writer opens it. Opened before the command,
    # which can replace it.
    descriptor = os.open(pipe, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW)
    with ThreadPoolExecutor(1) as reader:
        reading = reader.submit(_read, descriptor, counter, writer_exited)
        try:
            with switched_at_stops() if windows else nullcontext():
                sandbox.run(Command(argv, env=variables, cpu=cpu), log=log)
        finally:
            writer_exited.set()
            reading.result()
            UntrustedFolder(sandbox.work).remove(PIPE)
    return counter.instructions()


def _read(descriptor: int, counter: TraceCounter, writer_exited: Event) -> None:
    """Feed the counter until the writer has exited and the pipe is empty; close the pipe."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        while True:
            last = writer_exited.is_set()
            try:
                counter.feed(os.read(descriptor, PIPE_BYTES))
            except BlockingIOError:
                if last:
                    return
            time.sleep(PAUSE)
    finally:
        os.close(descriptor)
