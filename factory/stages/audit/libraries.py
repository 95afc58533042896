"""Report on one ELF file, and checks of its machine, ABI and instructions."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from factory.elf.reader import ElfFacts
from factory.stages.audit.instructions import NO_PROGRAM, CodeUse, inspect_code
from factory.stages.audit.isa import extensions_beyond_baseline
from factory.stages.audit.report import ExtensionUse, Finding, LibraryReport
from factory.stages.audit.versions import highest
from factory.util.quantities import quantity

# e_flags: the RISC-V ELF psABI specification, "File Header"
EF_FLOAT_ABI, EF_FLOAT_ABI_DOUBLE, EF_RVE, EF_TSO = 0x6, 0x4, 0x8, 0x10
FLOAT_ABIS = {0x0: "soft", 0x2: "single", 0x4: "double", 0x6: "quad"}
BUILD_PATH = re.compile(rb"/(?:build|tmp|root|home)/[\x21-\x7e]{4,}")


def fits(path: str, glob: str) -> bool:
    """Match a path with a glob, folder by folder: `*` never crosses a slash."""
    folders, globs = path.split("/"), glob.split("/")
    return len(folders) == len(globs) and all(map(fnmatchcase, folders, globs))


def report_on(path: str, data: bytes, facts: ElfFacts, dispatched: Sequence[str]) -> tuple[LibraryReport, CodeUse]:
    """Return the report on a file, and its encodings beyond the baseline."""
    use = inspect_code(data, facts) if facts.machine == "EM_RISCV" else CodeUse()
    report = LibraryReport(
        path=path,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        arch=facts.arch,
        declares=extensions_beyond_baseline(facts.arch) if facts.arch else (),
        uses=use.uses,
        dispatched=any(fits(path, glob) for glob in dispatched),
        glibc=highest(facts.versions, "GLIBC"),
        glibcxx=highest(facts.versions, "GLIBCXX"),
        soname=facts.soname,
        needed=facts.needed,
        run_path=facts.run_path,
    )
    return report, use


def check_machine(path: str, facts: ElfFacts) -> Iterator[Finding]:
    """Check machine, ABI and attributes."""
    if facts.machine != "EM_RISCV" or facts.bits != 64:
        machine = f"{facts.bits}-bit {facts.machine.removeprefix('EM_')}"
        yield Finding(kind="machine", library=path, message=f"built for {machine}, not for 64-bit RISC-V")
        return
    abi = facts.flags & EF_FLOAT_ABI
    if abi != EF_FLOAT_ABI_DOUBLE:
        yield Finding(kind="abi", library=path, message=f"{FLOAT_ABIS[abi]}-float ABI, not lp64d (-mabi=lp64d)")
    if facts.flags & EF_RVE:
        yield Finding(kind="abi", library=path, message="built for RVE, with 16 registers only")
    if facts.flags & EF_TSO:
        yield Finding(kind="abi", library=path, message="relies on the memory order of Ztso")
    if facts.arch_error:
        message = "its header for the architecture attributes points at other bytes: judged by its instructions alone"
        yield Finding(kind="attributes", library=path, message=message, violation=False)
    elif facts.arch is None:
        message = "has no architecture attribute: judged by its instructions alone"
        yield Finding(kind="attributes", library=path, message=message, violation=False)


def check_code(report: LibraryReport, use: CodeUse) -> Iterator[Finding]:
    """Judge a file's instructions and what its attributes declare."""
    yield from _check_instructions(report, use)
    if use.counters:
        message = f"reads performance counters: {use.counters}; Linux 6.6 and newer end a program that does"
        detail = "read the time instead: rdtime, or clock_gettime (cycle, instret and hpmcounter need perf's consent)"
        yield Finding(
            kind="counters", library=report.path, message=message, detail=detail, violation=not report.dispatched
        )
    if use.tables:
        message = f"probably data in a code section, no instructions: {use.tables}"
        yield Finding(kind="data", library=report.path, message=message, violation=False)
    if use.unwinder:
        message = f"reads vlenb in an unwinder, after a test for it, as libgcc does: {use.unwinder}"
        yield Finding(kind="unwinder", library=report.path, message=message, violation=False)


def _check_instructions(report: LibraryReport, use: CodeUse) -> Iterator[Finding]:
    if report.dispatched and not report.beyond_baseline:
        message = "declared as run-time dispatched, but within the baseline"
        yield Finding(kind="dispatched", library=report.path, message=message, violation=False)
    if report.dispatched:
        return
    if report.uses:
        message = f"contains instructions beyond rv64gc: {'; '.join(map(str, report.uses))}{_doubt(report.uses)}"
        yield Finding(kind="isa", library=report.path, message=message)
    elif report.declares:
        message = f"built for more than rv64gc: its attributes declare {' '.join(report.declares)}"
        yield Finding(kind="isa", library=report.path, message=message)
    if use.unclaimed and report.uses:
        message = f"some of them are executable, but in no code section ({', '.join(use.unclaimed)})"
        yield Finding(kind="isa", library=report.path, message=message, violation=False)


def _doubt(uses: Sequence[ExtensionUse]) -> str:
    """Return an addition for encodings that no program runs."""
    count = sum(use.count for use in uses if use.extension in NO_PROGRAM)
    return f"; {count} of them no program runs, so there may be a data table in the code" if count else ""


def check_build_paths(path: str, data: bytes) -> Iterator[Finding]:
    """Note strings that look like paths of the machine that built the file."""
    found = dict.fromkeys(match[0].decode("ascii") for match in BUILD_PATH.finditer(data))
    if found:
        message = f"{quantity(len(found), 'possible path')} of a build machine, such as {next(iter(found))}"
        yield Finding(kind="build-path", library=path, message=message, violation=False)
