"""Reports of wheels with real ELF files in them, out of a store."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from factory.model.artifacts import RepairedWheel
from factory.pipeline.wheel_report import contents_of, write_reports
from factory.publish.ledger import Release
from factory.publish.reports import Bundled, Dispatched, Package, WheelReport, read_failures, read_reports
from factory.publish.wheel_metadata import describe_wheel
from factory.store.store import Store
from factory.util.atomic_files import sha256_of
from tests.support.elf_images import RV64GCV, VSETVLI, Image, code, wheel
from tests.support.records import FAILURE, record
from tests.support.wheelmaker import BUILT, make_wheel

VECTOR = Image(text=code(VSETVLI), arch=RV64GCV, soname="libfast.so", needed=("libc.so.6",))


def stored(store: Store, path: Path) -> Release:
    store.add(record(), RepairedWheel(path=path, sha256=sha256_of(path), platform_tags=("any",)))
    return describe_wheel(path, BUILT)


def reports(ledger: Path, store: Store, releases: Sequence[Release], folder: Path) -> dict[str, WheelReport]:
    write_reports(releases, ledger, store, lambda release: folder / release.filename, folder / "out")
    return dict(read_reports(ledger, "demo"))


def test_what_is_dispatched_and_what_the_system_must_have_comes_from_the_libraries(tmp_path: Path) -> None:
    main = Image(needed=("libc.so.6", "libfast.so", "libm.so.6"), versions=("GLIBC_2.9", "GLIBC_2.34"))
    path = wheel(tmp_path, {"demo/main.so": main.build(), "demo/libfast.so": VECTOR.build()})
    contents = contents_of(path, lambda _path: None)
    assert (contents.libraries, contents.glibc) == (2, "2.34")
    assert contents.dispatched == (Dispatched(path="demo/libfast.so", extensions=("v",)),)
    assert contents.system_libraries == ("libc.so.6", "libm.so.6")
    assert contents.bundled == ()


def test_what_the_repair_put_into_a_wheel_is_told_with_its_package(tmp_path: Path) -> None:
    files = {"demo/main.so": Image().build(), "demo.libs/libx-11111111.so": VECTOR.build()}
    path = wheel(tmp_path, files | {"demo-1.0.dist-info/sboms/crates.json": b"{}"})
    package = Package(kind="deb", name="libx1", version="1.0-1", architecture="riscv64")
    asked: list[str] = []
    contents = contents_of(path, lambda name: asked.append(name) or package)  # type: ignore[func-returns-value]
    digest = hashlib.sha256(VECTOR.build()).hexdigest()
    assert contents.bundled == (Bundled(path="demo.libs/libx-11111111.so", sha256=digest, package=package),)
    assert asked == ["demo.libs/libx-11111111.so"]
    assert contents.sboms == ("demo-1.0.dist-info/sboms/crates.json",)


def test_a_published_wheel_has_a_report_of_its_build(tmp_path: Path) -> None:
    store, path = Store(tmp_path / "store"), make_wheel(tmp_path, "demo")
    (report,) = reports(tmp_path / "ledger", store, [stored(store, path)], tmp_path).values()
    assert report.build is not None
    assert (report.build.record, report.build.checks[0].shown) == (record().key, "Paris")


def test_a_report_outlives_the_store_and_the_wheel(tmp_path: Path) -> None:
    store, path = Store(tmp_path / "store"), make_wheel(tmp_path, "demo")
    release = stored(store, path)
    before = reports(tmp_path / "ledger", store, [release], tmp_path)
    path.unlink()
    assert reports(tmp_path / "ledger", Store(tmp_path / "empty"), [release], tmp_path) == before


def test_a_check_on_a_further_python_renews_the_report_without_reading_the_libraries_again(tmp_path: Path) -> None:
    store, path = Store(tmp_path / "store"), make_wheel(tmp_path, "demo")
    release = stored(store, path)
    reports(tmp_path / "ledger", store, [release], tmp_path)
    kept = store.records()[0]
    checks = (replace(kept.checks[0], python="3.14"),)
    store.add_checked(replace(kept, key="f" * 64, wheel_of=kept.key, finished="2026-02-01", checks=checks))
    (report,) = reports(tmp_path / "ledger", store, [release], tmp_path).values()
    assert report.build is not None
    assert [check.python for check in report.build.checks] == ["3.13", "3.14"]


def test_a_failure_reaches_the_ledger_and_goes_with_the_next_good_build(tmp_path: Path) -> None:
    store, path = Store(tmp_path / "store"), make_wheel(tmp_path, "demo")
    store.add_failure(FAILURE)
    reports(tmp_path / "ledger", store, [], tmp_path)
    assert read_failures(tmp_path / "ledger", "demo") == (FAILURE,)
    reports(tmp_path / "ledger", store, [stored(store, path)], tmp_path)
    assert read_failures(tmp_path / "ledger", "demo") == ()
