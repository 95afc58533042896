"""Tests of instruction classes; GNU as made the encodings of the text."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from factory.bench.instructions.classes import class_of, classify, registers_of
from factory.bench.instructions.trace import Instruction

CLASSES = [
    ("integer", 0x952E, "add a0,a1,a0"),
    ("integer", 0x02A58533, "mul a0,a1,a0"),
    ("integer", 0x12345537, "lui a0,0x12345"),
    ("integer", 0x157D, "c.addi a0,-1"),
    ("integer", 0x852E, "c.mv a0,a1"),
    ("integer", 0x952E, "c.add a0,a1"),
    ("integer", 0x9C61, "c.zext.b s0"),
    ("float", 0x02A5F553, "fadd.d fa0,fa1,fa0"),
    ("float", 0x58C5F543, "fmadd.s fa0,fa1,fa2,fa1"),
    ("float", 0xE2050553, "fmv.x.d a0,fa0"),
    ("loads", 0x0008B503, "ld a0,0(a7)"),
    ("loads", 0x0008B507, "fld fa0,0(a7)"),
    ("loads", 0x6188, "c.ld a0,0(a1)"),
    ("loads", 0x6582, "c.ldsp a1,0(sp)"),
    ("loads", 0x8188, "c.lbu a0,0(a1)"),
    ("stores", 0x00A8B023, "sd a0,0(a7)"),
    ("stores", 0x00A8B027, "fsd fa0,0(a7)"),
    ("stores", 0xE188, "c.sd a0,0(a1)"),
    ("stores", 0xE02E, "c.sdsp a1,0(sp)"),
    ("stores", 0x8988, "c.sb a0,0(a1)"),
    ("branches", 0x00B50063, "beq a0,a1,."),
    ("branches", 0x000000EF, "jal ra,."),
    ("branches", 0x8082, "ret"),
    ("branches", 0x9582, "c.jalr a1"),
    ("branches", 0xC101, "c.beqz a0,."),
    ("vset", 0x0D05F557, "vsetvli a0,a1,e32,m1,ta,ma"),
    ("vset", 0xCD027557, "vsetivli a0,4,e32,m1,ta,ma"),
    ("vset", 0x80C5F557, "vsetvl a0,a1,a2"),
    ("vector", 0x02840457, "vadd.vv v8,v8,v8"),
    ("vector loads", 0x02056407, "vle32.v v8,(a0)"),
    ("vector stores", 0x02056427, "vse32.v v8,(a0)"),
    ("other", 0x00000073, "ecall"),
    ("other", 0x0FF0000F, "fence"),
    ("other", 0x00B5252F, "amoadd.w a0,a1,(a0)"),
    ("other", 0xC2202573, "csrr a0,vlenb"),
    ("other", 0x9002, "c.ebreak"),
]


@pytest.mark.parametrize(("name", "encoding", "text"), CLASSES)
def test_class_of_encoding(name: str, encoding: int, text: str) -> None:
    assert class_of(encoding, 4 if encoding & 3 == 3 else 2) == name


def vector(encoding: int, sew: int, lmul: Fraction | int) -> Instruction:
    return Instruction(0, encoding, 4, sew, Fraction(lmul))


@pytest.mark.parametrize(
    ("registers", "encoding", "sew", "lmul", "text"),
    [
        (2, 0x02840457, 32, 2, "vadd.vv v8,v8,v8"),
        (Fraction(1, 2), 0x02840457, 8, Fraction(1, 2), "vadd.vv v8,v8,v8"),
        (4, 0xC6412457, 16, 2, "vwadd.vv v8,v4,v2"),
        (4, 0xF6222457, 8, 2, "vwmacc.vv v8,v4,v2"),
        (4, 0xB2403457, 16, 2, "vnsrl.wi v8,v4,0"),
        (2, 0xC2410457, 16, 2, "vwredsumu.vs v8,v4,v2"),
        (2, 0xC6411457, 32, 2, "vfwredusum.vs v8,v4,v2"),
        (4, 0x4A461457, 16, 2, "vfwcvt.f.f.v v8,v4"),
        (4, 0x4A4A1457, 16, 2, "vfncvt.f.f.w v8,v4"),
        (2, 0x4A809457, 32, 2, "vfcvt.x.f.v v8,v8"),
        (1, 0x42802557, 32, 8, "vmv.x.s a0,v8"),
        (1, 0x42056457, 32, 8, "vmv.s.x v8,a0"),
        (1, 0x42801557, 32, 8, "vfmv.f.s fa0,v8"),
        (1, 0x66842457, 8, 8, "vmand.mm v8,v8,v8"),
        (4, 0x9E41B457, 64, 1, "vmv4r.v v8,v4"),
        (2, 0x02056407, 16, 1, "vle32.v v8,(a0)"),
        (1, 0x02050407, 16, 2, "vle8.v v8,(a0)"),
        (6, 0x42056407, 32, 2, "vlseg3e32.v v8,(a0)"),
        (2, 0x22856407, 8, 8, "vl2re32.v v8,(a0)"),
        (1, 0x02B50407, 8, 8, "vlm.v v8,(a0)"),
        (4, 0x0E456407, 16, 2, "vloxei32.v v8,(a0),v4"),
        (1, 0x0AB56407, 32, 1, "vlse32.v v8,(a0),a1"),
    ],
)
def test_registers_of_counts_the_widest_operand(
    registers: Fraction | int, encoding: int, sew: int, lmul: Fraction | int, text: str
) -> None:
    assert registers_of(vector(encoding, sew, lmul)) == registers


def test_classify_sums_counts_by_class() -> None:
    add, load = vector(0x02840457, 32, 4), replace(vector(0x02056407, 32, Fraction(1, 2)), address=4)
    scalar = Instruction(8, 0x157D, 2, 8, Fraction(1))
    counts = classify({add: 10, load: 5, scalar: 100})
    assert counts.by_class == {"integer": 100, "vector": 10, "vector loads": 5}
    assert counts.by_vtype == {"e32 m4": 10, "e32 mf2": 5}
    assert (counts.total, counts.vector, counts.code_bytes) == (115, 15, 10)
    assert counts.weighted == 100 + 10 * 4 + 5 * 1, "a fraction of a register takes as long as one"
