"""Scanner for instructions beyond rv64gc in a code section, and their extensions.

Only the instruction stream decides, neither attributes nor mapping symbols: stripped libraries have no mapping symbols,
and code for assemblers without vector support often has vector instructions as `.word`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

from factory.stages.audit.opcodes import BASELINE, PRIVILEGED, UNKNOWN, Pattern, long_patterns, short_patterns

Halfwords = npt.NDArray[np.uint16]
Words = npt.NDArray[np.uint32]
Labels = npt.NDArray[np.uint8]
Indexes = npt.NDArray[np.int64]
Fields = tuple[tuple[int, int, int], ...]

# The parts of rv64gc, the hints, and the properties (no instructions) of the RVA20 profile.
BASELINE_NAMES = frozenset(
    (
        *("i", "m", "a", "f", "d", "g", "c", "zicsr", "zifencei", "zicntr", "zihpm"),
        *("zmmul", "zaamo", "zalrsc", "zca", "zcd"),
        *("zihintpause", "zihintntl", "zicbop", "zicfilp"),
        *("ziccif", "ziccrse", "ziccamoa", "zicclsm", "za128rs"),
    )
)
# Direct jumps: mask and match, whether 32 bits long, and the parts of the distance: lowest bit, width, place in it.
# From the chapters on RV32I and the "C" extension: jal, branches, c.j, c.beqz and c.bnez.
JUMPS: tuple[tuple[int, int, bool, Fields], ...] = (
    (0x7F, 0x6F, True, ((12, 8, 12), (20, 1, 11), (21, 10, 1), (31, 1, 20))),
    (0x7F, 0x63, True, ((7, 1, 11), (8, 4, 1), (25, 6, 5), (31, 1, 12))),
    (
        0xE003,
        0xA001,
        False,
        ((2, 1, 5), (3, 3, 1), (6, 1, 7), (7, 1, 6), (8, 1, 10), (9, 2, 8), (11, 1, 4), (12, 1, 11)),
    ),
    (0xC003, 0xC001, False, ((2, 1, 5), (3, 2, 1), (5, 2, 6), (10, 2, 3), (12, 1, 8))),
)
NONE: Indexes = np.zeros(0, dtype=np.int64)
CHUNK = 1 << 22  # halfwords: bounds the memory of one step, whatever the size of the section


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scan:
    """Instructions beyond the baseline: ascending offsets in bytes, `label_names()` indexes."""

    offsets: npt.NDArray[np.int64]
    labels: Labels

    def of(self, *names: str) -> npt.NDArray[np.bool_]:
        """Mark the instructions of these extensions."""
        return np.isin(self.labels, [label_names().index(name) for name in names])


def scan(code: bytes | memoryview, starts: Iterable[int] = (), tables: npt.NDArray[np.bool_] | None = None) -> Scan:
    """Find instructions beyond rv64gc in little-endian code that starts with an instruction.

    The names are those of extensions ("V", "Zba", ...), "custom-N" for vendors' opcodes, "privileged" for instructions
    that programs cannot run, "counters" for performance counters, and "unknown" for encodings that no extension known
    here defines. All-zero halfwords are padding: the ISA defines them as permanently illegal. A truncated last
    instruction is ignored.

    Data between functions can make the sweep read halves of two instructions as one. It therefore starts anew at
    `starts` (offsets of functions) and at targets of direct jumps and branches. `tables` marks halfwords of data, which
    are no jumps.
    """
    halfwords = _halfwords(code)
    marks, found = _sweep(halfwords)
    functions = np.array([start // 2 for start in starts if not start & 1], dtype=np.int64)
    jumps = marks if tables is None else marks & ~tables
    targets = [_targets(halfwords, begin + np.flatnonzero(jumps[begin:end])) for begin, end in _chunks(halfwords)]
    found.update(_walk_all(halfwords, marks, functions, np.unique(np.concatenate([NONE, *targets]))))
    return _as_scan(found)


def sweep(code: bytes | memoryview) -> Scan:
    """Find instructions beyond rv64gc in one linear sweep, see `scan`."""
    return _as_scan(_sweep(_halfwords(code))[1])


def merge(scans: Sequence[Scan]) -> Scan:
    """Join scans of the same bytes."""
    offsets, first = np.unique(np.concatenate([each.offsets for each in scans]), return_index=True)
    return Scan(offsets=offsets, labels=np.concatenate([each.labels for each in scans])[first])


def _as_scan(found: Mapping[int, int]) -> Scan:
    at = sorted(found)
    labels = np.array([found[index] for index in at], dtype=np.uint8)
    return Scan(offsets=2 * np.array(at, dtype=np.int64), labels=labels)


def _halfwords(code: bytes | memoryview) -> Halfwords:
    return np.frombuffer(code, dtype="<u2", count=len(code) // 2)


def _sweep(halfwords: Halfwords) -> tuple[npt.NDArray[np.bool_], dict[int, int]]:
    """Return the starts of instructions, and labels beyond the baseline by index."""
    marks = np.zeros(len(halfwords), dtype=bool)
    found: dict[int, int] = {}
    for begin, end in _chunks(halfwords):
        part = halfwords[begin:end]
        marks[begin:end] = instruction_starts(part)
        labels = _labels(part, marks[begin:end])
        at = np.flatnonzero(labels)
        found.update(zip((begin + at).tolist(), labels[at].tolist(), strict=True))
    return marks, found


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
    """Return the extension of a 2-byte or 4-byte instruction.

    It is "rv64gc" or a name of `scan`.
    """
    if size == 2:
        return label_names()[int(_short_labels()[encoding])]
    return label_names()[_label_of(encoding)]


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
    """Split the code after halfwords that do not end in 11: an instruction starts there."""
    begin = 0
    while begin < len(halfwords):
        end = min(begin + CHUNK, len(halfwords))
        while end < len(halfwords) and halfwords[end - 1] & 3 == 3:
            end += 1
        yield begin, end
        begin = end


def _labels(part: Halfwords, starts: npt.NDArray[np.bool_]) -> Labels:
    """Return the label of the instruction at each start; 0 elsewhere, and for the baseline."""
    long = _is_long(part)
    labels = np.zeros(len(part), dtype=np.uint8)
    short_at = np.flatnonzero(starts & ~long)
    labels[short_at] = _short_labels()[part[short_at]]
    long_at = np.flatnonzero(starts[:-1] & long[:-1])
    labels[long_at] = _label_words(_join(part[long_at], part[long_at + 1]))
    return labels


def _join(low: Halfwords, high: Halfwords) -> Words:
    return low.astype(np.uint32) | (high.astype(np.uint32) << np.uint32(16))


def encoding_at(code: bytes | memoryview, offset: int) -> tuple[int, int]:
    """Return an instruction's encoding and size in bytes (2 or 4)."""
    low = int.from_bytes(code[offset : offset + 2], "little")
    return (low, 2) if low & 3 != 3 else (int.from_bytes(code[offset : offset + 4], "little"), 4)


def _targets(halfwords: Halfwords, at: Indexes) -> Indexes:
    """Return the indexes to which direct jumps and branches at the indexes `at` lead."""
    short = halfwords[at].astype(np.int64)
    joined = _join(halfwords[at], halfwords[np.minimum(at + 1, len(halfwords) - 1)]).astype(np.int64)
    found = [NONE]
    for mask, match, long, fields in JUMPS:
        values = joined if long else short
        fitting = values & mask == match
        found.append(at[fitting] + _distance(values[fitting], fields) // 2)
    targets = np.unique(np.concatenate(found))
    inside: Indexes = targets[(targets >= 0) & (targets < len(halfwords))]
    return inside


def jump_distance(encoding: int, size: int) -> int:
    """Return how far, in bytes, a direct jump or branch leads; 0 for another instruction."""
    for mask, match, long, fields in JUMPS:
        if long == (size == 4) and encoding & mask == match:
            return int(_distance(np.array([encoding], dtype=np.int64), fields)[0])
    return 0


def _distance(encodings: Indexes, fields: Fields) -> Indexes:
    distance = np.zeros(len(encodings), dtype=np.int64)
    for low, width, place in fields:
        distance |= (encodings >> low & (1 << width) - 1) << place
    sign = 1 << max(place + width for _, width, place in fields) - 1
    return (distance ^ sign) - sign


def _walk_all(
    halfwords: Halfwords, marks: npt.NDArray[np.bool_], functions: Indexes, targets: Indexes
) -> dict[int, int]:
    """Return the labels beyond the baseline that the linear sweep missed, by index.

    Data that reads as a jump leads anywhere. A walk from the target of a jump counts only if it reads no encoding that
    is certainly no instruction of a program.
    """
    found: dict[int, int] = {}
    for seed in _missed(functions, marks):
        walk, _ = _walk(halfwords, marks, seed)
        marks[list(walk)] = True
        found.update((index, label) for index, label in walk.items() if label)
    no_program = {label_names().index(UNKNOWN), label_names().index(PRIVILEGED)}
    refused = np.zeros(len(halfwords), dtype=bool)
    known = marks.copy()  # with the refused ones, so that no part is walked twice
    for seed in _missed(targets, marks):
        walk, end = _walk(halfwords, known, seed)
        known[list(walk)] = True
        if no_program & set(walk.values()) or (end < len(halfwords) and refused[end]):
            refused[list(walk)] = True
        else:
            found.update((index, label) for index, label in walk.items() if label)
    return found


def _missed(seeds: Indexes, marks: npt.NDArray[np.bool_]) -> list[int]:
    """Return the indexes that are no known starts of instructions."""
    inside = seeds[seeds < len(marks)]
    missed: list[int] = inside[~marks[inside]].tolist()
    return missed


def _walk(halfwords: Halfwords, marks: npt.NDArray[np.bool_], index: int) -> tuple[dict[int, int], int]:
    """Return the labels from an index to the next known start, and that start."""
    walk: dict[int, int] = {}
    while index < len(halfwords) and not marks[index]:
        low = int(halfwords[index])
        if low & 3 != 3:
            walk[index] = int(_short_labels()[low])
            index += 1
            continue
        if index + 1 < len(halfwords):
            walk[index] = _label_of(low | int(halfwords[index + 1]) << 16)
        index += 2
    return walk, index


@lru_cache(maxsize=1 << 16)
def _label_of(word: int) -> int:
    """Return the label of one 32-bit instruction."""
    return int(_label_words(np.array([word], dtype=np.uint32))[0])


def _label_words(words: Words) -> Labels:
    """Return the label (index into `label_names()`) of each 32-bit instruction."""
    labels = np.zeros(len(words), dtype=np.uint8)
    open_at = np.flatnonzero(~_surely_baseline()[_key(words)])
    unique, inverse = np.unique(words[open_at], return_inverse=True)
    labels[open_at] = _match(unique, long_patterns(), UNKNOWN)[inverse]
    return labels


def _match(values: npt.NDArray[np.unsignedinteger], patterns: tuple[Pattern, ...], default: str) -> Labels:
    """Return the label of the first pattern that matches each value, or that of `default`."""
    labels = np.full(len(values), label_names().index(default), dtype=np.uint8)
    for pattern in reversed(patterns):
        labels[values & pattern.mask == pattern.match] = label_names().index(pattern.extension)
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
def label_names() -> tuple[str, ...]:
    """Return the extensions by label; the baseline is 0."""
    found = {pattern.extension for pattern in (*long_patterns(), *short_patterns())}
    return (BASELINE, *sorted((found | {UNKNOWN}) - {BASELINE}))
