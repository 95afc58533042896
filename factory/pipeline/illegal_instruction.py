"""Descriptions of illegal instructions: for another CPU, or reserved on each."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence

from factory.errors import FactoryError
from factory.stages.audit.isa import extension_of
from factory.stages.audit.opcodes import BASELINE, UNKNOWN
from factory.stages.checks.faults import Fault
from factory.util.process import run

OP_V, OPFVV, OPFVF, OPCFG = 0x57, 1, 5, 7
LONG = 3
WIDTHS = ("e8", "e16", "e32", "e64")
GROUPS = ("m1", "m2", "m4", "m8", "", "mf8", "mf4", "mf2")
# Encodings that the ISA promises to be illegal: c.unimp and unimp.
TRAPS = (0x0000, 0xC0001073)


def describe(fault: Fault, disassembler: Sequence[str]) -> str:
    """Describe the fault's instruction, its place, and why the CPU refuses it."""
    encoding, size = _instruction(fault.code)
    words = disassemble(encoding, size, disassembler)
    return f"{words} {fault.place}: {_cause(fault, encoding, size)}"


def _instruction(code: bytes) -> tuple[int, int]:
    size = 4 if len(code) >= 4 and code[0] & LONG == LONG else 2
    return int.from_bytes(code[:size], "little"), size


def _cause(fault: Fault, encoding: int, size: int) -> str:
    if encoding in TRAPS:
        return "a trap that the compiler put there: code that must not be reached was, or __builtin_trap() was called"
    extension = extension_of(encoding, size)
    if extension == "privileged":
        return "an instruction of operating systems, which no program may use"
    if extension == UNKNOWN:
        return "no ratified extension has this encoding: data that runs as code, or code for a vendor's CPU"
    setting = vector_setting(fault.before) if encoding & 0x7F == OP_V else None
    missing = _missing(fault, extension, encoding, setting)
    if missing:
        return f"code for another CPU: it needs {missing}, which this one has not; enter it only after detection"
    if extension == BASELINE:
        return "every CPU has this instruction, but not with these operands: a reserved encoding"
    after = f" after `{setting}`" if setting else ""
    return (
        f"a reserved encoding{after}: this CPU has {extension}, and none allows this{_compiler_hint(encoding, setting)}"
    )


def _missing(fault: Fault, extension: str, encoding: int, setting: str | None) -> str:
    """Return the extension that the CPU lacks, empty if it has them all, or doesn't list any."""
    needed = "Zvfh" if _is_vector_float(encoding) and setting and " e16," in setting else extension
    has = extensions(fault.isa)
    # Some names stand for a family, as Zvk does for the vector cryptography.
    known = not has or needed == BASELINE or any(each.startswith(needed.lower()) for each in has)
    return "" if known else needed


def extensions(isa: str) -> frozenset[str]:
    """Return the extensions in the kernel's `isa` line; empty for other text."""
    match = re.match(r"rv(?:32|64)([a-y]+)((?:_?[sxz]\w+)*)", isa.lower())
    return frozenset({*match[1], *filter(None, match[2].split("_"))}) if match else frozenset()


def vector_setting(before: bytes) -> str | None:
    """Return the last vsetvli or vsetivli in the code before an instruction."""
    for place in range(len(before) - 4, -1, -2):
        word = int.from_bytes(before[place : place + 4], "little")
        if word & 0x7F == OP_V and word >> 12 & 7 == OPCFG and (word >> 31 == 0 or word >> 30 == LONG):
            kind = 0x7FF if word >> 31 == 0 else 0x3FF
            vtype = word >> 20 & kind
            width = WIDTHS[vtype >> 3 & 7] if vtype >> 3 & 7 < len(WIDTHS) else "reserved width"
            name = "vsetvli" if word >> 31 == 0 else "vsetivli"
            return f"{name} {width},{GROUPS[vtype & 7] or 'reserved group'}"
    return None


def _is_vector_float(encoding: int) -> bool:
    return encoding & 0x7F == OP_V and encoding >> 12 & 7 in (OPFVV, OPFVF)


def _compiler_hint(encoding: int, setting: str | None) -> str:
    if not (_is_vector_float(encoding) and setting and " e8" in setting):
        return ""
    return (
        ": floating-point instructions have no 8-bit elements; GCC 14.2 makes this of an intrinsic whose length is "
        "__riscv_vsetvlmax_e32m1(): give it a length of __riscv_vsetvl_e32m1(), or build with Clang"
    )


def disassemble(encoding: int, size: int, disassembler: Sequence[str]) -> str:
    """Return an instruction in backquotes, or its encoding if objdump is not available."""
    unknown = f"`.{size}byte {encoding:#x}`"
    if not disassembler:
        return unknown
    with tempfile.NamedTemporaryFile(suffix=".bin") as file:
        file.write(encoding.to_bytes(size, "little"))
        file.flush()
        try:
            printed = run([*disassembler, "-D", "-z", "-b", "binary", "-m", "riscv:rv64", "-M", "max", file.name])
        except FactoryError:
            return unknown
    match = re.search(r"^\s*0:\s+[0-9a-f]+\s+(.+)$", printed, re.MULTILINE)
    return f"`{' '.join(match[1].split('#')[0].split())}`" if match else unknown
