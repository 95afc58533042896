"""Ledgers without wheels: the site is written from the ledger alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from factory.model.record import BuildFailure
from factory.model.target import PYTHONS
from factory.publish.failures import write_failures
from factory.publish.ledger import Ledger
from factory.publish.release import Built, Mirrored, Release
from factory.publish.reports import (
    About,
    Build,
    Bundled,
    Check,
    Contents,
    Dispatched,
    Log,
    Package,
    Patch,
    Stage,
    WheelReport,
    write_report,
)
from factory.publish.wheel_filename import parse_filename
from factory.site.coverage import Coverage, Pin, Stack
from factory.util.jsonio import dumps

PROFILES = ("rv64gc", "k1")
FAILURE = BuildFailure(
    name="broken",
    version="0.1",
    python="3.13",
    stage="build",
    finished="2026-03-04T05:06:07+00:00",
    message="broken 0.1: build_wheel failed:\nvec.c:3:1: error: expected ';'",
)
FORTRAN = Bundled(
    path="alpha.libs/libgfortran-2c0fd224.so.5.0.0",
    sha256="1" * 64,
    package=Package(kind="deb", name="libgfortran5", version="14.2.0-19", architecture="riscv64"),
)
CONTENTS = Contents(
    libraries=2,
    glibc="2.38",
    dispatched=(Dispatched(path="alpha/fast.so", extensions=("v", "zvfh")),),
    system_libraries=("libc.so.6", "libm.so.6"),
    bundled=(FORTRAN,),
    sboms=("alpha.dist-info/sboms/crates.json",),
    licenses=("alpha.dist-info/licenses/LICENSE", "alpha.dist-info/licenses/debian/libgfortran5/copyright"),
)


ABOUT = About(
    requires=("plain-text>=1", "extras-only; extra == 'more'"),
    links={"Source": "https://git.example/alpha", "Changelog": "https://git.example/alpha/news"},
    modules=("alpha_module",),
    keywords=("Sums",),
)


def release(filename: str, **changes: object) -> Release:
    """Return a release that we built, or a mirrored one if the file is for any machine."""
    project, version = parse_filename(filename)
    digest = hashlib.sha256(filename.encode()).hexdigest()
    built = Built(record="k" * 64, profiles=PROFILES, pythons=("3.13",))
    made = Release(
        filename=filename,
        project=project,
        version=version,
        sha256=digest,
        size=12_345_678,
        requires_python=">=3.9",
        metadata_sha256=digest,
        origin=Mirrored() if filename.endswith("-any.whl") else built,
        uploaded="2026-01-02T03:04:05Z",
    )
    return replace(made, **changes)


def build(python: str = "3.13", **changes: object) -> Build:
    """Return a build with all that pages show."""
    made = Build(
        record="k" * 64,
        finished="2026-01-02T02:00:00+00:00",
        mode="hybrid",
        baseline="rv64gc",
        toolchain={"g++-14-riscv64-linux-gnu": "14.2.0-19cross1"},
        source_sha256="5" * 64,
        requirements=("cython==3.3.1",),
        patches=(Patch(name="0001-load-modules.patch", upstream_status="Pending"),),
        stages=(Stage(name="build", seconds=261.0), Stage(name="check", seconds=20.0)),
        checks=tuple(
            Check(profile=name, python=python, passed=True, seconds=9.2, shown="sum 499500.0") for name in PROFILES
        ),
        contents=CONTENTS,
        logs=(Log(stage="build", python="", sha256="6" * 64), Log(stage="check", python=python, sha256="7" * 64)),
    )
    return replace(made, **changes)


def report(filename: str, **changes: object) -> WheelReport:
    made = WheelReport(filename=filename, summary="Adds numbers", license="BSD-3-Clause", about=ABOUT)
    return replace(made, **changes)


ALPHA = "alpha-1.0-cp313-cp313-manylinux_2_38_riscv64.whl"
ALPHA_NEXT = "alpha-1.10-cp313-cp313-manylinux_2_38_riscv64.whl"
PURE = "plain_text-2.0-py3-none-any.whl"


def make_coverage(ledger: Ledger, pins: Sequence[Pin], problems: Mapping[str, str] | None = None) -> None:
    """Write a stack that needs these pins beside the ledger."""
    stack = Stack(name="All", requirements=("all",), pins=tuple(pins), problems=problems or {})
    coverage = Coverage(pythons=PYTHONS, gathered="2026-01-01", stacks=(stack,))
    (ledger.folder.parent / "coverage.json").write_text(dumps(coverage))


def pin(project: str, version: str, *offers: str, source: bool = True) -> Pin:
    """Return a pin with the offers of the project's index for each Python in turn."""
    return Pin(project=project, version=version, offers=dict(zip(PYTHONS, offers, strict=False)), source=source)


def make_ledger(folder: Path, failures: Sequence[BuildFailure] = (FAILURE,)) -> Ledger:
    """Two versions of a package of ours, a pure one, and one whose build failed."""
    ledger = Ledger(folder / "index" / "ledger")
    for filename in (ALPHA, ALPHA_NEXT, PURE):
        ledger.add(release(filename))
    for filename in (ALPHA, ALPHA_NEXT):
        write_report(ledger.folder, "alpha", report(filename, build=build()))
    write_report(ledger.folder, "plain-text", report(PURE, summary="Text as it is", license="MIT", about=About()))
    write_failures(ledger.folder, failures)
    return ledger
