"""The scanner: instruction starts, encodings of rv64gc, names of extensions."""

from __future__ import annotations

import re
import struct
import subprocess
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.stages.audit import isa
from factory.stages.audit.isa import (
    Scan,
    encoding_at,
    extension_of,
    extensions_beyond_baseline,
    instruction_starts,
    jump_distance,
    label_names,
    scan,
    sweep,
)
from factory.stages.audit.opcodes import BASELINE, COUNTERS, UNKNOWN, long_patterns
from tests.support.elf_images import RV64GC, RV64GCV, VSETVLI, code

HALFWORDS = st.lists(
    st.one_of(st.integers(0, 0xFFFF), st.sampled_from([0x8082, 0x0013, 0xFFFF, 0x0000, 0x77D7, 0x0D00])), max_size=60
)

# What GNU objdump 2.44 calls these encodings, and the extension that defines them.
WITHIN = {
    0x00000013: "nop",
    0x00000073: "ecall",
    0x00100073: "ebreak",
    0xC0001073: "unimp",
    0x0100000F: "pause, a hint",
    0x0020E013: "prefetch.r, a hint (ori to x0)",
    0x00200033: "ntl.p1, a hint (add to x0)",
    0x00000017: "lpad, a hint (auipc to x0)",
    0x0FF0000F: "fence",
    0x0000100F: "fence.i",
    0xC0102573: "rdtime a0",
    0x00301573: "fscsr a0,zero",
    0x02B50533: "mul a0,a0,a1",
    0x100525AF: "lr.w a1,(a0)",
    0x580577D3: "fsqrt.s fa5,fa0",
    0x420507D3: "fcvt.d.s fa5,fa0,rne",
    0x1EB52FAF: "sc.w.aqrl t6,a1,(a0)",
}
BEYOND = {
    VSETVLI: "V",
    0x0205E407: "V",  # vle32.v v8,(a1)
    0xC2202573: "V",  # csrr a0,vlenb
    0x20A52533: "Zba",  # sh1add a0,a0,a0
    0x0805151B: "Zba",  # slli.uw a0,a0,0x0
    0x60051513: "Zbb",  # clz a0,a0
    0x6B855513: "Zbb",  # rev8 a0,a0
    0x0805453B: "Zbb",  # zext.h a0,a0
    0x08A54533: "Zbkb",  # pack a0,a0,a0
    0x0AB51533: "Zbc",  # clmul a0,a0,a1
    0x48051513: "Zbs",  # bclri a0,a0,0x0
    0x0EB55533: "Zicond",  # czero.eqz a0,a0,a1
    0x04B57553: "Zfh",  # fadd.h fa0,fa0,fa1
    0xF0108553: "Zfa",  # fli.s fa0,min
    0x0015200F: "Zicbom",  # cbo.clean (a0)
    0x0045200F: "Zicboz",  # cbo.zero (a0)
    0x28B5252F: "Zacas",  # amocas.w a0,a1,(a0)
    0x00D00073: "Zawrs",  # wrs.nto
    0x81C04073: "Zimop",  # mop.r.0 zero,zero
    0x36730433: "Zkn",  # aes64esm s0,t1,t2
    0xA7D12E77: "Zvk",  # vaesem.vs v28,v29
    0x0000000B: "custom-0",
    0x0000002B: "custom-1",
    0xE2B4B12B: "XSMTVDot",  # smt.vmadot v2,v9,v11
    0xE2B4812B: "XSMTVDot",  # smt.vmadotu
    0xE2B4A12B: "XSMTVDot",  # smt.vmadotsu
    0xE2B4912B: "XSMTVDot",  # smt.vmadotus
    0xE6B5312B: "XSMTVDot",  # smt.vmadot1 v2,v10,v11
    0xE6B5712B: "XSMTVDot",  # smt.vmadot2
    0xE6B5B12B: "XSMTVDot",  # smt.vmadot3
    0xE6B5912B: "XSMTVDot",  # smt.vmadot3us
    0xE2B4B1AB: "custom-1",  # vmadot with the odd destination v3
    0xE0B4B12B: "custom-1",  # masked
    0xE6B5C12B: "custom-1",  # a reserved window
    0xC2B4B12B: "custom-1",  # Int4: not XSMTVDot
    0x10200073: "privileged",  # sret
    0x00007003: UNKNOWN,  # a load of no width
}
SHORT = {
    0x8082: BASELINE,  # ret
    0x9002: BASELINE,  # c.ebreak
    0x0000: BASELINE,  # padding, illegal for ever
    0x900A: BASELINE,  # c.ntl.p1, a hint
    0xA002: BASELINE,  # c.fsdsp fs0,0(sp)
    0x9C41: "Zcb",  # c.mul s0,s0
    0x8000: "Zcb",  # c.lbu s0,0(s0)
    0x6081: "Zcmop",  # c.mop.1
    0x2001: UNKNOWN,  # c.addiw to x0
    0x8002: UNKNOWN,  # c.jr x0
}


def starts_by_walking(halfwords: list[int]) -> list[bool]:
    starts, position = [False] * len(halfwords), 0
    while position < len(halfwords):
        starts[position] = True
        position += 2 if halfwords[position] & 3 == 3 else 1
    return starts


def excess_by_walking(halfwords: list[int]) -> dict[str, list[int]]:
    """Byte offsets of the instructions beyond the baseline, one instruction at a time."""
    found: dict[str, list[int]] = {}
    for position, start in enumerate(starts_by_walking(halfwords)):
        if not start or (halfwords[position] & 3 == 3 and position + 1 == len(halfwords)):
            continue
        size = 4 if halfwords[position] & 3 == 3 else 2
        encoding = halfwords[position] | (halfwords[position + 1] << 16 if size == 4 else 0)
        name = extension_of(encoding, size)
        if name != BASELINE:
            found.setdefault(name, []).append(2 * position)
    return found


def by_extension(found: Scan) -> dict[str, list[int]]:
    offsets: dict[str, list[int]] = {}
    for offset, label in zip(found.offsets.tolist(), found.labels.tolist(), strict=True):
        offsets.setdefault(label_names()[label], []).append(offset)
    return offsets


@given(HALFWORDS)
def test_instruction_starts_equal_sequential_walk(halfwords: list[int]) -> None:
    assert instruction_starts(np.array(halfwords, dtype=np.uint16)).tolist() == starts_by_walking(halfwords)


@given(halfwords=HALFWORDS, chunk=st.integers(1, 9))
def test_scan_of_any_chunk_size_equals_sequential_walk(halfwords: list[int], chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(isa, "CHUNK", chunk)
        swept = sweep(np.array(halfwords, dtype="<u2").tobytes())
    assert by_extension(swept) == excess_by_walking(halfwords)


@pytest.mark.parametrize("encoding", WITHIN, ids=lambda encoding: WITHIN[encoding])
def test_baseline_instruction_is_no_excess(encoding: int) -> None:
    assert extension_of(encoding, 4) == BASELINE
    assert by_extension(scan(code(encoding))) == {}


@pytest.mark.parametrize(("encoding", "extension"), BEYOND.items(), ids=[f"{w:#010x}-{e}" for w, e in BEYOND.items()])
def test_long_instruction_has_its_extension(encoding: int, extension: str) -> None:
    assert extension_of(encoding, 4) == extension


@pytest.mark.parametrize(("encoding", "extension"), SHORT.items(), ids=[f"{word:#06x}" for word in SHORT])
def test_short_instruction_has_its_extension(encoding: int, extension: str) -> None:
    assert extension_of(encoding, 2) == extension


@given(st.integers(0, (1 << 30) - 1))
def test_encoding_is_in_baseline_or_extension_only(number: int) -> None:
    word = number << 2 | 3
    fitting = {pattern.extension for pattern in long_patterns() if word & pattern.mask == pattern.match}
    assert BASELINE not in fitting or fitting <= {BASELINE, "privileged"}


def test_zero_padding_is_no_excess() -> None:
    assert by_extension(scan(code(0x8082) + bytes(64) + code(0x8082))) == {}


def test_second_half_of_long_instruction_is_skipped() -> None:
    lui_with_vector_like_upper_half = 0x77D70537
    assert by_extension(scan(code(lui_with_vector_like_upper_half, 0x0D00, 0x8082))) == {}


def test_scan_has_offset_and_encoding() -> None:
    text = code(0x8082, VSETVLI, 0x8082)
    assert by_extension(scan(text)) == {"V": [2]}
    assert encoding_at(text, 2) == (VSETVLI, 4)
    assert encoding_at(text, 0) == (0x8082, 2)


def test_truncated_last_instruction_is_ignored() -> None:
    assert by_extension(scan(code(0x8082) + b"\xd7\x77\x00")) == {}
    assert by_extension(scan(b"")) == {}


# A halfword that reads as the start of a long instruction swallows the first half of the vector instruction behind it.
TRAP = struct.pack("<H", 0x0013)


def test_linear_sweep_alone_loses_step() -> None:
    assert by_extension(sweep(code(0x8082) + TRAP + code(VSETVLI, 0x8082))) == {}


def test_scan_starts_anew_at_functions() -> None:
    assert by_extension(scan(code(0x8082) + TRAP + code(VSETVLI, 0x8082), [4])) == {"V": [4]}


@pytest.mark.parametrize(
    ("jump", "distance"),
    [
        (0xA019, 6),  # c.j
        (0xC119, 6),  # c.beqz a0
        (0xE119, 6),  # c.bnez a0
        (0x0080006F, 8),  # j
        (0x00B50463, 8),  # beq a0,a1
        (0xFE5FF0EF, -28),  # jal
        (0xFE0518E3, -16),  # bnez a0
        (0x8082, 0),  # ret
    ],
)
def test_jump_has_its_distance(jump: int, distance: int) -> None:
    assert jump_distance(jump, 4 if jump & 3 == 3 else 2) == distance


@pytest.mark.parametrize("jump", [0xA011, 0x0060006F, 0x00B50363])
def test_scan_starts_anew_at_targets_of_jumps(jump: int) -> None:
    text = code(jump) + TRAP + code(VSETVLI, 0x8082)
    (found,) = by_extension(scan(text)).items()
    assert found == ("V", [len(text) - 6])


def test_target_that_reads_as_data_is_no_start() -> None:
    """A table may read as a jump; the bytes there then read as anything."""
    vsetvli_a5_t1, load_of_no_width = 0x0D0377D7, 0x00007003
    assert by_extension(scan(code(0xA011) + TRAP + code(vsetvli_a5_t1, load_of_no_width))) == {}
    assert by_extension(scan(code(0xA011) + TRAP + code(vsetvli_a5_t1, 0x8082))) == {"V": [4]}


def test_time_is_no_counter() -> None:
    assert extension_of(0xC0102573, 4) == BASELINE
    counters = (0xC0002573, 0xC0202573, 0xC0302573, 0xC1F02573)
    assert {extension_of(each, 4) for each in counters} == {COUNTERS}


@pytest.mark.parametrize(
    ("arch", "beyond"),
    [
        (RV64GC, ()),
        ("rv64gc", ()),
        ("rv64gc_zihintpause2p0_zicbop1p0", ()),
        (RV64GCV, ("v", "zve32f", "zvl128b")),
        ("rv64imafdcv_zba1p0", ("v", "zba")),
        ("rv64i2p1m2p0v1p0", ("v",)),
        ("rv64gc_xtheadvector1p0", ("xtheadvector",)),
        ("rv32i2p1", ("rv32i2p1",)),
        ("nonsense", ("nonsense",)),
    ],
)
def test_architecture_string_is_compared_by_extension(arch: str, beyond: tuple[str, ...]) -> None:
    assert extensions_beyond_baseline(arch) == beyond


@pytest.mark.environment
def test_short_encodings_agree_with_objdump(native_objdump: list[str], tmp_path: Path) -> None:
    shorts = [word for word in range(1 << 16) if word & 3 != 3]
    known = disassemble(b"".join(word.to_bytes(2, "little") for word in shorts), native_objdump, tmp_path)
    ours = [extension_of(word, 2) == BASELINE for word in shorts]
    differing = [
        word for word, mnemonic, mine in zip(shorts, known, ours, strict=True) if (mnemonic != ".insn") != mine
    ]
    # objdump shows c.addi16sp with the immediate 0, which the manual reserves.
    assert differing == [0x6101]


@pytest.mark.environment
def test_integer_and_atomic_encodings_agree_with_objdump(native_objdump: list[str], tmp_path: Path) -> None:
    words = [
        opcode | 10 << 7 | funct3 << 12 | 11 << 15 | rs2 << 20 | funct7 << 25
        for opcode, funct3 in product((0x03, 0x13, 0x1B, 0x23, 0x2F, 0x33, 0x3B, 0x63, 0x67), range(8))
        for rs2, funct7 in product((0, 5), (0, 1, 4, 5, 7, 0x10, 0x14, 0x20, 0x30, 0x7F))
    ]
    known = disassemble(code(*words), native_objdump, tmp_path)
    ours = [extension_of(word, 4) == BASELINE for word in words]
    assert [hex(word) for word, name, mine in zip(words, known, ours, strict=True) if (name != ".insn") != mine] == []


def disassemble(text: bytes, objdump: list[str], folder: Path) -> list[str]:
    """Return objdump's mnemonic of each instruction, ".insn" if rv64gc has none."""
    raw = folder / "code.bin"
    raw.write_bytes(text)
    argv = [*objdump, "-D", "-z", "-b", "binary", "-m", "riscv:rv64", str(raw)]
    output = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    return re.findall(r"^\s*[0-9a-f]+:\t[0-9a-f]+\s+(\S+)", output, re.MULTILINE)
