"""Runs a command in a root and counts the instructions that it executes."""

from __future__ import annotations

import fcntl
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

from factory.bench.instructions.trace import LOG_ITEMS, Instruction, TraceCounter
from factory.model.protocols import BUILD, Command, Sandbox
from factory.util.log import LogSink

PIPE = "trace"
PIPE_BYTES = 1 << 20
# QEMU writes each line by itself. Waking up for each would slow it down; the pipe is full after about 20 ms.
PAUSE = 0.003
# In a space of its own QEMU gives equal runs equal addresses; programs start with random bytes, which this seeds.
PLACED = {"QEMU_RESERVED_VA": "0x4000000000", "QEMU_RAND_SEED": "1"}


def count_instructions(
    sandbox: Sandbox,
    argv: Sequence[str],
    *,
    log: LogSink,
    cpu: str,
    env: Mapping[str, str] | None = None,
    ranges: Sequence[range] = (),
) -> Counter[Instruction]:
    """Run a riscv64 program under QEMU and count what it executes, in all its threads.

    `ranges` are addresses: where there are some, only translated blocks that begin in them are counted, and the rest of
    the program costs little time. Programs that the command starts would write the same log: there must be none.

    Raises:
        CommandFailed: it ended with another status than 0.
        FactoryError: QEMU's log is incomplete.
    """
    pipe = sandbox.work / PIPE
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe)
    variables = {**(env or {}), **PLACED, "QEMU_LOG": LOG_ITEMS, "QEMU_LOG_FILENAME": str(BUILD / PIPE)}
    if ranges:
        variables["QEMU_DFILTER"] = ",".join(f"{part.start:#x}..{part.stop - 1:#x}" for part in ranges)
    counter, ended = TraceCounter(), Event()
    with ThreadPoolExecutor(1) as reader:
        reading = reader.submit(_read, pipe, counter, ended)
        try:
            sandbox.run(Command(argv, env=variables, cpu=cpu), log=log)
        finally:
            ended.set()
            reading.result()
            pipe.unlink()
    return counter.instructions()


def _read(pipe: Path, counter: TraceCounter, ended: Event) -> None:
    """Feed the counter until the writer has ended and the pipe is empty."""
    # Opened for writing too, a pipe never looks as if it had ended while nobody has opened its other side yet.
    descriptor = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        while True:
            over = ended.is_set()
            try:
                counter.feed(os.read(descriptor, PIPE_BYTES))
            except BlockingIOError:
                if over:
                    return
            time.sleep(PAUSE)
    finally:
        os.close(descriptor)
