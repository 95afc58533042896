"""Classes of instructions by encoding, with the opcodes of the audit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from factory.bench.instructions.trace import Instruction
from factory.stages.audit.opcodes import (
    AUIPC,
    BRANCH,
    FUSED,
    JAL,
    JALR,
    LOAD,
    LOAD_FP,
    LUI,
    OP,
    OP_32,
    OP_FP,
    OP_IMM,
    OP_IMM_32,
    OP_V,
    OP_VE,
    STORE,
    STORE_FP,
)

INTEGER, FLOAT, LOADS, STORES, BRANCHES = "integer", "float", "loads", "stores", "branches"
VECTOR, VECTOR_LOADS, VECTOR_STORES, VSET = "vector", "vector loads", "vector stores", "vset"
OTHER = "other"  # atomics, fences, CSRs, system calls
CLASSES = (INTEGER, FLOAT, LOADS, STORES, BRANCHES, VECTOR, VECTOR_LOADS, VECTOR_STORES, VSET, OTHER)
# Instructions on register groups: their work grows with LMUL.
GROUPED = (VECTOR, VECTOR_LOADS, VECTOR_STORES)

# funct3 of OP-V
OPFVV, OPMVV, OPIVI, OPFVF, OPMVX, OPCFG = 1, 2, 3, 5, 6, 7
NOT_OPI = (OPFVV, OPMVV, OPFVF, OPMVX)
# funct6 of OP-V
SCALAR_MOVE, CONVERSIONS, WHOLE_MOVE, WIDENING = 0x10, 0x12, 0x27, 0x30
MASK_LOGIC, NARROWING, WIDENING_REDUCTIONS = range(0x18, 0x20), range(0x2C, 0x30), (0x31, 0x33)
# funct3 of LOAD-FP and STORE-FP: scalars (half, single, double, quad), and vector element widths in bits.
SCALAR_WIDTHS = (1, 2, 3, 4)
WIDTHS = {0: 8, 5: 16, 6: 32, 7: 64}
# The fields mop and lumop of vector loads; stores have the same.
UNIT_STRIDE, WHOLE_REGISTERS, MASK = 0, 0x08, 0x0B
BY_OPCODE = {
    **dict.fromkeys((OP_IMM, AUIPC, OP_IMM_32, OP, LUI, OP_32), INTEGER),
    **dict.fromkeys((*FUSED, OP_FP), FLOAT),
    **dict.fromkeys((BRANCH, JAL, JALR), BRANCHES),
    LOAD: LOADS,
    STORE: STORES,
    OP_VE: VECTOR,
}
# Compressed instructions by the two lowest bits and funct3; `_short_class` handles the ambiguous ones.
BY_SHORT = {
    0: (INTEGER, LOADS, LOADS, LOADS, LOADS, STORES, STORES, STORES),
    1: (INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, BRANCHES, BRANCHES, BRANCHES),
    2: (INTEGER, LOADS, LOADS, LOADS, INTEGER, STORES, STORES, STORES),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Instruction counts by class.

    `by_vtype` has the vector instructions (without vset) by "e32 m2". `registers` is the sum of the registers that each
    of them works on, at least one each. `code_bytes` is the size of all instructions that ran at least once.
    """

    by_class: Mapping[str, int]
    by_vtype: Mapping[str, int]
    registers: float
    code_bytes: int

    @property
    def total(self) -> int:
        return sum(self.by_class.values())

    @property
    def vector(self) -> int:
        return sum(self.by_class.get(name, 0) for name in GROUPED)

    @property
    def weighted(self) -> float:
        """The total, with vector instructions counted once per register."""
        return self.total - self.vector + self.registers


def classify(instructions: Mapping[Instruction, int]) -> Counts:
    """Sum the counts of instructions by class."""
    by_class: Counter[str] = Counter()
    by_vtype: Counter[str] = Counter()
    registers = Fraction(0)
    for instruction, count in instructions.items():
        name = class_of(instruction.encoding, instruction.size)
        by_class[name] += count
        if name in GROUPED:
            by_vtype[f"e{instruction.sew} m{_shown(instruction.lmul)}"] += count
            registers += count * max(Fraction(1), registers_of(instruction))
    return Counts(
        by_class={name: by_class[name] for name in CLASSES if by_class[name]},
        by_vtype=dict(sorted(by_vtype.items())),
        registers=float(registers),
        code_bytes=sum({instruction.address: instruction.size for instruction in instructions}.values()),
    )


def class_of(encoding: int, size: int) -> str:
    """Return the class of an instruction of `size` bytes, 2 or 4."""
    if size == 2:
        return _short_class(encoding)
    opcode, funct3 = encoding & 0x7F, encoding >> 12 & 7
    if opcode == LOAD_FP:
        return LOADS if funct3 in SCALAR_WIDTHS else VECTOR_LOADS
    if opcode == STORE_FP:
        return STORES if funct3 in SCALAR_WIDTHS else VECTOR_STORES
    if opcode == OP_V:
        return VSET if funct3 == OPCFG else VECTOR
    return BY_OPCODE.get(opcode, OTHER)


def _short_class(encoding: int) -> str:
    quadrant, funct3 = encoding & 3, encoding >> 13
    if quadrant == 0 and funct3 == 4:  # Zcb: c.lbu, c.lhu, c.lh; c.sb, c.sh
        return STORES if encoding >> 11 & 1 else LOADS
    if quadrant == 2 and funct3 == 4 and not encoding >> 2 & 0x1F:  # c.jr, c.jalr; c.ebreak
        return BRANCHES if encoding >> 7 & 0x1F else OTHER
    return BY_SHORT[quadrant][funct3]


def registers_of(instruction: Instruction) -> Fraction:
    """Count the registers of the widest operand; below 1 for fractional LMUL."""
    encoding = instruction.encoding
    opcode, funct3, funct6 = encoding & 0x7F, encoding >> 12 & 7, encoding >> 26
    if opcode in (LOAD_FP, STORE_FP):
        return _moved_registers(instruction)
    if opcode == OP_V:
        if funct3 == OPIVI and funct6 == WHOLE_MOVE:
            return Fraction((encoding >> 15 & 7) + 1)
        if (funct3 in NOT_OPI and funct6 == SCALAR_MOVE) or (funct3 == OPMVV and funct6 in MASK_LOGIC):
            return Fraction(1)
        if _is_wide(encoding, funct3, funct6):
            return 2 * instruction.lmul
    return instruction.lmul


def _is_wide(encoding: int, funct3: int, funct6: int) -> bool:
    """Test for an operand of twice LMUL; widening reductions have it in one register."""
    if funct3 not in NOT_OPI:
        return funct6 in NARROWING
    if funct3 == OPFVV and funct6 == CONVERSIONS:
        return encoding >> 15 & 0x1F >= 8  # vs1: 0 to 7 keep the width
    return funct6 >= WIDENING and not (funct3 == OPFVV and funct6 in WIDENING_REDUCTIONS)


def _moved_registers(instruction: Instruction) -> Fraction:
    encoding = instruction.encoding
    fields, mode, unit = (encoding >> 29) + 1, encoding >> 26 & 3, encoding >> 20 & 0x1F
    if mode == UNIT_STRIDE and unit == WHOLE_REGISTERS:
        return Fraction(fields)
    if mode == UNIT_STRIDE and unit == MASK:
        return Fraction(1)
    of_width = instruction.lmul * WIDTHS[encoding >> 12 & 7] / instruction.sew
    # The width of an indexed access is that of its index.
    return max(of_width, instruction.lmul * fields) if mode & 1 else of_width * fields


def _shown(lmul: Fraction) -> str:
    return str(lmul) if lmul >= 1 else f"f{lmul.denominator}"
