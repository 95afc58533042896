"""Plants made by GCC: code and tables as a compiler and a linker make them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from factory.model.protocols import Command
from factory.model.recipe import AuditOptions
from factory.model.target import Target
from factory.stages.audit.auditor import AuditReport, audit_wheel
from factory.stages.environments.rootfs import RootfsEnvironment
from tests.support.elf_images import wheel
from tests.support.logs import MemoryLog

pytestmark = pytest.mark.environment

Compile = Callable[..., AuditReport]
SHARED = ("-shared", "-fPIC", "-O2")
SUM = "void f(float *a, long n) { for (long i = 0; i < n; i++) a[i] += 1; }\n"
THROWS = """
#include <stdexcept>
extern "C" int f(int a) {
    try { if (a > 3) throw std::runtime_error("x"); } catch (std::exception &) { return 1; }
    return 0;
}
"""
ATOMIC = "struct { long a, b; } x, y; void f(void) { __atomic_load(&x, &y, 5); }\n"
TRAP = """
void f(void) { __asm__ volatile("j 1f\\n.half 0x0013\\n1: .word 0x0d0077d7, 0x0205e407, 0x02840457, 0x0205e427"); }
"""
CONSTANTS = """
__attribute__((section(".rodata,\\"a\\",@progbits#"))) void f(void) {
    __asm__ volatile(".word 0x0d0077d7, 0x0205e407, 0x02840457, 0x0205e427");
}
"""
TABLE = """
__asm__(".text\\n.balign 64\\n"
".word 0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5\\n"
".word 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174\\n"
".word 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da\\n"
".balign 64\\n");
int f(int a) { return a + 1; }
"""


@pytest.fixture
def compiled(hybrid: RootfsEnvironment, tmp_path: Path) -> Compile:
    """Compile a library in the root, strip it, and audit a wheel of it."""

    def compile_and_audit(source: str, *options: str, suffix: str = ".c", strip: bool = True) -> AuditReport:
        work = tmp_path / "work"
        work.mkdir()
        (work / f"demo{suffix}").write_text(source)
        program = "g++" if suffix == ".cc" else "gcc"
        with hybrid.open(work, caches="test") as sandbox:
            argv = [program, *SHARED, "-o", "/build/demo.so", f"/build/demo{suffix}", *options]
            sandbox.run(Command(argv), log=MemoryLog())
            if strip:
                sandbox.run(Command(["strip", "--strip-unneeded", "/build/demo.so"]), log=MemoryLog())
        made = wheel(tmp_path, {"demo/_core.so": (work / "demo.so").read_bytes()})
        return audit_wheel(made, AuditOptions(), Target())

    return compile_and_audit


@pytest.mark.parametrize(
    ("source", "options", "kind"),
    [
        (SUM, ("-O3", "-march=rv64gcv"), "isa"),
        ("long f(long a, long b) { return (a << 1) + b; }\n", ("-march=rv64gc_zba",), "isa"),
        (TRAP, (), "isa"),
        (CONSTANTS, (), "isa"),
        (ATOMIC, (), "atomic"),
        ('long f(void) { long c; __asm__ volatile("rdcycle %0" : "=r"(c)); return c; }\n', (), "counters"),
        ("int f(void) { return 0; }\n", ("-z", "execstack"), "executable-stack"),
        ("int f(void) { return 0; }\n", ("-Wl,-rpath,$ORIGIN/../..",), "run-path"),
    ],
)
def test_compiled_bad_library_is_caught(compiled: Compile, source: str, options: tuple[str, ...], kind: str) -> None:
    assert {finding.kind for finding in compiled(source, *options).violations} == {kind}


@pytest.mark.parametrize(
    ("source", "options", "suffix", "note"),
    [
        (SUM, ("-O3",), ".c", ""),
        (THROWS, ("-static-libgcc", "-static-libstdc++"), ".cc", "unwinder"),
        (THROWS, (), ".cc", ""),
        (ATOMIC, ("-latomic",), ".c", ""),
        (TABLE, (), ".c", "data"),
        ('long f(void) { long c; __asm__ volatile("rdtime %0" : "=r"(c)); return c; }\n', (), ".c", ""),
    ],
)
def test_compiled_good_library_is_not_accused(
    compiled: Compile, source: str, options: tuple[str, ...], suffix: str, note: str
) -> None:
    report = compiled(source, *options, suffix=suffix)
    assert report.violations == ()
    assert {note} - {""} <= {finding.kind for finding in report.notes}
