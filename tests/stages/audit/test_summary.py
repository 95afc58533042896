"""Summaries of audits of real ELF files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from factory.model.recipe import AuditOptions
from factory.model.record import AuditSummary, DispatchedLibrary
from factory.model.target import Target
from factory.stages.audit.auditor import audit_wheel
from factory.stages.audit.summary import summarize
from tests.support.elf_images import RV64GCV, VSETVLI, Image, code, wheel

VECTOR = Image(text=code(VSETVLI), arch=RV64GCV, soname="libfast.so", needed=("libc.so.6",))


def summary_of(path: Path, *dispatched: str) -> AuditSummary:
    return summarize(audit_wheel(path, AuditOptions(dispatched=dispatched), Target()))


def test_summary_has_dispatched_and_system_libraries(tmp_path: Path) -> None:
    main = Image(needed=("libc.so.6", "libfast.so", "libm.so.6"), versions=("GLIBC_2.9", "GLIBC_2.34"))
    summary = summary_of(
        wheel(tmp_path, {"demo/main.so": main.build(), "demo/libfast.so": VECTOR.build()}), "demo/libfast.so"
    )
    assert (summary.libraries, summary.glibc) == (2, "2.34")
    assert summary.dispatched == (DispatchedLibrary(path="demo/libfast.so", extensions=("v",)),)
    assert summary.system_libraries == ("libc.so.6", "libm.so.6")
    assert summary.bundled == {}


def test_summary_has_bundled_libraries_and_sboms(tmp_path: Path) -> None:
    files = {"demo/main.so": Image().build(), "demo.libs/libx-11111111.so": VECTOR.build()}
    summary = summary_of(wheel(tmp_path, files | {"demo-1.0.dist-info/sboms/crates.json": b"{}"}))
    assert summary.bundled == {"demo.libs/libx-11111111.so": hashlib.sha256(VECTOR.build()).hexdigest()}
    assert summary.sboms == ("demo-1.0.dist-info/sboms/crates.json",)
