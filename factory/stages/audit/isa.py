"""Scanner for instructions beyond rv64gc in a code section, and their extensions.

Only the instruction stream decides, neither attributes nor mapping symbols: stripped libraries have no mapping symbols,
and code for assemblers without vector support often has vector instructions as `.word`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from factory.stages.audit.opcodes import BASELINE, UNKNOWN, Pattern, long_patterns, short_patterns

Halfwords = npt.NDArray[np.uint16]
Words = npt.NDArray[np.uint32]
Labels = npt.NDArray[np.uint8]

# The parts of rv64gc, the hints, and the properties (no instructions) of the RVA20 profile.
BASELINE_NAMES = frozenset(
    (
        *("i", "m", "a", "f", "d", "g", "c", "zicsr", "zifencei", "zicntr", "zihpm"),
        *("zmmul", "zaamo", "zalrsc", "zca", "zcd"),
        *("zihintpause", "zihintntl", "zicbop", "zicfilp"),
        *("ziccif", "ziccrse", "ziccamoa", "zicclsm", "za128rs"),
    )
)
EXAMPLES = 3
CHUNK = 1 << 22  # halfwords: bounds the memory of one step, whatever the size of the section


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """An instruction of `size` bytes (2 or 4): its `offset` in the code, its `encoding`."""

    offset: int
    encoding: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Excess:
    """The instructions of one extension beyond the baseline: number and first examples."""

    extension: str
    count: int
    examples: tuple[Example, ...]


def find_excess(code: bytes | memoryview) -> tuple[Excess, ...]:
    """Find instructions beyond rv64gc in little-endian `code` that starts with one.

    The names are those of extensions ("V", "Zba", ...), "custom-N" for vendors' opcodes, "privileged" for instructions
    that programs cannot run, and "unknown" for encodings that no extension known here defines. All-zero halfwords are
    padding: the ISA defines them as permanently illegal. A truncated last instruction is ignored.
    """
    halfwords = np.frombuffer(code, dtype="<u2", count=len(code) // 2)
    counts: dict[str, int] = {}
    examples: dict[str, list[Example]] = {}
    for begin, end in _chunks(halfwords):
        for extension, found, first in _excess_of_chunk(halfwords, begin, end):
            counts[extension] = counts.get(extension, 0) + found
            examples.setdefault(extension, []).extend(first)
    return tuple(
        Excess(extension=name, count=counts[name], examples=tuple(examples[name][:EXAMPLES])) for name in sorted(counts)
    )


def instruction_starts(halfwords: Halfwords) -> npt.NDArray[np.bool_]:
    """Mark each halfword that starts an instruction; the first one does.

    An instruction is 32 bits long where its first halfword ends in 11, else 16. So a start follows every halfword that
    doesn't end in 11 (it is a short instruction, or the second half of a long one), and after it starts alternate until
    the next such halfword.
    """
    index = np.arange(len(halfwords), dtype=np.int32)
    follows_long = np.zeros(len(halfwords), dtype=bool)
    follows_long[1:] = _is_long(halfwords[:-1])
    anchor = np.maximum.accumulate(np.where(follows_long, 0, index))
    starts: npt.NDArray[np.bool_] = (index - anchor) & 1 == 0
    return starts


def extension_of(encoding: int, size: int) -> str:
    """Return the extension of an instruction: "rv64gc" or a name of `find_excess`."""
    if size == 2:
        return _names()[int(_short_labels()[encoding])]
    return _names()[int(_label_words(np.array([encoding], dtype=np.uint32))[0])]


def extensions_beyond_baseline(arch: str) -> tuple[str, ...]:
    """List the extensions of a Tag_RISCV_arch ("rv64i2p1_m2p0_v1p0") beyond rv64gc.

    Versions are omitted. A string of no 64-bit architecture is beyond the baseline as a whole.
    """
    base, *others = (re.sub(r"\d+p\d+$", "", part) for part in arch.lower().split("_"))
    parts = re.fullmatch(r"rv64([a-rt-wy0-9]+)([szx].*)?", base)
    if parts is None:
        return (arch,)
    letters = re.findall("[a-y]", re.sub(r"\d+p\d+", "", parts[1]))
    names = filter(None, (*letters, parts[2], *others))
    return tuple(name for name in dict.fromkeys(names) if name not in BASELINE_NAMES)


def _is_long(halfwords: Halfwords) -> npt.NDArray[np.bool_]:
    long: npt.NDArray[np.bool_] = halfwords & 3 == 3
    return long


def _chunks(halfwords: Halfwords) -> Iterator[tuple[int, int]]:
    """Split the code after halfwords that don't end in 11: there an instruction starts."""
    begin = 0
    while begin < len(halfwords):
        end = min(begin + CHUNK, len(halfwords))
        while end < len(halfwords) and halfwords[end - 1] & 3 == 3:
            end += 1
        yield begin, end
        begin = end


def _excess_of_chunk(halfwords: Halfwords, begin: int, end: int) -> Iterator[tuple[str, int, list[Example]]]:
    part = halfwords[begin:end]
    starts = instruction_starts(part)
    long = _is_long(part)
    labels = np.zeros(len(part), dtype=np.uint8)
    short_at = np.flatnonzero(starts & ~long)
    labels[short_at] = _short_labels()[part[short_at]]
    long_at = np.flatnonzero(starts[:-1] & long[:-1])
    labels[long_at] = _label_words(_join(part[long_at], part[long_at + 1]))
    for label in np.unique(labels[labels != 0]):
        at = np.flatnonzero(labels == label)
        yield _names()[label], len(at), [_example(halfwords, begin + int(i)) for i in at[:EXAMPLES]]


def _join(low: Halfwords, high: Halfwords) -> Words:
    return low.astype(np.uint32) | (high.astype(np.uint32) << np.uint32(16))


def _example(halfwords: Halfwords, index: int) -> Example:
    low = int(halfwords[index])
    if low & 3 != 3:
        return Example(offset=2 * index, encoding=low, size=2)
    return Example(offset=2 * index, encoding=low | int(halfwords[index + 1]) << 16, size=4)


def _label_words(words: Words) -> Labels:
    """Return the label (index into `_names()`) of each 32-bit instruction."""
    labels = np.zeros(len(words), dtype=np.uint8)
    open_at = np.flatnonzero(~_surely_baseline()[_key(words)])
    unique, inverse = np.unique(words[open_at], return_inverse=True)
    labels[open_at] = _match(unique, long_patterns(), UNKNOWN)[inverse]
    return labels


def _match(values: npt.NDArray[np.unsignedinteger], patterns: tuple[Pattern, ...], default: str) -> Labels:
    """Return the label of the first pattern that matches each value, or that of `default`."""
    labels = np.full(len(values), _names().index(default), dtype=np.uint8)
    for pattern in reversed(patterns):
        labels[values & pattern.mask == pattern.match] = _names().index(pattern.extension)
    return labels


KEY_MASK = 0xFE00707F  # opcode, funct3 and funct7 identify nearly every instruction


def _key(words: Words) -> Words:
    """Opcode, funct3 and funct7 as a number below 2**15; the two lowest bits are always 11."""
    opcode, funct3, funct7 = words >> np.uint32(2), words >> np.uint32(12), words >> np.uint32(25)
    key: Words = (opcode & np.uint32(0x1F)) | (funct3 & np.uint32(7)) << np.uint32(5) | funct7 << np.uint32(8)
    return key


@cache
def _surely_baseline() -> npt.NDArray[np.bool_]:
    """For each key: whether all its instructions are in the baseline."""
    keys = np.arange(1 << 15, dtype=np.uint32)
    words = 3 | (keys & 0x1F) << 2 | (keys & 0xE0) << 7 | keys >> 8 << 25
    sure = np.zeros(1 << 15, dtype=bool)
    for pattern in long_patterns():
        if pattern.extension == BASELINE and pattern.mask & ~KEY_MASK == 0:
            sure |= words & pattern.mask == pattern.match
    return sure


@cache
def _short_labels() -> Labels:
    """Return the label of every halfword as a 16-bit instruction."""
    return _match(np.arange(1 << 16, dtype=np.uint16), short_patterns(), BASELINE)


@cache
def _names() -> tuple[str, ...]:
    """Return the extensions by label; the baseline is 0."""
    found = {pattern.extension for pattern in (*long_patterns(), *short_patterns())}
    return (BASELINE, *sorted((found | {UNKNOWN}) - {BASELINE}))
