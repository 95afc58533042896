"""One package with two compilers by the real command: each wheel runs, and the first one's alone is published."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from factory.model.distribution import DEFAULT_DISTRIBUTION
from factory.model.record import BuildRecord
from factory.publish.ledger import Ledger
from factory.stages.audit.wheel_reader import open_wheel
from factory.store.store import Store
from factory.util.paths import default_layout
from tests.support.checkouts import SUM_CASES, Checkout, make_cache, make_checkout

MORE = """
[build]
toolchains = ["gcc", "clang"]

[check]
profiles = ["rv64gc", "k1"]
"""
# The compilers of the plain names, and one that gets the vector types of the wrong target if it isn't told of its own.
NAMES = """
for name in cc c++ clang++ $CC $CXX gcc; do "$name" --version | head -n 1; done
echo 'int main(void) { return 0; }' > main.c
"$CC" -fopenmp=libomp main.c 2>&1 | grep -o 'cannot find -lomp'
"$CC" main.c && ./a.out && readelf -h a.out | grep -o RISC-V
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    root = tmp_path_factory.mktemp("toolchains")
    return make_checkout(root, make_cache(root / "cache", default_layout()), more=MORE)


@pytest.fixture(scope="module")
def records(checkout: Checkout, layout: object, hybrid: object, clean_root: object) -> dict[str, BuildRecord]:
    finished = checkout.factory("build", "vectors-c")
    assert finished.returncode == 0, finished.stderr
    assert "vectors-c 1.0 with clang: k1: sum 499500.0" in finished.stderr
    return {record.built_with: record for record in Store(checkout.cache / "store").records()}


@pytest.mark.environment
def test_toolchains_compile_wheels_for_all_profiles(checkout: Checkout, records: dict[str, BuildRecord]) -> None:
    assert records.keys() == {"gcc", "clang"}
    for name, signature in (("gcc", b"GCC: (Debian 14"), ("clang", b"clang version")):
        record = records[name]
        assert [(check.profile, check.passed) for check in record.checks] == [("rv64gc", True), ("k1", True)]
        with open_wheel(Store(checkout.cache / "store").wheel_path(record)) as wheel:
            ((_, library),) = wheel.elf_files()
        assert signature in library
        # Clang's wheels are linked with GCC's start files, which say so.
        package = f"clang-{DEFAULT_DISTRIBUTION.clang}"
        assert (b"clang version" in library) == (package in record.toolchain) == (name == "clang")


@pytest.mark.environment
def test_only_the_first_toolchains_wheel_is_published(
    checkout: Checkout, records: dict[str, BuildRecord], tmp_path: Path
) -> None:
    assert records["gcc"].wheel == records["clang"].wheel
    published = checkout.factory("index", "--output", str(tmp_path / "out"), "--ledger", str(tmp_path / "ledger"))
    assert published.returncode == 0, published.stderr
    assert [release.sha256 for release in Ledger(tmp_path / "ledger").read()] == [records["gcc"].wheel_sha256]


@pytest.mark.environment
def test_clang_wheel_is_checked_and_rebuilt_on_request(
    checkout: Checkout, records: dict[str, BuildRecord], tmp_path: Path
) -> None:
    checked = checkout.factory("check", "vectors-c", "--toolchain", "clang", "--profile", "k1")
    assert checked.returncode == 0, checked.stderr
    assert "vectors-c 1.0 with clang: k1: sum 499500.0" in checked.stderr
    key = records["clang"].key
    rebuilt = checkout.factory("rebuild", "vectors-c", "--record", key, "--verify", "--output", str(tmp_path))
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert f"same bytes: sha256 {records['clang'].wheel_sha256}" in rebuilt.stderr


@pytest.mark.environment
def test_compilers_with_plain_names_target_riscv64(checkout: Checkout, records: dict[str, BuildRecord]) -> None:
    inside = checkout.factory("shell", "--toolchain", "clang", "vectors-c", "--", "sh", "-c", NAMES)
    assert inside.returncode == 0, inside.stderr
    lines = inside.stdout.splitlines()
    assert all(f"clang version {DEFAULT_DISTRIBUTION.clang}." in line for line in lines[:5])
    assert lines[5].startswith("gcc (Debian 14")
    assert lines[6:] == ["cannot find -lomp", "RISC-V"]


@pytest.mark.environment
def test_unlisted_toolchain_builds_for_comparison(checkout: Checkout, records: object) -> None:
    recipe = checkout.root / "recipes/vectors-c/recipe.toml"
    recipe.write_text(recipe.read_text().replace('["gcc", "clang"]', '["gcc"]'))
    again = checkout.factory("build", "vectors-c", "--toolchain", "clang")
    assert again.returncode == 0, again.stderr
    assert "vectors-c 1.0 with clang: already built" in again.stderr


@pytest.mark.environment
def test_what_both_compilers_made_is_counted_side_by_side(checkout: Checkout, records: dict[str, BuildRecord]) -> None:
    (checkout.root / "recipes/vectors-c/bench.py").write_text(SUM_CASES)
    command = ("bench", "kernels", "vectors-c", "--profile", "rv64gc", "--case", "sum 1000", "--json")
    counted = checkout.factory(*command)
    assert counted.returncode == 0, counted.stderr
    found = {row["wheel"]: row for row in json.loads(counted.stdout)}
    assert found.keys() == {"gcc", "clang"}
    for row in found.values():
        # An addition for each of the thousand values, and one conversion of the sum.
        assert row["by_class"]["float"] // 1000 == 1
        assert row["by_class"]["loads"] // 1000 == 1
