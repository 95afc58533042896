"""Encodings of rv64gc, of ratified extensions and of vendors.

The facts are from the RISC-V Instruction Set Manual, volume I (unprivileged): the chapter "RV32/64G Instruction Set
Listings" and the chapters of the ratified extensions. Baseline means IMAFDC, Zicsr and Zifencei. Hints (pause, ntl.*,
prefetch.*, lpad) lie in encodings that the base ISA defines as doing nothing, so they are part of the baseline here.

Compared with GNU objdump 2.44 over every 16-bit encoding and every combination of opcode, funct3 and funct7. The
differences are intended: objdump shows all CSRs, reserved rounding modes and c.addi16sp with 0; it shows neither fences
with reserved fields (which processors must ignore) nor exact conversions with a rounding mode.

Compared with the tables of riscv-opcodes in tinyrv 0.1.0: the ratified extensions agree. Those tables cannot replace
these: they contain drafts whose encodings collide with ratified ones (P with the vector cryptography), and neither the
CSRs of user code, nor reserved encodings, nor vendors' opcodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product

BASELINE = "rv64gc"
UNKNOWN = "unknown"
PRIVILEGED = "privileged"
# Reads of `cycle`, `instret` and `hpmcounter*`: rv64gc has them, but the kernel decides whether programs may.
COUNTERS = "counters"

# name -> (lowest bit, width) of the fields of a 32-bit instruction
FIELDS = {
    "opcode": (0, 7),
    "rd": (7, 5),
    "funct3": (12, 3),
    "rs1": (15, 5),
    "rs2": (20, 5),
    "imm12": (20, 12),
    "fmt": (25, 2),
    "funct7": (25, 7),
    "funct6": (26, 6),
    "funct5": (27, 5),
}
LOAD, LOAD_FP, MISC_MEM, OP_IMM, AUIPC, OP_IMM_32 = 0x03, 0x07, 0x0F, 0x13, 0x17, 0x1B
STORE, STORE_FP, AMO, OP, LUI, OP_32 = 0x23, 0x27, 0x2F, 0x33, 0x37, 0x3B
MADD, MSUB, NMSUB, NMADD, OP_FP, OP_V, OP_VE = 0x43, 0x47, 0x4B, 0x4F, 0x53, 0x57, 0x77
BRANCH, JALR, JAL, SYSTEM = 0x63, 0x67, 0x6F, 0x73
FUSED = (MADD, MSUB, NMSUB, NMADD)
VSET_MASK, VSET = 0x707F, 0x7057  # vsetvli, vsetivli, vsetvl: OP_V with funct3 7
CUSTOM = {0x0B: "custom-0", 0x2B: "custom-1", 0x5B: "custom-2", 0x7B: "custom-3"}
ROUNDING = (0, 1, 2, 3, 4, 7)  # funct3 5 and 6 are reserved rounding modes
CSR_WRITES, CSR_READS = (1, 5), (2, 3, 6, 7)
CSR_OPS = (*CSR_WRITES, *CSR_READS)
S, D, H, Q = 0, 1, 2, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """The instructions of `extension`: those with the bits `match` under `mask`."""

    extension: str
    mask: int
    match: int


def _row(extension: str, **fields: int | tuple[int, ...]) -> list[Pattern]:
    """Return the patterns of these fields, one for each combination of their values."""
    choices = [(value,) if isinstance(value, int) else value for value in fields.values()]
    mask = sum(((1 << FIELDS[name][1]) - 1) << FIELDS[name][0] for name in fields)
    places = [FIELDS[name][0] for name in fields]
    return [
        Pattern(
            extension=extension,
            mask=mask,
            match=sum(value << place for value, place in zip(values, places, strict=True)),
        )
        for values in product(*choices)
    ]


@cache
def long_patterns() -> tuple[Pattern, ...]:
    """Return the patterns of 32-bit instructions; the first that matches counts."""
    return (*_integer(), *_float(), *_atomic(), *_system(), *_scalar_extensions(), *_float_extensions(), *_vector())


def _integer() -> list[Pattern]:
    """RV64I and M, with all fences.

    Processors ignore reserved fields of fences, and pause is one.
    """
    return [
        *_row(BASELINE, opcode=(LUI, AUIPC, JAL)),
        *_row(BASELINE, opcode=JALR, funct3=0),
        *_row(BASELINE, opcode=BRANCH, funct3=(0, 1, 4, 5, 6, 7)),
        *_row(BASELINE, opcode=LOAD, funct3=(0, 1, 2, 3, 4, 5, 6)),
        *_row(BASELINE, opcode=STORE, funct3=(0, 1, 2, 3)),
        *_row(BASELINE, opcode=OP_IMM, funct3=(0, 2, 3, 4, 6, 7)),
        *_row(BASELINE, opcode=OP_IMM, funct3=1, funct6=0),
        *_row(BASELINE, opcode=OP_IMM, funct3=5, funct6=(0, 0x10)),
        *_row(BASELINE, opcode=OP_IMM_32, funct3=0),
        *_row(BASELINE, opcode=OP_IMM_32, funct3=1, funct7=0),
        *_row(BASELINE, opcode=OP_IMM_32, funct3=5, funct7=(0, 0x20)),
        *_row(BASELINE, opcode=OP, funct7=(0, 1)),
        *_row(BASELINE, opcode=OP, funct3=(0, 5), funct7=0x20),
        *_row(BASELINE, opcode=OP_32, funct3=(0, 1, 5), funct7=0),
        *_row(BASELINE, opcode=OP_32, funct3=(0, 5), funct7=0x20),
        *_row(BASELINE, opcode=OP_32, funct3=(0, 4, 5, 6, 7), funct7=1),
        *_row(BASELINE, opcode=MISC_MEM, funct3=(0, 1)),
    ]


def _float_of(extension: str, fmt: int) -> list[Pattern]:
    """Return the common instructions of F, D, Zfh and Q for one `fmt`."""
    width = {S: 2, D: 3, H: 1, Q: 4}[fmt]
    return [
        *_row(extension, opcode=(LOAD_FP, STORE_FP), funct3=width),
        *_row(extension, opcode=FUSED, fmt=fmt, funct3=ROUNDING),
        *_row(extension, opcode=OP_FP, fmt=fmt, funct5=(0, 1, 2, 3), funct3=ROUNDING),
        *_row(extension, opcode=OP_FP, fmt=fmt, funct5=0x0B, rs2=0, funct3=ROUNDING),
        *_row(extension, opcode=OP_FP, fmt=fmt, funct5=(0x04, 0x14), funct3=(0, 1, 2)),
        *_row(extension, opcode=OP_FP, fmt=fmt, funct5=0x05, funct3=(0, 1)),
        *_row(extension, opcode=OP_FP, fmt=fmt, funct5=(0x18, 0x1A), rs2=(0, 1, 2, 3), funct3=ROUNDING),
        *_row(extension, opcode=OP_FP, fmt=fmt, funct5=0x1C, rs2=0, funct3=(0, 1)),
        *_row(extension, opcode=OP_FP, fmt=fmt, funct5=0x1E, rs2=0, funct3=0),
    ]


def _float() -> list[Pattern]:
    """F, D and the conversions between them."""
    return [
        *_float_of(BASELINE, S),
        *_float_of(BASELINE, D),
        *_row(BASELINE, opcode=OP_FP, fmt=S, funct5=0x08, rs2=D, funct3=ROUNDING),
        *_row(BASELINE, opcode=OP_FP, fmt=D, funct5=0x08, rs2=S, funct3=ROUNDING),
    ]


def _atomic() -> list[Pattern]:
    swap_and_arithmetic = (0, 1, 4, 8, 0x0C, 0x10, 0x14, 0x18, 0x1C)
    return [
        *_row(BASELINE, opcode=AMO, funct3=(2, 3), funct5=(*swap_and_arithmetic, 3)),
        *_row(BASELINE, opcode=AMO, funct3=(2, 3), funct5=2, rs2=0),
        *_row("Zabha", opcode=AMO, funct3=(0, 1), funct5=swap_and_arithmetic),
        *_row("Zacas", opcode=AMO, funct3=(0, 1, 2, 3, 4), funct5=5),
        *_row("Zalasr", opcode=AMO, funct3=(0, 1, 2, 3), funct5=6, rs2=0),
        *_row("Zalasr", opcode=AMO, funct3=(0, 1, 2, 3), funct5=7, rd=0),
        *_row("Zicfiss", opcode=AMO, funct3=(2, 3), funct5=9),
        *_row("XTheadVector", opcode=AMO, funct3=(6, 7)),
    ]


def _system() -> list[Pattern]:
    """Zicsr with the CSRs of user code.

    `unimp` is a write to one of them, the read-only `cycle`. From version 6.6, Linux lets programs read `time` alone
    by default (kernel.perf_user_access is 1; Linux commit cc4c07c89aad, "drivers: perf: Implement perf event mmap
    support in the SBI backend").
    """
    return [
        *_row(BASELINE, opcode=SYSTEM, funct3=0, rd=0, rs1=0, imm12=(0, 1)),
        *_row("Zawrs", opcode=SYSTEM, funct3=0, rd=0, rs1=0, imm12=(0x0D, 0x1D)),
        *_row("V", opcode=SYSTEM, funct3=CSR_OPS, imm12=(0x008, 0x009, 0x00A, 0x00F, 0xC20, 0xC21, 0xC22)),
        *_row("Zicfiss", opcode=SYSTEM, funct3=CSR_OPS, imm12=0x011),
        *_row("Zkr", opcode=SYSTEM, funct3=CSR_OPS, imm12=0x015),
        *_row("Zcmt", opcode=SYSTEM, funct3=CSR_OPS, imm12=0x017),
        *_row(BASELINE, opcode=SYSTEM, funct3=CSR_OPS, imm12=(1, 2, 3)),
        *_row(BASELINE, opcode=SYSTEM, funct3=CSR_WRITES, funct7=0x60),
        *_row(BASELINE, opcode=SYSTEM, funct3=CSR_READS, imm12=0xC01),
        *_row(COUNTERS, opcode=SYSTEM, funct3=CSR_READS, imm12=(0xC00, *range(0xC02, 0xC20))),
        Pattern(extension="Zimop", mask=0xB3C0707F, match=0x81C04073),
        Pattern(extension="Zimop", mask=0xB200707F, match=0x82004073),
        *_row(PRIVILEGED, opcode=SYSTEM),
        *_row("Zicbom", opcode=MISC_MEM, funct3=2, rd=0, imm12=(0, 1, 2)),
        *_row("Zicboz", opcode=MISC_MEM, funct3=2, rd=0, imm12=4),
    ]


def _scalar_extensions() -> list[Pattern]:
    """Bit manipulation, scalar cryptography, conditional zero, and vendors' opcodes."""
    return [
        *_row("Zba", opcode=OP, funct3=(2, 4, 6), funct7=0x10),
        *_row("Zba", opcode=OP_32, funct3=(2, 4, 6), funct7=0x10),
        *_row("Zba", opcode=OP_32, funct3=0, funct7=0x04),
        *_row("Zba", opcode=OP_IMM_32, funct3=1, funct6=0x02),
        *_row("Zbb", opcode=OP, funct3=(4, 6, 7), funct7=0x20),
        *_row("Zbb", opcode=OP, funct3=(4, 5, 6, 7), funct7=0x05),
        *_row("Zbb", opcode=(OP, OP_32), funct3=(1, 5), funct7=0x30),
        *_row("Zbb", opcode=OP_32, funct3=4, funct7=0x04, rs2=0),
        *_row("Zbb", opcode=OP_IMM, funct3=1, funct7=0x30, rs2=(0, 1, 2, 4, 5)),
        *_row("Zbb", opcode=OP_IMM, funct3=5, funct6=0x18),
        *_row("Zbb", opcode=OP_IMM, funct3=5, imm12=(0x287, 0x6B8)),
        *_row("Zbb", opcode=OP_IMM_32, funct3=1, funct7=0x30, rs2=(0, 1, 2)),
        *_row("Zbb", opcode=OP_IMM_32, funct3=5, funct7=0x30),
        *_row("Zbkb", opcode=OP, funct3=(4, 7), funct7=0x04),
        *_row("Zbkb", opcode=OP_32, funct3=4, funct7=0x04),
        *_row("Zbkb", opcode=OP_IMM, funct3=5, imm12=0x687),
        *_row("Zbc", opcode=OP, funct3=(1, 2, 3), funct7=0x05),
        *_row("Zbs", opcode=OP, funct3=1, funct7=(0x14, 0x24, 0x34)),
        *_row("Zbs", opcode=OP, funct3=5, funct7=0x24),
        *_row("Zbs", opcode=OP_IMM, funct3=1, funct6=(0x0A, 0x12, 0x1A)),
        *_row("Zbs", opcode=OP_IMM, funct3=5, funct6=0x12),
        *_row("Zbkx", opcode=OP, funct3=(2, 4), funct7=0x14),
        *_row("Zicond", opcode=OP, funct3=(5, 7), funct7=0x07),
        *_row("Zknh", opcode=OP_IMM, funct3=1, funct7=0x08, rs2=(0, 1, 2, 3, 4, 5, 6, 7)),
        *_row("Zksh", opcode=OP_IMM, funct3=1, funct7=0x08, rs2=(8, 9)),
        *_row("Zkn", opcode=OP, funct3=0, funct7=(0x19, 0x1B, 0x1D, 0x1F, 0x3F)),
        *_row("Zkn", opcode=OP_IMM, funct3=1, funct7=0x18, rs2=(0, *range(0x10, 0x1B))),
        *_spacemit(),
        *(Pattern(extension="Zksed", mask=0x3E00707F, match=funct << 25 | OP) for funct in (0x18, 0x1A)),
        *(pattern for opcode, name in CUSTOM.items() for pattern in _row(name, opcode=opcode)),
    ]


def _spacemit() -> list[Pattern]:
    """SpacemiT's integer matrix instructions in custom-1: the destination is even.

    From chapter 8 of its "AI Matrix Extension Instruction Set", version 0.6. Bit 15 of the sliding-window ones (funct7
    0x73) belongs to the opcode, and 1 there leaves funct3 4 to 7 reserved.
    """
    mask = 0xFE0070FF
    return [
        *(Pattern(extension="XSMTVDot", mask=mask, match=0xE200002B | funct3 << 12) for funct3 in range(4)),
        *(Pattern(extension="XSMTVDot", mask=mask | 0x8000, match=0xE600002B | funct3 << 12) for funct3 in range(8)),
        *(Pattern(extension="XSMTVDot", mask=mask | 0x8000, match=0xE600802B | funct3 << 12) for funct3 in range(4)),
    ]


def _float_extensions() -> list[Pattern]:
    """Other widths (Zfh, Q, bfloat16) and Zfa."""
    formats = (S, D, H, Q)
    return [
        *_float_of("Zfh", H),
        *_float_of("Q", Q),
        *_row("Zfh", opcode=OP_FP, fmt=(S, D), funct5=0x08, rs2=H, funct3=ROUNDING),
        *_row("Zfh", opcode=OP_FP, fmt=H, funct5=0x08, rs2=(S, D), funct3=ROUNDING),
        *_row("Q", opcode=OP_FP, fmt=(S, D, H), funct5=0x08, rs2=Q, funct3=ROUNDING),
        *_row("Q", opcode=OP_FP, fmt=Q, funct5=0x08, rs2=(S, D, H), funct3=ROUNDING),
        *_row("Zfbfmin", opcode=OP_FP, fmt=S, funct5=0x08, rs2=6, funct3=ROUNDING),
        *_row("Zfbfmin", opcode=OP_FP, fmt=H, funct5=0x08, rs2=8, funct3=ROUNDING),
        *_row("Zfa", opcode=OP_FP, fmt=formats, funct5=0x1E, rs2=1, funct3=0),
        *_row("Zfa", opcode=OP_FP, fmt=formats, funct5=0x05, funct3=(2, 3)),
        *_row("Zfa", opcode=OP_FP, fmt=formats, funct5=0x14, funct3=(4, 5)),
        *_row("Zfa", opcode=OP_FP, fmt=formats, funct5=0x08, rs2=(4, 5), funct3=ROUNDING),
        *_row("Zfa", opcode=OP_FP, fmt=D, funct5=0x18, rs2=8, funct3=1),
    ]


def _vector() -> list[Pattern]:
    """RVV 1.0 and what shares its opcodes (XTheadVector too); OP-VE is vector cryptography."""
    return [
        *_row("V", opcode=OP_V),
        *_row("V", opcode=(LOAD_FP, STORE_FP), funct3=(0, 5, 6, 7)),
        *_row("Zvk", opcode=OP_VE),
    ]


@cache
def short_patterns() -> tuple[Pattern, ...]:
    """Return the 16-bit encodings beyond RV64C with D; all others are in the baseline.

    Zcmp and Zcmt share the encodings of c.fsdsp, so they cannot be in a hard-float library.
    """
    zcb = ((0xFC03, 0x8000), (0xFC03, 0x8400), (0xFC03, 0x8800), (0xFC43, 0x8C00), (0xFC63, 0x9C41))
    zcb_unary = ((0xFC7F, 0x9C61 + step) for step in range(0, 0x18, 4))
    reserved = (
        (0xFFE3, 0x0000),  # c.addi4spn without an immediate
        (0xE003, 0x8000),
        (0xEF83, 0x2001),  # c.addiw, c.lwsp, c.ldsp to x0
        (0xEF83, 0x4002),
        (0xEF83, 0x6002),
        (0xF07F, 0x6001),  # c.lui and c.addi16sp without an immediate
        (0xFC63, 0x9C61),
        (0xFFFF, 0x8002),  # c.jr x0
    )
    return (
        Pattern(extension=BASELINE, mask=0xFFFF, match=0x0000),
        *(Pattern(extension="Zcb", mask=mask, match=match) for mask, match in (*zcb, *zcb_unary)),
        Pattern(extension="Zcmop", mask=0xF8FF, match=0x6081),
        *(Pattern(extension=UNKNOWN, mask=mask, match=match) for mask, match in reserved),
    )
