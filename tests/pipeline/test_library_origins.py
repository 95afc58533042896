"""Where libraries in wheels are from, asked of real records and wheels."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from factory.errors import StoreError
from factory.model.artifacts import BinaryPackage, PackagePin, RepairedWheel
from factory.model.record import BuildRecord
from factory.pipeline.library_origins import Origins, is_bundled
from factory.publish.reports import Package
from factory.store.store import Store
from factory.util.atomic_files import sha256_of
from tests.support.records import record
from tests.support.wheelmaker import write_zip

ENVIRONMENT = (
    PackagePin(name="gcc-14-base", version="14.2.0-19", architecture="riscv64"),
    PackagePin(name="libgfortran5-riscv64-cross", version="14.2.0-19cross1", architecture="all"),
    PackagePin(name="libgomp1", version="14.2.0-19", architecture="riscv64"),
    PackagePin(name="libgomp1-riscv64-cross", version="14.2.0-19cross1", architecture="all"),
    PackagePin(name="libx86-2", version="1", architecture="amd64"),
)
FORTRAN = Package(kind="deb", name="libgfortran5-riscv64-cross", version="14.2.0-19cross1", architecture="all")


def begin(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:8]


@pytest.fixture
def blas(tmp_path: Path) -> BuildRecord:
    """The record of a wheel with a library of its own, and a bundled one out of its root."""
    members = {"blas/lib/libblas.so": "blas", "blas.libs/libgfortran-11111111.so.5.0.0": "fortran"}
    wheel = write_zip(tmp_path / "blas-0.3-py3-none-any.whl", members)
    kept = replace(record(), name="blas", version="0.3", environment=ENVIRONMENT)
    repaired = RepairedWheel(path=wheel, sha256=sha256_of(wheel), platform_tags=("any",))
    return Store(tmp_path / "store").add(kept, repaired)


@pytest.fixture
def origins(tmp_path: Path, blas: BuildRecord) -> Origins:
    store = Store(tmp_path / "store")
    return Origins(store=store, records=store.records())


NEEDS_BLAS = replace(record(), requirements=(PackagePin(name="Blas", version="0.3"),))


def test_a_library_of_another_wheel_is_known_by_its_hash(origins: Origins) -> None:
    found = origins.package_of(f"demo.libs/libblas-{begin('blas')}.so", NEEDS_BLAS)
    assert found == Package(kind="pypi", name="blas", version="0.3")
    assert origins.package_of(f"demo.libs/liblas-{begin('blas')}.so", NEEDS_BLAS) is None


def test_a_library_of_another_wheel_that_the_repair_has_changed_is_known_by_its_name(origins: Origins) -> None:
    found = origins.package_of("demo.libs/libblas-00000000.so", NEEDS_BLAS)
    assert found == Package(kind="pypi", name="blas", version="0.3")


def test_what_another_wheel_has_bundled_is_from_where_that_has_it(origins: Origins) -> None:
    path = f"demo.libs/libgfortran-11111111-{begin('fortran')}.so.5.0.0"
    assert origins.package_of(path, NEEDS_BLAS) == FORTRAN
    assert origins.package_of(path, replace(record(), environment=ENVIRONMENT)) is None


def test_a_damaged_wheel_is_named_with_its_cure(origins: Origins) -> None:
    wheel = origins.store.wheel_path(origins.records[0])
    wheel.write_bytes(wheel.read_bytes()[:50])
    with pytest.raises(StoreError, match=f"{wheel.name} is damaged: ") as caught:
        origins.package_of("demo.libs/libblas-00000000.so", NEEDS_BLAS)
    assert "build its package again" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("libgfortran-11111111.so.5.0.0", "libgfortran5-riscv64-cross"),
        ("libgomp-11111111.so.1.0.0", "libgomp1"),
        ("libx86-11111111.so.2", None),
        ("libc-11111111.so.6", None),
        ("liblocal.so.1", None),
    ],
)
def test_a_library_of_the_root_is_known_by_the_name_that_debian_gives_its_package(
    name: str, package: str | None, origins: Origins
) -> None:
    found = origins.package_of(f"demo.libs/{name}", replace(record(), environment=ENVIRONMENT))
    assert (None if found is None else found.name) == package


def test_a_repacked_wheel_has_its_libraries_from_the_packages_that_it_is_made_of(origins: Origins) -> None:
    packages = (BinaryPackage(name="libgomp1", source="gcc-16", version="16.1", sha256="0" * 64),)
    repacked = replace(record(), environment=ENVIRONMENT, repacked=packages)
    found = origins.package_of("demo.libs/libgomp-11111111.so.1.0.0", repacked)
    assert found == Package(kind="deb", name="libgomp1", version="16.1", architecture="riscv64")
    assert origins.package_of("demo.libs/libgfortran-11111111.so.5.0.0", repacked) is None


def test_only_the_repairs_own_folder_counts() -> None:
    assert is_bundled("demo.libs/libgomp.so")
    assert not is_bundled("demo/libgomp.so")
    assert not is_bundled("demo/x.libs/libgomp.so")
