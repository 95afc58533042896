"""Parser of QEMU's execution log that counts instructions.

QEMU translates a program in blocks, and each block runs from its first instruction to its last. `in_asm` logs the
instructions of a block once, when it is translated. `exec` logs a line each time a block runs. `nochain` prevents
direct jumps between blocks, which would bypass that log. The count of an instruction is the number of
runs of its blocks.

The line of a block has QEMU's translation flags, which include the SEW and LMUL of its vector instructions: every
instruction that sets vtype ends a block.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

from factory.errors import FactoryError

LOG_ITEMS = "exec,nochain,in_asm"
RUN = re.compile(rb"Trace \d+: (0x[0-9a-f]+) \[[0-9a-f]+/([0-9a-f]+)/([0-9a-f]+)/[0-9a-f]+\]")
NOT_RUN = re.compile(rb"Stopped execution of TB chain before (0x[0-9a-f]+) ")
LISTED = re.compile(rb"0x([0-9a-f]+):\s+([0-9a-f]{4}|[0-9a-f]{8})\s")
# Fields of the flags of QEMU 10's riscv translator, as (lowest bit, width).
LMUL_FIELD = (7, 3)
SEW_FIELD = (10, 3)


@dataclass(frozen=True, slots=True)
class Instruction:
    """An instruction in the guest's memory, with its vtype.

    `sew` is in bits, `lmul` in registers. Scalar instructions have the vtype that was set when they ran.
    """

    address: int
    encoding: int
    size: int
    sew: int
    lmul: Fraction


Listing = list[tuple[int, int, int]]  # address, encoding, size


class TraceCounter:
    """A counter of instructions, fed with a log in pieces of any size."""

    def __init__(self) -> None:
        self._rest = b""
        self._runs: Counter[bytes] = Counter()  # by whole line: a log repeats few lines many times
        self._blocks: dict[bytes, Listing] = {}
        self._translated: dict[int, Listing] = {}  # by address: the newest translation
        self._listing: Listing = []
        self._missing = 0

    def feed(self, data: bytes) -> None:
        """Process the next piece of the log."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if sum(map(_starts_run, lines)) == len(lines):
            self._runs.update(lines)
            if len(self._runs) > len(self._blocks):
                self._assign(self._runs.keys() - self._blocks.keys())
        else:
            for line in lines:
                self._parse(line)

    def instructions(self) -> Counter[Instruction]:
        """Count the runs of each instruction so far.

        Raises:
            FactoryError: the log lists no instructions for some of the blocks that ran.
        """
        if self._missing:
            raise FactoryError(
                f"QEMU's log is incomplete: it lists no instructions for {self._missing} of the blocks that ran",
                hint="count a program that starts no other program",
            )
        counts: Counter[Instruction] = Counter()
        for line, runs in self._runs.items():
            sew, lmul = _vtype(line)
            for address, encoding, size in self._blocks[line]:
                counts[Instruction(address, encoding, size, sew, lmul)] += runs
        return counts

    def _parse(self, line: bytes) -> None:
        if _starts_run(line):
            self._runs[line] += 1
            if line not in self._blocks:
                self._assign({line})
        elif line.startswith(b"IN:"):
            self._listing = []
        elif listed := LISTED.match(line):
            address = int(listed[1], 16)
            if not self._listing:
                self._translated[address] = self._listing
            self._listing.append((address, int(listed[2], 16), len(listed[2]) // 2))
        elif stopped := NOT_RUN.match(line):
            self._subtract(stopped[1])

    def _assign(self, lines: set[bytes]) -> None:
        """Assign new blocks the newest translation of their addresses."""
        for line in lines:
            match = RUN.match(line)
            listing = self._translated.get(int(match[2], 16)) if match else None
            if listing is None:
                self._missing += 1
            self._blocks[line] = listing or []

    def _subtract(self, block: bytes) -> None:
        """Subtract a run: QEMU logs a block before it stops at its first instruction."""
        for line in self._runs:
            match = RUN.match(line)
            if match is not None and match[1] == block:
                self._runs[line] -= 1
                return


def _starts_run(line: bytes) -> bool:
    return line.startswith(b"Trace ")


def _vtype(line: bytes) -> tuple[int, Fraction]:
    match = RUN.match(line)
    assert match is not None  # lines without a match have no listing
    flags = int(match[3], 16)
    lmul = _field(flags, LMUL_FIELD)
    return 8 << _field(flags, SEW_FIELD), Fraction(1 << lmul) if lmul < 4 else Fraction(1, 1 << (8 - lmul))


def _field(flags: int, place: tuple[int, int]) -> int:
    lowest, width = place
    return flags >> lowest & ((1 << width) - 1)
