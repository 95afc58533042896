"""Code of ELF files: executable sections and the rest of executable segments."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from elftools.elf.elffile import ELFFile
from elftools.elf.segments import Segment

from factory.elf.bounds import HIGHEST, MalformedElf, bounded
from factory.util.quantities import quantity

SHF_ALLOC, SHF_EXECINSTR = 2, 4
PF_X = 1
SEGMENTS = 64  # executable ones; linkers write one or two

Interval = tuple[int, int]


class Claim(Enum):
    """Section headers of bytes that are loaded as executable."""

    CODE = "code"
    DATA = "data"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRange:
    """Bytes that a processor can execute: a section, or a part of a segment in none.

    `address` is that of its first byte. Without section headers a range is a whole segment, which may hold data too.
    """

    name: str
    address: int
    data: bytes
    claim: Claim = Claim.CODE


def code_ranges(elf: ELFFile, data: bytes) -> Iterator[CodeRange]:
    """Yield executable sections, then the other bytes of executable segments.

    Raises:
        MalformedElf: a range is beyond the end of the file, or they overlap.
    """
    sections = list(_sections(elf))
    yield from _checked([each for each in sections if each[3] is Claim.CODE], data)
    segments = list(bounded((each for each in elf.iter_segments() if _is_executable(each)), SEGMENTS))
    if not any(each[3] is Claim.CODE for each in sections):
        yield from _checked(list(_whole_segments(elf)), data)
        return
    headers = (0, elf.header["e_phoff"] + elf.header["e_phnum"] * elf.header["e_phentsize"])
    yield from _limited(_rest(segments, sections, headers, data), len(data))


def _rest(
    segments: Sequence[Segment], sections: Sequence[Described], headers: Interval, data: bytes
) -> Iterator[CodeRange]:
    """Yield the parts of executable segments that are in no executable section."""
    code = _merged((begin, end) for _, begin, end, claim, _ in sections if claim is Claim.CODE)
    known = _merged((headers, *((begin, end) for _, begin, end, _, _ in sections)))
    for segment in segments:
        begin, end = segment["p_offset"], min(segment["p_offset"] + segment["p_filesz"], len(data))
        to_address = segment["p_vaddr"] - begin
        for name, first, last, claim, _ in sections:
            if claim is Claim.DATA:
                for part in _uncovered((max(first, begin), min(last, end)), code):
                    yield _range(name, part, part[0] + to_address, claim, data)
        for first, last in _uncovered((begin, end), known):
            first += first & 1  # instructions begin at even addresses
            if first < last:
                yield _range("no section", (first, last), first + to_address, Claim.NOTHING, data)


Described = tuple[str, int, int, Claim, int]


def _sections(elf: ELFFile) -> Iterator[Described]:
    """Yield name, begin and end in the file, claim and address of loaded sections."""
    for section in bounded(elf.iter_sections()):
        flags = section["sh_flags"]
        if section["sh_type"] in ("SHT_NULL", "SHT_NOBITS") or not flags & (SHF_ALLOC | SHF_EXECINSTR):
            continue
        begin = section["sh_offset"]
        claim = Claim.CODE if flags & SHF_EXECINSTR else Claim.DATA
        yield section.name, begin, begin + section["sh_size"], claim, section["sh_addr"]


def _is_executable(segment: Segment) -> bool:
    return bool(segment["p_type"] == "PT_LOAD" and segment["p_flags"] & PF_X)


def _whole_segments(elf: ELFFile) -> Iterator[Described]:
    for number, segment in enumerate(bounded(elf.iter_segments())):
        if _is_executable(segment):
            begin = segment["p_offset"]
            yield f"segment {number}", begin, begin + segment["p_filesz"], Claim.CODE, segment["p_vaddr"]


def _checked(ranges: Sequence[Described], data: bytes) -> Iterator[CodeRange]:
    for _, begin, end, _, _ in ranges:
        if end > len(data):
            raise MalformedElf(
                f"code at offset {begin} ends beyond the end of the file: {quantity(end - begin, 'byte')}"
            )
    if sum(end - begin for _, begin, end, _, _ in ranges) > len(data):
        raise MalformedElf("its executable sections overlap")
    for name, begin, end, claim, address in ranges:
        yield _range(name, (begin, end), address, claim, data)


def _range(name: str, part: Interval, address: int, claim: Claim, data: bytes) -> CodeRange:
    if not 0 <= address < HIGHEST:
        raise MalformedElf(f"code at the address {address:#x}, where no program has any")
    return CodeRange(name=name, address=address, data=data[part[0] : part[1]], claim=claim)


def _limited(ranges: Iterable[CodeRange], size: int) -> Iterator[CodeRange]:
    """Yield ranges up to the size of a file whose segments don't overlap."""
    total = 0
    for each in ranges:
        total += len(each.data)
        if total > 2 * size:
            raise MalformedElf("its executable segments overlap")
        yield each


def _merged(intervals: Iterable[Interval]) -> list[Interval]:
    """Sort intervals and join those that touch or overlap."""
    merged: list[Interval] = []
    for begin, end in sorted(intervals):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        elif begin < end:
            merged.append((begin, end))
    return merged


def _uncovered(whole: Interval, covered: Sequence[Interval]) -> Iterator[Interval]:
    """Yield the parts of an interval that none of the merged ones covers."""
    at, end = whole
    for begin, until in covered[max(bisect_left(covered, whole) - 1, 0) :]:
        if begin >= end:
            break
        if at < begin:
            yield at, begin
        at = max(at, until)
    if at < end:
        yield at, end
