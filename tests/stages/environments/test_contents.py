"""Debian's index of files."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from factory.errors import EnvironmentSetupError
from factory.model.distribution import TRIXIE
from factory.stages.environments.debian.contents import FILE, LISTS, Contents, reduce_lists
from factory.stages.environments.debian.layers import DebianLayers
from factory.util.paths import Layout
from tests.support.layer_stores import layer_store
from tests.support.logs import MemoryLog

RISCV64 = """\
bin/false                                               utils/coreutils
usr/bin/pg_config                                       libdevel/libpq-dev,database/postgresql-common
usr/include/openssl/ssl.h                               libdevel/libssl-dev
usr/include/riscv64-linux-gnu/openssl/opensslconf.h     libdevel/libssl-dev
usr/lib/riscv64-linux-gnu/libyaml.so                    libdevel/libyaml-dev
usr/lib/riscv64-linux-gnu/libz.a                        libdevel/zlib1g-dev
usr/lib/riscv64-linux-gnu/debug/libz.so                 debug/zlib1g-dbg
usr/lib/riscv64-linux-gnu/libstdc++.so.6                libs/libstdc++6
usr/lib/riscv64-linux-gnu/blas/libblas.so               libdevel/libblas-dev
usr/lib/riscv64-linux-gnu/cmake/fmt/fmt-config.cmake    libdevel/libfmt-dev
usr/lib/llvm-9/lib/cmake/llvm/LLVMConfig.cmake          devel/llvm-9-dev
usr/lib/llvm-19/lib/cmake/llvm/LLVMConfig.cmake         devel/llvm-19-dev
usr/lib/llvm-22/lib/cmake/llvm/LLVMConfig.cmake         devel/llvm-22-dev
usr/lib/riscv64-linux-gnu/pkgconfig/libffi.pc           libdevel/libffi-dev
usr/lib/riscv64-linux-gnu/pkgconfig/zlib.pc             libdevel/zlib1g-dev
"""
ALL = """\
usr/include/eigen3/Eigen/Core                           libdevel/libeigen3-dev
usr/share/doc/spam/README                               doc/spam
usr/share/pkgconfig/eigen3.pc                           libdevel/libeigen3-dev
"""


def reduced(tree: Path, log: MemoryLog, **indexes: bytes) -> Contents:
    (tree / LISTS).mkdir(parents=True)
    for architecture, content in indexes.items():
        (tree / LISTS / f"mirror_main_Contents-{architecture}.gz").write_bytes(content)
    reduce_lists(tree, TRIXIE, log)
    return Contents(tree / FILE, TRIXIE.triplet)


@pytest.fixture
def contents(tmp_path: Path, log: MemoryLog) -> Contents:
    return reduced(tmp_path, log, riscv64=gzip.compress(RISCV64.encode()), all=gzip.compress(ALL.encode()))


@pytest.mark.parametrize(
    ("kind", "name", "package"),
    [
        ("header", "openssl/ssl.h", "libssl-dev"),
        ("header", "openssl/opensslconf.h", "libssl-dev"),
        ("header", "Eigen/Core", "libeigen3-dev"),
        ("library", "yaml", "libyaml-dev"),
        ("library", "z", "zlib1g-dev"),
        ("library", "blas", "libblas-dev"),
        ("library", "stdc++", None),
        ("library", "yam.", None),
        ("pkg-config", "libffi", "libffi-dev"),
        ("pkg-config", "eigen3", "libeigen3-dev"),
        ("cmake", "fmt", "libfmt-dev"),
        ("cmake", "ZLIB", "zlib1g-dev"),
        ("cmake", "FFI", "libffi-dev"),
        ("cmake", "LLVM", "llvm-22-dev"),
        ("program", "pg_config", "libpq-dev"),
    ],
)
def test_file_leads_to_its_package(contents: Contents, kind: str, name: str, package: str | None) -> None:
    assert contents.package_of(kind, name) == package


def test_preferred_package_wins_over_a_shorter_name(contents: Contents) -> None:
    assert contents.package_of("program", "pg_config", preferred="postgresql-common") == "postgresql-common"


def test_reduced_index_is_all_that_is_left(contents: Contents) -> None:
    assert [path.name for path in contents.file.parent.iterdir()] == [FILE]
    text = contents.file.read_text()
    assert "README" not in text
    assert "bin/false" not in text


@pytest.mark.parametrize(
    "content", [b"no gzip", gzip.compress(RISCV64.encode())[:40], gzip.compress(b"")], ids=["plain", "cut", "empty"]
)
def test_damaged_or_empty_index_is_refused(tmp_path: Path, log: MemoryLog, content: bytes) -> None:
    with pytest.raises(EnvironmentSetupError, match="no index of its files"):
        reduced(tmp_path, log, riscv64=content)


@pytest.mark.environment
def test_index_of_the_mirror_has_packages_of_all_kinds(layout: Layout) -> None:
    contents = DebianLayers(layer_store(layout)).contents()
    assert contents.package_of("header", "openssl/ssl.h") == "libssl-dev"
    assert contents.package_of("header", "Eigen/Core") == "libeigen3-dev"
    assert contents.package_of("library", "yaml") == "libyaml-dev"
